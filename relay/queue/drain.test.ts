// A process that leaves while it hands lanes over, as it does whenever relays are replaced one by one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep } from './clock.ts'
import { laneOf, ranking } from './lanes.ts'
import { aMessage, delivered, deliverer, simulated } from './fixtures.ts'

test('a drain waits also for 1 delivery in flight in a lane that is just being handed over', async (t) => {
  const ended: string[] = []
  const first = await simulated({
    deliverer: (clock) => deliverer(async ({ domain }) => {
      await sleep(clock, 50_000)
      ended.push(domain)
      return delivered
    }),
  })
  const { clock, stream, owner, accept } = first
  await clock.pass(27_000)
  const domain = Array.from({ length: 40 }, (_, count) => `d${count}.example`).find((domain) => ranking(laneOf(domain), ['pod-1', 'pod-2'])[0] === 'pod-2')!
  accept(aMessage({ domains: [domain] }))
  await clock.pass(1_000)
  const second = await simulated({ after: { clock, stream }, deliverer: () => deliverer(() => delivered), pod: 'pod-2' })
  t.after(() => (first.stop(), second.stop()))
  await clock.pass(15_000)
  const seen: { atEnd?: number } = {}
  void owner.drain(60_000).then(() => (seen.atEnd = ended.length))
  await clock.pass(60_000)
  assert.deepEqual([seen.atEnd, ended], [1, [domain]])
})

test('a process that can make no cursor lets its 64 lanes go after a minute: another serves them within two', async (t) => {
  const blind = await simulated({ deliverer: () => deliverer(() => delivered), view: (stream) => ({ ...stream, read: () => ({ want: () => {}, alive: () => false, stop: () => {} }) }) })
  const { clock, stream } = blind
  assert.equal(blind.owner.own.lanes().length, 64)
  const second = await simulated({ after: { clock, stream }, deliverer: () => deliverer(() => delivered), pod: 'pod-2' })
  t.after(() => (blind.stop(), second.stop()))
  await clock.pass(85_000)
  assert.equal(second.owner.own.lanes().length, 64)
})
