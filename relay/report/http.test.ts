import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from './metrics.ts'
import { startHttp } from './http.ts'

test('the 4 pages answer GET and, without a body, HEAD; a relay that is not ready answers 503 with why; anything else gets 404 and their names', async (t) => {
  const pages = await startHttp({ host: '127.0.0.1', port: 0, metrics: createMetrics(), readiness: () => ({ ready: false, reason: 'no queue' }), beforeScrape: () => {}, status: () => Promise.resolve({ revision: 'r1' }) })
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
