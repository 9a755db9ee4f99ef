// What an operator that has just begun reads back from the Secrets of a MailRelay.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withFakeKube } from '../test/tools/fake-kube.ts'
import { parseSnapshot, toParts, type Snapshot } from '../relay/snapshot/index.ts'
import type { MailRelay } from '../crds/index.ts'
import { keyOfObject, type KubeObject } from './kube/index.ts'
import { managedLabels } from './plan/index.ts'
import { snapshotsBefore } from './snapshot-before.ts'
import type { Watched } from './watched.ts'

const relay = { kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail' } } as MailRelay
const snapshot = parseSnapshot({
  version: 1,
  relay: { namespace: 'mail', name: 'main', manifest: 'MailRelay mail/main', hostname: 'mx.example', queue: 'mail_main', queueReplicas: 1, queueBytes: 1_000_000_000, drainSeconds: 60, retrySchedule: 'built in' },
  listeners: [],
  domains: [{ namespace: 'shop', name: 'shop', manifest: 'MailDomain shop/shop', domain: 'shop.example', listeners: [] }],
  schedules: [{ name: 'built in', manifest: 'built in', attempts: [60], giveUpAfter: 3600 }],
})

const readBack = async (t: Parameters<typeof withFakeKube>[0], written: Snapshot): Promise<Snapshot | undefined> => {
  const { server, kube } = await withFakeKube(t)
  const { index, parts } = toParts(written)
  const data = Object.fromEntries([['index.json', JSON.stringify(index)], ...parts].map(([file, text]) => [file!, Buffer.from(text!).toString('base64')]))
  const object: KubeObject = { metadata: { name: 'main-snapshot-0', namespace: 'mail', labels: managedLabels }, data }
  server.put('/api/v1/namespaces/mail/secrets', object)
  const watched = { get: (_: unknown, key: string) => (key === keyOfObject(object) ? object : undefined) } as unknown as Watched
  return (await snapshotsBefore([relay], { kube, watched, proven: new Map() })).get('mail/main')
}

test('the snapshot that this release wrote is read back whole', async (t) => {
  assert.deepEqual(await readBack(t, snapshot), snapshot)
})

test('of a snapshot by a release that knew 1 field less its 1 domain is read back: nobody would know else how it was', async (t) => {
  const [{ dkim: _, ...older }] = snapshot.domains as unknown as [Snapshot['domains'][number]]
  assert.deepEqual((await readBack(t, { ...snapshot, domains: [older as Snapshot['domains'][number]] }))?.domains, snapshot.domains)
})
