// What --dry-run says of a real relay, against what the order then does.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { OrderResult, QueueEntry, Taken } from '../relay/queue/index.ts'
import { startStandalone } from './tools/relay-process.ts'
import { openSmtp, sendMail } from './tools/smtp-client.ts'
import { until } from './tools/until.ts'

test('--dry-run leaves 1 mail that a DeliveryRoute would hold again, in the words in which release itself refuses it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-dry-run-'))
  mkdirSync(join(folder, 'manifests'))
  const of = (kind: string, name: string, spec: object): object => ({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { name, namespace: 'mail' }, spec })
  const documents = [
    of('MailRelay', 'main', { hostname: 'relay.example', queue: { managed: { replicas: 1 } } }),
    of('RelayPolicy', 'here', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'loopback', match: { sources: ['127.0.0.1/32'] }, action: 'Allow' }] }),
    of('DeliveryRoute', 'waits', { match: { recipientDomains: ['dest.example'] }, hold: true, nextHops: [{ mx: {} }] }),
  ]
  writeFileSync(join(folder, 'manifests', 'all.yaml'), documents.map((one) => JSON.stringify(one)).join('\n---\n'))
  const relay = await startStandalone({ folder, manifests: join(folder, 'manifests') })
  t.after(async () => {
    await relay.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const client = await openSmtp(relay.ports.mx!)
  await client.say('EHLO client.example')
  await sendMail(client, { from: 'a@client.example', to: ['fred@dest.example'], data: 'Subject: x\r\n\r\nx\r\n' })
  client.close()
  const [held] = await until('it to be held', async () => {
    const found = await relay.ask<QueueEntry[]>('list', { state: 'held' })
    return found.length > 0 && found
  })
  const { entries, leaves } = await relay.ask<Taken>('takes', { order: 'release', filter: { domain: 'dest.example' } })
  const [result] = await relay.ask<OrderResult[]>('order', { order: 'release', ids: [held!.id] })
  assert.deepEqual([entries, result!.done, leaves], [[], false, [{ id: held!.id, why: (result as { why?: string }).why }]])
})
