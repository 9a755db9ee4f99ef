import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Silent } from './failover.ts'
import { SlowHosts } from './slow-hosts.ts'

const event = (address: string, change: Partial<Silent> = {}): Silent => ({ kind: 'silent', at: 'CONNECT', how: 'timeout', host: 'mx.example', address, text: 'no', reused: false, dotWritten: false, ...change })
const hung = (slow: SlowHosts, addresses: readonly string[], now = 0): void => { for (const address of addresses) slow.note(event(address), now) }
const six = Array.from({ length: 5 }, (_, n) => `2600:${n}::1`)
const areSlow = (slow: SlowHosts, now: number, ...addresses: string[]): boolean[] => addresses.map((address) => slow.has(address, now))

test('an address that hung comes last for 60 s; one that refused does not', () => {
  const slow = new SlowHosts()
  hung(slow, ['192.0.2.1'])
  slow.note(event('192.0.2.2', { how: 'refused' }), 0)
  assert.deepEqual([areSlow(slow, 59_999, '192.0.2.1', '192.0.2.2'), areSlow(slow, 60_000, '192.0.2.1')], [[true, false], [false]])
})

for (const at of ['GREETING', 'EHLO', 'STARTTLS', 'MAIL', 'RCPT', 'DATA'] as const)
  test(`an address that let the time of ${at} run out comes last for 60 s, and its family does not, were there 5 of them`, () => {
    const slow = new SlowHosts()
    for (const address of six) slow.note(event(address, { at }), 0)
    assert.deepEqual([areSlow(slow, 59_999, six[0]!, '2600:ff::9'), areSlow(slow, 60_000, six[0]!)], [[true, false], [false]])
  })

test('1 address that let the time after the final dot run out does not come last: it may have the message, and another host must not get it too', () => {
  const slow = new SlowHosts()
  slow.note(event('192.0.2.1', { at: 'DOT' }), 0)
  assert.deepEqual(areSlow(slow, 0, '192.0.2.1'), [false])
})

test('where 5 addresses of one family hung at connect and none was reached, as behind a firewall that drops IPv6, the whole family comes last for 60 s, and again after one more that hung', () => {
  const slow = new SlowHosts()
  hung(slow, six.slice(0, 4))
  hung(slow, six.slice(0, 4)) // the same again are no more
  assert.deepEqual(areSlow(slow, 1, '2600:ff::9', '192.0.2.9'), [false, false])
  hung(slow, [six[4]!])
  assert.deepEqual([areSlow(slow, 59_999, '2600:ff::9', '192.0.2.9'), areSlow(slow, 60_000, '2600:ff::9')], [[true, false], [false]])
  hung(slow, ['2600:ff::9'], 61_000)
  assert.deepEqual(areSlow(slow, 62_000, '2600:ff::10'), [true])
})

test('1 address that was reached, by a connection or by a refusal, and 4 of its family that hung are 4 hosts that are away', () => {
  for (const reach of [(slow: SlowHosts) => slow.reached('2600:ff::1'), (slow: SlowHosts) => slow.note(event('2600:ff::1', { how: 'refused' }), 0), (slow: SlowHosts) => slow.note(event('2600:ff::1', { at: 'GREETING' }), 0)]) {
    const slow = new SlowHosts()
    hung(slow, six.slice(0, 4))
    reach(slow)
    hung(slow, six.slice(4))
    assert.deepEqual(areSlow(slow, 1, '2600:ff::9', six[0]!), [false, true])
    hung(slow, six)
    reach(slow)
    assert.deepEqual(areSlow(slow, 1, '2600:ff::9'), [false])
  }
})
