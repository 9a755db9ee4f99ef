// Counts and logs what an attempt came to. Touches metrics and the log only.
import type { Delivery } from '../queue/index.ts'
import { countEnded, logBounced, type Log, type Metrics } from '../report/index.ts'
import type { Ended } from './attempt.ts'
import type { Outcome } from './outcome.ts'

export const account = ({ log, metrics }: { log: Log; metrics: Metrics }, delivery: Delivery, ended: readonly Ended[], now: number): void => {
  const counts = new Map<Outcome['kind'], number>()
  for (const { outcome } of ended) {
    counts.set(outcome.kind, (counts.get(outcome.kind) ?? 0) + 1)
    if (outcome.kind === 'deferred') metrics.deferredClass.inc({ class: outcome.why.class })
  }
  for (const [outcome, count] of counts) countEnded(metrics, delivery, outcome, count, now)
  const first = ended[0]?.outcome
  const said = first !== undefined && 'said' in first ? first.said : undefined
  const [later] = ended.flatMap(({ outcome }) => (outcome.kind === 'deferred' ? [outcome.why] : []))
  log.info('ATTEMPT', {
    delivery: delivery.id, domain: delivery.domain, attempt: delivery.attempt, outcomes: Object.fromEntries(counts), ...(said && { host: said.host, said: said.lines.join(' / ') }),
    ...(later && { class: later.class, why: later.text }), // of DNS, a socket or TLS nobody said anything
  })
  const failed = ended.filter(({ outcome }) => outcome.kind === 'refused' || outcome.kind === 'unroutable' || outcome.kind === 'expired')
  if (failed.length > 0) logBounced(log, delivery, whyOf(failed[0]!.outcome), failed.map(({ recipient }) => recipient.mailbox))
}

const whyOf = (outcome: Outcome): string => {
  if (outcome.kind === 'expired') return `expired: ${outcome.last.text}`
  return 'text' in outcome ? `${outcome.kind}: ${outcome.text}` : outcome.kind
}
