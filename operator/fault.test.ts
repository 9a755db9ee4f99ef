import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { startFakeKube, type FakeKube } from '../test/tools/fake-kube.ts'
import { until } from '../test/tools/until.ts'
import type { KubeObject } from './kube/index.ts'
import { startOperator } from './main.ts'
import { managedLabels } from './plan/index.ts'

const at = (group: string, plural: string): string => `${group === '' ? '/api/v1' : `/apis/${group}`}/namespaces/mail/${plural}`
const relays = at('posthouse.dev/v1alpha1', 'mailrelays')
const [secrets, deployments] = [at('', 'secrets'), at('apps/v1', 'deployments')]
const settings = { image: 'posthouse:1', natsImage: 'nats:2', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' } as const

type Said = { readonly event: string; readonly [field: string]: unknown }

const start = async (t: TestContext, given: (server: FakeKube) => void) => {
  const server = await startFakeKube()
  server.put('/api/v1/namespaces', { metadata: { name: 'mail' } })
  given(server)
  const said: Said[] = []
  const operator = await startOperator({ access: { server: server.url, prepare: () => Promise.resolve({ headers: {} }) }, namespace: 'mail', identity: 'one', settings, watchNamespaces: ['mail'], say: (line) => said.push(line) })
  t.after(async () => {
    await operator.stop()
    await server.close()
  })
  const find = (path: string, name: string): KubeObject | undefined => server.objects(path).find(({ metadata }) => metadata.name === name)
  const conditionOf = (name: string, type: string): string => {
    const { conditions = [] } = (find(relays, name)?.status ?? {}) as { conditions?: { type: string; status: string; reason: string }[] }
    return conditions.flatMap((one) => (one.type === type ? [`${one.status} ${one.reason}`] : [])).join()
  }
  return { server, said, operator, find, conditionOf }
}

const relay = (name: string): KubeObject => ({ metadata: { name, namespace: 'mail', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' }, spec: { hostname: `${name}.example`, queue: { external: { servers: ['nats://n.example:4222'] } } } })

test('a fault over MailRelay one leaves it and what it has as they are, is said once, and MailRelay two goes on; when it is over, one goes on too', async (t) => {
  const odd = { 'ca.crt': 5 } // no API server gives that: something in us throws
  const { server, said, find, conditionOf } = await start(t, (fake) => {
    for (const name of ['one', 'two']) fake.put(relays, relay(name))
    fake.put(secrets, { metadata: { name: 'one-ca', namespace: 'mail', labels: { ...managedLabels } }, data: odd })
    const labels = { ...managedLabels, 'app.kubernetes.io/name': 'posthouse', 'app.kubernetes.io/instance': 'one', 'app.kubernetes.io/component': 'relay' }
    for (const name of ['one-snapshot-0', 'one-snapshot-7']) fake.put(secrets, { metadata: { name, namespace: 'mail', labels }, data: {} })
  })
  await until('MailRelay two to be made, and one to say why it is not', () => conditionOf('one', 'Ready') === 'False OperatorFault' && find(deployments, 'two') !== undefined && conditionOf('two', 'Accepted') === 'True Accepted')
  server.put(relays, { ...find(relays, 'two')!, metadata: { ...find(relays, 'two')!.metadata, labels: { touched: 'yes' } } })
  await until('another try', () => server.requests.filter((line) => line.includes('one-ca')).length >= 2)
  assert.equal(find(deployments, 'one'), undefined)
  assert.deepEqual(['one-snapshot-0', 'one-snapshot-7'].map((name) => find(secrets, name)?.data), [{}, {}])
  assert.deepEqual(said.filter(({ event }) => event === 'RECONCILE_FAILED'), [])
  const bugs = said.filter(({ event }) => event === 'BUG')
  assert.deepEqual(bugs.map(({ object }) => object), ['MailRelay mail/one'])
  assert.match(String(bugs[0]!.stack), /TypeError.*secret-store/s)
  server.remove(secrets, 'one-ca')
  await until('MailRelay one to be made', () => find(deployments, 'one') !== undefined && find(secrets, 'one-snapshot-7') === undefined && conditionOf('one', 'Accepted') === 'True Accepted')
})

test('a fault over a domain that was in force leaves its relay as it is, with the domain; a relay at which it was not goes on', async (t) => {
  const domains = at('posthouse.dev/v1alpha1', 'maildomains')
  const domain = (name: string, of: string): KubeObject => ({ metadata: { name, namespace: 'mail', generation: 1 }, spec: { domain: `${name}.example`, relayRefs: [{ name: of }], outbound: { dkim: { algorithms: ['ed25519'] } } } })
  const { server, said, find, conditionOf } = await start(t, (fake) => {
    for (const name of ['one', 'two']) fake.put(relays, relay(name))
    fake.put(domains, domain('ours', 'one'))
  })
  const snapshotOf = (name: string): string => Object.values((find(secrets, `${name}-snapshot-1`)?.data ?? {}) as Record<string, string>).map((text) => Buffer.from(text, 'base64').toString()).join()
  const readyOf = (name: string): string => ((find(domains, name)?.status ?? {}) as { conditions?: { type: string; reason: string }[] }).conditions?.find(({ type }) => type === 'Ready')?.reason ?? ''
  await until('the domain to be in force', () => snapshotOf('one').includes('ours.example') && readyOf('ours') === 'Ready')
  const [before, key] = [find(secrets, 'one-snapshot-1')!, find(secrets, 'ours-dkim')!]
  server.put(secrets, { ...key, data: { odd: 5 } })
  for (const [name, of] of [['more', 'one'], ['else', 'two']] as const) server.put(domains, domain(name, of))
  await until('MailRelay two to have its domain, and one to say why it has not', () => snapshotOf('two').includes('else.example') && readyOf('ours') === 'OperatorFault' && conditionOf('one', 'Programmed') === 'False OperatorFault')
  assert.deepEqual(find(secrets, 'one-snapshot-1')!.metadata.resourceVersion, before.metadata.resourceVersion)
  assert.deepEqual(said.filter(({ event }) => event === 'BUG' || event === 'RECONCILE_FAILED').map(({ object }) => object), ['MailDomain mail/ours'])
  server.put(secrets, { ...find(secrets, 'ours-dkim')!, data: key.data })
  await until('all to go on', () => snapshotOf('one').includes('more.example') && snapshotOf('one').includes('ours.example') && readyOf('ours') === 'Ready')
})

test('a MailRelay that was changed while its finalizer was put on gets it at the next look, with 0 objects before it and 0 runs that failed, and MailRelay two is made in the same run', async (t) => {
  const { server, said, find } = await start(t, (fake) => {
    for (const name of ['one', 'two']) fake.put(relays, relay(name))
    let conflicts = 0
    fake.fault = ({ method, path }) => (method === 'PATCH' && path === `${relays}/one` && conflicts++ === 0 ? { status: 409 } : undefined)
  })
  await until('both to be made', () => ['one', 'two'].every((name) => find(deployments, name) !== undefined))
  const firstOf = (what: string): number => server.requests.findIndex((line) => line.startsWith(`PATCH ${what}?`) || line === `PATCH ${what}`)
  const puttings = server.requests.flatMap((line, at) => (line === `PATCH ${relays}/one` ? [at] : []))
  assert.equal(puttings.length, 2)
  assert.ok(puttings[0]! < firstOf(`${deployments}/two`) && firstOf(`${deployments}/two`) < puttings[1]! && puttings[1]! < firstOf(`${deployments}/one`))
  assert.deepEqual(said.filter(({ event }) => event === 'RECONCILE_FAILED'), [])
})

for (const status of [409, 429, 503])
  test(`a Service that is answered ${status} for a while holds up itself alone: MailRelay two and all else of one are made in the same run, with 0 runs that failed, 0 orphans removed and 0 words of it in the status, and it is there when that is over`, async (t) => {
    const services = at('', 'services')
    const { server, said, find, conditionOf } = await start(t, (fake) => {
      for (const name of ['one', 'two']) fake.put(relays, relay(name))
      const labels = { ...managedLabels, 'app.kubernetes.io/name': 'posthouse', 'app.kubernetes.io/instance': 'one', 'app.kubernetes.io/component': 'relay' }
      fake.put(secrets, { metadata: { name: 'one-snapshot-7', namespace: 'mail', labels }, data: {} })
      fake.fault = ({ method, path }) => (method === 'PATCH' && path === `${services}/one` ? { status } : undefined)
    })
    await until('all else to be made', () => find(deployments, 'one') !== undefined && find(deployments, 'two') !== undefined && conditionOf('one', 'Accepted') === 'True Accepted' && conditionOf('two', 'Accepted') === 'True Accepted')
    assert.equal(conditionOf('one', 'Programmed'), conditionOf('two', 'Programmed'))
    assert.deepEqual([find(services, 'one'), find(secrets, 'one-snapshot-7')?.data], [undefined, {}])
    server.fault = () => undefined
    await until('the Service', () => find(services, 'one') !== undefined && find(secrets, 'one-snapshot-7') === undefined)
    assert.deepEqual(said.filter(({ event }) => event === 'RECONCILE_FAILED' || event === 'BUG'), [])
  })

for (const [what, secret, dkim] of [['names', 'given', { algorithms: ['ed25519'], keySecretRef: { name: 'given' } }], ['has keys in', 'ours-dkim', { algorithms: ['ed25519'] }]] as const) {
  test(`a Secret that a domain in force ${what} and that may not be read leaves its relay as it is, with 0 runs that failed; a relay at which the domain is not goes on, and all do when it may be read`, async (t) => {
    const domains = at('posthouse.dev/v1alpha1', 'maildomains')
    const accepted = { conditions: [{ type: 'Accepted', status: 'True' }] }
    const { server, said, find, conditionOf } = await start(t, (fake) => {
      for (const name of ['one', 'two']) fake.put(relays, relay(name))
      fake.put(domains, { metadata: { name: 'ours', namespace: 'mail', generation: 1 }, spec: { domain: 'ours.example', relayRefs: [{ name: 'one' }], outbound: { dkim } }, status: { ...accepted, relays: [{ namespace: 'mail', name: 'one', ...accepted }] } })
      fake.put(secrets, { metadata: { name: secret, namespace: 'mail', labels: { ...managedLabels } }, data: {} })
      fake.fault = ({ method, path }) => (method === 'GET' && path === `${secrets}/${secret}` ? { status: 403 } : undefined)
    })
    const readyOf = (name: string): { reason?: string; message?: string } => ((find(domains, name)?.status ?? {}) as { conditions?: { type: string; reason: string; message: string }[] }).conditions?.find(({ type }) => type === 'Ready') ?? {}
    await until('MailRelay two to be made, and the domain and its relay to say why not', () => find(deployments, 'two') !== undefined && readyOf('ours').reason === 'SecretRefused' && conditionOf('one', 'Programmed') === 'False SecretRefused')
    assert.match(readyOf('ours').message!, new RegExp(`Secret mail/${secret}`))
    assert.equal(find(deployments, 'one'), undefined)
    assert.deepEqual(said.filter(({ event }) => event === 'BUG' || event === 'RECONCILE_FAILED'), [])
    server.fault = () => undefined
    server.put(relays, { ...find(relays, 'two')!, metadata: { ...find(relays, 'two')!.metadata, labels: { touched: 'yes' } } })
    await until('MailRelay one to be made', () => find(deployments, 'one') !== undefined && readyOf('ours').reason !== 'SecretRefused')
  })
}
