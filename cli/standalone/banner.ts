// What `npm start` prints: where everything is, and three things to try. The `$ ` lines are run by a test as they stand.
import { join } from 'node:path'
import type { RunningRelay } from '../../relay/main.ts'
import type { Snapshot } from '../../relay/snapshot/index.ts'
import { styled, table } from '../terminal.ts'
import type { FoundNatsServer } from './find-nats-server.ts'

type Given = {
  readonly snapshot: Snapshot
  readonly relay: RunningRelay
  readonly found: FoundNatsServer
  readonly options: { readonly data: string; readonly log?: string; readonly http: string }
  readonly sink: number | undefined
  readonly cache: string
}

export const banner = (given: Given): string => [...places(given), '', ...tries(given), '', 'Ctrl-C drains and stops; what is queued goes on at the next start.'].join('\n')

const places = ({ snapshot, relay, found, options, sink, cache }: Given): string[] => {
  const rows = relay.listeners().map(({ listener, host, port }) => [listener, `${host}:${port}`, describe(snapshot, listener)])
  if (sink !== undefined) rows.push(['sink', `127.0.0.1:${sink}`, 'receives, and prints here what arrives'])
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
  const domain = snapshot.domains.find(({ inbound }) => inbound !== undefined)?.domain
  if (!mx) return ['No listener of protocol SMTP: nothing to try by hand without TLS.']
  const talk = `$ npx posthouse talk ${mx.host}:${mx.port}`
  const stranger = `${talk} 'helo somespammer.com' 'mail from: joe@somespammer.com' 'rcpt to: fred@spam-recipient.com' quit`
  const mail = `${talk} 'ehlo laptop.example' 'mail from: you@laptop.example' 'rcpt to: hello@${domain}' data 'Subject: first mail' '' 'It works.' . quit`
  return [
    styled('bold', 'Three things to try, in another terminal in this folder:'),
    '1. A stranger is refused, and told by which rule:',
    `   ${stranger}`,
    ...(domain === undefined ? [] : [`2. A mail is accepted${sink === undefined ? '' : ', and arrives here'}:`, `   ${mail}`]),
    '3. What happened to it:',
    `   $ npx posthouse trace --latest${options.data === '.posthouse' ? '' : ` --socket ${join(options.data, 'admin.sock')}`}`,
  ]
}
