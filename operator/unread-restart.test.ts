// An operator that begins while an object in force cannot be read: it goes on with it as the one before did, until it is deleted.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startFakeKube } from '../test/tools/fake-kube.ts'
import { until } from '../test/tools/until.ts'
import type { KubeObject } from './kube/index.ts'
import { startOperator } from './main.ts'

const at = (group: string, plural: string): string => `${group === '' ? '/api/v1' : `/apis/${group}`}/namespaces/mail/${plural}`
const [relays, domains] = [at('posthouse.dev/v1alpha1', 'mailrelays'), at('posthouse.dev/v1alpha1', 'maildomains')]
const settings = { image: 'posthouse:1', natsImage: 'nats:2', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' } as const

test('an operator that begins while 1 domain in force cannot be read changes 0 of the snapshot, and takes the domain out when it is deleted', async (t) => {
  const server = await startFakeKube()
  const start = () => startOperator({ access: { server: server.url, prepare: () => Promise.resolve({ headers: {} }) }, namespace: 'mail', identity: 'one', settings, watchNamespaces: ['mail'], say: () => {} })
  const find = (path: string, name: string): KubeObject | undefined => server.objects(path).find(({ metadata }) => metadata.name === name)
  const snapshots = (): string => JSON.stringify(server.objects(at('', 'secrets')).filter(({ metadata }) => metadata.name.includes('-snapshot-')).map(({ metadata, data }) => [metadata.name, data]))
  const says = (word: string): boolean => JSON.stringify(find(domains, 'ours')?.status ?? {}).includes(word)
  const domain = (generation: number, more: object = {}): KubeObject => ({ metadata: { name: 'ours', namespace: 'mail', generation }, spec: { domain: 'ours.example', inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: '127.0.0.1' }] } }, ...more } })
  server.put('/api/v1/namespaces', { metadata: { name: 'mail' } })
  server.put(relays, { metadata: { name: 'one', namespace: 'mail', generation: 1 }, spec: { hostname: 'one.example', queue: { external: { servers: ['nats://n.example:4222'] } } } })
  server.put(domains, domain(1))
  let operator = await start()
  t.after(async () => {
    await operator.stop()
    await server.close()
  })
  await until('the domain to be in force', () => says('in force') && snapshots() !== '[]')
  const before = snapshots()
  server.put(domains, { ...domain(2, { greeting: 'of a later release' }), status: find(domains, 'ours')!.status })
  await until('the domain to stay', () => says('it stays in force as it was'))
  await operator.stop()
  server.put(domains, { ...domain(3, { greeting: 'of a still later release' }), status: find(domains, 'ours')!.status })
  operator = await start()
  await until('another operator to say the same', () => says('"observedGeneration":3') && says('it stays in force as it was'))
  assert.ok(snapshots() === before)
  server.remove(domains, 'ours')
  await until('the domain to go', () => snapshots() !== before)
})
