import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { mostPublic, trustTooMany, widthFault } from './allow-sources.ts'

const table: readonly (readonly [source: string, trusted: boolean])[] = [
  ['10.0.0.0/8', true],
  ['10.0.0.0/7', false],
  ['172.16.0.0/12', true],
  ['172.0.0.0/8', false],
  ['192.168.0.0/16', true],
  ['192.168.0.0/15', false],
  ['203.0.113.0/24', true],
  ['203.0.112.0/23', false],
  ['203.0.113.9/32', true],
  ['0.0.0.0/0', false],
  ['0.0.0.0/1', false],
  ['128.0.0.0/1', false],
  ['2001:db8::/48', true],
  ['2001:db8::/47', false],
  ['fd00::/32', true],
  ['fc00::/7', false],
  ['::/0', false],
  ['::/1', false],
  ['64:ff9b::/96', false],
  ['64:ff9b::203.0.113.0/120', true],
  ['64:ff9b::a00:0/104', true],
  ['64:ff9b::a00:0/103', false],
]

for (const [source, trusted] of table) test(`${source} ${trusted ? 'may' : 'may not'} be trusted by an Allow rule`, () => assert.equal(widthFault(source) === undefined, trusted, widthFault(source)))

test('0.0.0.0/1 and 128.0.0.0/1 together trust too many, as do ::/1 and 8000::/1', () => {
  assert.equal(trustTooMany(['0.0.0.0/1', '128.0.0.0/1']), true)
  assert.equal(trustTooMany(['::/1', '8000::/1']), true)
})

test('256 public /24 are as many as may be trusted, one address more is too many, and naming one twice adds nothing', () => {
  const most = Array.from({ length: 256 }, (_, n) => `198.51.${n}.0/24`)
  assert.equal(trustTooMany(most), false)
  assert.equal(trustTooMany([...most, ...most, '198.51.7.7/32']), false)
  assert.equal(trustTooMany([...most, '203.0.113.1/32']), true)
})

test('private ranges are not counted, however many', () => assert.equal(trustTooMany(['10.0.0.0/8', '192.168.0.0/16', 'fd00::/32', 'fd01::/32']), false))

const block = fc.tuple(fc.constantFrom(8, 9, 11), fc.integer({ min: 0, max: 1 }), fc.integer({ min: 0, max: 255 })).map(([a, b, c]) => `${a}.${b}.${c}.0/24`)
const within = block.chain((text) => fc.constantFrom(24, 25, 32).map((bits) => text.replace('/24', `/${bits}`)))

test('ranges that overlap and nest are counted as the addresses they hold, counted here one by one', () => {
  const sizes: Record<string, number> = { 24: 256, 25: 128, 32: 1 }
  fc.assert(
    fc.property(fc.array(within, { minLength: 200, maxLength: 600 }), (sources) => {
      const widest = new Map<string, number>() // by block: all begin at its first address
      for (const [block, bits] of sources.map((source) => source.split('/') as [string, string])) widest.set(block, Math.max(widest.get(block) ?? 0, sizes[bits]!))
      const held = [...widest.values()].reduce((sum, size) => sum + size, 0)
      assert.equal(trustTooMany(sources), BigInt(held) > mostPublic[4])
    }),
    { numRuns: 200 },
  )
})

const anyRange = fc.tuple(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 32 })).map(([value, bits]) => ({ text: `${[24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')}/${bits}`, bits }))

test('no range that passes is wider than /8, and none wider than /24 lies outside private space', () => {
  const isPrivate = (text: string) => /^(10|127)\.|^192\.168\.|^172\.(1[6-9]|2[0-9]|3[01])\.|^100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.|^169\.254\./.test(text)
  fc.assert(fc.property(anyRange, ({ text, bits }) => widthFault(text) !== undefined || bits >= (isPrivate(text) ? 8 : 24)), { numRuns: 5000 })
})
