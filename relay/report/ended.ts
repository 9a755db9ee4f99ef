// What is counted and written to the log when recipients have an outcome, whoever came to it. Touches metrics and the log only.
import { printMailbox, type Mailbox } from '../snapshot/index.ts'
import type { Log } from './log.ts'
import type { Metrics, OutcomeLabel } from './metrics.ts'

type Ending = { readonly id: string; readonly arrivedAt: number; readonly envelope: { readonly mailFrom: Mailbox | null; readonly sender?: string } }

export const countEnded = ({ attempts, deliveryAge }: Metrics, { arrivedAt }: Ending, outcome: OutcomeLabel, recipients: number, now: number): void => {
  attempts.inc({ outcome }, recipients)
  deliveryAge.observe({ outcome }, Math.max(0, now - arrivedAt) / 1000)
}

const mostNamed = 20

/** `why`: of the first recipient, for mostly all have the same. */
export const logBounced = (log: Log, { id, envelope: { mailFrom, sender } }: Ending, why: string, recipients: readonly Mailbox[]): void =>
  log.info('BOUNCED', {
    delivery: id, from: mailFrom === null ? '' : printMailbox(mailFrom), ...(sender !== undefined && { sender }), why, recipients: recipients.slice(0, mostNamed).map(printMailbox), count: recipients.length,
  })

/** What is about mail from nobody has nobody to go to but a postmaster. */
export const noteDoubleBounce = ({ metrics, log }: { readonly metrics: Metrics; readonly log: Log }, message: string, recipients: readonly Mailbox[], toPostmaster: boolean): void => {
  metrics.doubleBounces.inc()
  log.warn('DOUBLE_BOUNCE', { message, recipients: recipients.slice(0, mostNamed).map(printMailbox), count: recipients.length, toPostmaster })
}
