// Every metric is moved by something: a small exchange with a real relay, then its page.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { startStandalone, type Standalone } from './tools/relay-process.ts'
import { openSmtp, sendMail } from './tools/smtp-client.ts'
import { until } from './tools/until.ts'
import { startSink, type Sink } from './tools/sink.ts'
import { createMetrics } from '../relay/report/index.ts'

let relay: Standalone
let sink: Sink
const folder = mkdtempSync(join(tmpdir(), 'posthouse-metrics-'))

const manifests = (port: number): string => `
apiVersion: posthouse.dev/v1alpha1
kind: MailRelay
metadata: {name: main, namespace: mail}
spec: {hostname: relay.example, queue: {managed: {replicas: 1, storage: {size: 1Gi}}}}
---
apiVersion: posthouse.dev/v1alpha1
kind: MailDomain
metadata: {name: up, namespace: mail}
spec: {domain: up.example, inbound: {recipients: {mode: Any}, deliverTo: {hosts: [{host: 127.0.0.1, port: ${port}, tls: {mode: None}}]}}}
---
apiVersion: posthouse.dev/v1alpha1
kind: MailDomain
metadata: {name: down, namespace: mail}
spec: {domain: down.example, inbound: {recipients: {mode: Any}, deliverTo: {hosts: [{host: no-such-host.example, port: 25}]}}}
---
apiVersion: posthouse.dev/v1alpha1
kind: RelayPolicy
metadata: {name: trial, namespace: mail}
spec:
  targetRefs: [{kind: MailRelay, name: main}]
  mode: Warn
  rules: [{name: nobody, match: {mailFrom: ["warned@up.example"]}, action: Deny, reply: not you}]
`

before(async () => {
  sink = await startSink()
  mkdirSync(join(folder, 'manifests'))
  writeFileSync(join(folder, 'manifests', 'all.yaml'), manifests(sink.port))
  relay = await startStandalone({ folder, manifests: join(folder, 'manifests') })
})
after(async () => {
  await relay?.stop()
  await sink?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Names with at least one value above zero. */
const moved = async (): Promise<Set<string>> => {
  const page = await (await fetch(`http://127.0.0.1:${relay.httpPort}/metrics`)).text()
  for (const line of page.split('\n').filter((one) => one.startsWith('posthouse_'))) assert.match(line, /[{,]relay="mail\/main"[,}]/)
  return new Set([...page.matchAll(/^(posthouse_[a-z_]+?)(?:_count)?(?:\{[^}]*\})? (?!0$)[\d.e+-]+$/gm)].map(([, name]) => name!))
}
/** What moves only when something is broken, or back and forth too quickly to be seen. */
const exceptional = ['double_bounces_total', 'queue_records_unreadable_total', 'queue_purge_faults_total', 'trace_events_lost_total', 'delivery_in_flight', 'queue_oldest_ready_seconds'].map((name) => `posthouse_${name}`)

it('after 1 refused, 1 warned, 1 delivered and 1 returned mail every metric but 6 exceptional ones has a value above 0', async () => {
  const seen = new Set<string>()
  const client = await openSmtp(relay.ports.mx!)
  try {
    await client.say('EHLO client.example')
    assert.equal((await sendMail(client, { from: 'warned@up.example', to: ['fred@up.example'], data: 'Subject: x\r\n\r\nx\r\n' })).data?.code, 250)
    assert.equal((await sendMail(client, { from: 'joe@up.example', to: ['fred@down.example'], data: 'Subject: x\r\n\r\nx\r\n' })).data?.code, 250)
    assert.equal((await sendMail(client, { from: 'joe@up.example', to: ['fred@elsewhere.example'], data: '' })).recipients[0]!.code, 550)
    await until('one waits', async () => (await relay.posthouse('queue', 'list', '--state', 'deferred')).output.includes('fred@down.example'))
    await until('queue_deliveries', async () => (await moved()).has('posthouse_queue_deliveries'), 60_000)
    await until('it is returned', async () => (await relay.posthouse('queue', 'bounce', '--domain', 'down.example')).code === 0)
    const all = (await createMetrics().registry.getMetricsAsJSON()).map(({ name }) => name).filter((name) => name.startsWith('posthouse_') && !exceptional.includes(name))
    seen.add('posthouse_queue_deliveries')
    const missing = async (): Promise<string[]> => {
      for (const name of await moved()) seen.add(name)
      return all.filter((name) => !seen.has(name))
    }
    await until('every metric', async () => (await missing()).length === 0).catch(async () => assert.deepEqual(await missing(), []))
  } finally {
    client.close()
  }
})
