// Asks the hosts of a hosted domain whether they take a recipient, while the client waits at RCPT (MAIL FROM:<>, RCPT, RSET; never DATA).
// Remembers nothing: who asks does (receive/callout-cache.ts), or an answer would be ten minutes old twice. "Unknown" never means no.
import type { HostedDomain, Mailbox } from '../snapshot/index.ts'
import type { Shared } from './shared.ts'
import { findTargets, hopsOf } from './hops.ts'
import { wayOf } from './route.ts'
import type { Session } from './session.ts'
import { mailCommand, rcptCommand } from './smtp-wire.ts'

export type CalloutAnswer = 'yes' | 'no' | 'unknown'

const patienceMs = 20_000

/** Never throws. */
export const createCallout = (shared: Shared) => async (domain: HostedDomain, mailbox: Mailbox): Promise<CalloutAnswer> => {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), patienceMs)
  try {
    return await askEach(shared, domain, mailbox, controller.signal)
  } catch {
    return 'unknown'
  } finally {
    clearTimeout(timer)
  }
}

const askEach = async (shared: Shared, domain: HostedDomain, mailbox: Mailbox, signal: AbortSignal): Promise<CalloutAnswer> => {
  const snapshot = shared.options.snapshot()
  const finding = { snapshot, resolver: shared.resolver, machine: shared.machine, settings: shared.settings, random: shared.random }
  for (const hop of hopsOf(wayOf(snapshot, { domain: domain.domain, mailFrom: null }), shared.random)) {
    const found = await findTargets(hop, domain.domain, finding)
    for (const target of found.kind === 'targets' ? found.targets : []) {
      if (signal.aborted) return 'unknown'
      const opened = await shared.pool.take(target, { hostname: snapshot.relay.hostname, settings: shared.settings, watch: shared.watch, signal }, false)
      if (opened.kind === 'failed') continue
      const answer = await askSession(opened.session, mailbox, shared, signal)
      if (answer !== 'unknown') return answer
    }
  }
  return 'unknown'
}

const askSession = async (session: Session, mailbox: Mailbox, { pool, settings }: Shared, signal: AbortSignal): Promise<CalloutAnswer> => {
  const { wire } = session
  const onAbort = (): void => wire.break({ kind: 'broken', how: 'aborted', text: 'the client does not wait longer' })
  signal.addEventListener('abort', onAbort, { once: true })
  session.messages++
  const codes: number[] = []
  for (const command of [mailCommand(null, {}), rcptCommand(mailbox, {}), 'RSET\r\n']) {
    wire.send(command)
    const heard = await wire.hear(settings.timeouts.rcpt)
    if (heard.kind === 'broken') break
    codes.push(heard.reply.code)
  }
  signal.removeEventListener('abort', onAbort)
  pool.give(session, settings)
  const [mail = 0, rcpt = 0] = codes
  if (mail >= 300 || rcpt < 200 || rcpt >= 600) return 'unknown' // a host that refuses the null sender says nothing about the user
  return rcpt < 300 ? 'yes' : rcpt >= 500 ? 'no' : 'unknown'
}
