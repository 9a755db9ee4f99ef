// Against a Kubernetes API that is only as real as it must be.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test, type TestContext } from 'node:test'
import { closed } from '../relay/report/http.ts'
import { startFakeKube } from '../test/tools/fake-kube.ts'
import { until } from '../test/tools/until.ts'
import { documentsOf, gather } from './gather/internal.ts'
import { createKube, type KubeObject } from './kube/index.ts'
import type { LogLine } from './log-events.ts'
import { startOperator } from './main.ts'
import { Memory } from './memory.ts'
import { httpPort, nothingMade, plan, selectorOf, type Observed } from './plan/index.ts'
import { restartStuck } from './stuck-servers.ts'

const manifest = JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail' }, spec: { hostname: 'mx.example' } })
const { view } = plan({ declared: gather(documentsOf('given.yaml', manifest).documents).declared, made: nothingMade, clusterDomain: 'cluster.local' }).snapshots[0]!
const path = '/api/v1/namespaces/mail/pods'
const names = ['main-queue-0', 'main-queue-1', 'main-queue-2']

const start = async () => {
  const server = await startFakeKube()
  const kube = createKube({ server: server.url, prepare: () => Promise.resolve({ headers: {} }) })
  for (const name of names) server.put(path, { metadata: { name, namespace: 'mail', labels: selectorOf(view.relay, 'queue') } })
  server.put(path, { metadata: { name: 'bystander', namespace: 'mail', labels: selectorOf(view.relay, 'relay') } })
  const memory = new Memory()
  const said = (stuck: readonly string[]): Observed => ({ pods: [{ name: 'a', ready: false, servers: [...names, 'bystander'].map((name) => ({ name, up: !stuck.includes(name), stuck: stuck.includes(name) })) }], queueNodes: [], addresses: [] })
  const look = (seconds: number, stuck: readonly string[], cached: readonly KubeObject[] = server.objects(path)) =>
    restartStuck(view, said(stuck), { kube, watched: { all: () => [...cached] } as never, memory, now: () => new Date(seconds * 1000) })
  const left = (): string[] => server.objects(path).map(({ metadata }) => metadata.name).sort()
  return { server, look, left }
}

test('of 3 servers the pod of the one that is stuck for 3 minutes is deleted, once, and no pod that is no server', async (t) => {
  const { server, look, left } = await start()
  t.after(() => server.close())
  const found: (string | undefined)[] = []
  for (let seconds = 0; seconds <= 180; seconds += 30) found.push(await look(seconds, ['main-queue-1', 'bystander']))
  assert.deepEqual(found.filter((one) => one !== undefined), ['main-queue-1'])
  assert.deepEqual(left(), ['bystander', 'main-queue-0', 'main-queue-2'])
})

test('a pod that took the place of the 1 that was stuck, and of which no watch has told yet, stays', async (t) => {
  const { server, look, left } = await start()
  t.after(() => server.close())
  const before = server.objects(path)
  for (let seconds = 0; seconds <= 150; seconds += 30) await look(seconds, ['main-queue-1'])
  const { metadata: { name, namespace, labels } } = before.find(({ metadata }) => metadata.name === 'main-queue-1')!
  server.remove(path, name)
  server.put(path, { metadata: { name, namespace: namespace!, labels: labels! } })
  await look(180, ['main-queue-1'], before)
  assert.deepEqual(left(), ['bystander', ...names])
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
  assert.deepEqual(said.filter(({ event }) => event === 'QUEUE_SERVER_STUCK'), [{ event: 'QUEUE_SERVER_STUCK', relay: 'mail/main', server: 'main-queue-1' }])
  const events = await until('an Event', () => server.objects('/apis/events.k8s.io/v1/namespaces/mail/events').filter((one) => (one as { reason?: string }).reason === 'QueueServerStuck'), 60_000)
  assert.equal(events.length, 1)
})
