import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { KeyMaker } from './key-maker.ts'

/** A maker whose keys are done when the test says so. */
const stage = () => {
  const making: (() => void)[] = []
  let [made, told] = [0, 0]
  const maker = new KeyMaker({ ready: () => (told += 1), make: (algorithm) => new Promise((resolve) => making.push(() => resolve(`${algorithm} ${(made += 1)}`))) })
  const finish = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) {
      making.shift()?.()
      await turn()
    }
  }
  return { maker, finish, making: () => making.length, told: () => told }
}

describe('DKIM keys for a run', () => {
  it('waits for 16 RSA keys of 20, and has the other 4 for the next run', async () => {
    const { maker, finish, told, making } = stage()
    const newKey = maker.forRun()
    const first = Promise.all(Array.from({ length: 20 }, () => newKey('rsa')))
    await finish(16)
    const keys = await first
    maker.endRun()
    await finish(4)
    assert.deepEqual([keys.filter((key) => key !== undefined).length, keys.filter((key) => key === undefined).length, told(), making()], [16, 4, 1, 0])
    const next = maker.forRun()
    const rest = await Promise.all(Array.from({ length: 4 }, () => next('rsa')))
    assert.equal(new Set([...keys, ...rest].filter((key) => key !== undefined)).size, 20)
  })

  it('makes the missing 1,000 one at a time, and tells of them 4 times', async () => {
    const { maker, finish, told, making } = stage()
    const newKey = maker.forRun()
    const all = Array.from({ length: 1_016 }, () => newKey('rsa'))
    assert.equal(making(), 16)
    await finish(16)
    maker.endRun()
    assert.equal(making(), 1)
    await finish(1_000)
    assert.deepEqual([(await Promise.all(all)).filter((key) => key === undefined).length, told(), making()], [1_000, 4, 0])
  })

  it('waits for each of 100 ed25519 keys: they take no time', async () => {
    const { maker, finish } = stage()
    const newKey = maker.forRun()
    const all = Promise.all(Array.from({ length: 100 }, () => newKey('ed25519')))
    await finish(100)
    assert.deepEqual((await all).filter((key) => key?.startsWith('ed25519') !== true), [])
  })

  it('makes 0 keys for a next run that misses none, and none after it was stopped', async () => {
    const { maker, finish, making } = stage()
    const newKey = maker.forRun()
    for (let n = 0; n < 30; n += 1) void newKey('rsa')
    maker.endRun()
    maker.forRun()
    maker.endRun()
    await finish(17) // the 17th was on its way
    assert.equal(making(), 0)
    const again = maker.forRun()
    for (let n = 0; n < 30; n += 1) void again('rsa')
    maker.endRun()
    maker.stop()
    await finish(17)
    assert.equal(making(), 0)
  })
})
