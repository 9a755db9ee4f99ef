import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { authorityFrom, authorityIn, bindingFrom, certificateFrom, credentialFrom, dkimKeysFor, newAuthority, newDkimKey, type CredentialNeed } from './index.ts'
import type { Data } from '../plan/index.ts'

const now = new Date('2026-11-25T12:00:00Z')
const later = (hours: number): Date => new Date(now.getTime() + hours * 3_600_000)
const authority = { ...newAuthority(now), trust: '' }
const at = { sender: 'shop/shop', relay: 'mail/main', listener: 'submission', host: 'main.mail.svc', port: 587, bindPort: 2587, implicitTls: false }
const need = (rotation?: string): CredentialNeed => ({ ...at, kind: 'credential', username: 'shop.shop', ...(rotation !== undefined && { rotation }) })
const from = (kept: Data, rotation?: string, when = now) => credentialFrom(kept, need(rotation), at, authority, when)
const isOf = ({ salt, hash }: { readonly salt: string; readonly hash: string }, password: string): boolean => createHash('sha256').update(Buffer.from(salt, 'hex')).update(password).digest('hex') === hash

test('a new credential is whole: 7 keys, and a URI with user name, password, host and port', () => {
  const { data, made } = from({})
  assert.deepEqual(Object.keys(data).sort(), ['ca.crt', 'host', 'password', 'port', 'salt', 'uri', 'username'])
  assert.equal(data.uri, `smtp://shop.shop:${data.password}@main.mail.svc:587`)
  assert.deepEqual([isOf(made, data.password!), Buffer.from(data.password!, 'base64url').length, made.previous], [true, 32, undefined])
  assert.deepEqual(from(data, undefined, later(1000)).data, data, 'kept as it is')
})

test('ca.crt is that of the listener’s own certificate where it has one, and missing where its Secret names none: 2 kinds of Secret', () => {
  for (const [trust, expected] of [[{ ca: 'theirs' }, 'theirs'], [{}, undefined]] as const) {
    assert.equal(credentialFrom({}, { ...need(), trust }, at, authority, now).data['ca.crt'], expected)
    assert.equal(bindingFrom({}, { ...at, kind: 'binding', audience: 'a', trust }, at, authority)['ca.crt'], expected)
  }
})

test('another value of the annotation makes another password, and the one before is right for 24 hours', () => {
  const first = from({})
  const second = from(first.data, '1')
  assert.notEqual(second.data.password, first.data.password)
  assert.ok(isOf(second.made, second.data.password!))
  assert.ok(isOf(second.made.previous!, first.data.password!))
  assert.equal(second.made.previous!.until, '2026-11-26T12:00:00.000Z')
  assert.deepEqual(from(second.data, '1', later(23)), second, 'the same value changes nothing')
  const past = from(second.data, '1', later(24))
  assert.deepEqual([past.made.previous, past.data.password, Object.keys(past.data).filter((key) => key.startsWith('previous'))], [undefined, second.data.password, []])
})

test('of 2 rotations within a day only the last password before is right: a leaked one is shut out by rotating twice', () => {
  const first = from({})
  const second = from(first.data, '1')
  const third = from(second.data, '2')
  assert.ok(isOf(third.made.previous!, second.data.password!))
  assert.ok(![third.made, third.made.previous!].some((one) => isOf(one, first.data.password!)))
})

test('an annotation that was there from the start, or is taken away, makes 0 new passwords', () => {
  const first = from({}, '1')
  assert.equal(first.made.previous, undefined)
  assert.equal(from(first.data, '1').data.password, first.data.password)
  assert.equal(from(first.data).data.password, first.data.password)
})

test('a deleted Secret makes a new password, and 0 before it are right', () => assert.equal(from({}, '1').made.previous, undefined))

test('who brings a token gets a Secret of 5 keys, without user name and password', () => {
  const data = bindingFrom({}, { ...at, kind: 'binding', audience: 'posthouse.dev/mail/main', implicitTls: true, port: 465 }, { host: 'main.mail.svc', port: 465 }, authority)
  assert.deepEqual({ ...data, 'ca.crt': 'PEM' }, { host: 'main.mail.svc', port: '465', audience: 'posthouse.dev/mail/main', uri: 'smtps://main.mail.svc:465', 'ca.crt': 'PEM' })
})

test('of a DKIM key that is forgotten 1 name stays, when it left, and its selector is not used again', async () => {
  const key = await newDkimKey('ed25519')
  let kept: Data = {}
  const on = async (day: number, selectorPrefix: string): Promise<string[]> => {
    const { data, keys } = await dkimKeysFor({ kind: 'dkim', domain: 'ours.example', for: 'mail/ours', algorithm: 'ed25519', selectorPrefix }, kept, new Date(Date.UTC(2026, 10, day)), { seen: () => true, newKey: async () => key })
    kept = data
    return keys.map(({ selector }) => selector)
  }
  for (const [day, prefix] of [[2, 'ph'], [3, 'mta'], [3, 'mta']] as const) await on(day, prefix)
  const [mta] = await on(11, 'mta')
  const left = Object.keys(kept).filter((name) => name.startsWith('ph-'))
  assert.match(left.join(' '), /^ph-ed25519-202611-[0-9]{8}\.left-at$/)
  const [signing, coming, ...others] = await on(11, 'ph')
  assert.deepEqual([signing, others], [mta, []])
  assert.match(coming!, /^ph-ed25519-202611-[0-9]{8}$/)
  assert.notEqual(`${coming}.left-at`, left[0], 'though the key is the same')
})

test('a MailDomain made anew within the month, its Secret gone, has 2 other selectors than before; a key of an older release keeps the one it has', async () => {
  const at = new Date('2026-11-02T00:00:00Z')
  const selectorsOf = async (kept: Data): Promise<string[]> => {
    const needs = (['ed25519', 'rsa'] as const).map((algorithm) => ({ kind: 'dkim', for: 'mail/ours', domain: 'ours.example', algorithm, selectorPrefix: 'ph' } as const))
    return (await Promise.all(needs.map((need) => dkimKeysFor(need, kept, at)))).flatMap(({ keys }) => keys.map(({ selector }) => selector))
  }
  assert.equal(new Set([...(await selectorsOf({})), ...(await selectorsOf({}))]).size, 4)
  const older = { 'ph-ed25519-202611.key': await newDkimKey('ed25519'), 'ph-rsa-202611-2.key': await newDkimKey('rsa') }
  assert.deepEqual(await selectorsOf(older), ['ph-ed25519-202611', 'ph-rsa-202611-2'])
})

// who may write the Secret of one relay or domain must not be able to stop the operator of all
const whole = authorityFrom({}, now)
for (const [what, kept] of [['a key that is none', { ...whole, 'ca.key': 'garbage' }], ['the key of another', { ...whole, 'ca.key': newAuthority(now).key }], ['a successor whose key is none', { ...authorityFrom({}, later(-24 * 365 * 9)), 'next.crt': whole['ca.crt'], 'next.key': 'garbage' }]] as const) {
  test(`a CA kept with ${what} is made anew, and signs`, () => {
    for (const hours of [0, 48]) {
      const made = certificateFrom({}, ['mx.example'], authorityIn(authorityFrom(kept, later(hours))), later(hours))
      assert.match(made['tls.crt'], /BEGIN CERTIFICATE/)
    }
  })
}

test('a certificate kept with a key that is none is made anew', () => {
  const kept = certificateFrom({}, ['mx.example'], authorityIn(whole), now)
  assert.deepEqual(certificateFrom(kept, ['mx.example'], authorityIn(whole), now), kept)
  assert.match(certificateFrom({ ...kept, 'tls.key': 'garbage' }, ['mx.example'], authorityIn(whole), now)['tls.key'], /BEGIN PRIVATE KEY/)
})

test('a DKIM key that is none counts as none: 1 is made in its place', async () => {
  const need = { kind: 'dkim', for: 'shop/ours', domain: 'ours.example', algorithm: 'ed25519', selectorPrefix: 'ph' } as const
  for (const garbage of ['', 'garbage', '-----BEGIN PRIVATE KEY-----']) {
    const { keys } = await dkimKeysFor(need, { 'ph-ed25519-202611.key': garbage }, now)
    assert.deepEqual(keys.map(({ selector, stage }) => [selector.slice(0, 18), stage]), [['ph-ed25519-202611-', 'signing']])
    assert.match(keys[0]!.privateKey, /^-----BEGIN PRIVATE KEY-----\n/)
  }
})

test('a client goes on with the 1 CA that its Secret has while that of the listener is away, and with 0 where it has none', () => {
  const trust = { asBefore: true } as const
  const having = (ca: Data) => [credentialFrom(ca, { ...need(), trust }, at, authority, now).data['ca.crt'], bindingFrom(ca, { ...at, kind: 'binding', audience: 'a', trust }, at, authority)['ca.crt']]
  assert.deepEqual([having({ 'ca.crt': 'CA' }), having({})], [['CA', 'CA'], [undefined, undefined]])
})
