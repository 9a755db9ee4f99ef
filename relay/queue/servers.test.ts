import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { startTestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { closed } from '../report/http.ts'
import { aMessage, openTestQueue } from './fixtures.ts'
import { openJetStream } from './jetstream.ts'
import { createServers, replicasIn } from './servers.ts'
import type { QueueServer } from './types.ts'

test('of 3 servers all are up and hold a copy; with 1 killed it is down and its copy is not current', async () => {
  const nats = await startTestNats(3)
  const queue = await openTestQueue(nats, { name: 'servers', replicas: 3 })
  const stream = openJetStream({ servers: nats.urls, name: 'servers' })
  let now = 0
  const servers = createServers({ stream, name: 'servers', monitorUrls: nats.monitorUrls, clock: { monotonic: () => now } })
  const look = (): ReturnType<typeof servers> => ((now += 15_000), servers())
  try {
    await until('durable', () => queue.durable().ok)
    assert.equal(servers(), undefined) // it does not wait
    await until('three copies', () => look()?.replicas?.current === 3, 30_000)
    assert.deepEqual(look()?.servers.map(({ up }) => up), [true, true, true])
    await queue.accept(aMessage())
    const holds = (server: QueueServer): boolean => server.up && server.memoryBytes > 1_000_000 && server.storageBytes > 0
    await until('the mail on each', () => look()?.servers.every(holds) === true, 30_000)
    assert.ok(look()!.servers.reduce((sum, server) => sum + (server.up ? server.connections : 0), 0) >= 2)
    await nats.kill(1)
    await until('one down', () => look()?.servers[1]?.up === false, 30_000)
    await until('its copy missing', () => look()?.replicas?.current === 2, 60_000)
  } finally {
    await queue.close()
    await stream.close()
    await nats.stop()
  }
})

test('a pod is called by the 1st label of its host name, a bare address by host and port', async () => {
  const servers = createServers({ stream: { api: () => Promise.resolve(undefined) }, name: 's', monitorUrls: ['http://main-queue-0.main-queue.mail.svc.invalid:8222', 'http://127.0.0.1:1'], clock: { monotonic: () => 0 } })
  servers()
  await until('both asked', () => servers() !== undefined, 60_000)
  assert.deepEqual(servers(), { servers: [{ name: 'main-queue-0', up: false, stuck: false }, { name: '127.0.0.1:1', up: false, stuck: false }], replicas: undefined })
})

/** As a nats-server 2.15.1 after a purge on a full disk, but for what it says of itself. */
const silentServer = async (t: TestContext, health: (path: string) => object | undefined): Promise<string> => {
  const server = createServer(({ url }, response) => {
    const said = url === '/jsz' ? undefined : health(url!)
    if (said !== undefined) response.end(JSON.stringify(said))
  })
  t.after(() => closed(server))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('of 4 servers that say nothing of their streams those 2 are stuck whose liveness probe is content: not who has turned JetStream off, nor who says nothing at all', async (t) => {
  const isLiveness = (path: string): boolean => path === '/healthz?js-enabled-only=true'
  const monitorUrls = await Promise.all([
    silentServer(t, () => ({ status: 'ok' })),
    silentServer(t, (path) => (isLiveness(path) ? { status: 'ok' } : undefined)), // seen where it led the stream
    silentServer(t, (path) => (isLiveness(path) ? { status: 'unavailable', error: 'JetStream is not enabled' } : {})),
    silentServer(t, () => undefined),
  ])
  const servers = createServers({ stream: { api: () => Promise.resolve(undefined) }, name: 's', monitorUrls, clock: { monotonic: () => 0 } })
  servers()
  await until('all asked', () => servers() !== undefined, 120_000)
  assert.deepEqual(servers()!.servers.map((server) => !server.up && server.stuck), [true, true, false, false])
})

/** Its monitoring port answers everything with these octets. */
const babbler = async (t: TestContext, status: number, text: string): Promise<string> => {
  const server = createServer((_, response) => void response.writeHead(status).end(text))
  t.after(() => closed(server))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('of 8 servers whose monitoring port says what is no answer of a nats-server, 0 are up and 0 are stuck, and the process lives', async (t) => {
  const words = ['null', '[]', '{}', '"ok"', '{"mem":"much"}', '<html>', '']
  const monitorUrls = await Promise.all([...words.map((text) => babbler(t, 200, text)), babbler(t, 502, '{"mem":1,"connections":1,"storage":1,"status":"ok"}')])
  const servers = createServers({ stream: { api: () => Promise.resolve(JSON.parse('null') as undefined) }, name: 's', monitorUrls, clock: { monotonic: () => 0 } })
  servers()
  await until('all asked', () => servers() !== undefined, 60_000)
  assert.deepEqual(servers()!.servers.map((server) => [server.up, !server.up && server.stuck]), monitorUrls.map(() => [false, false]))
  assert.equal(servers()!.replicas, undefined)
})

test('of 2 servers whose /jsz is silent 0 are stuck where the liveness probe gets what is no answer', async (t) => {
  const monitorUrls = await Promise.all([silentServer(t, () => null as unknown as object), silentServer(t, () => ['ok'])])
  const servers = createServers({ stream: { api: () => Promise.resolve(undefined) }, name: 's', monitorUrls, clock: { monotonic: () => 0 } })
  servers()
  await until('all asked', () => servers() !== undefined, 120_000)
  assert.deepEqual(servers()!.servers.map((server) => server.up || server.stuck), [false, false])
})

test('a server that has turned JetStream off is 1 that is not up: it holds no copy', async (t) => {
  const servers = createServers({ stream: { api: () => Promise.resolve(undefined) }, name: 's', monitorUrls: [await babbler(t, 200, '{"mem":1,"connections":1,"storage":0,"disabled":true}')], clock: { monotonic: () => 0 } })
  servers()
  await until('it was asked', () => servers() !== undefined, 60_000)
  assert.deepEqual(servers()!.servers.map((server) => [server.up, !server.up && server.stuck]), [[false, false]])
})

test('copies: 1 of a server alone; of 3 with one behind and one away, 1 is current; without a leader 0 are sure', () => {
  assert.deepEqual(replicasIn({ config: {} }), { current: 1, offline: 0, behind: 0 })
  assert.deepEqual(replicasIn({ cluster: { leader: 'n0', replicas: [{ current: false }, { current: false, offline: true }] } }), { current: 1, offline: 1, behind: 1 })
  assert.deepEqual(replicasIn({ cluster: { replicas: [{ current: true }, { current: true }] } }), { current: 2, offline: 0, behind: 1 })
  assert.equal(replicasIn({ error: { code: 503 } }), undefined)
})
