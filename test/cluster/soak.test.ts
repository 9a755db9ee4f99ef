import assert from 'node:assert/strict'
import { it } from 'node:test'
import { apiServerLacks } from './tools/api-server.ts'
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
