import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import fc from 'fast-check'
import { comingOf, nextSelector, signingOf, stepRotation, usualOverlapMs, type Given, type KeptKey, type Rotation } from './dkim-rotation.ts'

const day = 86_400_000
const start = Date.parse('2026-11-02T00:00:00Z')
const rotation: Rotation = { everyMs: 90 * day, overlapMs: 7 * day }

/** One look of the operator: a step, and the key that it asks for, the same each time, as the worst. `used`: selectors of keys that are forgotten. */
const look = (given: Given, used: Iterable<string> = []): readonly KeptKey[] => {
  const { keys, make } = stepRotation(given)
  if (make === undefined) return keys
  return [...keys, { selector: nextSelector([...given.keys.map(({ selector }) => selector), ...used], given.selectorPrefix, 'rsa', 'AAAA', given.now), madeAt: given.now, ...(make === 'first' && { signsFrom: given.now }) }]
}

const at = (days: number): number => start + days * day

describe('the rotation of DKIM keys every 90 days with 7 days of overlap', () => {
  const published = new Set<string>()
  let keys: readonly KeptKey[] = []
  const on = (days: number): [signs: string | undefined, comes: string | undefined, count: number] => {
    keys = look({ keys, rotation, selectorPrefix: 'ph', now: at(days), seen: (selector) => published.has(selector) })
    return [signingOf(keys)?.selector, comingOf(keys)?.selector, keys.length]
  }
  const steps: readonly (readonly [title: string, days: number, publish: string | undefined, expected: ReturnType<typeof on>])[] = [
    ['makes the very first key, which signs without being seen', 0, undefined, ['ph-rsa-202611-73649557', undefined, 1]],
    ['makes none on day 82', 82, undefined, ['ph-rsa-202611-73649557', undefined, 1]],
    ['makes the next on day 83', 83, undefined, ['ph-rsa-202611-73649557', 'ph-rsa-202701-73649557', 2]],
    ['goes on with the first on day 200 while the next is not seen, and makes no third', 200, undefined, ['ph-rsa-202611-73649557', 'ph-rsa-202701-73649557', 2]],
    ['signs with the next as soon as it is seen, on day 201', 201, 'ph-rsa-202701-73649557', ['ph-rsa-202701-73649557', undefined, 2]],
    ['keeps the first for 7 days after', 207, undefined, ['ph-rsa-202701-73649557', undefined, 2]],
    ['forgets the first on day 208', 208, undefined, ['ph-rsa-202701-73649557', undefined, 1]],
    ['makes a third on day 284', 284, undefined, ['ph-rsa-202701-73649557', 'ph-rsa-202708-73649557', 2]],
    ['does not sign with it on day 285 though it is seen: it is not due', 285, 'ph-rsa-202708-73649557', ['ph-rsa-202701-73649557', 'ph-rsa-202708-73649557', 2]],
    ['signs with it on day 291', 291, undefined, ['ph-rsa-202708-73649557', undefined, 2]],
    ['changes nothing when the clock goes back 100 days', 191, undefined, ['ph-rsa-202708-73649557', undefined, 2]],
    ['and rotates 90 days after that, not 190', 191 + 83, undefined, ['ph-rsa-202708-73649557', 'ph-rsa-202708-73649558', 3]],
  ]
  for (const [title, days, publish, expected] of steps) {
    it(title, () => {
      if (publish !== undefined) published.add(publish)
      assert.deepEqual(on(days), expected)
    })
  }
})

describe('without rotation', () => {
  it('the first key signs for 10 years', () => assert.deepEqual(signingOf(look({ keys: look({ keys: [], selectorPrefix: 'ph', now: at(0) }), selectorPrefix: 'ph', now: at(3653) }))?.selector, 'ph-rsa-202611-73649557'))
  it('a prefix that comes back 8 days later gets another selector of the same month: the first is forgotten, and a resolver may not have', () => {
    let keys: readonly KeptKey[] = []
    const used = new Set<string>()
    const on = (days: number, selectorPrefix: string): void => {
      keys = look({ keys, selectorPrefix, now: at(days), seen: () => true }, used)
      for (const { selector } of keys) used.add(selector)
    }
    for (const [days, prefix] of [[0, 'ph'], [1, 'mta'], [1, 'mta'], [9, 'ph'], [9, 'ph']] as const) on(days, prefix)
    assert.deepEqual(keys.map(({ selector }) => selector), ['mta-rsa-202611-73649557', 'ph-rsa-202611-73649558'])
  })
  it('another prefix makes a key that signs when it is seen; where nobody looks, after 7 days', () => {
    const first = look({ keys: [], selectorPrefix: 'ph', now: at(0) })
    const made = look({ keys: first, selectorPrefix: 'mta', now: at(1) })
    assert.deepEqual([signingOf(made)?.selector, comingOf(made)?.selector], ['ph-rsa-202611-73649557', 'mta-rsa-202611-73649557'])
    const signs = (given: Partial<Given>) => signingOf(look({ keys: made, selectorPrefix: 'mta', now: at(1), ...given }))?.selector
    assert.deepEqual([signs({ seen: () => false, now: at(400) }), signs({ seen: () => true }), signs({ now: at(1) + usualOverlapMs - 1 }), signs({ now: at(1) + usualOverlapMs })], ['ph-rsa-202611-73649557', 'mta-rsa-202611-73649557', 'ph-rsa-202611-73649557', 'mta-rsa-202611-73649557'])
  })
})

test('selectors of 2 keys made in one month by who knows of none before differ, are read by a release before, and fit a DNS label with the longest prefix', () => {
  const selectors = ['A', 'B'].map((publicPart) => nextSelector([], 'p'.repeat(30), 'ed25519', publicPart, start))
  assert.notEqual(selectors[0], selectors[1])
  for (const selector of selectors) {
    assert.match(selector, /^[a-z0-9-]+-ed25519-[0-9]{6}(?:-[0-9]+)?$/)
    assert.ok(selector.length <= 63)
  }
})

describe('keys that somebody touched', () => {
  it('a key made 1 ms ahead of a clock that went back begins once: a second look changes nothing', () => {
    const given: Given = { keys: [{ selector: 'ph-rsa-202610', madeAt: at(-100), signsFrom: at(-100) }, { selector: 'ph-rsa-202611', madeAt: at(0) + 1 }], rotation, selectorPrefix: 'ph', now: at(0), seen: () => true }
    const { keys } = stepRotation(given)
    assert.equal(signingOf(keys)?.selector, 'ph-rsa-202611')
    assert.deepEqual(stepRotation({ ...given, keys }), { keys })
  })
  it('2 that would sign: the younger does, the other leaves', () => {
    const keys = stepRotation({ keys: [{ selector: 'ph-rsa-202610', madeAt: at(-30), signsFrom: at(-30) }, { selector: 'ph-rsa-202611', madeAt: at(0), signsFrom: at(0) }], selectorPrefix: 'ph', now: at(1) }).keys
    assert.deepEqual([signingOf(keys)?.selector, keys[0]!.leftAt], ['ph-rsa-202611', at(0)])
  })
  it('1 that has never signed, the signing one being gone: it is the only one, and signs', () => {
    assert.equal(signingOf(stepRotation({ keys: [{ selector: 'ph-rsa-202611', madeAt: at(0) }], selectorPrefix: 'ph', now: at(1), seen: () => false }).keys)?.selector, 'ph-rsa-202611')
  })
})

type World = { keys: readonly KeptKey[]; now: number; published: Set<string>; rotation: Rotation | undefined; prefix: string }
type Happening = { readonly kind: 'time'; readonly days: number } | { readonly kind: 'publish' | 'unpublish' } | { readonly kind: 'rotation'; readonly every: number; readonly overlap: number } | { readonly kind: 'no-rotation' } | { readonly kind: 'prefix'; readonly prefix: string }

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('time' as const), days: fc.double({ min: 0, max: 40, noNaN: true }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('time' as const), days: fc.double({ min: -400, max: 0, noNaN: true }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('publish' as const, 'unpublish' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rotation' as const), every: fc.integer({ min: 1, max: 100 }), overlap: fc.integer({ min: 1, max: 100 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('no-rotation' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('prefix' as const), prefix: fc.constantFrom('ph', 'mta', 'a-b') }) },
)

const happen = (world: World, event: Happening): void => {
  if (event.kind === 'time') world.now += event.days * day
  if (event.kind === 'publish') for (const { selector } of world.keys) world.published.add(selector)
  if (event.kind === 'unpublish') world.published.clear()
  if (event.kind === 'rotation') world.rotation = { everyMs: event.every * day, overlapMs: Math.min(event.overlap, event.every) * day }
  if (event.kind === 'no-rotation') world.rotation = undefined
  if (event.kind === 'prefix') world.prefix = event.prefix
}

describe('whatever happens, in 2,000 lives of up to 60 events each, the clock going back among them', () => {
  it('1 key signs and at most 1 comes; none signs unseen but the very first; none is changed before it is due; no selector is used twice; what leaves stays for the overlap', () => {
    fc.assert(fc.property(fc.array(happening, { maxLength: 60 }), (events) => {
      const world: World = { keys: [], now: start, published: new Set(), rotation, prefix: 'ph' }
      const used = new Set<string>()
      for (const event of [{ kind: 'time', days: 0 } as const, ...events]) {
        happen(world, event)
        const before = world.keys
        const given: Given = { keys: before, rotation: world.rotation, selectorPrefix: world.prefix, now: world.now, seen: (selector) => world.published.has(selector) }
        const after = look(given, used)
        holds(given, after, used)
        assert.deepEqual(stepRotation({ ...given, keys: after }), { keys: after }, 'a second look changes nothing')
        world.keys = after
      }
    }), { numRuns: 2000 })
  })
})

const holds = ({ keys: before, rotation: said, selectorPrefix, now, seen }: Given, after: readonly KeptKey[], used: Set<string>): void => {
  assert.equal(after.filter(({ signsFrom, leftAt }) => signsFrom !== undefined && leftAt === undefined).length, 1, 'one signs')
  assert.ok(after.filter(({ signsFrom }) => signsFrom === undefined).length <= 1, 'one rotation at a time')
  const [old, current] = [signingOf(before), signingOf(after)!]
  if (old !== undefined && old.selector !== current.selector) {
    assert.ok(seen!(current.selector), 'it was seen')
    assert.equal(comingOf(before)?.selector, current.selector, 'it was the one to come')
    const isOfOldPrefix = !old.selector.startsWith(`${selectorPrefix}-rsa-`)
    assert.ok(said === undefined || isOfOldPrefix || now >= Math.min(old.signsFrom!, now) + said.everyMs, 'it was due')
  }
  for (const { selector } of after.filter((key) => !before.some((one) => one.selector === key.selector))) {
    assert.ok(!used.has(selector), `${selector} is new`)
    used.add(selector)
  }
  for (const gone of before.filter((key) => !after.some((one) => one.selector === key.selector)))
    assert.ok(gone.leftAt !== undefined && now >= gone.leftAt + (said?.overlapMs ?? usualOverlapMs), 'only what has left goes, after the overlap')
}
