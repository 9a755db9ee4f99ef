import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sourceOf } from './source.ts'

test('every IPv4 address is a source of its own, also when it is mapped', () => {
  assert.deepEqual(['192.0.2.1', '::ffff:192.0.2.1', '192.0.2.2'].map(sourceOf), ['192.0.2.1', '192.0.2.1', '192.0.2.2'])
})

test('all IPv6 addresses of one /64 are 1 source, the next /64 is another', () => {
  assert.equal(sourceOf('2001:db8::1'), sourceOf('2001:DB8:0:0:ffff::9'))
  assert.notEqual(sourceOf('2001:db8::1'), sourceOf('2001:db8:0:1::1'))
  assert.equal(sourceOf('2001:db8:0:1::1'), '2001:db8:0:1::/64')
})
