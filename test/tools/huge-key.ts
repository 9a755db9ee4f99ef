// RSA keys that are larger than anybody should have.
import { createPrivateKey } from 'node:crypto'

/** As large as any, in no time: its factors are no primes, and everybody who reads it takes it. */
export const hugeKey = (bits: number): string => {
  const odd = (): bigint => BigInt(`0xf${'3'.repeat(bits / 8 - 2)}${(2 * Math.floor(Math.random() * 8) + 1).toString(16)}`)
  const [p, q, d] = [odd(), odd(), odd()]
  const text = (value: bigint): string => Buffer.from(value.toString(16).replace(/^(..)*.$/, '0$&'), 'hex').toString('base64url')
  const jwk = { kty: 'RSA', e: 'AQAB', n: text(p * q), d: text(d), p: text(p), q: text(q), dp: text(d), dq: text(d), qi: text(d) }
  return createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' }).toString()
}
