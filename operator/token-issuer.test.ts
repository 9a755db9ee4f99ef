import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KubeError, type Kube } from './kube/index.ts'
import { TokenIssuerReader } from './token-issuer.ts'

const rsa = { kty: 'RSA', use: 'sig', alg: 'RS256', kid: 'one', n: 'AQAB', e: 'AQAB' }
const ec = { kty: 'EC', alg: 'ES256', kid: 'two', crv: 'P-256', x: 'AA', y: 'AA' }

/** An API server with these keys; an Error is what it answers instead. */
const reader = (start: readonly unknown[] | Error) => {
  const state = { keys: start, time: 0, asked: 0, troubles: [] as string[] }
  const call = ({ path }: { readonly path: string }): Promise<unknown> => {
    state.asked += 1
    if (state.keys instanceof Error) return Promise.reject(state.keys)
    return Promise.resolve(path === '/openid/v1/jwks' ? { keys: state.keys } : { issuer: 'https://issuer.example', jwks_uri: 'x' })
  }
  const kube = { sent: {}, call, open: () => Promise.reject(new Error('not here')) } as unknown as Kube
  return { state, issuer: new TokenIssuerReader(kube, ({ message }) => void state.troubles.push(message), () => state.time) }
}
const forbidden = new KubeError({ status: 403, reason: 'Forbidden', message: 'GET /openid/v1/jwks: forbidden' })

test('reads issuer and keys once a minute, in one order, and only the public parts of keys it knows', async () => {
  const { state, issuer } = reader([rsa, ec])
  const first = await issuer.read()
  assert.deepEqual(first, { kind: 'known', issuer: 'https://issuer.example', keys: [ec, { kty: 'RSA', kid: 'one', alg: 'RS256', n: 'AQAB', e: 'AQAB' }].map(({ kty, kid, alg, ...rest }) => ({ kty, kid, alg, ...rest })) })
  state.keys = [{ ...ec, d: 'a secret' }, { kty: 'oct', k: 'c2VjcmV0' }, rsa]
  state.time = 59_000
  assert.deepEqual([await issuer.read(), state.asked], [first, 2])
  state.time = 60_000
  assert.deepEqual([JSON.stringify(await issuer.read()), state.asked], [JSON.stringify(first), 4])
})

test('an API server that refuses is asked again after 10 s, and the reason is told', async () => {
  const { state, issuer } = reader(forbidden)
  assert.deepEqual(await issuer.read(), { kind: 'unknown', why: 'GET /openid/v1/jwks: forbidden' })
  state.keys = [rsa]
  state.time = 9000
  assert.equal((await issuer.read()).kind, 'unknown')
  state.time = 10_000
  assert.equal((await issuer.read()).kind, 'known')
  assert.deepEqual(state.troubles, ['GET /openid/v1/jwks: forbidden'])
})

test('keys once read stay while the API server is away, and 1 minute after it is back they are the new ones', async () => {
  const { state, issuer } = reader([rsa])
  const first = await issuer.read()
  state.keys = forbidden
  state.time = 60_000
  assert.deepEqual(await issuer.read(), first)
  state.keys = [ec]
  state.time = 70_000
  assert.deepEqual((await issuer.read() as { keys: unknown }).keys, [ec])
})

test('0 usable keys is no answer', async () => {
  assert.deepEqual(await reader([{ kty: 'OKP' }]).issuer.read(), { kind: 'unknown', why: 'GET /openid/v1/jwks: it lists no RSA or EC key' })
})

test('is asked again after a minute, though the clock was set back by an hour: else keys that rotate would not be followed for an hour', async (t) => {
  const time = { steady: 0, wall: 3_600_000 }
  t.mock.method(performance, 'now', () => time.steady)
  t.mock.method(Date, 'now', () => time.wall)
  let asked = 0
  const call = ({ path }: { readonly path: string }) => Promise.resolve(path === '/openid/v1/jwks' ? { keys: [rsa] } : { issuer: 'https://issuer.example', asked: (asked += 1) })
  const issuer = new TokenIssuerReader({ sent: {}, call, open: () => Promise.reject(new Error('not here')) } as unknown as Kube, () => assert.fail())
  await issuer.read()
  Object.assign(time, { steady: 60_000, wall: 60_000 })
  await issuer.read()
  assert.equal(asked, 2)
})
