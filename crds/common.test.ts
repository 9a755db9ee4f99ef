import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostOrAddress } from './common.ts'

test('of 7 hosts those 4 are taken that the API server takes: a name and addresses, and none with a zone, which means something on 1 machine only, or of IPv4 in IPv6', () => {
  const isTaken = (text: string): boolean => hostOrAddress('A host.').safeParse(text).success
  assert.deepEqual(['store.example', '192.0.2.1', 'fe80::1', '64:ff9b::192.0.2.1', 'fe80::1%eth0', '::ffff:192.0.2.1', '192.0.2'].map(isTaken), [true, true, true, true, false, false, false])
})
