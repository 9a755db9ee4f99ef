import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KubeError } from './kube/index.ts'
import { createRefusals, NameTaken, Passing } from './refusals.ts'

const answer = (status: number) => new KubeError({ status, reason: 'R', message: `said ${status}` })
const failing = (error: Error) => async (): Promise<string> => { throw error }

const faults: string[] = []
const refusing = (passing = new Passing()) => createRefusals({ waits: (title) => title === 'MailRelay mail/waits', note: (title, error) => faults.push(`${title}: ${(error as Error).message}`) }, passing)

describe('an attempt', () => {
  for (const status of [400, 403, 404, 413, 422, 500, 504]) {
    it(`that is answered ${status} is refused: it is told of that object, and nothing is thrown`, async () => {
      const refusals = refusing()
      assert.equal(await refusals.attempt('MailSender', 'shop/app', failing(answer(status))), undefined)
      assert.deepEqual([...refusals.found], [['MailSender shop/app', { reason: 'NotApplied', message: `the API server refuses it: said ${status}` }]])
    })
  }
  for (const error of [answer(401), answer(412), answer(502), answer(0)]) {
    it(`that ends with "${error.message}" is thrown on, with 0 refusals: it is over when we look again`, async () => {
      const refusals = refusing()
      await assert.rejects(refusals.attempt('MailRelay', 'mail/main', failing(error)), error)
      assert.equal(refusals.found.size, 0)
    })
  }
  for (const status of [409, 429, 503]) {
    it(`that is answered ${status} is tried again after 1 s, 2 s and so on, and is told as refused when that has lasted 30 s`, async () => {
      const time = { ms: 0 }
      const said: string[] = []
      const passing = new Passing((title, error) => void said.push(`${title}: ${error.message}`), () => time.ms)
      const seen: unknown[] = []
      for (const ms of [0, 1_000, 29_000, 30_000]) {
        time.ms = ms
        passing.begin()
        const refusals = refusing(passing)
        for (let n = 0; n < 2; n++) assert.equal(await refusals.attempt('MailRelay', 'mail/main', failing(answer(status))), undefined)
        seen.push([refusals.found.get('MailRelay mail/main')?.message, refusals.hindered('MailRelay mail/main'), passing.end()])
      }
      assert.deepEqual(seen, [[undefined, true, 1_000], [undefined, true, 2_000], [undefined, true, 4_000], [`the API server refuses it: said ${status}`, true, 8_000]])
      assert.deepEqual(said, [`MailRelay mail/main: said ${status}`])
      passing.begin()
      assert.deepEqual([refusing(passing).hindered('MailRelay mail/main'), passing.end()], [false, Infinity])
    })
  }
  it('that is answered 503 for 10 objects leaves the others theirs; for the 11th it is thrown on: it is the server', async () => {
    const passing = new Passing()
    passing.begin()
    const refusals = refusing(passing)
    for (let n = 0; n < 10; n++) assert.equal(await refusals.attempt('MailSender', `shop/app-${n}`, failing(answer(503))), undefined)
    assert.equal(await refusals.attempt('MailSender', 'shop/app-0', failing(answer(503))), undefined)
    await assert.rejects(refusals.attempt('MailSender', 'shop/app-10', failing(answer(503))), { status: 503 })
  })
  it('that is answered 503 before 1 run that ended too soon to try it, and once more after it, has not lasted: it is told as refused 0 times', async () => {
    const time = { ms: 0 }
    const passing = new Passing(() => {}, () => time.ms)
    const seen: number[] = []
    for (const [ms, isTried] of [[0, true], [40_000, false], [80_000, true]] as const) {
      time.ms = ms
      passing.begin() // and no end: what throws ends the run before it
      const refusals = refusing(passing)
      if (isTried) await refusals.attempt('MailRelay', 'mail/main', failing(answer(503)))
      seen.push(refusals.found.size)
    }
    assert.deepEqual(seen, [0, 0, 0])
  })
  it('that is answered 409 for 12 objects is thrown on for 0 of them: each has its own conflict, and the server is well', async () => {
    const passing = new Passing()
    passing.begin()
    const refusals = refusing(passing)
    for (let n = 0; n < 12; n++) assert.equal(await refusals.attempt('MailSender', `shop/app-${n}`, failing(answer(409))), undefined)
    assert.deepEqual([passing.found().length, passing.end()], [12, 1_000])
    assert.equal(await refusals.attempt('MailRelay', 'mail/main', failing(answer(503))), undefined)
  })
  it('tells of 2 refusals of 1 object the first, and gives back what was not refused', async () => {
    const refusals = refusing()
    for (const text of ['Service a', 'Service b']) await refusals.attempt('MailRelay', 'mail/main', failing(new NameTaken(text)))
    assert.equal(await refusals.attempt('MailRelay', 'mail/main', async () => 'done'), 'done')
    assert.deepEqual(refusals.found.get('MailRelay mail/main'), { reason: 'NameTaken', message: 'Service a' })
  })
  it('that throws anything else is a fault of ours over that object: it is noted, and nothing is thrown; of who waits nothing is tried', async () => {
    const refusals = refusing()
    assert.equal(await refusals.attempt('MailRelay', 'mail/main', failing(new TypeError('a bug'))), undefined)
    assert.equal(await refusals.guard('MailRelay', 'mail/waits', () => assert.fail('tried')), undefined)
    assert.deepEqual([faults, refusals.found.size], [['MailRelay mail/main: a bug'], 0])
    await assert.rejects(refusals.guard('MailRelay', 'mail/main', failing(answer(422))), { status: 422 })
  })
})
