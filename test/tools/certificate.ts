// Self-signed certificates for tests, made on the spot: a few lines of DER (RFC 5280 4.1), no tool to install.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export type TestCertificate = { readonly certificate: string; readonly key: string }

export const makeCertificate = (name: string, validTo = Date.now() + 86_400_000): TestCertificate => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const body = tbsCertificate({ name, validTo }, publicKey.export({ type: 'spki', format: 'der' }))
  const signature = sign('sha256', body, privateKey)
  const whole = sequence(body, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature))
  return { certificate: pem('CERTIFICATE', whole), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }
}

const der = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const value = Buffer.concat(parts)
  const length = value.length < 128 ? [value.length] : value.length < 256 ? [0x81, value.length] : [0x82, value.length >> 8, value.length & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), value])
}
const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts)
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))

const tbsCertificate = ({ name, validTo }: { name: string; validTo: number }, publicKey: Buffer): Buffer => {
  const whom = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))))
  const validity = sequence(time(Math.min(Date.now(), validTo) - 60_000), time(validTo))
  const altName = sequence(oid('551d11'), der(0x04, sequence(der(0x82, Buffer.from(name)))))
  const serial = der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)]))
  return sequence(der(0xa0, der(0x02, Buffer.from([2]))), serial, ecdsaWithSha256, whom, validity, whom, publicKey, der(0xa3, sequence(altName)))
}

/** UTCTime: YYMMDDHHMMSSZ. */
const time = (at: number): Buffer => der(0x17, Buffer.from(`${new Date(at).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))

const pem = (label: string, bytes: Buffer): string => `-----BEGIN ${label}-----\n${bytes.toString('base64').replace(/(.{64})/g, '$1\n').trim()}\n-----END ${label}-----\n`
