import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { shareEnded } from './compose.ts'
import { aMessage } from './fixtures.ts'
import { composeGroup, place } from './group.ts'
import { laneCount, laneOf, newMessageId, ranking, timeOfMessageId } from './lanes.ts'
import { encodeHeaders } from './jetstream-wire.ts'
import { alone, decodeDelivery, encodeDelivery } from './record-wire.ts'
import { createSubjects, decodeToken, deliveryToken, encodeToken, splitDeliveryToken } from './subjects.ts'

test('any text survives as one token that NATS takes, 1,000 tries', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const token = encodeToken(text)
      assert.match(token, /^[^\s.*>]+$/)
      assert.equal(decodeToken(token), text)
    }),
    { numRuns: 1_000 },
  )
})

test('a delivery record comes back as it was, sizes, head and bytes', () => {
  const [placed] = [place(aMessage(), (domain) => domain, 65_536)]
  const { head } = placed.deliveries[0]!
  const record = decodeDelivery(encodeDelivery({ group: 900, batch: 899 }, head, [Buffer.from('ab'), Buffer.from([0, 255])]))
  assert.deepEqual(record, { sizes: { group: 900, batch: 899 }, head, inline: Buffer.from([97, 98, 0, 255]) })
})

test('a record of format 9 is refused as a version, one cut short, without JSON, or without 1 of 3 parts of its head as unreadable', () => {
  const { head } = place(aMessage(), (domain) => domain, 65_536).deliveries[0]!
  const whole = encodeDelivery({ group: 1, batch: 1 }, head)
  const other = Buffer.from(whole)
  other[0] = 9
  assert.throws(() => decodeDelivery(other), { code: 'RECORD_VERSION' })
  assert.throws(() => decodeDelivery(whole.subarray(0, 40)), { code: 'RECORD_UNREADABLE' })
  assert.throws(() => decodeDelivery(Buffer.concat([whole.subarray(0, 9), Buffer.alloc(whole.length)])), { code: 'RECORD_UNREADABLE' })
  assert.throws(() => decodeDelivery(Buffer.alloc(0)), { code: 'RECORD_UNREADABLE' })
  for (const lacking of [{ schedule: undefined }, { envelope: null }, { envelope: { ...head.envelope, class: undefined } }]) assert.throws(() => decodeDelivery(encodeDelivery(alone, { ...head, ...lacking } as unknown as typeof head)), { code: 'RECORD_UNREADABLE' })
})

test('the records of a group have subjects of their own, and each knows how many its lane and the whole batch have', () => {
  const subjects = createSubjects('r')
  const messages = Array.from({ length: 30 }, (_, n) => place(aMessage({ domains: [`d${n % 5}.example`, `e${n % 3}.example`] }), (domain) => domain, 65_536))
  const records = composeGroup(subjects, 'g', messages, false)
  assert.equal(new Set(records.map(({ subject }) => subject)).size, 60)
  for (const { subject, payload } of records) {
    const { sizes } = decodeDelivery(payload)
    assert.equal(sizes.batch, 60)
    assert.equal(sizes.group, records.filter((other) => other.subject.startsWith(subject.slice(0, subject.lastIndexOf('.') + 1))).length)
  }
})

test('a body of 60 KB for 300 domains is stored once beside its deliveries, one of 100 bytes for 3 travels with them', () => {
  const large = place(aMessage({ domains: Array.from({ length: 300 }, (_, n) => `d${n}.example`), body: Buffer.alloc(60_000) }), (domain) => domain, 65_536)
  assert.equal(large.records, 301)
  assert.equal(large.body!.pointer.shared, 300)
  assert.ok(large.bytes < 400_000)
  assert.equal(place(aMessage({ domains: ['a.example', 'b.example', 'c.example'], body: Buffer.alloc(100) }), (domain) => domain, 65_536).body, undefined)
})

test('a header value with a line break is refused, never written', () => {
  assert.throws(() => encodeHeaders({ subject: 's', payload: Buffer.alloc(0), id: 'a\r\nNats-Rollup: all' }), TypeError)
})

test('a message id gives back its time, and 10,000 of one millisecond differ', () => {
  const now = Date.now()
  assert.equal(timeOfMessageId(newMessageId(now)), now)
  assert.equal(new Set(Array.from({ length: 10_000 }, () => newMessageId(now))).size, 10_000)
  assert.equal(timeOfMessageId('not-an-id'), undefined)
})

test('delivery ids come back out of their token, also those of a split delivery', () => {
  for (const n of ['0', '17', '3ab']) assert.deepEqual(splitDeliveryToken(deliveryToken('m1', n)), { message: 'm1', n })
  assert.equal(shareEnded('3') + shareEnded('4a') + shareEnded('4ba') + shareEnded('4bb'), 2)
})

test('10,000 domains spread over all 64 lanes, and 3 pods share the lanes within a factor of 2', () => {
  assert.equal(new Set(Array.from({ length: 10_000 }, (_, n) => laneOf(`d${n}.example`))).size, laneCount)
  const first = Array.from({ length: laneCount }, (_, lane) => ranking(lane, ['relay-0', 'relay-1', 'relay-2'])[0]!)
  for (const pod of ['relay-0', 'relay-1', 'relay-2']) assert.ok(first.filter((name) => name === pod).length >= 12, `${pod}: ${first.filter((name) => name === pod).length}`)
})
