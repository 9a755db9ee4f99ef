import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { AnyManifest } from '../../crds/index.ts'
import { maxSnapshotBytes, toParts, type Snapshot, type SnapshotInput } from '../../relay/snapshot/index.ts'
import { snapshotSecrets } from './objects/snapshot-secrets.ts'
import { titleOf } from './input.ts'
import { fit } from './fit.ts'
import type { RelayView } from './view.ts'

type Given = { readonly namespace: string; readonly bytes: number; readonly kind?: 'RelayPolicy' }
const relay = { kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail' } }

/** Objects of these sizes, each newer than the one before it. */
const worldOf = (given: readonly Given[]): { view: RelayView; snapshot: SnapshotInput; sizes: Map<string, number> } => {
  const objects = given.map(({ namespace, kind = 'DeliveryRoute' }, n) => ({ kind, metadata: { name: `n${n}`, namespace, creationTimestamp: new Date(n * 1000).toISOString() }, spec: {} }) as unknown as AnyManifest)
  const entries = objects.map((object, n) => {
    const bare = { manifest: titleOf(object), nextHops: [], name: '' }
    return { ...bare, name: 'x'.repeat(Math.max(0, given[n]!.bytes - JSON.stringify(bare).length - 1)) }
  })
  const [routes, policies] = [objects.filter(({ kind }) => kind === 'DeliveryRoute'), objects.filter(({ kind }) => kind === 'RelayPolicy')]
  const of = (some: readonly AnyManifest[]) => {
    const titles = new Set(some.map(titleOf))
    return entries.filter(({ manifest }) => titles.has(manifest))
  }
  return {
    view: { relay, listeners: [], domains: [], senders: [], policies: policies.map((policy) => ({ policy, targets: [] })), routes } as unknown as RelayView,
    snapshot: { version: 1, relay: {}, listeners: [], schedules: [], routes: of(routes), policies: of(policies) } as unknown as SnapshotInput,
    sizes: new Map(entries.map((entry) => [entry.manifest, Buffer.byteLength(JSON.stringify(entry)) + 1])),
  }
}
const emptyBytes = Buffer.byteLength(JSON.stringify({ version: 1, relay: {}, listeners: [], schedules: [] })) + 1 + 3
/** Names of the objects that are left out of a snapshot with room for so many bytes of objects. */
const leftOut = (given: readonly Given[], whole: number): string[] => {
  const { view, snapshot } = worldOf(given)
  return fit(snapshot, view, { whole: whole + emptyBytes, part: 500_000 }).tooBig.map(({ object }) => object.metadata.name).toSorted()
}

describe('a snapshot that is too big', () => {
  it('leaves out the 2 newest of the namespace that takes most, and not what a small one has made since', () => {
    const given: Given[] = [...[1, 2, 3, 4].map(() => ({ namespace: 'big', bytes: 2_000 })), { namespace: 'small', bytes: 1_000 }, { namespace: 'mail', bytes: 1_500 }]
    assert.deepEqual(leftOut(given, 7_000), ['n2', 'n3'])
    const { view, snapshot } = worldOf(given)
    const [first] = fit(snapshot, view, { whole: 7_000 + emptyBytes, part: 500_000 }).tooBig
    assert.match(first!.violation.message, /the namespace that takes most of them gives way first, .* this one is of namespace big/)
  })
  it('takes in again what fits beside the 1 large object that gave way', () => {
    assert.deepEqual(leftOut([{ namespace: 'big', bytes: 3_000 }, { namespace: 'big', bytes: 3_000 }, { namespace: 'big', bytes: 500 }, { namespace: 'small', bytes: 1_000 }], 5_000), ['n1'])
  })
  it('keeps the newest policy of the relay’s own namespace, though that takes most', () => {
    assert.deepEqual(leftOut([{ namespace: 'mail', bytes: 2_000 }, { namespace: 'mail', bytes: 2_000 }, { namespace: 'small', bytes: 1_000 }, { namespace: 'mail', bytes: 500, kind: 'RelayPolicy' }], 4_000), ['n1'])
  })

  const some = fc.array(fc.record({ namespace: fc.constantFrom('a', 'b', 'c', 'mail'), bytes: fc.integer({ min: 100, max: 3_000 }) }), { maxLength: 30 })
  it('fits afterwards, leaves out nothing that would fit, and nothing of a namespace that takes no more than its share', () => {
    fc.assert(fc.property(some, fc.integer({ min: 1_000, max: 30_000 }), (given, whole) => {
      const { sizes } = worldOf(given)
      const out = new Set(leftOut(given, whole))
      const all = given.map(({ namespace }, n) => ({ namespace, name: `n${n}`, bytes: sizes.get(`DeliveryRoute ${namespace}/n${n}`)! }))
      const sum = (list: typeof all): number => list.reduce((total, { bytes }) => total + bytes, 0)
      const used = sum(all.filter(({ name }) => !out.has(name)))
      assert.ok(used <= whole)
      for (const one of all) if (out.has(one.name)) assert.ok(used + one.bytes > whole, `${one.name} would fit`)
      const namespaces = Map.groupBy(all, ({ namespace }) => namespace)
      for (const list of namespaces.values()) if (sum(list) <= whole / namespaces.size) assert.deepEqual(list.filter(({ name }) => out.has(name)), [])
    }))
  })
  it('loses nothing of a namespace that takes least when another makes one object more', () => {
    fc.assert(fc.property(some, fc.integer({ min: 5_000, max: 30_000 }), fc.integer({ min: 100, max: 3_000 }), (given, whole, bytes) => {
      const least: Given = { namespace: 'least', bytes: 400 } // a fifth of 5,000 and more is its share
      assert.ok(!leftOut([least, ...given, { namespace: 'a', bytes }], whole).includes('n0'))
    }))
  })
})

it('whatever fits 8 MiB fits 16 Secrets of 1 MiB: 16 objects of 510 KB, 31 of 257 KiB, 6,000 of 1 KB, and 100 others', () => {
  const fits = (bytes: readonly number[]): void => {
    const { view, snapshot } = worldOf(bytes.map((one) => ({ namespace: 'mail', bytes: one })))
    const fitted = { ...fit(snapshot, view).snapshot, senders: [], domains: [], certificates: [] } as unknown as Snapshot
    const secrets = snapshotSecrets({ metadata: { name: 'main', namespace: 'mail' } } as never, fitted)
    assert.ok(secrets.length <= 16)
    for (const { object } of secrets) assert.ok(Object.values(object.data as Record<string, string>).reduce((sum, text) => sum + Buffer.from(text, 'base64').length, 0) <= 2 ** 20)
    assert.equal(secrets.reduce((count, { object }) => count + Object.keys(object.data as object).length, 0), toParts(fitted).parts.size + 1)
  }
  assert.ok(16 * 510_000 < maxSnapshotBytes)
  for (const bytes of [Array<number>(16).fill(510_000), Array<number>(31).fill(257 * 1024), Array<number>(6_000).fill(1_000)]) fits(bytes)
  fc.assert(fc.property(fc.array(fc.integer({ min: 50_000, max: 520_000 }), { minLength: 20, maxLength: 60 }), (bytes) => fits(bytes)), { numRuns: 20 })
})
