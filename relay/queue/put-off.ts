// Deliveries that go on without an attempt: until when, and whether their senders hear of it. Pure.
import { givesUpAt, isDelayNoticeDue } from '../snapshot/index.ts'
import type { Delivery, Notice, Recipient, Settlement } from './types.ts'

type Reason = Pick<Notice, 'status' | 'plain'> & { readonly why: string }
export const itsTurn: Reason = { why: 'waits for its turn: its destination takes no more at a time', status: '4.4.5', plain: 'Much mail waits for the same destination, and this message has not had its turn yet.' } // RFC 3463 3.5: congestion
export const internalError: Reason = { why: 'an internal error', status: '4.3.0', plain: 'Something went wrong in our own mail server.' }

/** Cannot start soon: waits as a later record and not in memory. Its sender hears of that as of attempts that fail: late, and once. */
export const putOff = (delivery: Delivery, at: number, reason: Reason, now: number): Settlement => {
  const isDue = isDelayNoticeDue(delivery, now)
  return {
    later: { ...laterOf(delivery, at, reason.why, now), delayNoticed: delivery.delayNoticed || isDue },
    notices: isDue ? delivery.recipients.map((recipient) => delayed(delivery, recipient, reason)) : [],
    trace: [],
  }
}

/** On to the lane of its site, at once: nobody is told. */
export const handedOver = (delivery: Delivery, lane: number, now: number): Settlement => ({
  later: laterOf(delivery, 0, 'goes to the process that serves its mail servers', now),
  handOver: { lane },
  notices: [],
  trace: [],
})

const laterOf = ({ recipients, delayNoticed, last }: Delivery, at: number, why: string, now: number): NonNullable<Settlement['later']> =>
  ({ recipients, at, delayNoticed, last: last ?? { at: now, why }, countsAsAttempt: false })

const delayed = (delivery: Delivery, recipient: Recipient, { why, status, plain }: Reason): Notice => ({
  kind: 'delayed', recipient, status, plain, diagnostic: `X-Posthouse; ${why}`, willRetryUntil: givesUpAt(delivery),
  ...(delivery.attempt > 1 && delivery.last && { lastAttemptAt: delivery.last.at }),
})
