// Asks the hosts of a hosted domain whether they take a recipient, while the client waits at RCPT (MAIL FROM:<>, RCPT, RSET; never DATA).
// Yes and no are kept for ten minutes; "unknown" is not kept, and never means no.
import type { HostedDomain, Mailbox } from '../snapshot/index.ts'
import { printMailbox } from '../snapshot/index.ts'
import type { Shared } from './shared.ts'
import { findTargets, hopsOf } from './hops.ts'
import { wayOf } from './route.ts'
import type { Session } from './session.ts'
import { mailCommand, rcptCommand } from './smtp-wire.ts'

export type CalloutAnswer = 'yes' | 'no' | 'unknown'

const keepMs = 600_000
const mostKept = 50_000
const patienceMs = 20_000

export const createCallout = (shared: Shared): ((domain: HostedDomain, mailbox: Mailbox) => Promise<CalloutAnswer>) => {
  const kept = new Map<string, { answer: CalloutAnswer; until: number }>()
  const pending = new Map<string, Promise<CalloutAnswer>>()
  const remember = (key: string, answer: CalloutAnswer): CalloutAnswer => {
    pending.delete(key)
    if (answer === 'unknown') return answer
    kept.delete(key)
    kept.set(key, { answer, until: shared.now() + keepMs })
    if (kept.size > mostKept) kept.delete(kept.keys().next().value!)
    return answer
  }
  return (domain, mailbox) => {
    const key = printMailbox(mailbox)
    const known = kept.get(key)
    if (known !== undefined && known.until > shared.now()) return Promise.resolve(known.answer)
    const asked = pending.get(key) ?? askHosts(shared, domain, mailbox).then((answer) => remember(key, answer), () => remember(key, 'unknown'))
    pending.set(key, asked)
    return asked
  }
}

const askHosts = async (shared: Shared, domain: HostedDomain, mailbox: Mailbox): Promise<CalloutAnswer> => {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), patienceMs)
  try {
    return await askEach(shared, domain, mailbox, controller.signal)
  } finally {
    clearTimeout(timer)
  }
}

const askEach = async (shared: Shared, domain: HostedDomain, mailbox: Mailbox, signal: AbortSignal): Promise<CalloutAnswer> => {
  const snapshot = shared.options.snapshot()
  const finding = { snapshot, resolver: shared.resolver, settings: shared.settings, random: shared.random }
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
