// A tenant points an object of his at a Secret that the operator may not read: it stays as it was, and all else of the MailRelay goes on.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { createKube, type KubeObject } from './kube/index.ts'
import { startFakeKube } from '../test/tools/fake-kube.ts'
import { readSnapshotOf } from '../test/tools/snapshot-secrets.ts'
import { until } from '../test/tools/until.ts'
import type { Snapshot } from '../relay/snapshot/index.ts'
import { startOperator, type RunningOperator } from './main.ts'

const at = (namespace: string, plural: string): string => `/apis/posthouse.dev/v1alpha1/namespaces/${namespace}/${plural}`
const secretsOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/secrets`
const settings = { image: 'posthouse:1', natsImage: 'nats:2', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' } as const

const start = async (t: TestContext) => {
  const server = await startFakeKube()
  const access = { server: server.url, prepare: () => Promise.resolve({ headers: {} }) }
  const kube = createKube(access)
  const said: string[] = []
  const state: { operator?: RunningOperator } = {}
  const begin = async (): Promise<void> => void (state.operator = await startOperator({ access, namespace: 'mail', identity: 'one', settings, watchNamespaces: ['mail', 'shop'], say: ({ event }) => said.push(event) }))
  const stop = async (): Promise<void> => state.operator?.stop()
  t.after(async () => {
    await stop()
    await server.close()
  })
  const put = (kind: string, namespace: string, name: string, spec: object): void => {
    const before = server.objects(at(namespace, kind)).find(({ metadata }) => metadata.name === name)
    server.put(at(namespace, kind), { ...before, metadata: { ...before?.metadata, name, namespace, generation: (before?.metadata.generation ?? 0) + 1 }, spec })
  }
  const readyOf = (kind: string, namespace: string, name: string): string => {
    const { conditions = [] } = (server.objects(at(namespace, kind)).find(({ metadata }) => metadata.name === name)?.status ?? {}) as { conditions?: { type: string; reason: string }[] }
    return conditions.find(({ type }) => type === 'Ready')?.reason ?? ''
  }
  const snapshot = (): Promise<Snapshot> => readSnapshotOf(kube, 'mail', 'main')
  const becomes = (what: string, is: (snapshot: Snapshot) => boolean) => until(what, async () => is(await snapshot().catch(() => ({ domains: [], policies: [], senders: [], routes: [] }) as never)))
  return { server, said, begin, stop, put, readyOf, snapshot, becomes }
}

const relaySpec = (names: readonly string[]) => ({
  hostname: 'mx.example',
  queue: { external: { servers: ['nats://n.example:4222'] } },
  listeners: [{ name: 'mx', protocol: 'SMTP', port: 25, allowedDomains: { namespaces: { from: 'All' }, names } }],
})
const keyed = (name: string): KubeObject['data'] => {
  const key = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  return Object.fromEntries(Object.entries({ 'ed25519.key': key, 'ed25519.selector': name }).map(([file, text]) => [file, Buffer.from(text).toString('base64')]))
}
const signedBy = (secret: string) => ({ domain: 'shop.example', outbound: { dkim: { algorithms: ['ed25519'], keySecretRef: { name: secret } } }, relayRefs: [{ name: 'main', namespace: 'mail' }] })
const namesOf = ({ domains }: Snapshot): string => domains.map(({ domain }) => domain).toSorted().join()
const selectorOf = ({ domains }: Snapshot): string | undefined => domains.find(({ domain }) => domain === 'shop.example')?.dkim[0]?.selector

test('a domain of a tenant in force that is pointed at a Secret that may not be read stays as it was, with its 1 key, also over a restart; 1 other comes, 1 policy goes, and when the MailRelay admits it no more it goes too', async (t) => {
  const { server, said, begin, stop, put, readyOf, snapshot, becomes } = await start(t)
  for (const name of ['mail', 'shop']) server.put('/api/v1/namespaces', { metadata: { name } })
  put('mailrelays', 'mail', 'main', relaySpec(['shop.example', 'else.example']))
  put('relaypolicies', 'mail', 'lets', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'office', match: { sources: ['10.1.0.0/16'] }, action: 'Allow' }] })
  for (const name of ['mine', 'theirs']) server.put(secretsOf('shop'), { metadata: { name, namespace: 'shop' }, data: keyed(name)! })
  server.fault = ({ method, path }) => (method === 'GET' && path === `${secretsOf('shop')}/theirs` ? { status: 403 } : undefined)
  put('maildomains', 'shop', 'shop', signedBy('mine'))
  await begin()
  await becomes('the domain to be in force', (seen) => namesOf(seen) === 'shop.example' && seen.policies.length === 1)
  await until('it to say so', () => readyOf('maildomains', 'shop', 'shop') === 'Ready')

  put('maildomains', 'shop', 'shop', signedBy('theirs'))
  await until('it to say why not', () => readyOf('maildomains', 'shop', 'shop') === 'SecretRefused')
  server.remove(at('mail', 'relaypolicies'), 'lets')
  put('maildomains', 'shop', 'else', { domain: 'else.example', relayRefs: [{ name: 'main', namespace: 'mail' }] })
  await becomes('the others to go on', (seen) => namesOf(seen) === 'else.example,shop.example' && seen.policies.length === 0)
  assert.equal(selectorOf(await snapshot()), 'mine')
  assert.notEqual(readyOf('mailrelays', 'mail', 'main'), 'SecretRefused')

  await stop()
  await begin()
  put('maildomains', 'mail', 'ours', { domain: 'ours.example' })
  await becomes('a domain after the restart', (seen) => namesOf(seen) === 'else.example,ours.example,shop.example')
  assert.deepEqual([selectorOf(await snapshot()), readyOf('maildomains', 'shop', 'shop')], ['mine', 'SecretRefused'])

  put('mailrelays', 'mail', 'main', relaySpec(['else.example']))
  await becomes('it to be admitted no more', (seen) => namesOf(seen) === 'else.example,ours.example')
  put('mailrelays', 'mail', 'main', relaySpec(['shop.example', 'else.example']))
  server.fault = () => undefined
  await becomes('it to be in force as declared', (seen) => selectorOf(seen) === 'theirs')
  assert.deepEqual(said.filter((event) => event === 'BUG' || event === 'RECONCILE_FAILED'), [])
})
