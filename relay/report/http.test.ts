import assert from 'node:assert/strict'
import { get } from 'node:http'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { until } from '../../test/tools/until.ts'
import { createMetrics } from './metrics.ts'
import { startHttp } from './http.ts'

const notReady = { host: '127.0.0.1', port: 0, readiness: () => ({ ready: false, reason: 'no queue' }), beforeScrape: () => {}, status: () => Promise.resolve({ revision: 'r1' }) }

test('the 4 pages answer GET and, without a body, HEAD; a relay that is not ready answers 503 with why; anything else gets 404 and their names', async (t) => {
  const pages = await startHttp({ ...notReady, metrics: createMetrics() })
  t.after(() => pages.close())
  const ask = async (method: string, path: string): Promise<[number, string]> => {
    const answer = await fetch(`http://127.0.0.1:${pages.port}${path}`, { method })
    return [answer.status, (await answer.text()).split('\n')[0]!]
  }
  const heads = await Promise.all(['/metrics', '/healthz', '/status', '/readyz'].map((path) => ask('HEAD', path)))
  assert.deepEqual(heads, [[200, ''], [200, ''], [200, ''], [503, '']])
  assert.deepEqual(await Promise.all([ask('GET', '/healthz?verbose'), ask('GET', '/readyz'), ask('GET', '/status')]), [[200, 'ok'], [503, 'no queue'], [200, '{"revision":"r1"}']])
  const nothing = [404, 'here are /metrics, /healthz, /status, /readyz']
  assert.deepEqual([await ask('GET', '/'), await ask('POST', '/healthz')], [nothing, nothing])
})

test('of 60 connections from one address that say nothing 10 are closed at once, another address gets its answer, and so does the first when they are gone', async (t) => {
  const pages = await startHttp({ ...notReady, metrics: createMetrics() })
  t.after(() => pages.close())
  const gone = new Set<number>()
  const sockets = Array.from({ length: 60 }, (_, number): Socket => connect({ port: pages.port, host: '127.0.0.1', localAddress: '127.0.0.2' }).on('error', () => {}).once('close', () => gone.add(number)).resume())
  await until('10 to be closed', () => gone.size >= 10)
  const code = (from: string): Promise<number | undefined> => new Promise((resolve) => get({ port: pages.port, host: '127.0.0.1', path: '/healthz', localAddress: from, agent: false }, (answer) => resolve(answer.resume().statusCode)).once('error', () => resolve(undefined)))
  assert.deepEqual([gone.size, await code('127.0.0.1'), await code('127.0.0.2')], [10, 200, undefined])
  for (const socket of sockets) socket.destroy()
  await until('the first address to be answered', async () => (await code('127.0.0.2')) === 200)
})
