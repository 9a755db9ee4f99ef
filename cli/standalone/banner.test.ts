import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RunningRelay } from '../../relay/main.ts'
import { parseSnapshot, type SnapshotInput } from '../../relay/snapshot/index.ts'
import { banner } from './banner.ts'

type Domain = NonNullable<SnapshotInput['domains']>[number]
const hosted = (domain: string, recipients: NonNullable<Domain['inbound']>['recipients'], listeners = ['mx']): Domain => ({ namespace: 'mail', name: domain, manifest: `MailDomain mail/${domain}`, domain, listeners, inbound: { recipients } })

const printed = (domains: Domain[], sink?: { host: string; port: number }, data = '.posthouse'): string => {
  const relay = { namespace: 'mail', name: 'main', manifest: 'MailRelay mail/main', hostname: 'mx.example', queue: 'q', queueReplicas: 1 as const, queueBytes: 1e9, retrySchedule: 's' }
  const snapshot = parseSnapshot({ version: 1, relay, listeners: [{ name: 'mx', manifest: 'MailRelay mail/main', protocol: 'SMTP', port: 25, bindPort: 2525 }], domains, schedules: [{ name: 's', manifest: 's', attempts: [60], giveUpAfter: 3600 }] })
  const running = { listeners: () => [{ listener: 'mx', host: '127.0.0.1', port: 2525 }], httpPort: 9464, revision: () => 'r' } as unknown as RunningRelay
  return banner({ snapshot, relay: running, found: { path: '/n', version: '2.15.1', from: 'PATH' } as never, options: { data, http: '127.0.0.1:9464' }, sink, cache: '/c' })
}

test('without a hosted domain there are 2 things to try, and it says two', () => {
  const text = printed([])
  assert.match(text, /^Two things to try/m)
  assert.deepEqual(text.match(/^\d\. .*/gm), ['1. A stranger is refused, and told by which rule:', '2. What happened to it:'])
})

test('of 4 hosted domains the mail to try goes to one that takes it: not where a server has to be asked, nor where the listener takes none', () => {
  const asked = hosted('asked.example', { mode: 'Callout' })
  const elsewhere = hosted('elsewhere.example', { mode: 'Any' }, [])
  const listed = hosted('listed.example', { mode: 'List', list: ['fred'] })
  assert.match(printed([asked, elsewhere, listed, hosted('any.example', { mode: 'Any' })]), /'rcpt to: hello@any\.example'/)
  assert.match(printed([asked, elsewhere, listed]), /'rcpt to: fred@listed\.example'/)
  assert.match(printed([hosted('listed.example', { mode: 'List', list: ['joe@listed.example'] })]), /'rcpt to: joe@listed\.example'/)
  assert.match(printed([asked]), /^Two things to try/m)
})

test('the sink is named by the address it listens at: 127.0.0.2, not 127.0.0.1', () => {
  assert.match(printed([], { host: '127.0.0.2', port: 2626 }), /^sink +127\.0\.0\.2:2626 /m)
  assert.match(printed([], { host: '::1', port: 2626 }), /^sink +\[::1\]:2626 /m)
})

test('a data folder with a space and a quote in its name is pasted as 1 word', () => {
  assert.match(printed([], undefined, '/tmp/data'), /--socket \/tmp\/data\/admin\.sock$/m)
  assert.match(printed([], undefined, "/tmp/joe's data"), /--socket '\/tmp\/joe'\\''s data\/admin\.sock'$/m)
})
