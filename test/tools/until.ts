// Waiting in tests: poll for a condition, never sleep for a guess.

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Resolves with the first value that is not undefined or false; throws with `what` when none comes within `forMs`. It looks once more at the end: this process may have stood still until then. */
export const until = async <T>(what: string, check: () => T | undefined | false | Promise<T | undefined | false>, forMs = 30_000, everyMs = 50): Promise<T> => {
  const deadline = performance.now() + forMs
  let lastError: unknown
  for (let isLast = false; ; isLast = performance.now() >= deadline) {
    try {
      const value = await check()
      if (value !== undefined && value !== false) return value
    } catch (error) {
      lastError = error
    }
    if (isLast) throw new Error(`waited ${forMs / 1000} s in vain for: ${what}${lastError instanceof Error ? ` (last: ${lastError.message})` : ''}`)
    await sleep(everyMs)
  }
}
