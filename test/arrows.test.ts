// The house's walls: which folder may import which, and through which door.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { describe, it } from 'node:test'

const root = join(import.meta.dirname, '..')

/** Room → rooms it may import. Wiring (relay/*.ts) may import every room of relay. */
const arrows: Record<string, readonly string[]> = {
  crds: [],
  'relay/snapshot': [],
  'relay/decide': ['relay/snapshot'],
  'relay/report': ['relay/snapshot'],
  'relay/dns': ['relay/snapshot', 'relay/report'],
  'relay/queue': ['relay/snapshot', 'relay/report'],
  'relay/notices': ['relay/snapshot', 'relay/queue', 'relay/report'],
  'relay/deliver': ['relay/snapshot', 'relay/queue', 'relay/dns', 'relay/report'],
  'relay/receive': ['relay/snapshot', 'relay/decide', 'relay/queue', 'relay/report'],
  relay: ['relay/snapshot', 'relay/decide', 'relay/queue', 'relay/deliver', 'relay/receive', 'relay/notices', 'relay/dns', 'relay/report'],
  operator: ['relay/snapshot', 'relay/decide', 'relay/dns', 'crds'],
  cli: ['operator', 'relay', 'relay/snapshot', 'relay/decide', 'relay/queue', 'relay/deliver', 'relay/receive', 'relay/dns', 'relay/report', 'crds'],
}

const rooms = Object.keys(arrows).sort((a, b) => b.length - a.length)
const roomOf = (file: string): string | undefined => rooms.find((room) => file.startsWith(`${room}/`))

type Arrow = { readonly from: string; readonly to: string }

const arrowsOf = (file: string): Arrow[] => {
  const text = readFileSync(join(root, file), 'utf8')
  const imports = text.matchAll(/^\s*(?:import|export)\s[^'"]*?from\s+['"](\.[^'"]+)['"]/gms)
  return [...imports].map(([, target]) => ({ from: file, to: relative(root, join(root, dirname(file), target!)).split(sep).join('/') }))
}

const files = globSync(['crds/**/*.ts', 'relay/**/*.ts', 'operator/**/*.ts', 'cli/**/*.ts'], { cwd: root }).filter((file) => !file.endsWith('.test.ts') && !file.endsWith('.types.ts'))
const crossing = files.flatMap(arrowsOf).filter(({ from, to }) => roomOf(to) !== undefined && roomOf(from) !== roomOf(to))

describe('the arrows between folders', () => {
  it('go only where the 12 rooms allow', () => {
    assert.ok(crossing.length > 10, 'found no imports: the reader of imports is broken')
    const wrong = crossing.filter(({ from, to }) => !arrows[roomOf(from)!]!.includes(roomOf(to)!))
    assert.deepEqual(wrong.map(({ from, to }) => `${from} → ${to}`), [])
  })

  it('pass 2 doors at most: index.ts and internal.ts', () => {
    const wrong = crossing.filter(({ to }) => roomOf(to) !== 'relay' && !/\/(index|internal)\.ts$/.test(to))
    assert.deepEqual(wrong.map(({ from, to }) => `${from} → ${to}`), [])
  })

  it('lead from 0 files back to where they came from, types included', () => {
    const next = Map.groupBy(files.flatMap(arrowsOf), ({ from }) => from)
    const walked = new Set<string>()
    const circles: string[] = []
    const walk = (file: string, way: readonly string[]): void => {
      if (way.includes(file)) return void circles.push([...way.slice(way.indexOf(file)), file].join(' → '))
      if (walked.has(file)) return
      for (const { to } of next.get(file) ?? []) walk(to, [...way, file])
      walked.add(file)
    }
    for (const file of files) walk(file, [])
    assert.ok(walked.size > 200, 'walked past too few files: the reader of imports is broken')
    assert.deepEqual(circles, [])
  })

  it('lead from 4 commands that ask a relay neither to its metrics nor to its log, which would be loaded before each answer', () => {
    const loadedBy = (file: string, seen = new Set<string>()): Set<string> => {
      if (seen.has(file)) return seen
      seen.add(file)
      const imports = readFileSync(join(root, file), 'utf8').matchAll(/^(?:import|export)\s(?!type\b)[^'"]*?from\s+['"](\.[^'"]+\.ts)['"]/gms)
      for (const [, target] of imports) loadedBy(relative(root, join(root, dirname(file), target!)).split(sep).join('/'), seen)
      return seen
    }
    for (const command of ['queue', 'status', 'trace', 'found']) {
      const loaded = loadedBy(`cli/${command}.ts`)
      assert.ok(loaded.has('relay/report/admin.ts'), [...loaded].join('\n'))
      assert.deepEqual([...loaded].filter((file) => /^relay\/(report\/(metrics|log)|snapshot\/schema)\.ts$/.test(file)), [], command)
    }
  })
})
