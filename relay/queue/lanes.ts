// Which lane a site has, and which pod should serve a lane. Pure.
import { randomBytes } from 'node:crypto'

export const laneCount = 64

/** Fixed for the stream's life: the lane of a site, or of the domain where the site is not known yet. */
export const laneOf = (site: string): number => fnv1a(site) % laneCount

/** Pods from the one that should serve the lane to the last resort (rendezvous hashing). */
export const ranking = (lane: number, pods: readonly string[]): string[] =>
  pods.map((pod) => ({ pod, weight: weightOf(lane, pod) })).sort((a, b) => b.weight - a.weight || (a.pod < b.pod ? -1 : 1)).map(({ pod }) => pod)

const weightOf = (lane: number, pod: string): number => mixed(fnv1a(`${lane} ${pod}`))

/** Spreads the few bits in which two names differ over all (the finaliser of MurmurHash3). */
const mixed = (hash: number): number => {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

export const fnv1a = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}

/** Sortable by time, 48 bits of milliseconds and 50 of chance; no dot, no dash. */
export const newMessageId = (now = Date.now()): string => {
  let tail = ''
  for (const byte of tenBytes()) tail += alphabet[byte & 31]
  return encodeTime(now) + tail
}

/** Chance by the page: asking the system for each id costs more than the id. */
const tenBytes = (): Buffer => {
  if (chance.length < 10) chance = randomBytes(4_000)
  const taken = chance.subarray(0, 10)
  chance = chance.subarray(10)
  return taken
}
let chance: Buffer = Buffer.alloc(0)

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

const encodeTime = (now: number): string => {
  let text = ''
  for (let rest = Math.floor(now), i = 0; i < 10; i++, rest = Math.floor(rest / 32)) text = alphabet[rest % 32]! + text
  return text
}

/** When an id was made; undefined where it is none of ours. */
export const timeOfMessageId = (id: string): number | undefined => {
  if (!/^[0-9a-hjkmnp-tv-z]{20}$/.test(id)) return undefined
  return id.slice(0, 10).split('').reduce((time, character) => time * 32 + alphabet.indexOf(character), 0)
}
