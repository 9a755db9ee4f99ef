import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heapMegabytes } from '../../test/tools/heap.ts'
import { Sites } from './sites.ts'

const way = { kind: 'mx' } as const

test('60,000 domains with 20 MX hosts of 250 letters each are remembered in less than 80 MB, the latest last', () => {
  const sites = new Sites()
  const hosts = (domain: number): string[] => Array.from({ length: 20 }, (_, n) => `${'x'.repeat(230)}${domain}.mx${n}.example`)
  const before = heapMegabytes()
  for (let n = 0; n < 60_000; n++) sites.learn(`d${n}.example`, hosts(n))
  const grown = heapMegabytes() - before
  assert.ok(grown < 80, `${grown.toFixed(1)} MB`)
  assert.deepEqual([sites.nameOf(way, 'd0.example'), sites.nameOf(way, 'd59999.example').startsWith('mx xxx')], ['d0.example', true])
})

test('2 domains with the same 20 MX hosts, named in another order, are 1 site, however long their names are; another host makes another', () => {
  const sites = new Sites()
  const hosts = Array.from({ length: 20 }, (_, n) => `${'x'.repeat(200)}.mx${n}.example`)
  sites.learn('a.example', hosts)
  sites.learn('b.example', hosts.toReversed())
  sites.learn('c.example', [...hosts.slice(1), 'other.example'])
  assert.equal(new Set(['a.example', 'b.example', 'c.example'].map((domain) => sites.nameOf(way, domain))).size, 2)
})
