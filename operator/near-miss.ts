// "Did you mean": the known word nearest to a mistyped one. Pure.

/** The nearest of `known`, if it is near enough to be a slip of the keyboard. */
export const nearMiss = (word: string, known: readonly string[]): string | undefined => {
  const lower = word.toLowerCase()
  const ranked = known.map((candidate) => ({ candidate, distance: distanceOf(lower, candidate.toLowerCase()) })).sort((a, b) => a.distance - b.distance)
  const [best] = ranked
  return best !== undefined && best.distance <= Math.max(1, Math.round(Math.max(word.length, best.candidate.length) * 0.4)) ? best.candidate : undefined
}

export const didYouMean = (word: string, known: readonly string[]): string | undefined => {
  const near = nearMiss(word, known)
  return near === undefined ? undefined : `did you mean ${near}?`
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
const distanceOf = (a: string, b: string): number => {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : j === 0 ? i : 0)))
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? rows[i - 2]![j - 2]! + 1 : Infinity
      rows[i]![j] = Math.min(rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1, replaced, swapped)
    }
  }
  return rows[a.length]![b.length]!
}
