// A figure of the whole queue that somebody looks at now and then: asked for in the background, at most every 15 s and only while it is wanted.
import type { Clock } from './clock.ts'

const freshMs = 15_000
const usefulMs = 180_000 // a scrape shows what the one before it asked for

/** Where `ask` answers undefined, or fails, what was known before stays. The result is at most three minutes old, or undefined. */
export const createGlance = <T>(ask: () => Promise<T | undefined>, clock: Pick<Clock, 'monotonic'>): (() => T | undefined) => {
  let known: { readonly seen: T; readonly at: number } | undefined
  let askedAt = -Infinity
  const look = async (): Promise<void> => {
    const seen = await ask().catch(() => undefined) // a figure is not worth the process
    if (seen !== undefined) known = { seen, at: clock.monotonic() }
  }
  return () => {
    const now = clock.monotonic()
    if (now - askedAt >= freshMs) {
      askedAt = now
      void look()
    }
    return known && now - known.at <= usefulMs ? known.seen : undefined
  }
}
