import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { before, describe, it } from 'node:test'
import fc from 'fast-check'
import { newIssuer, testAudience, testIssuer, type TestIssuer } from '../../test/tools/tokens.ts'
import { isToken, proveAccount } from './index.ts'

const now = new Date('2026-11-25T12:00:00Z')
const seconds = Math.floor(now.getTime() / 1000)
const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('the proof that a ServiceAccount token is', () => {
  let cluster: TestIssuer
  let stranger: TestIssuer
  before(async () => {
    cluster = await newIssuer('RS256', 'one')
    stranger = await newIssuer('RS256', 'one') // claims the same key id
  })
  const faultOf = async (token: string, at = now): Promise<string> => {
    const proof = await proveAccount(token, cluster.tokens(), at)
    return proof.kind === 'refused' ? proof.fault : `${proof.namespace}/${proof.name}`
  }

  for (const algorithm of ['RS256', 'ES256', 'ES384', 'ES512'])
    it(`proves shop/shop, signed with ${algorithm}`, async () => {
      const issuer = await newIssuer(algorithm)
      assert.deepEqual(await proveAccount(await issuer.token({}, now), issuer.tokens(), now), { kind: 'account', namespace: 'shop', name: 'shop' })
    })

  const wrong: readonly (readonly [what: string, change: Readonly<Record<string, unknown>>, fault: string])[] = [
    ['another issuer', { iss: 'https://other.example' }, 'other-issuer'],
    ['the audience of another relay', { aud: ['posthouse.dev/mail/other'] }, 'other-audience'],
    ['the audience of the API server', { aud: [testIssuer] }, 'other-audience'],
    ['an audience that only begins like ours', { aud: [`${testAudience}2`] }, 'other-audience'],
    ['no audience', { aud: undefined }, 'incomplete'],
    ['no end', { exp: undefined }, 'incomplete'],
    ['no time of issue', { iat: undefined }, 'incomplete'],
    ['no subject', { sub: undefined }, 'incomplete'],
    ['no issuer', { iss: undefined }, 'incomplete'],
    ['a time of issue that is text', { iat: 'now' }, 'incomplete'],
    ['an end that passed 31 s ago', { exp: seconds - 31 }, 'expired'],
    ['an issue 3,631 s ago', { iat: seconds - 3631, exp: seconds + 3600 }, 'too-old'],
    ['a beginning in 31 s', { nbf: seconds + 31 }, 'not-yet'],
    ['an issue in 31 s', { iat: seconds + 31, nbf: seconds }, 'not-yet'],
    ['a person as subject', { sub: 'admin' }, 'no-account'],
    ['a node as subject', { sub: 'system:node:n1' }, 'no-account'],
    ['a subject with a 5th part', { sub: 'system:serviceaccount:shop:shop:x' }, 'no-account'],
  ]
  for (const [what, change, fault] of wrong) it(`is none with ${what}: ${fault}`, async () => assert.equal(await faultOf(await cluster.token(change, now)), fault))

  it('holds 3,630 s after its issue and 30 s after its end: clocks differ', async () => {
    assert.equal(await faultOf(await cluster.token({ iat: seconds - 3630, exp: seconds + 60 }, now)), 'shop/shop')
    assert.equal(await faultOf(await cluster.token({ exp: seconds - 29 }, now)), 'shop/shop')
  })

  it('takes a token for 2 audiences of which 1 is ours', async () => assert.equal(await faultOf(await cluster.token({ aud: ['vault', testAudience] }, now)), 'shop/shop'))

  it('knows 0 strangers: another key under the same id, none, HS256 with the public key as secret, a key in the token', async () => {
    const [header, claims] = (await cluster.token({}, now)).split('.') as [string, string]
    const hmac = `${encoded({ alg: 'HS256', kid: 'one' })}.${claims}`
    const tokens = [
      await stranger.token({}, now),
      `${encoded({ alg: 'none' })}.${claims}.`,
      `${encoded({ alg: 'none', kid: 'one' })}.${claims}.${header}`,
      `${hmac}.${createHmac('sha256', JSON.stringify(cluster.publicKey)).update(hmac).digest('base64url')}`,
      `${encoded({ alg: 'RS256', jwk: stranger.publicKey })}.${claims}.${(await stranger.token({}, now)).split('.')[2]!}`,
    ]
    for (const token of tokens) assert.equal(await faultOf(token), 'not-signed', token)
  })

  it('says of an unsigned token that it is unsigned, whatever else is wrong with it', async () => {
    for (const [, change] of wrong) assert.equal(await faultOf(await stranger.token(change, now)), 'not-signed')
  })

  it('follows a rotation: 2 keys prove both, and the key taken away proves nothing', async () => {
    const next = await newIssuer('RS256', 'two')
    const token = await next.token({}, now)
    assert.deepEqual([(await proveAccount(token, cluster.tokens(), now)).kind, (await proveAccount(token, cluster.tokens(next), now)).kind, (await proveAccount(await cluster.token({}, now), next.tokens(), now)).kind], ['refused', 'account', 'refused'])
  })

  it('is none where the relay has 0 keys', async () => assert.deepEqual(await proveAccount(await cluster.token({}, now), undefined, now), { kind: 'refused', fault: 'no-tokens-here' }))

  it('is broken by any 1 changed character, and is never an error', async () => {
    const token = await cluster.token({}, now)
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom('A', 'z', '0', '-', '_', '.', '='), async (at, other) => {
        const changed = token.slice(0, at) + other + token.slice(at + 1)
        // the last character of 256 bytes in base64 has bits that mean nothing
        if (changed !== token && at < token.length - 1) assert.equal(await faultOf(changed), 'not-signed')
      }),
    )
    await fc.assert(fc.asyncProperty(fc.string(), async (text) => assert.equal(await faultOf(text), 'not-signed')))
  })

  it('is told from a password: 32 random bytes in base64 are none', async () => {
    assert.ok(isToken(await cluster.token({}, now)))
    fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => !isToken(Buffer.from(bytes).toString('base64url'))))
  })
})
