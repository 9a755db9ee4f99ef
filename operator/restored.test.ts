// Secrets that a tool puts back or labels: what was made once, a DKIM key whose record stands in DNS or a password, is kept.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { startFakeKube } from '../test/tools/fake-kube.ts'
import { until } from '../test/tools/until.ts'
import type { KubeObject } from './kube/index.ts'
import { startOperator } from './main.ts'

const secrets = '/api/v1/namespaces/mail/secrets'
const at = (plural: string): string => `/apis/posthouse.dev/v1alpha1/namespaces/mail/${plural}`
const settings = { image: 'posthouse:1', natsImage: 'nats:2', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' } as const
const ours = { 'app.kubernetes.io/name': 'posthouse', 'app.kubernetes.io/managed-by': 'posthouse' }

const start = async (t: TestContext) => {
  const server = await startFakeKube()
  const put = (plural: string, name: string, spec: object): void => server.put(at(plural), { metadata: { name, namespace: 'mail', generation: 1 }, spec })
  const find = (path: string, name: string): KubeObject | undefined => server.objects(path).find(({ metadata }) => metadata.name === name)
  const readyOf = (plural: string, name: string): string => ((find(at(plural), name)?.status ?? {}) as { conditions?: { type: string; reason: string }[] }).conditions?.find(({ type }) => type === 'Ready')?.reason ?? ''
  server.put('/api/v1/namespaces', { metadata: { name: 'mail' } })
  put('mailrelays', 'main', { hostname: 'mx.example', queue: { external: { servers: ['nats://n.example:4222'] } } })
  const operator = await startOperator({ access: { server: server.url, prepare: () => Promise.resolve({ headers: {} }) }, namespace: 'mail', identity: 'one', settings, watchNamespaces: ['mail'], say: () => {} })
  t.after(async () => {
    await operator.stop()
    await server.close()
  })
  await until('a MailRelay in force', () => find(secrets, 'main-snapshot-0'))
  return { server, put, find, readyOf }
}

const signed = (domain: string) => ({ domain, outbound: { dkim: { algorithms: ['ed25519'] } } })

test('2 Secrets, of a MailDomain and of a MailSender, stay as they are when somebody labels them with the name of a MailRelay, and a 3rd that the MailRelay no longer wants goes', async (t) => {
  const { server, put, find } = await start(t)
  put('maildomains', 'ours', signed('ours.example'))
  put('mailsenders', 'app', { relayRef: { name: 'main' } })
  const names = ['ours-dkim', 'app-smtp']
  await until('both Secrets', () => names.every((name) => find(secrets, name)))
  const uids = (): (string | undefined)[] => names.map((name) => find(secrets, name)?.metadata.uid)
  const before = uids()
  const instance = { 'app.kubernetes.io/instance': 'main' }
  for (const name of names) {
    const { metadata, ...rest } = find(secrets, name)!
    server.put(secrets, { ...rest, metadata: { ...metadata, labels: { ...ours, ...instance } } })
  }
  server.put(secrets, { metadata: { name: 'main-snapshot-9', namespace: 'mail', labels: { ...ours, ...instance, 'app.kubernetes.io/component': 'relay' } } })
  await until('the Secret too many to go', () => find(secrets, 'main-snapshot-9') === undefined)
  assert.deepEqual(uids(), before)
})

test('the 1 key in a Secret that is put back before its MailDomain is kept, though the watch has not told of it yet, and so is 1 Secret of somebody else', async (t) => {
  const { server, put, find, readyOf } = await start(t)
  const selector = `ph-ed25519-${new Date().toISOString().slice(0, 7).replace('-', '')}`
  const key = Buffer.from(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })).toString('base64')
  server.fault = ({ method, path }) => (method === 'GET' && path === secrets ? { status: 503 } : undefined)
  server.endWatches('end')
  server.put(secrets, { metadata: { name: 'ours-dkim', namespace: 'mail', labels: ours }, data: { [`${selector}.key`]: key } })
  server.put(secrets, { metadata: { name: 'app-smtp', namespace: 'mail' }, data: { theirs: key } })
  put('maildomains', 'ours', signed('ours.example'))
  put('mailsenders', 'app', { relayRef: { name: 'main' } })
  await until('both to be seen', () => readyOf('maildomains', 'ours') !== '' && readyOf('mailsenders', 'app') === 'NameTaken')
  server.fault = () => undefined
  await until('the Secret to be taken up', () => find(secrets, 'ours-dkim')!.metadata.ownerReferences)
  assert.equal((find(secrets, 'ours-dkim')!.data as Record<string, string>)[`${selector}.key`], key)
  assert.deepEqual(find(secrets, 'app-smtp')!.data, { theirs: key })
})
