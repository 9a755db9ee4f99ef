import assert from 'node:assert/strict'
import { test } from 'node:test'
import { received } from './received.ts'

const fromOf = (helo: string, address = '192.0.2.9'): string =>
  received({ helo, address, hostname: 'mx.test', esmtp: true, smtputf8: false, tls: undefined, authenticated: false, id: 'm1', onlyRecipient: undefined, at: new Date(0) }).split('\r\n')[0]!

for (const [helo, name] of [
  ['client.example', 'client.example'], ['my_pc', 'my_pc'], ['EXÄMPLE.de', 'xn--exmple-cua.de'], ['[192.0.2.7]', '[192.0.2.7]'], ['[IPv6:2001:DB8::7]', '[IPv6:2001:db8::7]'],
  ['[::::]', '[192.0.2.9]'], ['[2001:db8::7]', '[192.0.2.9]'], ['[IPv6:::::]', '[192.0.2.9]'], ['[256.1.1.1]', '[192.0.2.9]'], ['a(b', '[192.0.2.9]'], ['1234', '[192.0.2.9]'],
] as const)
  test(`the trace of a client that says EHLO ${helo} has ${name}: a name, or an address literal by RFC 5321 4.1.3`, () => assert.equal(fromOf(helo), `Received: from ${name} ([192.0.2.9])`))

test('the trace of a client on the same link names its address without the zone, which means something on 1 machine only and is no part of an address literal (RFC 5321 4.1.3)', () => {
  assert.equal(fromOf('a(b', 'fe80::1%eth0'), 'Received: from [IPv6:fe80::1] ([IPv6:fe80::1])')
})
