/** A few at a time: each waits for the API server, or for a thread that makes a key. Results in the order of the items. */
export const several = async <T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> => {
  const results: R[] = []
  const waiting = items.entries()
  const worker = async (): Promise<void> => {
    for (const [place, item] of waiting) results[place] = await work(item)
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  return results
}
