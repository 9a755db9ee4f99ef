// A smarthost with a certificate of a company's own CA and a password, from manifests to the wire; and the same one where another CA is named.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { certificateFor, newAuthority } from '../operator/index.ts'
import type { QueueEntry } from '../relay/queue/index.ts'
import { startStandalone } from './tools/relay-process.ts'
import { startSink } from './tools/sink.ts'
import { openSmtp, sendMail } from './tools/smtp-client.ts'
import { until } from './tools/until.ts'

test('of 2 mails to one smarthost, the one by the route that names its CA arrives over TLS, and the one by the route that names another CA waits and says why', async (t) => {
  const [own, other] = [newAuthority(new Date()), newAuthority(new Date())]
  const { certificate, key } = certificateFor(['127.0.0.1'], own, new Date())
  const sink = await startSink({ tls: { key, cert: certificate } })
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-own-ca-'))
  mkdirSync(join(folder, 'manifests'))
  const route = (name: string, ca: string): object[] => [
    { apiVersion: 'posthouse.dev/v1alpha1', kind: 'DeliveryRoute', metadata: { name, namespace: 'mail' }, spec: { match: { recipientDomains: [`${name}.example`] }, nextHops: [{ smarthost: { host: '127.0.0.1', port: sink.port }, tls: { mode: 'Verify', caSecretRef: { name } } }] } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'mail' }, stringData: { 'ca.crt': ca } },
  ]
  const documents = [
    { apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail' }, spec: { hostname: 'relay.example', queue: { managed: { replicas: 1 } } } },
    { apiVersion: 'posthouse.dev/v1alpha1', kind: 'RelayPolicy', metadata: { name: 'here', namespace: 'mail' }, spec: { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'loopback', match: { sources: ['127.0.0.1/32'] }, action: 'Allow' }] } },
    ...route('own', own.certificate),
    ...route('other', other.certificate),
  ]
  writeFileSync(join(folder, 'manifests', 'all.yaml'), documents.map((one) => JSON.stringify(one)).join('\n---\n'))
  const relay = await startStandalone({ folder, manifests: join(folder, 'manifests') })
  t.after(async () => {
    await relay.stop()
    await sink.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const client = await openSmtp(relay.ports.mx!)
  await client.say('EHLO client.example')
  for (const domain of ['own.example', 'other.example']) assert.equal((await sendMail(client, { from: 'a@client.example', to: [`fred@${domain}`], data: 'Subject: x\r\n\r\nx\r\n' })).data?.code, 250)
  client.close()
  const arrival = await until('the mail by the right CA', () => sink.arrivals[0])
  assert.deepEqual([arrival.recipients, arrival.tls], [['fred@own.example'], true])
  const waiting = await until('the other to wait', async () => (await relay.ask<QueueEntry[]>('list', { state: 'deferred' }))[0])
  assert.match(JSON.stringify(waiting), /fred@other\.example.*(SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|SIGNATURE)/)
  assert.equal(sink.arrivals.length, 1)
})
