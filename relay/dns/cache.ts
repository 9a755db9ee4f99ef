// Answers by TTL, with a floor and a ceiling; failures briefly; the oldest go when it is full. Knows no DNS but that.
import type { Answer } from './answer.ts'

export type CacheLimits = { readonly floor: number; readonly ceiling: number; readonly negativeCeiling: number; readonly failed: number; readonly entries: number } // seconds
export const defaultCacheLimits: CacheLimits = { floor: 5, ceiling: 3600, negativeCeiling: 300, failed: 10, entries: 50_000 }

export class AnswerCache {
  readonly #limits: CacheLimits
  readonly #now: () => number
  readonly #entries = new Map<string, { answer: Answer<unknown>; until: number }>()

  constructor(limits: Partial<CacheLimits>, now: () => number) {
    this.#limits = { ...defaultCacheLimits, ...limits }
    this.#now = now
  }

  get(key: string): Answer<unknown> | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && entry.until > this.#now() ? entry.answer : undefined
  }

  put(key: string, answer: Answer<unknown>): void {
    this.#entries.delete(key) // to the end: the map's order is the order of writing
    this.#entries.set(key, { answer, until: this.#now() + secondsToKeep(answer, this.#limits) * 1000 })
    if (this.#entries.size > this.#limits.entries) this.#entries.delete(this.#entries.keys().next().value!)
  }

  clear(): void {
    this.#entries.clear()
  }
}

export const secondsToKeep = (answer: Answer<unknown>, limits: CacheLimits): number => {
  if (answer.kind === 'failed') return limits.failed
  const ceiling = answer.kind === 'records' ? limits.ceiling : limits.negativeCeiling
  return Math.min(Math.max(answer.ttl, limits.floor), ceiling)
}
