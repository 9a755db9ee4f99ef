// Asks the hosts of a hosted domain whether they take a recipient, while the client waits at RCPT (MAIL FROM:<>, RCPT, RSET; never DATA).
// Remembers nothing: who asks does (receive/callout-cache.ts), or an answer would be ten minutes old twice. "Unknown" never means no.
import type { HostedDomain, Mailbox } from '../snapshot/index.ts'
import type { Shared } from './shared.ts'
import { whatNow, type HostEvent } from './failover.ts'
import { isPlain } from './fit.ts'
import { findTargets, hopsOf } from './hops.ts'
import { Places } from './places.ts'
import type { Pool } from './pool.ts'
import { wayOf } from './route.ts'
import { silent, type Opening, type Session, type Target } from './session.ts'
import { mailCommand, rcptCommand } from './smtp-wire.ts'

export type CalloutAnswer = 'yes' | 'no' | 'unknown'

const patienceMs = 20_000

/** Never throws. A stranger who guesses users must not open more connections to the hosts of a domain than its mail may. */
export const createCallout = (shared: Shared) => {
  const places = new Places(shared.settings.connectionsPerSite)
  return async (domain: HostedDomain, mailbox: Mailbox): Promise<CalloutAnswer> => {
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort(), patienceMs)
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
  const opening = { hostname: snapshot.relay.hostname, settings: shared.settings, watch: shared.watch, signal }
  for (const hop of hopsOf(wayOf(snapshot, { domain: domain.domain, mailFrom: null }), shared.random)) {
    const found = await findTargets(hop, domain.domain, finding)
    for (const target of found.kind === 'targets' ? found.targets : []) {
      if (signal.aborted) return 'unknown'
      const answer = await askTarget(shared.pool, target, mailbox, opening)
      if (answer !== 'unknown') return answer
    }
  }
  return 'unknown'
}

type Asking = Opening & { readonly signal: AbortSignal }

/** As a delivery does (attempt.ts): once more without TLS where its handshake failed and need not be, and afresh where a kept connection had died. */
const askTarget = async (pool: Pool, target: Target, mailbox: Mailbox, opening: Asking): Promise<CalloutAnswer> => {
  let how = { withoutTls: false, fresh: false }
  for (let round = 0; round < 3; round++) {
    const opened = await pool.take(target, { ...opening, withoutTls: how.withoutTls }, how.fresh)
    const answer = opened.kind === 'failed' ? opened.event : await askSession(opened.session, mailbox, pool, opening)
    if (typeof answer === 'string') return answer
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
    wire.send(command)
    const heard = await wire.hear(settings.timeouts.rcpt)
    if (heard.kind === 'broken') break
    codes.push(heard.reply.code)
  }
  signal.removeEventListener('abort', onAbort)
  pool.give(session, settings)
  return codes.length === 0 ? silent(session, 'MAIL', wire.broken!) : meaningOf(codes)
}

/** RFC 6531 3.4: without it a host may refuse the address, and that would be read as a user who is not there. */
const utf8For = ({ local }: Mailbox, { extensions }: Session): { readonly smtputf8?: boolean } => (extensions.smtputf8 && !isPlain(local) ? { smtputf8: true } : {})

const meaningOf = ([mail = 0, rcpt = 0]: readonly number[]): CalloutAnswer => {
  if (mail >= 300 || rcpt < 200 || rcpt >= 600) return 'unknown' // a host that refuses the null sender says nothing about the user
  return rcpt < 300 ? 'yes' : rcpt >= 500 ? 'no' : 'unknown'
}
