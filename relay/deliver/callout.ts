// Asks the hosts of a hosted domain whether they take a recipient, while the client waits at RCPT (MAIL FROM:<>, RCPT, RSET; never DATA).
// Remembers nothing: who asks does (receive/callout-cache.ts), or an answer would be ten minutes old twice. "Unknown" never means no.
import type { HostedDomain, Mailbox, Snapshot } from '../snapshot/index.ts'
import type { Shared } from './shared.ts'
import { whatNow, type HostEvent } from './failover.ts'
import { isPlain } from './fit.ts'
import { findTargets, hopsOf, type Found, type Hop } from './hops.ts'
import { Places } from './places.ts'
import type { Pool } from './pool.ts'
import { wayOf } from './route.ts'
import { silent, unasked, type Opening, type Session, type Target } from './session.ts'
import { mailCommand, rcptCommand } from './smtp-wire.ts'

export type CalloutAnswer = 'yes' | 'no' | 'unknown'

/** The same for the same hosts, whatever names them. */
export const askedBy = (snapshot: Snapshot, { domain }: HostedDomain): string => {
  const way = wayOf(snapshot, { domain, mailFrom: null })
  return JSON.stringify(way.kind === 'route' ? way.route.nextHops : way.kind === 'hosts' ? way.hosted.inbound.hosts : [])
}

/** Never throws. A stranger who guesses users must not open more connections to the hosts of a domain than its mail may. */
export const createCallout = (shared: Shared) => {
  const places = new Places(shared.settings.connectionsPerSite)
  return async (domain: HostedDomain, mailbox: Mailbox): Promise<CalloutAnswer> => {
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort(), shared.settings.timeouts.callout)
    try {
      if (!(await places.take(domain.domain, controller.signal))) return 'unknown'
      return await askEach(shared, domain, mailbox, controller.signal).finally(() => places.give(domain.domain))
    } catch {
      return 'unknown'
    } finally {
      clearTimeout(timer)
    }
  }
}

const askEach = async (shared: Shared, domain: HostedDomain, mailbox: Mailbox, signal: AbortSignal): Promise<CalloutAnswer> => {
  const snapshot = shared.options.snapshot()
  const finding = { snapshot, resolver: shared.resolver, machine: shared.machine, settings: shared.settings, random: shared.random }
  const opening = { hostname: snapshot.relay.hostname, settings: shared.settings, watch: shared.watch }
  const endsAt = performance.now() + shared.settings.timeouts.callout
  const hops = hopsOf(wayOf(snapshot, { domain: domain.domain, mailFrom: null }), shared.random)
  const isSlow = ({ address }: Target): boolean => shared.slow.has(address, shared.monotonic())
  for await (const { target, isLast } of inOrder(hops, (hop) => findTargets(hop, domain.domain, finding), isSlow)) {
    if (signal.aborted) return 'unknown'
    const left = (endsAt - performance.now()) / (isLast ? 1 : 2) // one that hangs must leave time for the next
    const hangs = left > shared.settings.timeouts.callout / 3 // who had less, after others that hung or slow DNS, may only be slower than that
    const answer = await within(left, signal, (until) => askTarget(shared, target, mailbox, { ...opening, signal: until, hangs }))
    if (answer !== 'unknown') return answer
  }
  return 'unknown'
}

/** By preference, those that hung lately after all others: as attempt.ts does it. */
async function* inOrder(hops: readonly Hop[], find: (hop: Hop) => Promise<Found> | Found, isSlow: (target: Target) => boolean): AsyncGenerator<{ target: Target; isLast: boolean }> {
  const slow: Target[] = []
  for (const [index, hop] of hops.entries()) {
    const found = await find(hop)
    const targets = found.kind === 'targets' ? found.targets : []
    slow.push(...targets.filter(isSlow))
    const others = targets.filter((target) => !slow.includes(target))
    for (const [at, target] of others.entries()) yield { target, isLast: index === hops.length - 1 && at === others.length - 1 && slow.length === 0 }
  }
  for (const [at, target] of slow.entries()) yield { target, isLast: at === slow.length - 1 }
}

const within = async <T>(ms: number, signal: AbortSignal, run: (until: AbortSignal) => Promise<T>): Promise<T> => {
  const own = new AbortController()
  const timer = setTimeout(() => own.abort(), ms)
  return run(AbortSignal.any([signal, own.signal])).finally(() => clearTimeout(timer))
}

/** `hangs`: what is called off is an address that hangs. */
type Asking = Opening & { readonly signal: AbortSignal; readonly hangs: boolean }

/** As a delivery does (attempt.ts): once more without TLS where its handshake failed and need not be, and afresh where a kept connection had died. */
const askTarget = async ({ pool, slow, monotonic }: Shared, target: Target, mailbox: Mailbox, opening: Asking): Promise<CalloutAnswer> => {
  let how = { withoutTls: false, fresh: false }
  for (let round = 0; round < 3; round++) {
    const opened = await pool.take(target, { ...opening, withoutTls: how.withoutTls }, how.fresh)
    if (opened.kind === 'open') slow.reached(target.address)
    const answer = opened.kind === 'failed' ? opened.event : await askSession(opened.session, mailbox, pool, opening)
    if (typeof answer === 'string') return answer
    slow.note(opening.hangs && answer.kind === 'silent' && answer.how === 'aborted' ? { ...answer, how: 'timeout' } : answer, monotonic()) // it is only called off where its time is over
    const next = whatNow(answer)
    if (next === 'same-host-without-tls' && !how.withoutTls) how = { withoutTls: true, fresh: true }
    else if (next === 'same-host-fresh') how = { ...how, fresh: true }
    else return 'unknown'
  }
  return 'unknown'
}

const askSession = async (session: Session, mailbox: Mailbox, pool: Pool, { settings, signal }: Asking): Promise<CalloutAnswer | HostEvent> => {
  const { wire } = session
  const onAbort = (): void => wire.break({ kind: 'broken', how: 'aborted', text: 'the client does not wait longer' })
  signal.addEventListener('abort', onAbort, { once: true })
  session.messages++
  const codes: number[] = []
  for (const command of [mailCommand(null, utf8For(mailbox, session)), rcptCommand(mailbox, {}), 'RSET\r\n']) {
    const early = await unasked(session, settings.timeouts.rcpt)
    if (early === undefined) wire.send(command)
    const heard = early ?? (await wire.hear(settings.timeouts.rcpt))
    if (heard.kind === 'broken') break
    codes.push(heard.reply.code)
  }
  signal.removeEventListener('abort', onAbort)
  const isReset = (codes[2] ?? 0) >= 200 && (codes[2] ?? 0) < 300 // else the next MAIL there would be one too many
  if (isReset) pool.give(session, settings)
  else pool.leave(session)
  return codes.length === 0 || wire.broken?.how === 'garbled' ? silent(session, 'MAIL', wire.broken!) : meaningOf(codes) // garbled: whose the codes are is not known
}

/** RFC 6531 3.4: without it a host may refuse the address, and that would be read as a user who is not there. */
const utf8For = ({ local }: Mailbox, { extensions }: Session): { readonly smtputf8?: boolean } => (extensions.smtputf8 && !isPlain(local) ? { smtputf8: true } : {})

const meaningOf = ([mail = 0, rcpt = 0]: readonly number[]): CalloutAnswer => {
  if (mail >= 300 || rcpt < 200 || rcpt >= 600) return 'unknown' // a host that refuses the null sender says nothing about the user
  return rcpt < 300 ? 'yes' : rcpt >= 500 ? 'no' : 'unknown'
}
