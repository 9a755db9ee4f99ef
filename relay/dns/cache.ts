// Answers by TTL, with a floor and a ceiling; failures briefly, and behind them the records they would hide (RFC 8767); the oldest go when it is full. Knows no DNS but that.
import type { Answer } from './answer.ts'

export type CacheLimits = { readonly floor: number; readonly ceiling: number; readonly negativeCeiling: number; readonly failed: number; readonly stale: number; readonly entries: number; readonly bytes: number } // seconds
export const defaultCacheLimits: CacheLimits = { floor: 5, ceiling: 3600, negativeCeiling: 300, failed: 10, stale: 86_400, entries: 50_000, bytes: 32 * 1024 * 1024 }

export class AnswerCache {
  readonly #limits: CacheLimits
  readonly #now: () => number
  readonly #entries = new Map<string, { answer: Answer<unknown>; until: number; staleUntil: number; bytes: number }>()
  #bytes = 0

  constructor(limits: Partial<CacheLimits>, now: () => number) {
    this.#limits = { ...defaultCacheLimits, ...limits }
    this.#now = now
  }

  get(key: string): Answer<unknown> | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && entry.until > this.#now() ? entry.answer : undefined
  }

  /** Gives back what counts from now on: the records that were there, where they could only not be refreshed. */
  put(key: string, answer: Answer<unknown>): Answer<unknown> {
    const before = this.#entries.get(key)
    if (answer.kind === 'failed' && before !== undefined && before.staleUntil > this.#now()) {
      before.until = this.#now() + this.#limits.failed * 1000
      return before.answer
    }
    this.#forget(key) // to the end: the map's order is the order of writing
    const bytes = roughBytes(key, answer)
    const until = this.#now() + secondsToKeep(answer, this.#limits) * 1000
    this.#entries.set(key, { answer, until, staleUntil: answer.kind === 'records' ? until + this.#limits.stale * 1000 : 0, bytes })
    this.#bytes += bytes
    while (this.#entries.size > this.#limits.entries || this.#bytes > this.#limits.bytes) this.#forget(this.#entries.keys().next().value!)
    return answer
  }

  /** Whoever has a domain says how long its answers are, and may have thousands of both. */
  get bytes(): number {
    return this.#bytes
  }

  #forget(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0
    this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }
}

/** About what an answer takes in memory. */
const roughBytes = (key: string, answer: Answer<unknown>): number =>
  200 + key.length + (answer.kind === 'records' ? answer.records.reduce<number>((sum, record) => sum + 64 + (typeof record === 'string' ? record : ((record as { exchange?: string }).exchange ?? '')).length, 0) : 0)

export const secondsToKeep = (answer: Answer<unknown>, limits: CacheLimits): number => {
  if (answer.kind === 'failed') return limits.failed
  const ceiling = answer.kind === 'records' ? limits.ceiling : limits.negativeCeiling
  return Math.min(Math.max(answer.ttl, limits.floor), ceiling)
}
