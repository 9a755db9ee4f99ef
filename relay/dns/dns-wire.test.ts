import assert from 'node:assert/strict'
import { test } from 'node:test'
import dnsPacket, { type DecodedPacket } from 'dns-packet' // encoder and decoder of DNS messages, MIT
import { encodeQuestion, follow, readPacket } from './dns-wire.ts'

const question = { name: 'd.example', type: 'A' } as const
const decoded = (change: object): DecodedPacket => dnsPacket.decode(dnsPacket.encode({ type: 'response', id: 7, flags: dnsPacket.RECURSION_AVAILABLE, questions: [question], ...change } as never))
const a = (name: string, ttl: number, data = '192.0.2.1') => ({ type: 'A', name, ttl, data })
const cname = (name: string, data: string, ttl: number) => ({ type: 'CNAME', name, ttl, data })
const soa = (ttl: number, minimum: number) => ({ type: 'SOA', name: 'example', ttl, data: { mname: 'ns.example', rname: 'root.example', serial: 1, refresh: 1, retry: 1, expire: 1, minimum } })
const followed = (change: object, from = question.name) => {
  const found = follow<string>(decoded(change), { ...question, name: from }, new Set([from]))
  return found.kind === 'alias' ? `to ${found.to} for ${found.ttl} s` : found.answer.kind === 'records' ? [found.answer.records.length, found.answer.ttl] : found.answer.kind === 'failed' ? found.answer.why : [found.answer.kind, found.answer.ttl]
}

test('a question asks for recursion and for authenticated data, with EDNS for answers of up to 1,232 octets (RFC 9715), or without', () => {
  const sent = (withEdns: boolean) => dnsPacket.decode(encodeQuestion(7, question, withEdns)) as Omit<DecodedPacket, 'additionals'> & { additionals: { type: string; udpPayloadSize: number; ednsVersion: number; flags: number }[] }
  const { type, id, flag_rd: rd, flag_ad: ad, questions, additionals } = sent(true)
  assert.deepEqual([type, id, rd, ad, questions!.map((one) => [one.name, one.type])], ['query', 7, true, true, [['d.example', 'A']]])
  assert.deepEqual(additionals.map(({ type: kind, udpPayloadSize, ednsVersion, flags }) => [kind, udpPayloadSize, ednsVersion, flags]), [['OPT', 1232, 0, 0]])
  assert.equal(sent(false).additionals.length, 0)
})

test('the TTL of an answer is the least of its records and of the aliases on the way', () => {
  assert.deepEqual(followed({ answers: [a('d.example', 60), a('d.example', 30)] }), [2, 30])
  assert.deepEqual(followed({ answers: [cname('d.example', 'e.example', 20), a('e.example', 60)] }), [1, 20])
  assert.equal(followed({ answers: [cname('d.example', 'e.example', 20), cname('e.example', 'f.example', 40)] }), 'to f.example for 20 s')
})

test('a "no" is kept for the lesser of the SOA’s TTL and its minimum (RFC 2308 5), 60 s without one, and never longer than the alias to it', () => {
  const no = (rcode: number, ...authorities: object[]) => followed({ flags: dnsPacket.RECURSION_AVAILABLE | rcode, authorities })
  assert.deepEqual([no(0, soa(100, 200)), no(0, soa(200, 100)), no(0)], [['nodata', 100], ['nodata', 100], ['nodata', 60]])
  assert.deepEqual(no(3, soa(100, 200)), ['nxdomain', 100])
  assert.deepEqual(followed({ flags: dnsPacket.RECURSION_AVAILABLE | 3, answers: [cname('d.example', 'e.example', 20)], authorities: [soa(100, 200)] }), ['nxdomain', 20])
})

test('of 100 addresses 64 are taken', () => {
  assert.deepEqual(followed({ answers: Array.from({ length: 100 }, (_, n) => a('d.example', 60, `192.0.2.${n}`)) }), [64, 60])
})

test('7 aliases in a row are followed, 8 are not', () => {
  const chain = (length: number) => [...Array.from({ length }, (_, n) => cname(n === 0 ? 'd.example' : `c${n}.example`, `c${n + 1}.example`, 60)), a(`c${length}.example`, 60)]
  assert.deepEqual([followed({ answers: chain(7) }), followed({ answers: chain(8) })], [[1, 60], 'more than 8 CNAMEs in a row'])
})

test('a referral is lame only where it has no answer, no SOA and no recursion', () => {
  const ns = { type: 'NS', name: 'example', ttl: 60, data: 'ns.example' }
  const kind = (change: object) => readPacket(dnsPacket.encode({ type: 'response', id: 7, questions: [question], ...change } as never), 7, question).kind
  assert.equal(kind({ authorities: [ns] }), 'failed')
  assert.deepEqual([kind({ authorities: [ns], flags: dnsPacket.RECURSION_AVAILABLE }), kind({ authorities: [ns, soa(60, 60)] }), kind({ answers: [a('d.example', 60)], authorities: [ns] }), kind({ authorities: [] }), kind({ authorities: [ns], flags: 3 })], ['answer', 'answer', 'answer', 'answer', 'answer'])
})

/** A response of 12 octets: what some servers that know no EDNS send, without the question. */
const headerOnly = (id: number, rcode: number): Buffer => {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt16BE(id)
  bytes.writeUInt16BE(0x8000 | rcode, 2)
  return bytes
}

test('a FORMERR or NOTIMP of 12 octets, without the question, is the answer of a server that knows no EDNS (RFC 6891 7)', () => {
  assert.deepEqual([1, 4].map((rcode) => readPacket(headerOnly(7, rcode), 7, question).kind), ['no-edns', 'no-edns'])
})

test('a packet of 12 octets that says anything else, or has another id, belongs to no question', () => {
  assert.deepEqual([headerOnly(7, 0), headerOnly(7, 3), headerOnly(8, 1)].map((bytes) => readPacket(bytes, 7, question).kind), ['foreign', 'foreign', 'foreign'])
})

test('BADVERS has the rcode of a NOERROR, its other half is in OPT: a server that knows no EDNS like ours (RFC 6891 6.1.3), and not a name without records', () => {
  const withOpt = (rcode: number, extendedRcode: number) => dnsPacket.encode({ type: 'response', id: 7, flags: dnsPacket.RECURSION_AVAILABLE | rcode, questions: [question], additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 1232, extendedRcode, ednsVersion: 0, flags: 0, flag_do: false, options: [] }] } as never)
  const readings = [[0, 1], [7, 1], [3, 1], [0, 0], [3, 0]].map(([rcode, extended]) => readPacket(withOpt(rcode!, extended!), 7, question))
  assert.deepEqual(readings.map((one) => (one.kind === 'failed' ? one.why : one.kind)), ['no-edns', 'RCODE 23', 'RCODE 19', 'answer', 'answer'])
})
