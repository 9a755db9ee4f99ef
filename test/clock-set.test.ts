// A relay whose machine's clock is set while a host takes its time to answer.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { QueueEntry } from '../relay/queue/index.ts'
import { idIn, startStandalone, traceOf } from './tools/relay-process.ts'
import { startSink } from './tools/sink.ts'
import { openSmtp, sendMail } from './tools/smtp-client.ts'
import { until } from './tools/until.ts'

/** Sets the clock of the process in which it is loaded 10 days ahead at a signal. */
const settable = "const real = Date.now; let ahead = 0; Date.now = () => real() + ahead; process.on('SIGUSR2', () => { ahead = 864000000; process.stdout.write('CLOCK_SET\\n') })\n"

test('a mail of 1 minute whose host says 451 just when the clock is set 10 days ahead waits, and is not returned as one that was tried for 5 days', async (t) => {
  let answer: (reply: string) => void = () => {}
  const sink = await startSink({ dot: () => new Promise((resolve) => (answer = resolve)) })
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-clock-'))
  mkdirSync(join(folder, 'manifests'))
  const of = (kind: string, name: string, spec: object): object => ({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { name, namespace: 'mail' }, spec })
  const documents = [
    of('MailRelay', 'main', { hostname: 'relay.example', queue: { managed: { replicas: 1 } } }),
    of('RelayPolicy', 'here', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'loopback', match: { sources: ['127.0.0.1/32'] }, action: 'Allow' }] }),
    of('DeliveryRoute', 'all', { match: { recipientDomains: ['dest.example'] }, nextHops: [{ smarthost: { host: '127.0.0.1', port: sink.port }, tls: { mode: 'None' } }] }),
  ]
  writeFileSync(join(folder, 'manifests', 'all.yaml'), documents.map((one) => JSON.stringify(one)).join('\n---\n'))
  const clock = join(folder, 'clock.mjs')
  writeFileSync(clock, settable)
  const relay = await startStandalone({ folder, manifests: join(folder, 'manifests'), env: { NODE_OPTIONS: `--import ${pathToFileURL(clock).href}` } })
  t.after(async () => {
    answer('451 4.3.0 later')
    await relay.stop()
    await sink.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const client = await openSmtp(relay.ports.mx!)
  await client.say('EHLO client.example')
  const sent = await sendMail(client, { from: 'a@client.example', to: ['fred@dest.example'], data: 'Subject: x\r\n\r\nx\r\n' })
  client.close()
  const id = idIn(sent.data!.text)
  await until('the host to be asked', () => sink.arrivals.length === 1)

  relay.child.signal('SIGUSR2')
  await until('the clock to be set', () => relay.child.output().includes('CLOCK_SET'))
  answer('451 4.3.0 later')
  const ended = await until('the attempt to end', async () => (await traceOf(relay, id)).find(({ kind }) => kind === 'deferred' || kind === 'bounced'))
  assert.equal(ended.kind, 'deferred', ended.text)
  const [waiting] = await until('it to wait', async () => (await relay.ask<QueueEntry[]>('list', {})).filter(({ message }) => message === id))
  assert.equal(waiting?.state, 'deferred')
})
