// Which ServiceAccount a token proves, by the keys and the audience in the snapshot alone, or why it proves none. Pure: the time is given.
// The signature comes first: of a token that nobody here signed, nothing is repeated to whoever sent it.
import { createLocalJWKSet, errors, jwtVerify, type JWTVerifyGetKey } from 'jose' // RFC 7515 and 7519, with a list of algorithms fixed by us; MIT, and @kubernetes/client-node stands on it
import type { Tokens } from '../snapshot/index.ts'

/** What a client reads after "Token refused: ". */
export const tokenFaults = {
  'no-tokens-here': 'this relay knows no keys to check it with, or no MailSender here has an identity by ServiceAccount',
  'not-signed': 'it is not signed by this cluster',
  'other-issuer': 'its issuer is not {issuer}',
  'other-audience': 'it is not for this relay, whose audience is {audience}',
  'no-account': 'its subject is no ServiceAccount',
  'not-yet': 'it is not valid yet; do the clocks differ?',
  'expired': 'it has expired; read the file again for every connection',
  'too-old': 'it is older than an hour; its volume needs expirationSeconds: 3600 or less',
  'incomplete': 'it lacks a claim that tokens of ServiceAccounts have',
} as const
type TokenFault = keyof typeof tokenFaults

export type Proof = { readonly kind: 'account'; readonly namespace: string; readonly name: string } | { readonly kind: 'refused'; readonly fault: TokenFault }

/** What Kubernetes signs with. Never none, and never HS…: a public key would be its secret. */
const algorithms = ['RS256', 'ES256', 'ES384', 'ES512']
const oldest = 3600
const clocksDiffer = 30 // seconds

/** Whether a password is a token and no password: `{"` in base64, twice, and a signature. */
export const isToken = (text: string): boolean => /^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]*$/.test(text)

export const proveAccount = async (token: string, tokens: Tokens | undefined, now: Date): Promise<Proof> => {
  if (tokens === undefined) return refused('no-tokens-here')
  const { issuer, audience } = tokens
  try {
    const { payload } = await jwtVerify(token, keysOf(tokens), { algorithms, issuer, audience, currentDate: now, maxTokenAge: oldest, clockTolerance: clocksDiffer, requiredClaims: ['exp', 'sub'] })
    const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(payload.sub!) ?? []
    return namespace === undefined || name === undefined ? refused('no-account') : { kind: 'account', namespace, name }
  } catch (error) {
    return refused(faultOf(error))
  }
}

const refused = (fault: TokenFault): Proof => ({ kind: 'refused', fault })

const faultOf = (error: unknown): TokenFault => {
  if (error instanceof errors.JWTExpired) return error.claim === 'iat' ? 'too-old' : 'expired'
  if (!(error instanceof errors.JWTClaimValidationFailed)) return 'not-signed'
  if (error.reason !== 'check_failed') return 'incomplete'
  const byClaim: Readonly<Record<string, TokenFault>> = { iss: 'other-issuer', aud: 'other-audience', nbf: 'not-yet', iat: 'not-yet' }
  return byClaim[error.claim] ?? 'incomplete'
}

const keySets = new WeakMap<Tokens, JWTVerifyGetKey>()

/** A key is read once per snapshot. */
const keysOf = (tokens: Tokens): JWTVerifyGetKey => {
  const known = keySets.get(tokens) ?? createLocalJWKSet({ keys: tokens.keys })
  keySets.set(tokens, known)
  return known
}
