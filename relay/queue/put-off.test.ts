// Mail that its destination's rate puts off again and again without an attempt: whose senders hear of it, and how often.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Schedule } from '../snapshot/index.ts'
import { aMessage, deliverer, delivered, schedule, simulated } from './fixtures.ts'
import { Look } from './look.ts'
import { handedOver, itsTurn, putOff } from './put-off.ts'
import type { Deliverer, Delivery, Notice, Settlement } from './types.ts'

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
  assert.deepEqual((await metrics.attempts.get()).values.filter(({ value }) => value > 0), [{ value: 30, labels: { outcome: 'expired' } }])
})

test('of 40 deliveries that were tried once and then put off for their destination, the queue says that they wait for their turn, and what they were told before', async (t) => {
  const destination = { isSlow: false }
  const { clock, accept, stop, context } = await simulated({
    limits: { windowCount: 20 },
    deliverer: (clock) => ({ ...deliverer((delivery) => triedAt(clock.now(), delivery)), admit: () => ({ kind: destination.isSlow ? 'wait' : 'now' }) }),
  })
  t.after(stop)
  for (let count = 0; count < 40; count++) accept(aMessage({ domains: ['slow.example'] }))
  await clock.pass(minute / 2)
  destination.isSlow = true
  const reasons: (string | undefined)[] = []
  await clock.pass(3 * minute)
  void new Look(context, { ownerOf: () => undefined }).list({ state: 'deferred' }).then((entries) => reasons.push(...entries.map(({ why, said }) => `${why} (${said})`)))
  await clock.pass(minute / 10)
  assert.ok(reasons.length >= 20)
  assert.deepEqual(new Set(reasons), new Set([`${itsTurn.why}; before: greylisted (451 later)`]))
})

const triedAt = (at: number, { recipients }: Delivery): Settlement =>
  ({ later: { recipients, at: at + minute, delayNoticed: false, last: { at, why: 'greylisted', class: 'Greylist', said: '451 later' }, countsAsAttempt: true }, notices: [], trace: [] })

test('a delivery that was handed over to another process, and is put off there 2 times, says that it waits for its turn, and not where it went', () => {
  const { envelope, deliveries: [{ recipients, domain }] } = aMessage() as unknown as { envelope: Delivery['envelope']; deliveries: [Delivery] }
  const delivery = { id: 'm.0', message: 'm', domain, envelope, recipients, schedule, attempt: 1, arrivedAt: 0, delayNoticed: true, bytes: 9, lane: 3 } as unknown as Delivery
  const goesOn = (one: Delivery, { later }: Settlement): Delivery => ({ ...one, last: later!.last })
  const there = goesOn(delivery, handedOver(delivery, 9, 1))
  const putOffOnce = goesOn(there, putOff(there, 5_000, itsTurn, 2, 'p'))
  assert.deepEqual([putOffOnce.last, goesOn(putOffOnce, putOff(putOffOnce, 9_000, itsTurn, 3, 'p')).last], [{ at: 2, why: itsTurn.why }, { at: 3, why: itsTurn.why }])
})
