// Mail that its destination's rate puts off again and again without an attempt: whose senders hear of it, and how often.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Schedule } from '../snapshot/index.ts'
import { aMessage, deliverer, delivered, schedule, simulated } from './fixtures.ts'
import type { Deliverer, Notice } from './types.ts'

const minute = 60_000

/** Forty deliveries for a destination that takes none, of which 20 have room in memory; and what their senders are told. */
const forty = async (t: TestContext, change: Partial<Schedule>, wait: ReturnType<Deliverer['admit']>) => {
  const told: (Notice & { readonly about: string; readonly at: number })[] = []
  const { clock, accept, stop, metrics } = await simulated({
    limits: { windowCount: 20 },
    deliverer: () => ({ ...deliverer(() => delivered), admit: () => wait }),
    composeNotice: ({ delivery, notices, now }) => void told.push(...notices.map((notice) => ({ ...notice, about: delivery.id, at: now }))),
  })
  t.after(stop)
  for (let count = 0; count < 40; count++) {
    const message = aMessage({ domains: ['slow.example'] })
    accept({ ...message, deliveries: message.deliveries.map((one) => ({ ...one, schedule: { ...schedule, ...change } })) })
  }
  return { told, clock, metrics, arrived: clock.now() }
}

test('of 40 deliveries for a destination that takes none the 30 that no longer wait in memory are put off, and past delayNoticeAfter each sender is told once', async (t) => {
  const { told, clock, arrived } = await forty(t, { delayNoticeAfter: 120 }, { kind: 'wait' })
  await clock.pass(10 * minute)
  assert.deepEqual([told.length, new Set(told.map(({ about }) => about)).size], [30, 30])
  assert.ok(told.every(({ at }) => at >= arrived + 2 * minute))
  const { kind, status, plain, diagnostic, lastAttemptAt, willRetryUntil } = told[0]!
  assert.deepEqual([kind, status, plain, diagnostic, lastAttemptAt], ['delayed', '4.4.5', 'Much mail waits for the same destination, and this message has not had its turn yet.', 'X-Posthouse; waits for its turn: its destination takes no more at a time', undefined])
  assert.ok(willRetryUntil! >= arrived + schedule.giveUpAfter * 1000)
})

test('of 40 deliveries for a destination that takes none the 30 that no longer wait in memory are given up when their hour is over, and each sender is told once', async (t) => {
  const { told, clock, arrived, metrics } = await forty(t, { giveUpAfter: 3600 }, { kind: 'wait', paceMs: 10 * minute })
  await clock.pass(59 * minute)
  assert.equal(told.length, 0)
  await clock.pass(6 * minute)
  assert.deepEqual([told.length, new Set(told.map(({ about }) => about)).size], [30, 30])
  assert.ok(told.every(({ at }) => at >= arrived + 60 * minute))
  const { kind, status, plain, lastAttemptAt } = told[0]!
  assert.deepEqual([kind, status, plain, lastAttemptAt], ['failed', '4.4.7', 'Much mail waits for the same destination, and this message did not have its turn until the time set for it was over.', undefined])
  assert.deepEqual((await metrics.attempts.get()).values, [{ value: 30, labels: { outcome: 'expired' } }])
})
