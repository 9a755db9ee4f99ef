// Whether a certificate and a key belong together, and a private key in the form the snapshot holds. Pure.
import { X509Certificate, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

const mostOfPair = 65_536 // a long chain has 10: what is more takes the room of others in the snapshot

/** Undefined where the key belongs to the certificate. */
export const pairFault = (certificate: string, key: string): string | undefined => {
  if (certificate.length + key.length > mostOfPair) return `tls.crt and tls.key have more than ${mostOfPair / 1024} KiB`
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key)) ? undefined : 'tls.key is not the key of tls.crt'
  } catch (error) {
    return `tls.crt or tls.key cannot be read (${(error as Error).message})`
  }
}

/** Undefined where every certificate of the bundle can be read. */
export const authorityFault = (bundle: string): string | undefined => {
  if (bundle.length > mostOfPair) return `ca.crt has more than ${mostOfPair / 1024} KiB`
  const texts = bundle.split(/(?=-----BEGIN CERTIFICATE-----)/).filter((text) => text.startsWith('-----BEGIN CERTIFICATE-----'))
  try {
    const certificates = texts.map((text) => new X509Certificate(text))
    return certificates.length > 0 ? undefined : 'ca.crt has no certificate in PEM'
  } catch (error) {
    return `ca.crt cannot be read (${(error as Error).message})`
  }
}

export const isForName = (certificate: string, name: string): boolean => {
  try {
    return new X509Certificate(certificate).checkHost(name, { subject: 'never' }) !== undefined
  } catch {
    return false
  }
}

/** As pairFault, for a certificate that a relay shows to hosts. */
export const shownPairFault = (certificate: string, key: string): string | undefined =>
  isTooLarge(key) ? `tls.key has more than ${mostBits} bits` : pairFault(certificate, key)

const mostBits = 4096 // with an RSA key of 16,384 a signature takes seconds, and holds up the whole process

const bitsOf = ({ asymmetricKeyDetails }: KeyObject): number => asymmetricKeyDetails?.modulusLength ?? 0

/** Of a private key; false where it cannot be read. */
export const isTooLarge = (key: string): boolean => {
  try {
    return bitsOf(createPrivateKey(key)) > mostBits
  } catch {
    return false // pairFault says why
  }
}

/** PKCS#8 PEM of a DKIM key; undefined where it is no private key of the algorithm, or an RSA key of less than 1024 bits or more than 4096, which nobody has to verify (RFC 8301 3.2). */
export const dkimKeyOf = (pem: string, algorithm: 'ed25519' | 'rsa'): string | undefined => {
  try {
    const key = createPrivateKey(pem)
    const fits = algorithm === 'ed25519' || (bitsOf(key) >= 1024 && bitsOf(key) <= mostBits)
    return key.asymmetricKeyType === algorithm && fits ? key.export({ type: 'pkcs8', format: 'pem' }).toString() : undefined
  } catch {
    return undefined
  }
}

/** p= of the record: SubjectPublicKeyInfo for RSA (RFC 6376 3.6.1), the bare 32 bytes for Ed25519 (RFC 8463 4.2). */
export const publicPartOf = (privateKey: string, algorithm: 'ed25519' | 'rsa'): string => {
  const spki = createPublicKey(createPrivateKey(privateKey)).export({ type: 'spki', format: 'der' })
  return (algorithm === 'rsa' ? spki : spki.subarray(-32)).toString('base64')
}
