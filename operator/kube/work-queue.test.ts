import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '../../test/tools/until.ts'
import { WorkQueue } from './work-queue.ts'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('the work queue', () => {
  it('works once on a key that was added 100 times before it began', async () => {
    const done: string[] = []
    const queue = new WorkQueue({ work: async (key) => void (await pause(1), done.push(key)), failed: () => assert.fail(), gatherMs: 20 })
    for (let n = 0; n < 100; n++) queue.add(n % 2 === 0 ? 'a' : 'b')
    await until('both', () => done.length === 2)
    await pause(60)
    assert.deepEqual(done.sort(), ['a', 'b'])
    await queue.stop()
  })
  it('never works on 1 key twice at the same time, and again after a change that came meanwhile', async () => {
    let running = 0
    let runs = 0
    const work = async () => {
      running += 1
      assert.equal(running, 1)
      await pause(30)
      running -= 1
      runs += 1
    }
    const queue = new WorkQueue({ work, failed: (_, error) => assert.fail(error as Error), workers: 4 })
    queue.add('a')
    await pause(15)
    for (let n = 0; n < 5; n++) queue.add('a')
    await until('2 runs', () => runs === 2)
    await pause(60)
    assert.equal(runs, 2)
    await queue.stop()
  })
  it('tries a key again after 2 failures, each time later, while another key goes on', async () => {
    const failures: number[] = []
    const done: string[] = []
    let tries = 0
    const work = async (key: string) => {
      await pause(0)
      if (key === 'bad' && ++tries <= 2) throw new Error('no')
      done.push(key)
    }
    const queue = new WorkQueue({ work, failed: (_, __, next) => void failures.push(next), random: () => 0.5 })
    queue.add('bad')
    queue.add('good')
    await until('both', () => done.length === 2)
    assert.deepEqual([done, failures], [['good', 'bad'], [250, 500]])
    await queue.stop()
  })
  it('stops after what has begun, and begins nothing more of 3', async () => {
    const done: string[] = []
    const queue = new WorkQueue({ work: async (key) => (await pause(40), void done.push(key)), failed: () => assert.fail() })
    for (const key of ['a', 'b', 'c']) queue.add(key)
    await pause(10)
    await queue.stop()
    assert.deepEqual(done, ['a'])
    queue.add('d')
    await pause(60)
    assert.deepEqual(done, ['a'])
  })
})
