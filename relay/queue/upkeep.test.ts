// Schedules that do not fire, which no real server can be made to do on demand.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usualLimits } from './context.ts'
import { aMessage, deferred, delivered, deliverer, simulated } from './fixtures.ts'

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
