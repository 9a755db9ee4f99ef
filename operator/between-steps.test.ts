// What a person or a restore does between two steps of the operator, and what its watches tell late.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { startFakeKube } from '../test/tools/fake-kube.ts'
import { until } from '../test/tools/until.ts'
import type { KubeObject } from './kube/index.ts'
import { startOperator } from './main.ts'

const secrets = '/api/v1/namespaces/mail/secrets'
const at = (plural: string): string => `/apis/posthouse.dev/v1alpha1/${plural === 'retryschedules' ? '' : 'namespaces/mail/'}${plural}`
const settings = { image: 'posthouse:1', natsImage: 'nats:2', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' } as const
const ours = { 'app.kubernetes.io/name': 'posthouse', 'app.kubernetes.io/managed-by': 'posthouse' }
const external = { external: { servers: ['nats://n.example:4222'] } }

const start = async (t: TestContext, queue: object = external) => {
  const server = await startFakeKube()
  const put = (plural: string, name: string, spec: object, generation = 1): void => server.put(at(plural), { metadata: { name, ...(plural !== 'retryschedules' && { namespace: 'mail' }), generation }, spec })
  const find = (path: string, name: string): KubeObject | undefined => server.objects(path).find(({ metadata }) => metadata.name === name)
  const dataOf = (name: string): Record<string, string> | undefined => find(secrets, name)?.data as Record<string, string> | undefined
  server.put('/api/v1/namespaces', { metadata: { name: 'mail' } })
  put('mailrelays', 'main', { hostname: 'mx.example', queue })
  const begin = () => startOperator({ access: { server: server.url, prepare: () => Promise.resolve({ headers: {} }) }, namespace: 'mail', identity: 'one', settings, watchNamespaces: ['mail'], say: () => {} })
  const state: { operator?: Awaited<ReturnType<typeof startOperator>> } = {}
  t.after(async () => {
    server.fault = () => undefined
    await state.operator?.stop()
    await server.close()
  })
  return { server, put, find, dataOf, begin: async () => (state.operator = await begin()) }
}

const signed = (domain: string) => ({ domain, outbound: { dkim: { algorithms: ['ed25519'] } } })

test('the login of a queue stays as it was made while the watch of Secrets says nothing for 3 runs', async (t) => {
  const { server, put, dataOf, begin } = await start(t, { managed: { replicas: 1 } })
  const release = server.hold(secrets)
  const operator = await begin()
  const password = await until('the login', () => dataOf('main-queue')?.password)
  const runs = operator.runs()
  for (let run = 1; run <= 3; run++) await until('one more run', () => (put('retryschedules', `s${run}`, {}), operator.runs() >= runs + run))
  assert.equal(dataOf('main-queue')!.password, password)
  release()
})

for (const [when, isRefused] of [['before its 1st write arrives', false], ['between a 1st write that the server has no time for and the 2nd', true]] as const) {
  test(`the 1 key of a Secret that is put back after the operator looked for it, ${when}, is kept`, async (t) => {
    const { server, put, find, dataOf, begin } = await start(t)
    const selector = `ph-ed25519-${new Date().toISOString().slice(0, 7).replace('-', '')}`
    const key = Buffer.from(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })).toString('base64')
    const putBack = (): void => server.put(secrets, { metadata: { name: 'ours-dkim', namespace: 'mail', labels: ours }, data: { [`${selector}.key`]: key } })
    let writes = 0
    server.fault = ({ method, path }) => {
      if (method !== 'PATCH' || path !== `${secrets}/ours-dkim`) return undefined
      writes += 1
      if (isRefused) return writes === 1 ? { status: 503 } : writes === 2 ? { first: putBack } : undefined
      return writes === 1 ? { first: putBack } : undefined
    }
    put('maildomains', 'ours', signed('ours.example'))
    await begin()
    await until('the Secret to be taken up', () => find(secrets, 'ours-dkim')?.metadata.ownerReferences)
    assert.equal(dataOf('ours-dkim')![`${selector}.key`], key)
  })
}

test('1 Secret of a MailSender that is deleted before any watch told of it is made again', async (t) => {
  const { server, put, dataOf, begin } = await start(t)
  put('maildomains', 'ours', signed('ours.example'))
  await begin()
  await until('a MailRelay in force', () => dataOf('main-snapshot-0'))
  const release = server.hold(secrets)
  put('mailsenders', 'app', { relayRef: { name: 'main' } })
  await until('the Secret', () => dataOf('app-smtp'))
  server.remove(secrets, 'app-smtp')
  server.compact()
  server.endWatches({ error: 410 })
  release()
  await until('the Secret again', () => dataOf('app-smtp'))
})

test('what was planned for generation 7 of a MailDomain is not said of 1 that is made anew under its name', async (t) => {
  const { server, put, find, dataOf, begin } = await start(t)
  const observed = (): unknown => (find(at('maildomains'), 'ours')?.status as { observedGeneration?: number } | undefined)?.observedGeneration
  const generation = (): number | undefined => find(at('maildomains'), 'ours')?.metadata.generation
  const operator = await begin()
  await until('a MailRelay in force', () => dataOf('main-snapshot-0'))
  const state = { isAnew: false, wrong: 0 }
  const replace = (): Promise<unknown> => {
    server.remove(at('maildomains'), 'ours')
    put('maildomains', 'ours', { domain: 'other.example' })
    state.isAnew = true
    return new Promise((resolve) => setTimeout(resolve, 500)) // for the watch to tell
  }
  server.fault = ({ method, path }) => {
    if (generation() === 1 && observed() === 7) state.wrong += 1
    return !state.isAnew && method === 'PATCH' && path === `${secrets}/main-snapshot-0` ? { first: replace } : undefined
  }
  put('maildomains', 'ours', signed('ours.example'), 7)
  await until('the status of the new one', () => state.isAnew && observed() === 1)
  const runs = operator.runs()
  await until('one more run', () => (put('retryschedules', 's', {}), operator.runs() > runs))
  assert.equal(state.wrong, 0)
})
