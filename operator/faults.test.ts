import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Faults } from './faults.ts'

const start = () => {
  const time = { ms: 0, mark: 'a' }
  const said: string[] = []
  const met: string[] = []
  const faults = new Faults({ said: (title, error) => said.push(`${title}: ${error.message}`), met: (title) => met.push(title), markOf: () => time.mark, clock: () => time.ms })
  const bug = new TypeError('a bug')
  const run = (throws: unknown = bug): number => {
    faults.begin()
    if (!faults.waits('MailRelay mail/main') && throws !== null) faults.note('MailRelay mail/main', throws)
    return faults.end()
  }
  return { time, said, met, faults, run, bug }
}

describe('a fault', () => {
  it('that lasts is said once, tried again after 1, 2, 4 … 60 s, and counted each of the 9 times it is met', () => {
    const { time, said, met, run } = start()
    const waits: number[] = []
    for (let tries = 0; tries < 9; tries++) time.ms += waits[waits.push(run()) - 1]!
    assert.deepEqual([waits, said, met.length], [[1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000], ['MailRelay mail/main: a bug'], 9])
  })
  it('is not tried before its time, and at once where the object is another', () => {
    const { time, run, faults } = start()
    run()
    time.ms = 400
    assert.equal(run(null), 600)
    assert.deepEqual(faults.found(), ['MailRelay mail/main'])
    time.mark = 'b'
    assert.equal(run(null), Infinity)
    assert.deepEqual(faults.found(), [])
  })
  it('that is over and comes again, or is another, is said again', () => {
    const { time, said, run, bug } = start()
    for (const [ms, thrown] of [[0, bug], [2_000, null], [4_000, bug], [9_000, 'text']] as const) {
      time.ms = ms
      run(thrown)
    }
    assert.equal(said.length, 3)
  })
  it('of 1 object in 1 run counts once', () => {
    const { faults, said, met, bug } = start()
    faults.begin()
    for (const error of [bug, new Error('other')]) faults.note('MailRelay mail/main', error)
    assert.deepEqual([said.length, met.length], [1, 1])
    assert.equal(faults.end(), 1_000)
  })
})
