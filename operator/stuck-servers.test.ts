// Against a Kubernetes API that is only as real as it must be.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test, type TestContext } from 'node:test'
import { closed } from '../relay/report/http.ts'
import { startFakeKube, withFakeKube, type FakeKube } from '../test/tools/fake-kube.ts'
import { until } from '../test/tools/until.ts'
import { documentsOf, gather } from './gather/internal.ts'
import type { KubeObject } from './kube/index.ts'
import type { LogLine } from './log-events.ts'
import { startOperator } from './main.ts'
import { Memory } from './memory.ts'
import { httpPort, nothingMade, plan, selectorOf, type Observed } from './plan/index.ts'
import { restartStuck, stuckInWords } from './stuck-servers.ts'
import { made, type Watched } from './watched.ts'

const manifest = JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail' }, spec: { hostname: 'mx.example' } })
const { view } = plan({ declared: gather(documentsOf('given.yaml', manifest).documents).declared, made: nothingMade, clusterDomain: 'cluster.local' }).snapshots[0]!
const path = '/api/v1/namespaces/mail/pods'
const names = ['main-queue-0', 'main-queue-1', 'main-queue-2']

const statefulSet: KubeObject = { metadata: { name: 'main-queue', namespace: 'mail', generation: 2 }, status: { observedGeneration: 2, updateRevision: 'main-queue-b' } }
type Change = { readonly ready?: boolean; readonly starts?: number; readonly revision?: string }
const server = (name: string, { ready = true, starts = 0, revision = 'main-queue-b' }: Change = {}): KubeObject => ({
  metadata: { name, namespace: 'mail', labels: { ...selectorOf(view.relay, 'queue'), 'controller-revision-hash': revision } },
  status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }], containerStatuses: [{ restartCount: starts }] },
})

/** The server that hangs, if any does, is none that its kubelet finds whole. */
const start = async (t: TestContext, { set = statefulSet, takesMail = true }: { readonly set?: KubeObject | 'none'; readonly takesMail?: boolean } = {}) => {
  const { server: api, kube } = await withFakeKube(t)
  for (const name of names) api.put(path, server(name, { ready: name !== 'main-queue-1' }))
  api.put(path, { metadata: { name: 'bystander', namespace: 'mail', labels: selectorOf(view.relay, 'relay') } })
  const memory = new Memory()
  const durable = { ok: takesMail, reason: takesMail ? 'Durable' : 'Unreachable', text: '' }
  const said = (stuck: readonly string[]): Observed => ({ pods: [{ name: 'a', ready: takesMail, durable, servers: [...names, 'bystander'].map((name) => ({ name, up: !stuck.includes(name), stuck: stuck.includes(name) })) }], queueNodes: [], addresses: [] })
  const look = async (seconds: number, stuck: readonly string[] = ['main-queue-1'], cached: readonly KubeObject[] = api.objects(path)) => {
    const watched = { all: () => [...cached], get: (resource: unknown, key: string) => (resource === made.statefulSet && key === 'mail/main-queue' && set !== 'none' ? set : undefined) } as unknown as Watched
    return (await restartStuck(view, said(stuck), { kube, watched, memory, now: () => new Date(seconds * 1000) }))?.pod.name
  }
  const looks = async (from: number, to: number, stuck?: readonly string[]): Promise<(string | undefined)[]> => {
    const found: (string | undefined)[] = []
    for (let seconds = from; seconds <= to; seconds += 30) found.push(await look(seconds, stuck))
    return found.filter((one) => one !== undefined)
  }
  const left = (): string[] => api.objects(path).map(({ metadata }) => metadata.name).sort()
  return { api, look, looks, left }
}

test('of 3 servers the pod of the one that is stuck for 3 minutes is deleted, once, and no pod that is no server', async (t) => {
  const { looks, left } = await start(t)
  assert.deepEqual(await looks(0, 180, ['main-queue-1', 'bystander']), ['main-queue-1'])
  assert.deepEqual(left(), ['bystander', 'main-queue-0', 'main-queue-2'])
})

test('a pod that took the place of the 1 that was stuck, and of which no watch has told yet, stays', async (t) => {
  const { api, look, looks, left } = await start(t)
  const before = api.objects(path)
  await looks(0, 150)
  api.remove(path, 'main-queue-1')
  api.put(path, server('main-queue-1', { ready: false }))
  await look(180, ['main-queue-1'], before)
  assert.deepEqual(left(), ['bystander', ...names])
})

test('a pod that 1 watch behind has told nothing of is deleted only as it was seen: its server may have come to itself since, and nothing is said to have been done', async (t) => {
  const { api, look, looks, left } = await start(t)
  await looks(0, 150)
  const before = api.objects(path)
  api.put(path, server('main-queue-1'))
  assert.equal(await look(180, ['main-queue-1'], before), undefined)
  assert.deepEqual(left(), ['bystander', ...names])
  api.put(path, server('main-queue-1', { ready: false })) // it was another change
  assert.deepEqual(await looks(210, 360), [])
  assert.equal(await look(390), 'main-queue-1')
})

test('0 pods are deleted that nobody would make anew: their StatefulSet is gone, or on its way out', async (t) => {
  const leaving = { ...statefulSet, metadata: { ...statefulSet.metadata, deletionTimestamp: 'now' } }
  for (const set of ['none', leaving] as const) {
    const { looks, left } = await start(t, { set, takesMail: false })
    assert.deepEqual(await looks(0, 600), [])
    assert.deepEqual(left(), ['bystander', ...names])
  }
})

const reasons: readonly (readonly [string, (api: FakeKube) => void])[] = [
  ['is found whole by its kubelet', (api) => api.put(path, server('main-queue-1'))],
  ['began anew in its pod 30 s ago', (api) => api.put(path, server('main-queue-1', { ready: false, starts: 1 }))],
  ['has beside it 1 that is not ready', (api) => api.put(path, server('main-queue-2', { ready: false }))],
  ['has beside it 1 that an update has still to reach', (api) => api.put(path, server('main-queue-0', { revision: 'main-queue-a' }))],
  ['has beside it 1 that is on its way out', (api) => api.put(path, { ...server('main-queue-0'), metadata: { ...server('main-queue-0').metadata, deletionTimestamp: 'now', finalizers: ['wait'] } })],
  ['has beside it 1 of which there is no pod', (api) => api.remove(path, 'main-queue-2')],
]
for (const [what, change] of reasons)
  test(`while mail is taken, the pod of a server that was stuck for 150 s stays at 180 s where it ${what}`, async (t) => {
    const { api, looks, left } = await start(t)
    await looks(0, 150)
    change(api)
    const there = left()
    assert.deepEqual(await looks(180, 180), [])
    assert.deepEqual(left(), there)
  })

test('a StatefulSet that has not seen yet what is wanted, at generation 3 of 2, is waited for while mail is taken', async (t) => {
  const set = { ...statefulSet, metadata: { ...statefulSet.metadata, generation: 3 } }
  assert.deepEqual(await (await start(t, { set })).looks(0, 600), [])
  assert.deepEqual(await (await start(t, { set, takesMail: false })).looks(0, 180), ['main-queue-1'])
})

test('a deletion that is forbidden is tried at every look, and 1 of which nothing was heard counts as done: no other server follows within 3 minutes', async (t) => {
  const { api, look, looks, left } = await start(t, { takesMail: false })
  for (const name of names) api.put(path, server(name, { ready: false }))
  await looks(0, 150, names)
  const tries = (): number => api.requests.filter((line) => line.startsWith('DELETE')).length
  api.fault = ({ method }) => (method === 'DELETE' ? { status: 403 } : undefined)
  for (const seconds of [180, 210]) await assert.rejects(look(seconds, names), { status: 403 })
  assert.equal(tries(), 2)
  api.fault = ({ method }) => (method === 'DELETE' ? { status: 422 } : undefined)
  await assert.rejects(look(240, names), { status: 422 })
  api.fault = () => undefined
  assert.deepEqual(await looks(270, 420, names), [])
  assert.deepEqual(await looks(450, 450, names), ['main-queue-1'])
  assert.deepEqual(left(), ['bystander', 'main-queue-0', 'main-queue-2'])
})

test('of 3 servers that all hang no 2nd is deleted within 3 minutes where the answer to the 1st deletion was lost and its repetition finds no pod', async (t) => {
  const { api, looks, left } = await start(t, { takesMail: false })
  for (const name of names) api.put(path, server(name, { ready: false }))
  let isFirst = true
  api.fault = ({ method }) => {
    const isLost = method === 'DELETE' && isFirst
    if (isLost) isFirst = false
    return isLost ? 'lost' : undefined
  }
  await looks(0, 180, names)
  assert.deepEqual(left(), ['bystander', 'main-queue-1', 'main-queue-2'])
  assert.deepEqual(await looks(210, 360, names), [])
  assert.deepEqual(await looks(390, 390, names), ['main-queue-1'])
})

test('an Event says how long a server hung, and from the 2nd time on that starting anew does not mend it', () => {
  const pod = { name: 'main-queue-1', uid: 'u', starts: 0, ready: false }
  const [first, second, third] = [0, 1, 2].map((times) => stuckInWords({ pod, times, stuckMs: 180_000 * 2 ** times }))
  assert.match(first!, /^server main-queue-1 of the queue was up and said nothing about its streams for 3 minutes: its pod was deleted, so that it begins anew\. Look whether its volume is full/)
  assert.match(second!, / for 6 minutes: .* anew once in the last hours and hung again\./)
  assert.match(third!, / for 12 minutes: .* anew 2 times in the last hours and hung again\./)
})

/** A relay pod that says so, as the operator asks it. */
const relayPod = async (t: TestContext, address: string): Promise<void> => {
  const pod = createServer((_, answer) => answer.end(JSON.stringify({ revision: 'r', durable: { ok: false, reason: 'Unreachable', text: 'no answer' }, servers: names.map((name) => ({ name, up: false, stuck: name === 'main-queue-1' })) })))
  await new Promise<void>((resolve, reject) => pod.once('error', reject).listen(httpPort, address, resolve))
  t.after(() => closed(pod))
}

test('an operator that hears of 1 stuck server for 3 minutes deletes its pod, and says so in its log and in 1 Event', async (t) => {
  const server = await startFakeKube()
  const address = `127.${1 + Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 250)}.${2 + Math.floor(Math.random() * 250)}`
  await relayPod(t, address)
  server.put('/api/v1/namespaces', { metadata: { name: 'mail' } })
  server.put('/apis/posthouse.dev/v1alpha1/namespaces/mail/mailrelays', { metadata: { name: 'main', namespace: 'mail', generation: 1 }, spec: { hostname: 'mx.example' } })
  server.put(path, { metadata: { name: 'main-a', namespace: 'mail', labels: selectorOf(view.relay, 'relay') }, status: { phase: 'Running', podIP: address } })
  for (const name of names) server.put(path, { metadata: { name, namespace: 'mail', labels: selectorOf(view.relay, 'queue') } })
  const said: LogLine[] = []
  const settings = { image: 'posthouse:1', natsImage: 'nats:2', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' } as const
  let later = 0
  const RealDate = Date
  t.mock.method(globalThis, 'Date', class extends RealDate {
    constructor(...given: []) {
      super(...(given.length === 0 ? ([RealDate.now() + later] as unknown as []) : given))
    }
  } as never)
  const operator = await startOperator({ access: { server: server.url, prepare: () => Promise.resolve({ headers: {} }) }, namespace: 'mail', identity: 'one', settings, watchNamespaces: ['mail'], say: (line) => void said.push(line) })
  t.after(async () => {
    await operator.stop()
    await server.close()
  })
  const isThere = (): boolean => server.objects(path).some(({ metadata }) => metadata.name === 'main-queue-1')
  await until('the pod to be deleted', async () => {
    const runs = operator.runs()
    await until('one more run', () => (server.put('/apis/posthouse.dev/v1alpha1/retryschedules', { metadata: { name: 's', generation: runs }, spec: {} }), operator.runs() > runs), 60_000, 50)
    later += 20_000
    return !isThere()
  }, 120_000)
  assert.ok(later >= 180_000, `after ${later} ms`)
  assert.deepEqual(said.filter(({ event }) => event === 'QUEUE_SERVER_STUCK'), [{ event: 'QUEUE_SERVER_STUCK', relay: 'mail/main', server: 'main-queue-1', minutes: 3, before: 0 }])
  const events = await until('an Event', () => server.objects('/apis/events.k8s.io/v1/namespaces/mail/events').filter((one) => (one as { reason?: string }).reason === 'QueueServerStuck'), 60_000)
  assert.equal(events.length, 1)
})
