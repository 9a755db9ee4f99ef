// Schedules that do not fire, which no real server can be made to do on demand: the process's own parts against a simulated stream.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics, silentLog } from '../report/index.ts'
import { createAccept } from './accept.ts'
import { usualLimits, type Context } from './context.ts'
import { aMessage, deferred, delivered, deliverer, noNotices } from './fixtures.ts'
import { Owner } from './owner.ts'
import { createRoom } from './room.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { noFaults, SimulatedStream } from './simulated-stream.ts'
import { createSubjects } from './subjects.ts'

const minute = 60_000

test('of 3 deferred deliveries whose schedules do not fire each is tried a minute late at the next look, and counted once', async (t) => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock, { ...noFaults, lateMs: () => 1_000 * minute })
  const metrics = createMetrics()
  const context: Context = { stream: stream.view(), subjects: createSubjects('u'), clock, log: silentLog, metrics, pod: 'p', incarnation: 'i', composeNotice: noNotices, newMessageId: () => 'n', siteOf: (domain) => domain, emit: () => {}, limits: usualLimits }
  const tried: number[] = []
  const owner = new Owner(context, {
    deliverer: deliverer((delivery) => {
      tried.push(delivery.attempt)
      return delivery.attempt === 1 ? deferred(delivery, clock.now() + minute) : delivered
    }),
    paused: () => false, serverNow: () => clock.now(), revision: () => '',
  })
  t.after(() => owner.stop())
  owner.own.start()
  await clock.pass(3_000)
  void createAccept(context, createRoom(1e6, clock), () => undefined).accept(aMessage({ domains: ['a.example', 'b.example', 'c.example'] }), 30_000)
  await clock.pass(minute)
  const counted = async () => (await metrics.overdue.get()).values[0]!.value
  assert.deepEqual([tried, await counted()], [[1, 1, 1], 0])
  await clock.pass(2 * usualLimits.upkeepEveryMs)
  assert.deepEqual([tried, await counted()], [[1, 1, 1, 2, 2, 2], 3])
})
