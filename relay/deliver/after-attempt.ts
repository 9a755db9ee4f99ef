// From outcomes to a settlement: who waits until when, what the sender is told, what the trace says. Pure.
import type { Delivery, LastTry, Notice, Recipient, Settlement, TraceEvent } from '../queue/index.ts'
import { givesUpAt, isDelayNoticeDue, printMailbox } from '../snapshot/index.ts'
import type { Ended } from './attempt.ts'
import type { DeferReason, Outcome, RemoteReply } from './outcome.ts'
import { plainDeferral, plainReply, plainUnroutable } from './plain-words.ts'
import { nextAttempt, waitSetBy } from './retry.ts'

export type After = { readonly delivery: Delivery; readonly ended: readonly Ended[]; readonly notes: readonly string[]; readonly now: number; readonly random: number; readonly pod: string }

/** Only here, and only by the schedule, a deferral becomes final. */
export const expireDue = (after: After): Ended[] =>
  after.ended.map((one) => {
    if (!isDeferred(one) || ask(one, after).kind === 'again') return one
    const { why, said } = one.outcome
    return { recipient: one.recipient, outcome: { kind: 'expired', last: why, ...(said && { said }) } }
  })

export const afterAttempt = (after: After): Settlement => {
  const judged = expireDue(after)
  const waiting = judged.filter(isDeferred)
  const held = judged.filter(({ outcome }) => outcome.kind === 'held')
  const later = waiting.length === 0 ? undefined : waitOf(waiting, after)
  return {
    ...(later && { later }),
    ...(held.length > 0 && { held: { recipients: held.map(({ recipient }) => recipient), why: (held[0]!.outcome as Extract<Outcome, { kind: 'held' }>).text } }),
    notices: judged.flatMap((one) => noticesOf(one, after)),
    trace: traceOf(judged, later, after),
  }
}

type Deferred = { readonly recipient: Recipient; readonly outcome: Extract<Outcome, { kind: 'deferred' }> }
const isDeferred = (one: Ended): one is Deferred => one.outcome.kind === 'deferred'

const ask = ({ outcome }: Deferred, { delivery, now, random }: After) =>
  nextAttempt({ schedule: delivery.schedule, class: outcome.why.class, attempt: delivery.attempt, arrivedAt: delivery.arrivedAt, now, random })

type Later = NonNullable<Settlement['later']>

/** Recipients of one delivery wait together: the earliest of their times, and what it is for. */
const waitOf = (waiting: readonly Deferred[], after: After): Later => {
  const times = waiting.map((one) => ask(one, after)).map((next) => (next.kind === 'again' ? next.at : after.now))
  const at = Math.min(...times)
  return {
    recipients: waiting.map(({ recipient }) => recipient),
    at,
    delayNoticed: after.delivery.delayNoticed || isDue(after),
    last: lastTry(waiting[times.indexOf(at)]!.outcome, after.now),
    countsAsAttempt: true,
  }
}

const isDue = ({ delivery, now }: After): boolean => isDelayNoticeDue(delivery, now)

const lastTry = ({ why, said }: { why: DeferReason; said?: RemoteReply }, at: number): LastTry => ({
  at, why: why.text, class: why.class, ...(why.host !== undefined && { host: why.host }), ...(said && { said: said.lines.join('\n') }),
})

const noticesOf = ({ recipient, outcome }: Ended, after: After): Notice[] => {
  const base = { recipient, lastAttemptAt: after.now }
  switch (outcome.kind) {
    case 'delivered':
      // RFC 3461 5.2.2: the next host cannot tell the sender, so we say how far we know
      if (outcome.dsnPassedOn || recipient.notify?.includes('SUCCESS') !== true) return []
      return [{ ...base, ...remoteOf(outcome.said), kind: 'relayed', status: '2.0.0', plain: 'The message was handed to a server that does not report back whether it arrived.' }]
    case 'refused':
      return [{ ...base, ...remoteOf(outcome.said), kind: 'failed', status: outcome.status, plain: plainReply(outcome.said) }]
    case 'unroutable':
      return [{ ...base, kind: 'failed', status: outcome.status, diagnostic: `X-Posthouse; ${outcome.text}`, plain: plainUnroutable[outcome.why] }]
    case 'expired':
      return [{ ...base, ...reasonGiven(outcome.last, outcome.said), kind: 'failed', status: '4.4.7', plain: `${plainDeferral(outcome.last, outcome.said)} We tried until the time set for this was over.` }]
    case 'deferred':
      if (!isDue(after)) return []
      return [{ ...base, ...reasonGiven(outcome.why, outcome.said), kind: 'delayed', status: outcome.why.status, plain: plainDeferral(outcome.why, outcome.said), willRetryUntil: givesUpAt(after.delivery) }]
    case 'held':
      break
  }
  return []
}

const remoteOf = (said: RemoteReply): Pick<Notice, 'diagnostic' | 'remote'> => ({ diagnostic: `smtp; ${said.lines.join(' ')}`, remote: said.host })

const reasonGiven = (why: DeferReason, said?: RemoteReply): Pick<Notice, 'diagnostic' | 'remote'> =>
  said ? remoteOf(said) : { diagnostic: `X-Posthouse; ${why.text}`, ...(why.host !== undefined && { remote: why.host }) }

const kindOf = { delivered: 'delivered', deferred: 'deferred', refused: 'bounced', unroutable: 'bounced', expired: 'bounced', held: 'held' } as const

/** One line per outcome that reads the same, not one per recipient. */
const traceOf = (ended: readonly Ended[], later: Later | undefined, { delivery, notes, now, pod }: After): TraceEvent[] => {
  const lines = new Map<string, Ended[]>()
  for (const one of ended) {
    const key = `${one.outcome.kind} ${wordsOf(one.outcome)}`
    const group = lines.get(key)
    if (group) group.push(one)
    else lines.set(key, [one])
  }
  const base = { at: now, message: delivery.message, delivery: delivery.id, pod }
  const events = [...lines.values()].map((group): TraceEvent => {
    const { outcome } = group[0]!
    const said = 'said' in outcome ? outcome.said : undefined
    const until = outcome.kind === 'deferred' && later !== undefined ? `; next attempt at ${new Date(later.at).toISOString()} (${waitSetBy(delivery.schedule, later.last.class)})` : ''
    return { ...base, kind: kindOf[outcome.kind], text: `attempt ${delivery.attempt}: ${wordsOf(outcome)}${until}`, recipients: group.map(({ recipient }) => printMailbox(recipient.mailbox)), ...(said && { host: said.host, said: said.lines.join('\n') }) }
  })
  return notes.length === 0 ? events : [{ ...base, kind: 'attempt', text: `attempt ${delivery.attempt}: ${notes.join('; ').slice(0, 4000)}` }, ...events]
}

const wordsOf = (outcome: Outcome): string => {
  switch (outcome.kind) {
    case 'delivered':
      return `taken by ${outcome.said.host} [${outcome.said.address}]`
    case 'deferred':
      return outcome.why.text
    case 'expired':
      return `given up: ${outcome.last.text}`
    case 'refused':
    case 'unroutable':
    case 'held':
      break
  }
  return outcome.text
}
