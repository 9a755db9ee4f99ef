// A small certificate authority of our own: ten years for the CA, one for what it signs. Touches nothing.
import { X509Certificate, createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { bits, context, integer, isTrue, octets, oid, sequence, set, time, utf8 } from './der.ts'

export type KeyPair = { readonly certificate: string; readonly key: string } // PEM; key PKCS#8
/** `trust`: itself, and those before and after it while they count too. */
export type Authority = KeyPair & { readonly trust: string }

const day = 86_400_000
const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'))

export const newAuthority = (now: Date): KeyPair => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = `Posthouse CA ${randomBytes(4).toString('hex')}` // a name of its own: clients may know several
  const extensions = [
    extension('2.5.29.19', sequence(isTrue, integer(Buffer.from([0]))), true), // a CA, and nothing below what it signs
    extension('2.5.29.15', bits(Buffer.from([0x06]), 1), true), // keyCertSign, cRLSign
    extension('2.5.29.14', octets(keyIdOf(publicKey))),
  ]
  return { certificate: certify({ issuer: name, subject: name, now, days: 3653, publicKey, signingKey: privateKey, extensions }), key: pemOf(privateKey) }
}

/** A server certificate for these names and addresses; the CA follows in the chain. */
export const certificateFor = (names: readonly string[], authority: KeyPair, now: Date): KeyPair => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = new X509Certificate(authority.certificate)
  const extensions = [
    extension('2.5.29.19', sequence(), true),
    extension('2.5.29.15', bits(Buffer.from([0x80]), 7), true), // digitalSignature
    extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'))), // server and client
    extension('2.5.29.17', sequence(...names.map(alternativeName))),
    extension('2.5.29.35', sequence(context(0, keyIdOf(issuer.publicKey), false))),
  ]
  const subject = names[0]!.slice(0, 64) // a common name has 64 characters at most; what counts is the alternative names
  const certificate = certify({ issuer: commonNameOf(issuer), subject, now, days: 365, publicKey, signingKey: createPrivateKey(authority.key), extensions })
  return { certificate: certificate + authority.certificate, key: pemOf(privateKey) }
}

/** More than `days` left, and, where asked, still of this CA and for these names. */
export const isFresh = (certificate: string, now: Date, days: number, wanted?: { readonly authority: KeyPair; readonly names: readonly string[] }): boolean => {
  try {
    const parsed = new X509Certificate(certificate)
    if (parsed.validToDate.getTime() - now.getTime() < days * day) return false
    if (wanted === undefined) return true
    const named = wanted.names.every((name) => (isIP(name) === 0 ? parsed.checkHost(name, { subject: 'never' }) : parsed.checkIP(name)) !== undefined)
    return named && parsed.verify(new X509Certificate(wanted.authority.certificate).publicKey)
  } catch {
    return false
  }
}

type Wanted = {
  readonly issuer: string
  readonly subject: string
  readonly now: Date
  readonly days: number
  readonly publicKey: KeyObject
  readonly signingKey: KeyObject
  readonly extensions: readonly Buffer[]
}

/** RFC 5280 4.1. */
const certify = ({ issuer, subject, now, days, publicKey, signingKey, extensions }: Wanted): string => {
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(15)])
  const lifetime = sequence(time(new Date(now.getTime() - 3_600_000)), time(new Date(now.getTime() + days * day))) // an hour back: clocks differ
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const body = sequence(context(0, integer(Buffer.from([2]))), integer(serial), ecdsaWithSha256, nameOf(issuer), lifetime, nameOf(subject), spki, context(3, sequence(...extensions)))
  const der = sequence(body, ecdsaWithSha256, bits(sign('sha256', body, signingKey)))
  return new X509Certificate(der).toString()
}

const nameOf = (commonName: string): Buffer => sequence(set(sequence(oid('2.5.4.3'), utf8(commonName))))
const commonNameOf = ({ subject }: X509Certificate): string => subject.replace(/^CN=/, '') // ours have nothing else

const extension = (id: string, value: Buffer, critical = false): Buffer => sequence(oid(id), ...(critical ? [isTrue] : []), octets(value))

const alternativeName = (name: string): Buffer => (isIP(name) === 0 ? context(2, Buffer.from(name, 'ascii'), false) : context(7, Buffer.from(ipaddr.parse(name).toByteArray()), false))

/** RFC 5280 4.2.1.2 (1): SHA-1 of the public point, which ends the SubjectPublicKeyInfo of a P-256 key. */
const keyIdOf = (publicKey: KeyObject): Buffer => {
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha1').update(spki.subarray(-65)).digest()
}

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()
