import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readProxyHeader } from './proxy-header.ts'

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const v2 = (command: number, family: number, block: Buffer, length = block.length): Buffer =>
  Buffer.concat([signature, Buffer.from([0x20 | command, family, length >> 8, length & 255]), block])
const four = Buffer.from([192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0, 25])
const six = Buffer.concat([Buffer.from('20010db8000000000000000000000007', 'hex'), Buffer.alloc(16), Buffer.from([0x9c, 0x40, 0, 25])])
const tlv = (type: number, length: number, value: Buffer): Buffer => Buffer.concat([Buffer.from([type, length >> 8, length & 255]), value])

const kinds: readonly (readonly [string, Buffer, object | string])[] = [
  ['v1 TCP4', Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\nEHLO'), { kind: 'client', address: '192.0.2.7', port: 40_000, used: 44 }],
  ['v1 TCP6', Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n'), { kind: 'client', address: '2001:db8::7', port: 40_000, used: 45 }],
  ['v1 UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), { kind: 'proxy-itself', used: 15 }],
  ['v1 UNKNOWN with words', Buffer.from('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'), { kind: 'proxy-itself', used: 35 }],
  ['v2 over IPv4', v2(1, 0x11, four), { kind: 'client', address: '192.0.2.7', port: 40_000, used: 28 }],
  ['v2 over IPv6', v2(1, 0x21, six), { kind: 'client', address: '2001:db8:0:0:0:0:0:7', port: 40_000, used: 52 }],
  ['v2 with TLVs', v2(1, 0x11, Buffer.concat([four, tlv(4, 2, Buffer.from('ok'))])), { kind: 'client', address: '192.0.2.7', port: 40_000, used: 33 }],
  ['v2 LOCAL', v2(0, 0, Buffer.alloc(0)), { kind: 'proxy-itself', used: 16 }],
  ['v2 LOCAL with an address that does not count', v2(0, 0x11, four), { kind: 'proxy-itself', used: 28 }],
  ['v2 UNSPEC', v2(1, 0, Buffer.alloc(0)), { kind: 'proxy-itself', used: 16 }],
  ['v1 with the highest ports', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.8 65535 65535\r\n'), { kind: 'client', address: '192.0.2.7', port: 65_535, used: 44 }],
  ['v1 of 107 octets', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`), { kind: 'proxy-itself', used: 107 }],
  ['v1 of 108 octets', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`), 'bad'],
  ['v1 of 107 octets without an end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(93)}`), 'bad'],
  ['v2 with an empty TLV', v2(1, 0x11, Buffer.concat([four, tlv(4, 0, Buffer.alloc(0))])), { kind: 'client', address: '192.0.2.7', port: 40_000, used: 31 }],
  ['v2 of 2,064 octets', v2(1, 0x11, Buffer.concat([four, tlv(4, 2033, Buffer.alloc(2033))])), { kind: 'client', address: '192.0.2.7', port: 40_000, used: 2064 }],
  ['v2 of 2,065 octets', v2(1, 0x11, Buffer.concat([four, tlv(4, 2034, Buffer.alloc(2034))])), 'bad'],
  ['v1 with a bad address of the client alone', Buffer.from('PROXY TCP4 192.0.2.777 192.0.2.8 1 2\r\n'), 'bad'],
  ['v1 with a bad address of the server alone', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.888 1 2\r\n'), 'bad'],
  ['v1 port of the server above 65535', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.8 1 65536\r\n'), 'bad'],
  ['the first octets of another command', Buffer.from('EHLO c'), 'bad'],
  ['v1 IPv6 said to be TCP4', Buffer.from('PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n'), 'bad'],
  ['v1 name for an address', Buffer.from('PROXY TCP4 localhost localhost 1 2\r\n'), 'bad'],
  ['v1 port above 65535', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.8 65536 2\r\n'), 'bad'],
  ['v1 with more words', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.8 1 2 3\r\n'), 'bad'],
  ['v1 without an end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`), 'bad'],
  ['v1 with LF alone', Buffer.from(`PROXY TCP4 192.0.2.7 192.0.2.8 1 2\n${'x'.repeat(100)}`), 'bad'],
  ['no header', Buffer.from('EHLO client.example\r\n'), 'bad'],
  ['v2 over UDP', v2(1, 0x12, four), 'bad'],
  ['v2 over a Unix socket', v2(1, 0x31, Buffer.alloc(216)), 'bad'],
  ['v2 of version 3', Buffer.concat([signature, Buffer.from([0x31, 0x11, 0, 12]), four]), 'bad'],
  ['v2 with an unknown command', v2(2, 0x11, four), 'bad'],
  ['v2 shorter than its addresses', v2(1, 0x11, four.subarray(0, 8)), 'bad'],
  ['v2 TLV longer than the header', v2(1, 0x11, Buffer.concat([four, tlv(4, 200, Buffer.from('ok'))])), 'bad'],
  ['v2 TLV cut in its length', v2(1, 0x11, Buffer.concat([four, Buffer.from([4, 0])])), 'bad'],
  ['v2 of 64 KB', v2(1, 0x11, four, 65_535), 'bad'],
]
for (const [name, bytes, expected] of kinds) {
  test(`${name} is ${typeof expected === 'string' ? expected : JSON.stringify(expected)}`, () => {
    const header = readProxyHeader(bytes)
    if (typeof expected === 'string') assert.equal(header.kind, expected)
    else assert.deepEqual(header, expected)
  })
}

test('a header cut anywhere asks for more, and never decides early', () => {
  for (const [name, bytes, expected] of kinds) {
    if (typeof expected === 'string') continue
    const { used } = expected as { used: number }
    for (let end = 0; end < used; end++) assert.equal(readProxyHeader(bytes.subarray(0, end)).kind, 'more', `${name} cut at ${end}`)
  }
})

test('5,000 made-up headers never throw, and never take a client from a bad address', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: 3 }), (bytes, how) => {
      const starts = [Buffer.alloc(0), signature, Buffer.from('PROXY '), Buffer.concat([signature, Buffer.from([0x21, 0x11, 0, 20])])]
      const header = readProxyHeader(Buffer.concat([starts[how]!, bytes]))
      if (header.kind === 'client') assert.match(header.address, /^[0-9a-f.:]+$/)
    }),
    { numRuns: 5000 },
  )
})
