// What `npm start` prints: where everything is, and three things to try. The `$ ` lines are run by a test as they stand.
import { join } from 'node:path'
import type { RunningRelay } from '../../relay/main.ts'
import { urlHost, type Snapshot } from '../../relay/snapshot/index.ts'
import { styled, table } from '../terminal.ts'
import type { FoundNatsServer } from './find-nats-server.ts'

type Given = {
  readonly snapshot: Snapshot
  readonly relay: RunningRelay
  readonly found: FoundNatsServer
  readonly options: { readonly data: string; readonly log?: string; readonly http: string }
  readonly sink: { readonly host: string; readonly port: number } | undefined
  readonly cache: string
}

export const banner = (given: Given): string => [...places(given), '', ...tries(given), '', 'Ctrl-C drains and stops; what is queued goes on at the next start.'].join('\n')

const places = ({ snapshot, relay, found, options, sink, cache }: Given): string[] => {
  const rows = relay.listeners().map(({ listener, host, port }) => [listener, `${host}:${port}`, describe(snapshot, listener)])
  if (sink !== undefined) rows.push(['sink', `${urlHost(sink.host)}:${sink.port}`, 'receives, and prints here what arrives'])
  rows.push(['http', options.http.replace(/:\d+$/, `:${relay.httpPort}`), '/metrics /healthz /readyz'])
  rows.push(['queue', join(options.data, 'nats'), `nats-server ${found.version} (${found.from}: ${found.path}), fsync before every 250`])
  rows.push(['data', options.data, `keys and passwords in ${join(options.data, 'made')}, log in ${options.log ?? join(options.data, 'relay.log')}`])
  rows.push(['cache', cache, 'what was fetched once'])
  return [`Posthouse runs ${snapshot.relay.manifest} as ${snapshot.relay.hostname}, revision ${relay.revision()}`, '', table(['WHAT', 'WHERE', 'IS'], rows)]
}

const describe = (snapshot: Snapshot, name: string): string => {
  const listener = snapshot.listeners.find((one) => one.name === name)!
  const tls = listener.protocol === 'Submissions' ? 'implicit TLS' : listener.tls ? 'STARTTLS' : 'no TLS'
  return [`${listener.protocol} for port ${listener.port}`, tls, listener.auth.length > 0 ? `AUTH ${listener.auth.join(' ')}` : 'no AUTH'].join(', ')
}

const tries = ({ snapshot, relay, sink, options }: Given): string[] => {
  const mx = relay.listeners().find(({ listener }) => snapshot.listeners.some((one) => one.name === listener && one.protocol === 'SMTP'))
  if (!mx) return ['No listener of protocol SMTP: nothing to try by hand without TLS.']
  const talk = `$ npx posthouse talk ${mx.host}:${mx.port}`
  const to = recipientAt(snapshot, mx.listener)
  const lines: [string, string][] = [
    ['A stranger is refused, and told by which rule:', `${talk} 'helo somespammer.com' 'mail from: joe@somespammer.com' 'rcpt to: fred@spam-recipient.com' quit`],
    ...(to === undefined ? [] : [[`A mail is accepted${sink === undefined ? '' : ', and arrives here'}:`, `${talk} 'ehlo laptop.example' 'mail from: you@laptop.example' 'rcpt to: ${to}' data 'Subject: first mail' '' 'It works.' . quit`] as [string, string]]),
    ['What happened to it:', `$ npx posthouse trace --latest${options.data === '.posthouse' ? '' : ` --socket ${pasted(join(options.data, 'admin.sock'))}`}`],
  ]
  return [styled('bold', `${lines.length === 3 ? 'Three' : 'Two'} things to try, in another terminal in this folder:`), ...lines.flatMap(([what, line], index) => [`${index + 1}. ${what}`, `   ${line}`])]
}

/** As a shell takes it for one word. */
const pasted = (path: string): string => (/^[\w./:@-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`)

/** Somebody whose mail is taken there without another server being asked. */
const recipientAt = ({ domains }: Snapshot, listener: string): string | undefined => {
  const here = domains.filter(({ inbound, listeners }) => inbound !== undefined && inbound.recipients.mode !== 'Callout' && listeners.includes(listener))
  const found = here.find(({ inbound }) => inbound!.recipients.mode === 'Any') ?? here[0]
  const local = found?.inbound!.recipients.mode === 'List' ? found.inbound.recipients.list[0] : 'hello'
  return found === undefined || local === undefined ? undefined : local.includes('@') ? local : `${local}@${found.domain}`
}
