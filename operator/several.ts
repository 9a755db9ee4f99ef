/** A few at a time: each waits for the API server, or for a thread that makes a key. Results in the order of the items. Where one throws no other begins, and it is thrown when all that began are done: nothing is left that goes on beside what comes next. */
export const several = async <T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> => {
  const results: R[] = []
  const failed: unknown[] = []
  const waiting = items.entries()
  const worker = async (): Promise<void> => {
    for (const [place, item] of waiting) {
      if (failed.length > 0) return
      await work(item).then((result) => (results[place] = result), (error: unknown) => failed.push(error))
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  if (failed.length > 0) throw failed[0]
  return results
}
