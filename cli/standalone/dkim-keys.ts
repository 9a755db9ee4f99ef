// DKIM keys, made once and kept, with the DNS record to publish beside each. Touches its own folder only.
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { dkimRecord, type MadeDkimKey, type Need } from '../../operator/index.ts'
import { writeSecretly } from './secret-files.ts'

type DkimNeed = Extract<Need, { kind: 'dkim' }>

/** The newest key of this prefix and algorithm; one is made where there is none. Selector: prefix, algorithm, month. */
export const dkimKeyFor = ({ domain, algorithm, selectorPrefix }: DkimNeed, folder: string, now: Date): MadeDkimKey => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const mine = new RegExp(`^${selectorPrefix}-${algorithm}-[0-9]{6}\\.key$`) // the prefix is letters, digits and -
  const newest = readdirSync(folder).filter((name) => mine.test(name)).sort().at(-1)
  const selector = newest?.replace(/\.key$/, '') ?? `${selectorPrefix}-${algorithm}-${now.toISOString().slice(0, 7).replace('-', '')}`
  const path = join(folder, `${selector}.key`)
  if (newest === undefined) writeSecretly(path, generate(algorithm))
  const privateKey = readFileSync(path, 'utf8')
  const record = dkimRecord(domain, selector, publicPartOf(privateKey, algorithm), algorithm)
  const text = `${record.name}. IN TXT ${quoted(record.value)}\n`
  const note = join(folder, `${selector}.txt`)
  if (!existsSync(note) || readFileSync(note, 'utf8') !== text) writeSecretly(note, text)
  return { selector, algorithm, privateKey }
}

const generate = (algorithm: 'ed25519' | 'rsa'): string => {
  const { privateKey } = algorithm === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519')
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** p= of the record: SubjectPublicKeyInfo for RSA (RFC 6376 3.6.1), the bare 32 bytes for Ed25519 (RFC 8463 4.2). */
export const publicPartOf = (privateKey: string, algorithm: 'ed25519' | 'rsa'): string => {
  const spki = createPublicKey(createPrivateKey(privateKey)).export({ type: 'spki', format: 'der' })
  return (algorithm === 'rsa' ? spki : spki.subarray(-32)).toString('base64')
}

/** A TXT record's strings have at most 255 bytes each (RFC 1035 3.3.14). */
const quoted = (value: string): string => (value.match(/.{1,255}/g) ?? []).map((part) => `"${part}"`).join(' ')
