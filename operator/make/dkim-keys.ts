// DKIM keys, made and kept with the DNS record to publish beside each, and rotated where the manifest says so (dkim-rotation.ts says when). Touches nothing.
// For each selector are kept: .key, .txt with its record, .made-at, and, once it has signed, .signs-from and .left-at. The last stays when the others go: a selector is never used again.
import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { dkimKeyOf, dkimRecord, publicPartOf, zoneLine, type Data, type DnsRecord, type MadeDkimKey, type Need } from '../plan/index.ts'
import { nextSelector, signingOf, stepRotation, type KeptKey } from './dkim-rotation.ts'

type DkimNeed = Extract<Need, { kind: 'dkim' }>
export type DkimNews = { readonly reason: 'DkimKeyMade' | 'DkimKeySigns' | 'DkimKeyForgotten'; readonly text: string }
export type DkimKeys = { readonly keys: readonly MadeDkimKey[]; readonly data: Data; readonly news: readonly DkimNews[] }

export type DkimOptions = {
  /** Whether a record stands in DNS; absent: nobody looks, and time alone decides. */
  readonly seen?: (record: DnsRecord) => boolean
  /** A private key in PEM, or undefined: it comes later, and until then there is none. */
  readonly newKey?: (algorithm: DkimNeed['algorithm']) => Promise<string | undefined>
}

/** All keys of the algorithm, and all that is to be kept. */
export const dkimKeysFor = async (need: DkimNeed, kept: Data, now: Date, { seen, newKey = newDkimKey }: DkimOptions = {}): Promise<DkimKeys> => {
  const { domain, algorithm, selectorPrefix } = need
  const before = keysIn(kept, algorithm)
  const rotation = need.rotation && { everyMs: need.rotation.everySeconds * 1000, overlapMs: need.rotation.overlapSeconds * 1000 }
  const recordOf = (selector: string): DnsRecord => dkimRecord(domain, selector, publicPartIn(kept, selector, algorithm)!, algorithm)
  const { keys: stay, make } = stepRotation({ keys: before, rotation, selectorPrefix, now: now.getTime(), seen: seen && ((selector) => seen(recordOf(selector))) })
  const made = make && (await makeKey(need, { taken: [...before.map(({ selector }) => selector), ...leftIn(kept, algorithm)], isFirst: make === 'first', at: now.getTime(), newKey }))
  const keys = made ? [...stay, made.key] : stay
  const data = { ...without(kept, before, keys), ...made?.data, ...timesOf(keys) }
  const shown = keys.map((key): MadeDkimKey => ({ selector: key.selector, algorithm, privateKey: data[`${key.selector}.key`]!, publicPart: publicPartIn(data, key.selector, algorithm)!, stage: stageOf(key) }))
  return { keys: stages.flatMap((stage) => shown.filter((key) => key.stage === stage)), data, news: newsOf(before, keys, data) }
}

const stages = ['signing', 'coming', 'leaving'] as const

const stageOf = ({ signsFrom, leftAt }: KeptKey): MadeDkimKey['stage'] => (signsFrom === undefined ? 'coming' : leftAt === undefined ? 'signing' : 'leaving')

const keysIn = (kept: Data, algorithm: DkimNeed['algorithm']): KeptKey[] => {
  const mine = new RegExp(`^([a-z0-9-]+-${algorithm}-[0-9]{6}(?:-[0-9]+)?)\\.key$`)
  // what somebody wrote there that is no key counts as none: it must not stop those whose keys are
  const selectors = Object.keys(kept).flatMap((name) => mine.exec(name)?.[1] ?? []).filter((selector) => isSmall(kept, selector) && publicPartIn(kept, selector, algorithm) !== undefined)
  const at = (name: string): number | undefined => Date.parse(kept[name]?.trim() ?? '') || undefined
  return selectors.map((selector) => {
    const [madeAt, signsFrom, leftAt] = [at(`${selector}.made-at`), at(`${selector}.signs-from`), at(`${selector}.left-at`)]
    return { selector, madeAt: madeAt ?? signsFrom ?? 0, ...(signsFrom !== undefined && { signsFrom }), ...(leftAt !== undefined && { leftAt }) }
  })
}

/** As PEM an RSA key of 4096 bits takes less: with a larger one each signature would hold up a whole relay for seconds, and its record would not fit a status. */
const isSmall = (kept: Data, selector: string): boolean => selector.length <= 63 && kept[`${selector}.key`]!.length <= 4096 && (kept[`${selector}.txt`]?.length ?? 0) <= 4096

const endings = ['key', 'txt', 'made-at', 'signs-from'] as const // of what goes with a key

/** Selectors that have left, their keys forgotten or not. */
const leftIn = (kept: Data, algorithm: DkimNeed['algorithm']): string[] => Object.keys(kept).flatMap((name) => (name.includes(`-${algorithm}-`) && name.endsWith('.left-at') ? [name.slice(0, -'.left-at'.length)] : []))

const without = (kept: Data, before: readonly KeptKey[], keys: readonly KeptKey[]): Data => {
  const stay = new Set(keys.map(({ selector }) => selector))
  const gone = new Set(before.filter(({ selector }) => !stay.has(selector)).flatMap(({ selector }) => endings.map((ending) => `${selector}.${ending}`)))
  return Object.fromEntries(Object.entries(kept).filter(([name]) => !gone.has(name)))
}

const timesOf = (keys: readonly KeptKey[]): Data =>
  Object.fromEntries(keys.flatMap(({ selector, madeAt, signsFrom, leftAt }) => Object.entries({ 'made-at': madeAt, 'signs-from': signsFrom, 'left-at': leftAt }).flatMap(([ending, at]) => (at === undefined ? [] : [[`${selector}.${ending}`, `${new Date(at).toISOString()}\n`]]))))

type Making = { readonly taken: readonly string[]; readonly isFirst: boolean; readonly at: number; readonly newKey: NonNullable<DkimOptions['newKey']> }

const makeKey = async ({ domain, algorithm, selectorPrefix }: DkimNeed, { taken, isFirst, at, newKey }: Making): Promise<{ readonly key: KeptKey; readonly data: Data } | undefined> => {
  const privateKey = await newKey(algorithm)
  if (privateKey === undefined) return undefined
  const publicPart = publicPartOf(privateKey, algorithm)
  const selector = nextSelector(taken, selectorPrefix, algorithm, publicPart, at)
  const record = dkimRecord(domain, selector, publicPart, algorithm)
  // the key last: without its record it would never be published
  return { key: { selector, madeAt: at, ...(isFirst && { signsFrom: at }) }, data: { [`${selector}.txt`]: `${zoneLine(record)}\n`, [`${selector}.key`]: privateKey } }
}

/** In PEM. Made beside the event loop: an RSA key takes 50 ms of processor. */
export const newDkimKey = async (algorithm: 'ed25519' | 'rsa'): Promise<string> => {
  const { privateKey } = algorithm === 'rsa' ? await keyPair('rsa', { modulusLength: 2048 }) : await keyPair('ed25519', {})
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}
const keyPair = promisify(generateKeyPair)

/** From the record beside it, which is cheaper to read than a key; from the key where somebody removed that. */
const publicPartIn = (data: Data, selector: string, algorithm: DkimNeed['algorithm']): string | undefined => {
  const text = [...(data[`${selector}.txt`] ?? '').matchAll(/"([^"]*)"/g)].map(([, part]) => part).join('')
  const told = /; p=([A-Za-z0-9+/=]+)$/.exec(text)?.[1]
  if (told !== undefined) return told
  const key = dkimKeyOf(data[`${selector}.key`]!, algorithm)
  return key && publicPartOf(key, algorithm)
}

const newsOf = (before: readonly KeptKey[], keys: readonly KeptKey[], data: Data): DkimNews[] => {
  const known = new Set(before.map(({ selector }) => selector))
  const [old, current] = [signingOf(before), signingOf(keys)]
  const made = keys.filter(({ selector }) => !known.has(selector)).map(({ selector }): DkimNews => ({ reason: 'DkimKeyMade', text: `publish ${data[`${selector}.txt`]?.trim() ?? selector}` }))
  const signs: DkimNews[] = current === undefined || old === undefined || current.selector === old.selector ? [] : [{ reason: 'DkimKeySigns', text: `${current.selector} signs from now on; leave the record of ${old.selector} where it is for now` }]
  const gone = before.filter(({ selector }) => !keys.some((key) => key.selector === selector)).map(({ selector }): DkimNews => ({ reason: 'DkimKeyForgotten', text: `the record of ${selector} may be removed` }))
  return [...made, ...signs, ...gone]
}
