import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { withFakeKube, type Fault } from '../../test/tools/fake-kube.ts'
import { until } from '../../test/tools/until.ts'
import { applyObject, createKube, KubeError, pathOf, readOne, type KubeObject, type Resource } from './index.ts'

const things: Resource = { group: 'test.example', version: 'v1', kind: 'Thing', plural: 'things', namespaced: true }
const path = pathOf(things, { namespace: 'mail' })
const thing = (name: string, value = 0): KubeObject => ({ metadata: { name, namespace: 'mail' }, spec: { value } })

describe('a request', () => {
  it('for which no credentials could be read is sent when they can, and is else no answer, not a fault of who asked', async (t) => {
    const { server } = await withFakeKube(t)
    let reads = 0
    const access = (good: number) => ({ server: server.url, prepare: () => (++reads >= good ? Promise.resolve({ headers: {} }) : Promise.reject(new Error('ENOENT: token'))) })
    await applyObject(createKube(access(2), { random: () => 0 }), things, thing('a'))
    assert.equal(server.objects(path).length, 1)
    await assert.rejects(createKube(access(Infinity), { random: () => 0 }).call({ path, tries: 2 }), (error) => error instanceof KubeError && error.reason === 'NoAnswer' && /ENOENT/.test(error.message))
  })
  const once = (fault: Fault): ((request: { count: number }) => Fault) => ({ count }) => (count === 1 ? fault : undefined)
  for (const fault of [{ status: 429, retryAfter: 0 }, { status: 500 }, { status: 503 }, { status: 504 }, 'reset', 'half', 'no json'] as const) {
    it(`is sent a 2nd time after ${JSON.stringify(fault)}`, async (t) => {
      const { server, kube } = await withFakeKube(t)
      server.put(path, thing('a', 7))
      server.fault = once(fault)
      assert.deepEqual((await readOne(kube, things, { namespace: 'mail', name: 'a' }))?.spec, { value: 7 })
      assert.equal(server.requests.length, 2)
    })
  }
  it('waits for as long as Retry-After says, here 1 s', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.put(path, thing('a'))
    server.fault = once({ status: 429, retryAfter: 1 })
    const began = performance.now()
    await readOne(kube, things, { namespace: 'mail', name: 'a' })
    assert.ok(performance.now() - began >= 990)
  })
  it('that is a write is not sent again after 500 that took 5 s: it is a webhook that hangs, and others wait', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.fault = () => ({ status: 500, afterMs: 5_050 })
    await assert.rejects(applyObject(kube, things, thing('a')), { status: 500 })
    assert.equal(server.requests.length, 1)
  })
  it('gives up after 5 tries with the words of the server', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.fault = () => ({ status: 503 })
    await assert.rejects(kube.call({ path }), (error: KubeError) => error.status === 503 && /GET .*things: made to say/.test(error.message))
    assert.equal(server.requests.length, 5)
  })
  it('without an answer ends at its time-out of 100 ms', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.fault = () => 'hang'
    await assert.rejects(kube.call({ path, timeoutMs: 100, tries: 1 }), (error: KubeError) => error.status === 0 && /in time/.test(error.message))
  })
  it('whose name DNS says nothing of, so that 0 connections are begun, ends at its time-out of 100 ms all the same', async () => {
    const kube = createKube({ server: new URL('http://api.example'), prepare: () => Promise.resolve({ headers: {}, lookup: () => {} }) })
    const began = performance.now()
    await assert.rejects(kube.call({ path, timeoutMs: 100, tries: 1 }), (error: KubeError) => error.status === 0 && /in time/.test(error.message))
    assert.ok(performance.now() - began < 20_000) // not 30 s, which is usual
  })
  it('is answered at its 2nd try though all 6 connections that were kept are dead without a word, as after the end of 1 API server of several', async (t) => {
    const { server } = await withFakeKube(t)
    server.put(path, thing('a'))
    const agent = new Agent({ keepAlive: true, maxFreeSockets: 10 })
    const mute = new Set<Socket>()
    const between = createServer((client) => {
      const onward = connect(Number(server.url.port), '127.0.0.1')
      client.on('data', (piece) => void (mute.has(client) || onward.write(piece))).on('close', () => onward.destroy()).on('error', () => {})
      onward.on('data', (piece) => client.write(piece)).on('error', () => {})
      sockets.add(client)
    })
    const sockets = new Set<Socket>()
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve))
    t.after(() => (agent.destroy(), sockets.forEach((socket) => socket.destroy()), between.close()))
    const kube = createKube({ server: new URL(`http://127.0.0.1:${(between.address() as AddressInfo).port}`), prepare: () => Promise.resolve({ headers: {}, agent }) }, { random: () => 0 })
    await Promise.all(Array.from({ length: 6 }, () => kube.call({ path })))
    await until('6 kept connections', () => Object.values(agent.freeSockets).flat().length === 6)
    for (const socket of sockets) mute.add(socket)
    await kube.call({ path, timeoutMs: 2_000, tries: 2 }) // the 1st try takes as long as that; the 2nd has to be answered in it, also where this process stands still
    assert.equal(sockets.size, 7)
  })
  for (const status of [400, 401, 403, 404, 409, 410, 422]) {
    it(`is not sent again after ${status}`, async (t) => {
      const { server, kube } = await withFakeKube(t)
      server.fault = () => ({ status })
      await assert.rejects(kube.call({ path }), (error: KubeError) => error.status === status)
      assert.equal(server.requests.length, 1)
    })
  }
  it('that is a POST is sent again after 429, which did nothing, and 0 times after a lost answer, which may have', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.fault = once({ status: 429, retryAfter: 0 })
    await kube.call({ method: 'POST', path, body: thing('new') })
    server.fault = ({ count }) => (count === 3 ? 'reset' : undefined)
    await assert.rejects(kube.call({ method: 'POST', path, body: thing('newer') }), KubeError)
    assert.equal(server.requests.length, 3)
  })
})
