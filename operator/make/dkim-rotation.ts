// When DKIM keys of one algorithm come, sign and leave. Pure; what it knows of the past stands with each key.
//   1. the very first key signs at once: there is nothing that it could break, and a signature that nobody can verify counts as none (RFC 6376 6.1)
//   2. `overlap` before the next is due, its key is made and its record can be published
//   3. it signs when it is due and its record was seen in DNS, however long that takes; without anybody who looks, when `overlap` is over
//   4. the one before it is kept for `overlap` more, for mail that is under way
import { createHash } from 'node:crypto'

export type KeptKey = {
  readonly selector: string
  readonly madeAt: number // ms
  /** Absent: it has never signed. */
  readonly signsFrom?: number
  /** When another began to sign in its place. */
  readonly leftAt?: number
}

export type Rotation = { readonly everyMs: number; readonly overlapMs: number }

export type Given = {
  readonly keys: readonly KeptKey[]
  /** Absent: keys change only with the prefix. */
  readonly rotation?: Rotation | undefined
  readonly selectorPrefix: string
  readonly now: number
  /** Whether the record of a selector stands in DNS with this very key; absent: nobody looks, and time alone decides. */
  readonly seen?: ((selector: string) => boolean) | undefined
}

export type Step = {
  readonly keys: readonly KeptKey[]
  /** A key is to be made: the first, which signs at once, or one that comes. */
  readonly make?: 'first' | 'next'
}

export const usualOverlapMs = 7 * 86_400_000

export const signingOf = (keys: readonly KeptKey[]): KeptKey | undefined => keys.find(({ signsFrom, leftAt }) => signsFrom !== undefined && leftAt === undefined)
export const comingOf = (keys: readonly KeptKey[]): KeptKey | undefined => keys.find(({ signsFrom }) => signsFrom === undefined)

export const stepRotation = (given: Given): Step => {
  if (given.keys.length === 0) return { keys: [], make: 'first' }
  const keys = withoutOld(begun(settled(given.keys, given.now), given), given)
  return isNextToBeMade(keys, given) ? { keys, make: 'next' } : { keys }
}

/** Exactly one signs: the one that began last; where somebody removed it, the youngest there is. A beginning that lies ahead is a clock that was wrong: it counts as now. */
const settled = (keys: readonly KeptKey[], now: number): KeptKey[] => {
  const active = keys.filter(({ signsFrom, leftAt }) => signsFrom !== undefined && leftAt === undefined)
  const current = last(active, ({ signsFrom }) => signsFrom!) ?? last(keys, ({ madeAt }) => madeAt)!
  return keys.map((key) => {
    if (key === current) return { selector: key.selector, madeAt: Math.min(key.madeAt, now), signsFrom: Math.min(key.signsFrom ?? now, now) }
    return active.includes(key) ? { ...key, leftAt: Math.min(current.signsFrom!, now) } : key
  })
}

const last = (keys: readonly KeptKey[], by: (key: KeptKey) => number): KeptKey | undefined => keys.reduce<KeptKey | undefined>((best, key) => (best === undefined || by(key) >= by(best) ? key : best), undefined)

const begun = (keys: readonly KeptKey[], given: Given): readonly KeptKey[] => {
  const [signing, coming] = [signingOf(keys)!, comingOf(keys)]
  if (coming === undefined || given.now < dueAt(signing, given) || !mayBegin(coming, given)) return keys
  return keys.map((key) => (key === coming ? { ...key, madeAt: Math.min(key.madeAt, given.now), signsFrom: given.now } : key === signing ? { ...key, leftAt: given.now } : key))
}

const mayBegin = ({ selector, madeAt }: KeptKey, { seen, now, rotation }: Given): boolean => (seen === undefined ? now >= madeAt + overlapOf(rotation) : seen(selector))

/** When another is to sign. */
const dueAt = ({ selector, signsFrom }: KeptKey, { rotation, selectorPrefix }: Given): number => (rotation === undefined || prefixOf(selector) !== selectorPrefix ? 0 : signsFrom! + rotation.everyMs)

const overlapOf = (rotation: Rotation | undefined): number => rotation?.overlapMs ?? usualOverlapMs

const withoutOld = (keys: readonly KeptKey[], { rotation, now }: Given): readonly KeptKey[] => keys.filter(({ leftAt }) => leftAt === undefined || now < leftAt + overlapOf(rotation))

const isNextToBeMade = (keys: readonly KeptKey[], given: Given): boolean => {
  const signing = signingOf(keys)!
  if (comingOf(keys) !== undefined) return false // one rotation at a time
  const isOfOldPrefix = prefixOf(signing.selector) !== given.selectorPrefix
  return isOfOldPrefix || (given.rotation !== undefined && given.now >= dueAt(signing, given) - given.rotation.overlapMs)
}

const form = /^(.*)-(?:ed25519|rsa)-[0-9]{6}(?:-[0-9]+)?$/ // keys of before have a number only where the month had one already
const prefixOf = (selector: string): string => form.exec(selector)?.[1] ?? ''

/** Prefix, algorithm, month, and a number that is the key's own: a MailDomain made anew knows nothing of the keys it had, whose records resolvers may still hold. Digits, for a release before reads no other selector. */
export const nextSelector = (usedBefore: readonly string[], selectorPrefix: string, algorithm: string, publicPart: string, now: number): string => {
  const month = new Date(now).toISOString().slice(0, 7).replace('-', '')
  const of = (number: number): string => `${selectorPrefix}-${algorithm}-${month}-${String(number % numbers).padStart(8, '0')}`
  let number = createHash('sha256').update(publicPart).digest().readUInt32BE() % numbers
  while (usedBefore.includes(of(number))) number += 1
  return of(number)
}
const numbers = 100_000_000
