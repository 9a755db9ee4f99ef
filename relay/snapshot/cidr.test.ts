import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anyHolds, countAddresses, holds, isBounded, makeTheWorld, parseAddress, parsePrefix, prefixesIn, printAddress } from './cidr.ts'

const prefixes = (...texts: string[]) => texts.map((text) => parsePrefix(text)!)
const inside = (prefix: string, address: string): boolean => holds(parsePrefix(prefix)!, parseAddress(address)!)

test('reads prefixes and addresses, and nothing that only looks like one', () => {
  for (const text of ['10.0.0.0/8', '10.1.2.3', '::/0', '2001:db8::/48', '::ffff:10.0.0.0/104']) assert.ok(parsePrefix(text), text)
  for (const text of ['', '10.0.0.0/33', '10.0.0/8', '010.0.0.1', '0x7f.1', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/8 ', '::/129', 'fe80::1%eth0', '::ffff:10.0.0.0/95', 'a/8']) assert.equal(parsePrefix(text), undefined, text)
})

test('of 4 texts the 2 that are prefixes count; an address is held by one of them or by none, and what is no address never', () => {
  const some = prefixesIn(['10.0.0.0/8', 'nothing', '2001:db8::/48', '10.0.0.0/33'])
  assert.equal(some.length, 2)
  assert.deepEqual(['10.1.2.3', '2001:db8::9', '192.0.2.1', '', 'mx.example'].map((text) => anyHolds(some, text)), [true, true, false, false, false])
  assert.equal(anyHolds([], '10.1.2.3'), false)
})

test('every address of both families is printed as it is read', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => parseAddress(text)!)
  fc.assert(fc.property(address, (one) => assert.deepEqual(parseAddress(printAddress(one)), one)))
  assert.deepEqual(['192.0.2.1', '2001:db8::1'].map((text) => printAddress(parseAddress(text)!)), ['192.0.2.1', '2001:db8:0:0:0:0:0:1'])
})

test('an IPv4-mapped IPv6 address is its IPv4 address', () => {
  assert.deepEqual(parseAddress('::ffff:192.0.2.1'), parseAddress('192.0.2.1'))
  assert.ok(inside('192.0.2.0/24', '::ffff:192.0.2.9'))
  assert.ok(inside('::ffff:192.0.2.0/120', '192.0.2.9'))
  assert.ok(!inside('::/0', '192.0.2.9'))
})

test('holds exactly the addresses between its first and last', () => {
  assert.ok(inside('192.0.2.128/25', '192.0.2.128'))
  assert.ok(inside('192.0.2.128/25', '192.0.2.255'))
  assert.ok(!inside('192.0.2.128/25', '192.0.2.127'))
  assert.ok(inside('192.0.2.200/25', '192.0.2.130'), 'host bits do not matter')
  assert.ok(inside('2001:db8::/32', '2001:db8:ffff::1'))
  assert.ok(!inside('2001:db8::/32', '2001:db9::1'))
})

const bounded: readonly (readonly [string, boolean])[] = [
  ['10.0.0.0/8', true], ['10.0.0.0/7', false], ['172.16.0.0/12', true], ['192.168.0.0/16', true], ['127.0.0.0/8', true], ['100.64.0.0/10', true],
  ['192.0.2.0/24', true], ['192.0.2.0/23', false], ['8.0.0.0/8', false], ['0.0.0.0/0', false], ['0.0.0.0/1', false], ['192.0.2.1', true],
  ['2001:db8::/48', true], ['2001:db8::/47', false], ['fd00::/32', true], ['fd00::/31', false], ['::/0', false], ['2000::/3', false],
]
for (const [text, expected] of bounded) test(`${text} is ${expected ? '' : 'not '}bounded`, () => assert.equal(isBounded(parsePrefix(text)!), expected))

test('0.0.0.0/0 makes the world, and so do its two halves, its four quarters, and 2000::/3', () => {
  assert.ok(makeTheWorld(prefixes('0.0.0.0/0')))
  assert.ok(makeTheWorld(prefixes('0.0.0.0/1', '128.0.0.0/1')))
  assert.ok(makeTheWorld(prefixes('0.0.0.0/2', '64.0.0.0/2', '128.0.0.0/2', '192.0.0.0/2')))
  assert.ok(makeTheWorld(prefixes('2000::/3')))
  assert.ok(makeTheWorld(prefixes('::ffff:0.0.0.0/97', '::ffff:128.0.0.0/97')))
})

test('all private ranges, and 1,000 public /24, are not the world', () => {
  const many = Array.from({ length: 1000 }, (_, index) => `${8 + (index >> 8)}.${index & 255}.0.0/24`)
  assert.ok(!makeTheWorld(prefixes('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', ...many)))
  assert.ok(!makeTheWorld([]))
})

const four = fc.tuple(fc.nat({ max: 255 }), fc.nat({ max: 255 }), fc.integer({ min: 0, max: 16 })).map(([a, b, bits]) => `${a}.${b}.0.0/${bits}`)

test('counts every address once, however prefixes overlap (30 sets, by counting /16 one by one)', () => {
  fc.assert(
    fc.property(fc.array(four, { maxLength: 8 }), (texts) => {
      const held = prefixes(...texts)
      let blocks = 0n
      for (let block = 0; block < 65_536; block += 1) if (held.some((prefix) => holds(prefix, { family: 4, value: BigInt(block) << 16n }))) blocks += 1n
      assert.equal(countAddresses(held, 4), blocks << 16n)
    }),
    { numRuns: 30 },
  )
})

test('cut into halves any number of times, the world stays the world (200 ways)', () => {
  const cut = (text: string, choices: readonly boolean[]): string[] => {
    const { first, bits } = parsePrefix(text)!
    if (choices.length === 0 || bits >= 20) return [text]
    const half = (value: bigint): string => `${[24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')}/${bits + 1}`
    const [low, high] = [half(first), half(first + (1n << BigInt(31 - bits)))]
    return choices[0] === true ? [...cut(low, choices.slice(1)), high] : [low, ...cut(high, choices.slice(1))]
  }
  fc.assert(fc.property(fc.array(fc.boolean(), { maxLength: 15 }), (choices) => assert.ok(makeTheWorld(prefixes(...cut('0.0.0.0/0', choices))))), { numRuns: 200 })
})
