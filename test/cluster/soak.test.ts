import assert from 'node:assert/strict'
import { it } from 'node:test'
import { apiServerLacks } from './tools/api-server.ts'
import { soak } from './tools/soak.ts'

it('3 caches on an API server in trouble for half a minute miss 0 changes', { skip: apiServerLacks().join('; ') || false, timeout: 230_000 }, async (t) => {
  const said: string[] = []
  const result = await soak({ seconds: 25, roundSeconds: 8, writesPerSecond: 40, seed: 5, say: (line) => said.push(line) })
  t.diagnostic(said.join('\n'))
  assert.ok(result.writes > 200, `only ${result.writes} changes were written`)
  assert.ok(result.told > result.writes, 'the caches were told nothing')
  assert.ok(Object.keys(result.troubles).some((kind) => kind !== 'none'), 'there was no trouble')
  assert.equal(result.missed, 0)
})
