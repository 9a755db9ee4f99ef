// A cluster's issuer of ServiceAccount tokens for tests: keys of our own, and tokens with the claims that Kubernetes puts into them.
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose'
import type { Tokens } from '../../relay/snapshot/index.ts'

export const testIssuer = 'https://kubernetes.default.svc.cluster.local'
export const testAudience = 'posthouse.dev/mail/main'

export type TestIssuer = {
  readonly publicKey: Readonly<Record<string, unknown>>
  /** What the snapshot of a relay holds of these issuers. */
  tokens(...others: readonly TestIssuer[]): Tokens
  /** A token of ServiceAccount shop/shop, issued now for an hour, but for what is changed; undefined takes a claim out. */
  token(change?: Readonly<Record<string, unknown>>, now?: Date): Promise<string>
}

export const newIssuer = async (alg = 'RS256', kid = `key-${Math.random()}`): Promise<TestIssuer> => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const issuer: TestIssuer = {
    publicKey: { ...(await exportJWK(publicKey)), alg, kid, use: 'sig' },
    tokens: (...others) => ({ issuer: testIssuer, audience: testAudience, keys: [issuer, ...others].map((one) => one.publicKey) }),
    token: (change = {}, now = new Date()) => signed(privateKey, { alg, kid }, claimsAt(now, change)),
  }
  return issuer
}

const claimsAt = (now: Date, change: Readonly<Record<string, unknown>>): Record<string, unknown> => {
  const iat = Math.floor(now.getTime() / 1000)
  const kubernetes = { namespace: 'shop', serviceaccount: { name: 'shop', uid: 'a-uid' }, pod: { name: 'shop-1', uid: 'b-uid' } }
  const claims = { aud: [testAudience], iss: testIssuer, sub: 'system:serviceaccount:shop:shop', iat, nbf: iat, exp: iat + 3600, jti: 'an-id', 'kubernetes.io': kubernetes, ...change }
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
}

const signed = (key: CryptoKey, header: { alg: string; kid: string }, claims: Record<string, unknown>): Promise<string> => new SignJWT(claims).setProtectedHeader(header).sign(key)
