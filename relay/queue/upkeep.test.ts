// Schedules that do not fire, which no real server can be made to do on demand.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep } from './clock.ts'
import { usualLimits } from './context.ts'
import { aMessage, deferred, delivered, deliverer, simulated } from './fixtures.ts'
import type { SimulatedClock } from './simulated-clock.ts'
import { createSubjects } from './subjects.ts'
import { overdueOf } from './upkeep.ts'
import { silentLog } from '../report/index.ts'

const minute = 60_000

test('of 3 deferred deliveries whose schedules do not fire each is tried a minute late at the next look, and counted once', async (t) => {
  const tried: number[] = []
  const { clock, metrics, accept, stop } = await simulated({
    chance: { lateMs: () => 1_000 * minute },
    deliverer: (clock) => deliverer((delivery) => {
      tried.push(delivery.attempt)
      return delivery.attempt === 1 ? deferred(delivery, clock.now() + minute) : delivered
    }),
  })
  t.after(stop)
  accept(aMessage({ domains: ['a.example', 'b.example', 'c.example'] }))
  await clock.pass(minute)
  const counted = async () => (await metrics.overdue.get()).values[0]!.value
  assert.deepEqual([tried, await counted()], [[1, 1, 1], 0])
  await clock.pass(2 * usualLimits.upkeepEveryMs)
  assert.deepEqual([tried, await counted()], [[1, 1, 1, 2, 2, 2], 3])
})

test('of 1 delivery whose schedule did not fire, and whose owner died before it removed that, there is 1 late attempt and not 2', async (t) => {
  const tried: number[] = []
  const parts = (clock: SimulatedClock) => deliverer((delivery) => {
    tried.push(delivery.attempt)
    return delivery.attempt === 1 ? deferred(delivery, clock.now() + minute) : delivered
  })
  const first = await simulated({ chance: { lateMs: () => 1_000 * minute }, deliverer: parts, view: (stream) => ({ ...stream, purge: () => Promise.resolve(undefined) }) })
  first.accept(aMessage())
  const { clock, stream } = first
  while (tried.length < 2) await clock.pass(1_000)
  await clock.pass(1_000)
  first.stop()
  const second = await simulated({ after: { clock, stream }, deliverer: parts, pod: 'pod-2' })
  t.after(second.stop)
  await clock.pass(4 * usualLimits.upkeepEveryMs)
  assert.deepEqual(tried, [1, 2])
  assert.deepEqual(stream.all().map(({ subject }) => subject).filter((subject) => /\.(later|ready|done)\./.test(subject)), [])
})

test('1 body of a newer format with an end does not keep the housekeeping from what comes after it', async (t) => {
  const { clock, stream, stop } = await simulated({ deliverer: () => deliverer(() => delivered) })
  t.after(stop)
  const subjects = createSubjects('simulated')
  for (const subject of [subjects.body('newer', 0), subjects.end('newer', '0'), subjects.body('half', 1)]) void stream.view().publish({ subject, payload: Buffer.from([9, 0, 0]) })
  await clock.pass(usualLimits.halfBodyMs + 2 * usualLimits.upkeepEveryMs)
  assert.deepEqual(stream.all().map(({ subject }) => subject).filter((subject) => subject.includes('.body.')), [subjects.body('newer', 0), subjects.end('newer', '0')])
})

test('a process whose clock is an hour ahead, and does not know it yet, sweeps no chunk of 1 body that is still coming in', async (t) => {
  const { clock, stream, owner, stop } = await simulated({ deliverer: () => deliverer(() => delivered), ahead: usualLimits.halfBodyMs })
  t.after(stop)
  const chunk = createSubjects('simulated').body('coming', 1)
  void stream.view().publish({ subject: chunk, payload: Buffer.alloc(1) })
  await clock.pass(1_000)
  void owner.upkeep()
  await clock.pass(1_000)
  assert.ok(stream.all().some(({ subject }) => subject === chunk))
})

test('1 delivery whose schedule fires late, while the overdue ones are being listed, is tried once more and not twice', async (t) => {
  const tried: number[] = []
  const { clock, owner, accept, stop } = await simulated({
    chance: { lateMs: () => minute + 15_000 },
    deliverer: (clock) => deliverer((delivery) => {
      tried.push(delivery.attempt)
      return delivery.attempt === 1 ? deferred(delivery, clock.now() + minute) : delivered
    }),
    view: (stream, clock) => ({ ...stream, records: async (filter, limit, from) => {
      const records = await stream.records(filter, limit, from)
      if (filter.includes('.later.') && records!.length > 0) await sleep(clock, 10_000) // a long list
      return records
    } }),
  })
  t.after(stop)
  accept(aMessage())
  await clock.pass(2 * minute + 10_000)
  assert.deepEqual(tried, [1])
  void owner.upkeep()
  await clock.pass(2 * minute)
  assert.deepEqual(tried, [1, 2])
})

test('2 waiting records that this release cannot read are told once each by the owner of their lane, the newer one as RECORD_VERSION, and not at each of 5 looks', async (t) => {
  const { clock, stream, owner, context, stop } = await simulated({ deliverer: () => deliverer(() => delivered) })
  t.after(stop)
  const { subjects } = context
  void stream.view().publish({ subject: subjects.later(3, 'one.example', 'm1-0', 1), payload: Buffer.from([9, 0, 0]) })
  void stream.view().publish({ subject: subjects.later(3, 'one.example', 'm2-0', 1), payload: Buffer.from([1, 0]) })
  await clock.pass(1_000)
  const lines: string[] = []
  const log = { ...silentLog, error: (code: string) => void lines.push(code) }
  for (let look = 0; look < 5; look++) {
    void overdueOf({ ...context, log }, owner.own.tenureOf(3)!, clock.now())
    await clock.pass(1_000)
  }
  assert.deepEqual(lines, ['RECORD_VERSION', 'RECORD_UNREADABLE'])
})
