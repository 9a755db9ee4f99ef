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

const withOf = (given: { esmtp?: boolean; smtputf8?: boolean; tls?: boolean; authenticated?: boolean }): string =>
  received({ helo: 'a.example', address: '192.0.2.9', hostname: 'mx.test', esmtp: given.esmtp ?? true, smtputf8: given.smtputf8 ?? false, tls: given.tls === true ? { protocol: 'TLSv1.3', cipher: 'X' } : undefined, authenticated: given.authenticated ?? false, id: 'm1', onlyRecipient: undefined, at: new Date(0) }).split('\r\n')[1]!

for (const [given, word] of [
  [{ esmtp: false }, 'SMTP'], [{}, 'ESMTP'], [{ tls: true }, 'ESMTPS'], [{ authenticated: true }, 'ESMTPA'], [{ tls: true, authenticated: true }, 'ESMTPSA'],
  [{ smtputf8: true }, 'UTF8SMTP'], [{ smtputf8: true, tls: true }, 'UTF8SMTPS'], [{ smtputf8: true, authenticated: true }, 'UTF8SMTPA'], [{ smtputf8: true, tls: true, authenticated: true }, 'UTF8SMTPSA'],
] as const)
  test(`what came with ${Object.entries(given).map(([what, is]) => `${what} ${String(is)}`).join(', ') || 'EHLO alone'} is traced as with ${word}, 1 of the 9 types of RFC 3848 and RFC 6531 4.3`, () => {
    assert.equal(withOf(given), `\tby mx.test with ${word}${'tls' in given ? ' (TLSv1.3 X)' : ''}`)
  })
