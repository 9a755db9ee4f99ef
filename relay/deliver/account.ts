// Counts and logs what an attempt came to. Touches metrics and the log only.
import type { Delivery } from '../queue/index.ts'
import type { Log, Metrics } from '../report/index.ts'
import { printMailbox } from '../snapshot/index.ts'
import type { Ended } from './attempt.ts'
import type { Outcome } from './outcome.ts'

export const account = ({ log, metrics }: { log: Log; metrics: Metrics }, delivery: Delivery, ended: readonly Ended[], now: number): void => {
  const counts = new Map<Outcome['kind'], number>()
  for (const { outcome } of ended) {
    counts.set(outcome.kind, (counts.get(outcome.kind) ?? 0) + 1)
    if (outcome.kind === 'deferred') metrics.deferredClass.inc({ class: outcome.why.class })
  }
  for (const [outcome, count] of counts) {
    metrics.attempts.inc({ outcome }, count)
    metrics.deliveryAge.observe({ outcome }, Math.max(0, now - delivery.arrivedAt) / 1000)
  }
  const first = ended[0]?.outcome
  const said = first !== undefined && 'said' in first ? first.said : undefined
  log.info('ATTEMPT', {
    delivery: delivery.id, domain: delivery.domain, attempt: delivery.attempt, outcomes: Object.fromEntries(counts), ...(said && { host: said.host, said: said.lines.join(' / ') }),
  })
  const failed = ended.filter(({ outcome }) => outcome.kind === 'refused' || outcome.kind === 'unroutable' || outcome.kind === 'expired')
  if (failed.length > 0) log.info('BOUNCED', { delivery: delivery.id, ...from(delivery), why: whyOf(failed[0]!.outcome), recipients: failed.slice(0, 20).map(({ recipient }) => printMailbox(recipient.mailbox)), count: failed.length })
}

const from = ({ envelope: { mailFrom, sender } }: Delivery): object => ({ from: mailFrom === null ? '' : printMailbox(mailFrom), ...(sender !== undefined && { sender }) })

/** Of the first recipient: mostly all have the same. */
const whyOf = (outcome: Outcome): string => {
  if (outcome.kind === 'expired') return `expired: ${outcome.last.text}`
  return 'text' in outcome ? `${outcome.kind}: ${outcome.text}` : outcome.kind
}
