// Deliveries that go on without an attempt: until when, and whether their senders hear of it. Pure.
import { givesUpAt, isDelayNoticeDue, printMailbox } from '../snapshot/index.ts'
import type { Delivery, LastTry, Notice, Recipient, Settlement } from './types.ts'

type Reason = Pick<Notice, 'status' | 'plain'> & { readonly why: string; readonly inTheEnd?: string } // inTheEnd: what the sender is told when the time is over; absent: nobody gives up for that
export const itsTurn: Reason = { why: 'waits for its turn: its destination takes no more at a time', status: '4.4.5', plain: 'Much mail waits for the same destination, and this message has not had its turn yet.', inTheEnd: 'Much mail waits for the same destination, and this message did not have its turn until the time set for it was over.' } // RFC 3463 3.5: congestion
export const internalError: Reason = { why: 'an internal error', status: '4.3.0', plain: 'Something went wrong in our own mail server.' }

/** Cannot start soon: waits as a later record and not in memory. Its sender hears of that as of attempts that fail: late, and once; and at its end that it was given up. */
export const putOff = (delivery: Delivery, at: number, reason: Reason, now: number, pod: string): Settlement => {
  if (reason.inTheEnd !== undefined) {
    if (now >= givesUpAt(delivery)) return givenUp(delivery, { ...reason, status: '4.4.7', plain: reason.inTheEnd }, now, pod) // RFC 3463 3.5: delivery time expired
    at = Math.min(at, givesUpAt(delivery))
  }
  const isDue = isDelayNoticeDue(delivery, now)
  return {
    later: { recipients: delivery.recipients, at, last: lastOf(delivery, reason.why, now), countsAsAttempt: false, delayNoticed: delivery.delayNoticed || isDue },
    notices: isDue ? delivery.recipients.map((recipient) => ({ ...noticeOf(delivery, recipient, reason), kind: 'delayed', willRetryUntil: givesUpAt(delivery) })) : [],
    trace: [],
  }
}

/** What a host said at a try stays known, behind the reason why it waits now. */
const lastOf = ({ last }: Delivery, why: string, now: number): LastTry =>
  last?.class === undefined ? { at: now, why } : { ...last, why: `${why}; before: ${whyAtTheTry(last)}` }
/** Without why it has waited since. */
export const whyAtTheTry = ({ why }: LastTry): string => why.replace(/^.*; before: /s, '')

/** On to the lane of its site, at once: nobody is told. */
export const handedOver = ({ recipients, delayNoticed, last }: Delivery, lane: number, now: number): Settlement => ({
  later: { recipients, at: 0, delayNoticed, last: last ?? { at: now, why: 'goes to the process that serves its mail servers' }, countsAsAttempt: false },
  handOver: { lane },
  notices: [],
  trace: [],
})

/** On in a record of its own, at once: nobody is told. */
export const unpacked = ({ recipients, delayNoticed, last }: Delivery, now: number): Settlement => ({
  later: { recipients, at: 0, delayNoticed, last: last ?? { at: now, why: 'waits for its first attempt' }, countsAsAttempt: false },
  notices: [],
  trace: [],
})

const givenUp = (delivery: Delivery, reason: Reason, now: number, pod: string): Settlement => ({
  notices: delivery.recipients.map((recipient) => ({ ...noticeOf(delivery, recipient, reason), kind: 'failed' })),
  trace: [{ at: now, message: delivery.message, delivery: delivery.id, pod, kind: 'bounced', text: `given up: ${reason.why}`, recipients: delivery.recipients.map(({ mailbox }) => printMailbox(mailbox)) }],
})

const noticeOf = (delivery: Delivery, recipient: Recipient, { why, status, plain }: Reason): Omit<Notice, 'kind'> => ({
  recipient, status, plain, diagnostic: `X-Posthouse; ${why}`, ...(delivery.attempt > 1 && delivery.last && { lastAttemptAt: delivery.last.at }),
})
