// DKIM keys, made and kept with the DNS record to publish beside each, and rotated where the manifest says so. Touches nothing.
// A new key is made `overlap` before it signs, so that its record can be published; the old ones are kept.
import { createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { dkimRecord, type MadeDkimKey, type Need } from '../plan/index.ts'
import type { Data } from './data.ts'

type DkimNeed = Extract<Need, { kind: 'dkim' }>
type KeptKey = { readonly selector: string; readonly signsFrom: number }

/** The key that signs now, and all that is to be kept: for each selector a .key, a .signs-from, and a .txt with its record. */
export const dkimKeyFor = async (need: DkimNeed, kept: Data, now: Date): Promise<{ readonly key: MadeDkimKey; readonly data: Data }> => {
  const keys = keysIn(kept, need)
  const due = signsFromOfNext(keys, need, now.getTime())
  const data = due === undefined ? kept : { ...kept, ...(await makeKey(need, keys, due, now)) }
  const { selector } = signing(keysIn(data, need), now.getTime())!
  return { key: { selector, algorithm: need.algorithm, privateKey: data[`${selector}.key`]! }, data }
}

const keysIn = (kept: Data, { algorithm, selectorPrefix }: DkimNeed): KeptKey[] => {
  const mine = new RegExp(`^(${selectorPrefix}-${algorithm}-[0-9]{6}(-[0-9]+)?)\\.key$`) // the prefix is letters, digits and -
  const selectors = Object.keys(kept).flatMap((name) => mine.exec(name)?.[1] ?? [])
  return selectors.map((selector) => ({ selector, signsFrom: Date.parse(kept[`${selector}.signs-from`]?.trim() ?? '') || 0 }))
}

/** The youngest of those that may sign; where none may yet, the first that will. */
const signing = (keys: readonly KeptKey[], now: number): KeptKey | undefined => {
  const inOrder = [...keys].sort((a, b) => a.signsFrom - b.signsFrom)
  return inOrder.findLast(({ signsFrom }) => signsFrom <= now) ?? inOrder[0]
}

/** When a key to be made now would sign; undefined where none is to be made. */
const signsFromOfNext = (kept: readonly KeptKey[], { rotation }: DkimNeed, now: number): number | undefined => {
  const current = signing(kept, now)
  if (current === undefined) return now
  if (rotation === undefined || kept.some(({ signsFrom }) => signsFrom > now)) return undefined
  const overlap = rotation.overlapSeconds * 1000
  return now >= current.signsFrom + rotation.everySeconds * 1000 - overlap ? now + overlap : undefined
}

/** Selector: prefix, algorithm, month; a number after it where the month has one already. */
const makeKey = async ({ domain, algorithm, selectorPrefix }: DkimNeed, kept: readonly KeptKey[], signsFrom: number, now: Date): Promise<Data> => {
  const month = `${selectorPrefix}-${algorithm}-${now.toISOString().slice(0, 7).replace('-', '')}`
  const inMonth = kept.filter(({ selector }) => selector === month || selector.startsWith(`${month}-`)).length
  const selector = inMonth === 0 ? month : `${month}-${inMonth + 1}`
  const privateKey = await generate(algorithm)
  const record = dkimRecord(domain, selector, publicPartOf(privateKey, algorithm), algorithm)
  return {
    [`${selector}.txt`]: `${record.name}. IN TXT ${quoted(record.value)}\n`,
    [`${selector}.signs-from`]: `${new Date(signsFrom).toISOString()}\n`,
    [`${selector}.key`]: privateKey, // last: a key without its record would never be published
  }
}

/** Beside the event loop: an RSA key takes 50 ms, and there may be a thousand. */
const generate = async (algorithm: 'ed25519' | 'rsa'): Promise<string> => {
  const { privateKey } = algorithm === 'rsa' ? await keyPair('rsa', { modulusLength: 2048 }) : await keyPair('ed25519', {})
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}
const keyPair = promisify(generateKeyPair)

/** p= of the record: SubjectPublicKeyInfo for RSA (RFC 6376 3.6.1), the bare 32 bytes for Ed25519 (RFC 8463 4.2). */
const publicPartOf = (privateKey: string, algorithm: 'ed25519' | 'rsa'): string => {
  const spki = createPublicKey(createPrivateKey(privateKey)).export({ type: 'spki', format: 'der' })
  return (algorithm === 'rsa' ? spki : spki.subarray(-32)).toString('base64')
}

/** A TXT record's strings have at most 255 bytes each (RFC 1035 3.3.14). */
const quoted = (value: string): string => (value.match(/.{1,255}/g) ?? []).map((part) => `"${part}"`).join(' ')
