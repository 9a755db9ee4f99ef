// One attempt at one delivery: hop by hop, address by address, until every recipient has an outcome or must wait.
//   1. the hops of the way, in order   2. the addresses behind each   3. a session, kept or new
//   4. the message made fit for that host   5. one transaction   6. what follows, by failover.ts
// Touches connections through the pool only; never throws but for a bug or a message that cannot be read.
import type { Delivery, Recipient } from '../queue/index.ts'
import { byDomain } from '../snapshot/index.ts'
import type { Content } from './content.ts'
import { reasonOf, whatNow, type HostEvent } from './failover.ts'
import { fitTo, type Fit, type Message } from './fit.ts'
import { findTargets, hopsOf, type Finding, type Found } from './hops.ts'
import type { DeferReason, Outcome } from './outcome.ts'
import type { Pool } from './pool.ts'
import type { Way } from './route.ts'
import type { Opening, Session, Target } from './session.ts'
import { parametersFor, transact, type Told } from './transaction.ts'
import { tookTooLong } from './wire.ts'

export type Ended = { readonly recipient: Recipient; readonly outcome: Outcome }
export type AttemptResult = { readonly ended: readonly Ended[]; readonly notes: readonly string[]; readonly aborted: boolean }

export type Attempt = Finding & {
  readonly delivery: Delivery
  readonly way: Way
  readonly pool: Pool
  readonly opening: Opening
  readonly message: Message
  readonly signal: AbortSignal
  readonly endsAt: number // by performance.now(), in ms
  readonly avoid: Avoid
  /** The content as this host gets it: converted where it must be, and signed. Undefined: it cannot be converted; the reason. */
  readonly contentFor: (fit: Fit, host: string) => Promise<{ readonly content: Content } | { readonly unfit: Extract<Outcome, { kind: 'unroutable' }> }>
}

/** Addresses that let us wait lately, or a family of them: they come last. */
type Avoid = { isSlow(address: string): boolean; note(event: HostEvent): void; reached(address: string): void }

/** What is still open while the attempt goes on. */
type Progress = { open: readonly Recipient[]; readonly ended: Ended[]; readonly notes: string[]; last?: DeferReason; telling?: HostEvent; addressesLeft: number; waysLeft: number; aborted: boolean }

export const runAttempt = async (attempt: Attempt): Promise<AttemptResult> => {
  const progress: Progress = { open: attempt.delivery.recipients, ended: [], notes: [], addressesLeft: attempt.settings.addressesPerAttempt, waysLeft: mostWithoutWay, aborted: false }
  const hops = hopsOf(attempt.way, attempt.random)
  let unroutable: Extract<Found, { kind: 'unroutable' }> | undefined
  for (const hop of hops) {
    if (isOver(attempt, progress)) break
    const found = await findTargets(hop, attempt.delivery.domain, attempt)
    progress.notes.push(...found.notes)
    if (found.kind === 'unroutable') unroutable = found
    else if (found.kind === 'later') progress.last = found.reason
    else await tryTargets(attempt, progress, found)
  }
  // another hop of the route may be back tomorrow: only where every way ends there, there is no way
  if (unroutable !== undefined && hops.length === 1) endAll(progress, progress.open, lostItsDomain(attempt) ? waiting(unroutable.outcome) : unroutable.outcome)
  endAll(progress, progress.open, leftOver(progress))
  const { ended, notes, aborted } = progress
  return { ended, notes, aborted }
}

/** A stranger's mail is taken for hosted domains only. Whether their MailDomain was moved, is made anew or lost its label for a moment, DNS knew nothing of where it was to go: of that it cannot say the last word. */
const lostItsDomain = ({ snapshot, delivery: { envelope, domain } }: Attempt): boolean => envelope.stranger === true && byDomain(snapshot.domains).get(domain)?.inbound === undefined

const waiting = ({ status, text }: Extract<Outcome, { kind: 'unroutable' }>): Outcome =>
  ({ kind: 'deferred', why: { class: 'Other', status: status.replace('5', '4'), text: `${text}; it came for a MailDomain that is not in force here now` } })

const isOver = (attempt: Attempt, progress: Progress): boolean => {
  if (attempt.signal.aborted) progress.aborted = true
  return progress.aborted || progress.open.length === 0 || progress.addressesLeft <= 0 || isLate(attempt)
}

const isLate = ({ endsAt }: Attempt): boolean => performance.now() > endsAt

const leftOver = ({ last, telling }: Progress): Outcome => ({
  kind: 'deferred',
  why: last ?? { class: 'Other', status: '4.4.0', text: tookTooLong },
  ...(telling?.kind === 'said' && { said: telling.said }),
})

const tryTargets = async (attempt: Attempt, progress: Progress, { targets }: Extract<Found, { kind: 'targets' }>): Promise<void> => {
  for (const target of preferred(targets, attempt)) {
    if (isOver(attempt, progress)) return
    progress.addressesLeft--
    await tryHost(attempt, progress, target)
  }
}

/** In the plan's order; what hung lately goes last, so that a dead primary costs its time-out once and not for every message. */
const preferred = (targets: readonly Target[], { avoid }: Attempt): readonly Target[] => {
  if (targets.length < 2) return targets
  const slow = targets.filter(({ address }) => avoid.isSlow(address))
  return slow.length === 0 || slow.length === targets.length ? targets : [...targets.filter((target) => !slow.includes(target)), ...slow]
}

/** One address: at most a few rounds with it, for a dead kept connection, for TLS that failed, for recipients in a further transaction. */
const tryHost = async (attempt: Attempt, progress: Progress, target: Target): Promise<void> => {
  let how = { withoutTls: false, fresh: false }
  let here = progress.open
  let again: ReturnType<typeof sortOut> | undefined
  for (let round = 0; round < mostRounds && here.length > 0 && !isLate(attempt); round++) {
    const opened = await attempt.pool.take(target, { ...attempt.opening, signal: attempt.signal, withoutTls: how.withoutTls }, how.fresh)
    if (opened.kind === 'failed') {
      const next = judge(attempt, progress, here, opened.event)
      if (next !== 'same-host-without-tls') return
      if (how.withoutTls) return noteFailure(progress, opened.event) // it has been tried without: once is enough
      progress.notes.push(`${target.host} [${target.address}]: ${reasonOf(opened.event).text}; again without TLS`)
      how = { withoutTls: true, fresh: true }
      continue
    }
    attempt.avoid.reached(target.address)
    const told = await useSession(attempt, progress, opened.session, here)
    again = sortOut(attempt, progress, told)
    here = again.here
    how = { ...how, fresh: again.fresh }
  }
  if (here.length > 0 && again?.because && !isLate(attempt)) noteFailure(progress, again.because)
}
/** 1,000 recipients to a host that takes 10 at a time are 100 transactions. */
const mostRounds = 200

const useSession = async (attempt: Attempt, progress: Progress, session: Session, here: readonly Recipient[]): Promise<Told[]> => {
  const { signal, pool, settings } = attempt
  const onAbort = (): void => session.wire.break({ kind: 'broken', how: 'aborted', text: 'the attempt was called off' })
  signal.addEventListener('abort', onAbort, { once: true })
  session.wire.endsAt = attempt.endsAt
  let told: Told[] = []
  try {
    return (told = await sendOn(attempt, progress, session, here))
  } finally {
    signal.removeEventListener('abort', onAbort)
    session.wire.endsAt = Infinity
    if (told.length > 0 && told.every(isClosedToUs)) pool.leave(session)
    else pool.give(session, settings)
  }
}

/** It takes nothing just now, whoever it is for. Postscreen says so, after its deep tests, until it is asked on another connection. */
const isClosedToUs = (one: Told): boolean => one.kind === 'event' && one.event.kind === 'said' && one.event.said.code < 500 && one.event.said.enhanced === '4.3.2'

const sendOn = async (attempt: Attempt, progress: Progress, session: Session, here: readonly Recipient[]): Promise<Told[]> => {
  const { delivery, message, settings } = attempt
  const fit = await fitTo(session.target.host, session.extensions, { ...message, recipients: here })
  const made = fit.unfit ? { unfit: fit.unfit } : await attempt.contentFor(fit, session.target.host)
  if ('unfit' in made) {
    endAll(progress, here, made.unfit)
    return []
  }
  if (fit.unfitBecause) endAll(progress, fit.unfitRecipients, fit.unfitBecause)
  const recipients = here.filter((recipient) => !fit.unfitRecipients.includes(recipient))
  if (recipients.length === 0) return []
  const parameters = parametersFor(delivery.envelope, session, made.content, { eightBit: fit.eightBit, utf8: fit.utf8 })
  const told = await transact(session, { mailFrom: delivery.envelope.mailFrom, parameters, recipients, passDsn: session.extensions.dsn, content: made.content }, settings)
  return told.map((one) => (one.kind === 'taken' ? { ...one, dsn: session.extensions.dsn } : one))
}

/** Ends what is certain; gives back who is to be tried here once more. */
const sortOut = (attempt: Attempt, progress: Progress, told: readonly Told[]): { here: Recipient[]; fresh: boolean; because?: HostEvent } => {
  const here: Recipient[] = []
  let fresh = false
  let because: HostEvent | undefined
  for (const one of told) {
    if (one.kind === 'taken') {
      endAll(progress, [one.recipient], { kind: 'delivered', said: one.said, dsnPassedOn: one.dsn === true })
      continue
    }
    const next = judge(attempt, progress, [one.recipient], one.event)
    if (next !== 'same-host-fresh' && next !== 'further-transaction') continue
    here.push(one.recipient)
    because = one.event
    fresh ||= next === 'same-host-fresh'
  }
  return { here, fresh, ...(because && { because }) }
}

const judge = ({ avoid }: Attempt, progress: Progress, recipients: readonly Recipient[], event: HostEvent): ReturnType<typeof whatNow> => {
  const next = whatNow(event)
  if (event.kind !== 'silent' || !event.text.endsWith(tookTooLong)) avoid.note(event) // our time being over says nothing of the host
  if (event.kind === 'silent' && event.how === 'aborted') progress.aborted = true
  if (next === 'later') endAll(progress, recipients, { kind: 'deferred', why: reasonOf(event), ...(event.kind === 'said' && { said: event.said }) })
  else if (next === 'fail' && event.kind === 'said') endAll(progress, recipients, { kind: 'refused', status: statusOf(event), text: reasonOf(event).text, said: event.said })
  else if (next === 'next-host') noteFailure(progress, event)
  return next
}

const noteFailure = (progress: Progress, event: HostEvent): void => {
  // most clusters have no IPv6 to the world: half of the addresses, asked in no time, must not be all of the attempt
  if (hasNoWay(event) && progress.waysLeft-- > 0) progress.addressesLeft++
  const reason = reasonOf(event)
  if (progress.notes.at(-1) !== reason.text) progress.notes.push(reason.text) // once, were it said of a thousand recipients
  // a host that answered says more than a backup that is not there
  if (progress.telling === undefined || tells(event) >= tells(progress.telling)) Object.assign(progress, { last: reason, telling: event })
}

const hasNoWay = (event: HostEvent): boolean => event.kind === 'silent' && event.how === 'no-way'
/** A stranger's MX hosts may have a thousand such addresses. */
const mostWithoutWay = 20

const tells = (event: HostEvent): number => (hasNoWay(event) ? -1 : event.kind === 'silent' && event.at === 'CONNECT' ? 0 : 1)

const statusOf = (event: HostEvent): string => reasonOf(event).status

const endAll = (progress: Progress, recipients: readonly Recipient[], outcome: Outcome): void => {
  if (recipients.length === 0) return
  for (const recipient of recipients) progress.ended.push({ recipient, outcome })
  progress.open = progress.open.filter((recipient) => !recipients.includes(recipient))
}
