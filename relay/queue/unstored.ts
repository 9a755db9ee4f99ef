// Whether what the servers are asked to store is stored: evidence that only writes give. Pure, but for what it remembers.

const staleMs = 20_000 // who asked for nothing lately knows nothing

export type Unstored = {
  asked(now: number): void
  /** It was stored, or was not to be: something else was there than was expected. */
  settled(): void
  /** Since when writes have been asked for in vain; undefined: the last was not in vain, or it was long ago. Times in ms. */
  since(now: number): number | undefined
}

export const createUnstored = (): Unstored => {
  let first: number | undefined
  let last = -Infinity
  const isStale = (now: number): boolean => now - last > staleMs
  return {
    asked: (now) => {
      if (first === undefined || isStale(now)) first = now
      last = now
    },
    settled: () => void (first = undefined),
    since: (now) => (isStale(now) ? undefined : first),
  }
}
