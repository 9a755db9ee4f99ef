import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { startFakeKube, type FakeKube } from '../test/tools/fake-kube.ts'
import { until } from '../test/tools/until.ts'
import { serveHttp } from './http.ts'
import { Cache, createKube, listWatch, pathOf, requestTitle, type Call, type Kube, type Resource } from './kube/index.ts'
import { createOperatorMetrics, measure, type OperatorMetrics, type Seen } from './metrics.ts'

const titles: readonly (readonly [Call, verb: string, resource: string])[] = [
  [{ path: '/api/v1/namespaces' }, 'list', 'namespaces'],
  [{ path: '/api/v1/namespaces/mail' }, 'get', 'namespaces'],
  [{ path: '/api/v1/namespaces/mail/secrets/a' }, 'get', 'secrets'],
  [{ path: '/apis/posthouse.dev/v1alpha1/mailrelays', query: { watch: true } }, 'watch', 'mailrelays'],
  [{ method: 'PATCH', path: '/apis/posthouse.dev/v1alpha1/namespaces/mail/mailrelays/main/status' }, 'patch', 'mailrelays/status'],
  [{ method: 'POST', path: '/apis/events.k8s.io/v1/namespaces/mail/events' }, 'create', 'events'],
  [{ method: 'PUT', path: '/apis/coordination.k8s.io/v1/namespaces/posthouse/leases/posthouse-operator' }, 'update', 'leases'],
  [{ method: 'DELETE', path: '/api/v1/namespaces/mail/services/main' }, 'delete', 'services'],
  [{ path: '/version' }, 'get', 'other'],
]

const valuesOf = async (metrics: OperatorMetrics, name: string): Promise<Record<string, number>> => {
  const { values } = await metrics.registry.getSingleMetric(`posthouse_operator_${name}`)!.get()
  return Object.fromEntries(values.map(({ labels, value }) => [Object.values(labels).join(' '), value]))
}

describe('the title of a request', () => {
  for (const [call, verb, resource] of titles) it(`of ${call.method ?? 'GET'} ${call.path} is ${verb} ${resource}`, () => assert.deepEqual(requestTitle(call), { verb, resource }))
})

describe('what a run saw', () => {
  const statement = (type: string, status: 'True' | 'False' | 'Unknown') => ({ type, status, reason: 'R', message: '' })
  const object = (kind: 'MailRelay' | 'MailDomain', name: string, ...conditions: ReturnType<typeof statement>[]): Seen['statuses'][number] => ({ object: { kind, namespace: 'mail', name }, status: { conditions } })
  const relay = (replicas: number, queue: object) => ({ relay: { kind: 'MailRelay', metadata: { namespace: 'mail', name: 'main' }, spec: { replicas, queue } } }) as unknown as Seen['views'][number]['view']

  it('is 3 counts of objects by kind and condition, and the 1 status of each condition of a relay', async () => {
    const metrics = createOperatorMetrics('posthouse/posthouse-operator')
    measure(metrics, { views: [], statuses: [object('MailDomain', 'a', statement('Ready', 'True')), object('MailDomain', 'b', statement('Ready', 'True')), object('MailDomain', 'c', statement('Ready', 'False')), object('MailRelay', 'main', statement('Programmed', 'Unknown'))] })
    assert.deepEqual(await valuesOf(metrics, 'objects'), { 'MailDomain Ready True': 2, 'MailDomain Ready False': 1, 'MailRelay Programmed Unknown': 1 })
    assert.deepEqual(await valuesOf(metrics, 'relay_condition'), { 'mail/main Programmed True ': 0, 'mail/main Programmed False ': 0, 'mail/main Programmed Unknown R': 1 })
  })

  it('is 3 pods wanted, 2 ready, 1 current, and 3 servers on 1 node; and nothing once the relay is gone', async () => {
    const metrics = createOperatorMetrics('posthouse/posthouse-operator')
    const pods = [{ name: 'a', ready: true, revision: 'new' }, { name: 'b', ready: true, revision: 'old' }, { name: 'c', ready: false, revision: 'new' }] // c would hide that b is behind
    measure(metrics, { statuses: [], views: [{ view: relay(3, { managed: { replicas: 3 } }), revision: 'new', observed: { pods, queueNodes: ['n1', 'n1', 'n1'], addresses: [] } }] })
    assert.deepEqual(await valuesOf(metrics, 'relay_pods'), { 'mail/main wanted': 3, 'mail/main ready': 2, 'mail/main current': 1 })
    assert.deepEqual(await valuesOf(metrics, 'queue_servers'), { 'mail/main wanted': 3, 'mail/main ready': 3 })
    assert.deepEqual(await valuesOf(metrics, 'queue_nodes'), { 'mail/main': 1 })
    measure(metrics, { statuses: [], views: [] })
    assert.deepEqual([await valuesOf(metrics, 'relay_pods'), await valuesOf(metrics, 'queue_servers'), await valuesOf(metrics, 'queue_nodes')], [{}, {}, {}])
  })
})

describe('requests and watches', () => {
  const things: Resource = { group: 'test.example', version: 'v1', kind: 'Thing', plural: 'things', namespaced: true }
  const path = pathOf(things, { namespace: 'mail' })
  const withServer = async (t: TestContext): Promise<{ server: FakeKube; kube: Kube; answers: string[] }> => {
    const server = await startFakeKube()
    t.after(() => server.close())
    const answers: string[] = []
    return { server, answers, kube: createKube({ server: server.url, prepare: () => Promise.resolve({ headers: {} }) }, { random: () => 0, onAnswer: (call, status) => void answers.push(`${requestTitle(call).verb} ${status}`) }) }
  }

  it('each of 3 tries is counted with its own answer, 0 where there was none', async (t) => {
    const { server, kube, answers } = await withServer(t)
    server.put(path, { metadata: { name: 'a', namespace: 'mail' } })
    server.fault = ({ count }) => (count === 1 ? 'reset' : count === 2 ? { status: 503 } : undefined)
    await kube.call({ path })
    assert.deepEqual(answers, ['list 0', 'list 503', 'list 200'])
  })

  it('a watch that the server ended, one that was cut and one whose version is gone are 3 restarts for 3 reasons', async (t) => {
    const { server, kube } = await withServer(t)
    const end = new AbortController()
    const restarts: string[] = []
    const ended = listWatch({ kube, resource: things, namespace: 'mail', feed: new Cache(), random: () => 0, onRestart: (why) => void restarts.push(why) }, end.signal)
    t.after(() => (end.abort(), ended))
    for (const how of ['end', 'reset', { error: 410 }] as const) {
      const before = restarts.length
      await until('the watch', () => server.watches() === 1)
      server.endWatches(how)
      await until('its end', () => restarts.length > before)
    }
    assert.deepEqual(restarts, ['ended', 'failed', 'expired'])
  })
})

it('/metrics is read anew for each scrape; /readyz is 503 before it is 200; other paths are 404', async (t) => {
  const metrics = createOperatorMetrics('posthouse/posthouse-operator')
  const seen = { ready: false, scrapes: 0 }
  const http = await serveHttp({ host: '127.0.0.1', port: 0, metrics, ready: () => seen.ready, beforeScrape: () => metrics.leader.set(++seen.scrapes) })
  t.after(() => http.close())
  const get = async (path: string): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`http://127.0.0.1:${http.port}${path}`)
    return { status: answer.status, text: await answer.text() }
  }
  await get('/metrics')
  assert.match((await get('/metrics')).text, /^posthouse_operator_leader\{lease="posthouse\/posthouse-operator"\} 2$/m)
  assert.equal((await get('/readyz')).status, 503)
  seen.ready = true
  assert.deepEqual([(await get('/readyz')).status, (await get('/healthz')).status, (await get('/else')).status], [200, 200, 404])
})
