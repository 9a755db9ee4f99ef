import assert from 'node:assert/strict'
import { it } from 'node:test'
import { applyObject, Cache, createKube, listWatch, openAccess, type KubeError, type KubeObject, type Resource } from '../../operator/kube/index.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks, startApiServer } from './tools/api-server.ts'
import { soak } from './tools/soak.ts'

it('3 caches on an API server in trouble for half a minute miss 0 changes, and need 0 lists in pages', { skip: apiServerLacks().join('; ') || false, timeout: 230_000 }, async (t) => {
  const said: string[] = []
  const result = await soak({ seconds: 16, roundSeconds: 8, writesPerSecond: 40, seed: 6, say: (line) => said.push(line) })
  t.diagnostic(said.join('\n'))
  assert.ok(result.writes > 20, `only ${result.writes} changes were written`)
  assert.ok(result.told > result.writes, 'the caches were told nothing')
  assert.deepEqual(Object.keys(result.troubles).slice(0, 2), ['killed', 'frozen'])
  assert.equal(result.missed, 0)
  assert.equal(result.pages, 0, 'the watches are to begin with all there is')
})

it('a cache begins anew when etcd is put back to a backup 201 versions older, and is told of 1 object that is gone, 1 that is as it was, and 1 change after it', { skip: apiServerLacks().join('; ') || false, timeout: 230_000 }, async (t) => {
  const api = await startApiServer()
  t.after(() => api.stop())
  const kube = createKube(await openAccess(api.kubeconfig))
  const maps: Resource = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true }
  const put = (name: string, value: string): Promise<KubeObject> => applyObject(kube, maps, { metadata: { name, namespace: 'default' }, data: { value } })
  const [cache, troubles, end] = [new Cache(), [] as KubeError[], new AbortController()]
  const valueOf = (name: string): unknown => (cache.get(`default/${name}`)?.data as { value: string } | undefined)?.value
  await put('kept', 'before')
  const restore = await api.backUp()
  const ended = listWatch({ kube, resource: maps, namespace: 'default', feed: cache, onTrouble: (error) => void troubles.push(error) }, end.signal)
  t.after(async () => (end.abort(), ended))
  for (let n = 0; n < 200; n++) await put('kept', `lost ${n}`)
  await put('lost', 'lost')
  await until('what will be lost', () => valueOf('kept') === 'lost 199' && valueOf('lost') === 'lost')
  await restore()
  await until('what was before', () => valueOf('kept') === 'before' && valueOf('lost') === undefined, 60_000)
  await put('kept', 'after')
  await until('a change after it', () => valueOf('kept') === 'after', 60_000)
  assert.equal(troubles.filter(({ message }) => /^watch of configmaps: the server went back from version \d+ to \d+,/.test(message)).length, 1)
})
