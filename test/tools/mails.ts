// Mails for loads: every recipient address is used once; and chance that can be repeated.
import type { Mail } from './smtp-client.ts'

/** One recipient each, `<prefix><n>@domain`, the domains taken in turn; about `bytes` long. */
export const mailsTo = (count: number, domains: string | readonly string[], options: { prefix?: string; bytes?: number; from?: string } = {}): Mail[] => {
  return Array.from({ length: count }, (_, n) => mailTo(`${options.prefix ?? 'r'}${n}@${typeof domains === 'string' ? domains : domains[n % domains.length]}`, options))
}

/** As `mailsTo` with what is usual, until it is over. */
export function* mailsUntil(domains: readonly string[], isOver: () => boolean): Generator<Mail> {
  for (let n = 0; !isOver(); n++) yield mailTo(`r${n}@${domains[n % domains.length]}`)
}

export const mailTo = (to: string, { bytes = 1000, from = 'sender@client.example' }: { bytes?: number; from?: string } = {}): Mail => {
  const filler = `${'x'.repeat(70)}\r\n`.repeat(Math.ceil(bytes / 72))
  return { from, to: [to], data: `From: ${from}\r\nTo: ${to}\r\nSubject: ${to.split('@')[0]}\r\nMessage-ID: <${to}>\r\n\r\n${filler}` }
}

export type Chance = { readonly seed: number; next(): number; below(limit: number): number }

/** Numbers from 0 to 1, the same for the same seed (mulberry32). POSTHOUSE_SEED repeats a run. */
export const chance = (seed = Number(process.env.POSTHOUSE_SEED ?? Date.now() % 1_000_000)): Chance => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return { seed, next, below: (limit) => Math.floor(next() * limit) }
}
