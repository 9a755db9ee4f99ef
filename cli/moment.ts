// A moment as people write it: a duration from now, ahead or back, or a time, in UTC where it names no zone: so we print them.

/** In ms since the epoch; NaN where it is neither. */
export const momentOf = async (text: string, now: number, where: 'ahead' | 'back'): Promise<number> => {
  const { parseDuration } = await import('../crds/index.ts') // loaded when wanted: other commands start faster
  const seconds = parseDuration(text)
  return seconds === undefined ? timeOf(text) : now + (where === 'ahead' ? seconds : -seconds) * 1000
}

const timeOf = (text: string): number => {
  if (withZone.test(text)) return Date.parse(text)
  return Date.parse(iso.test(text) ? `${text.replace(' ', 'T')}Z` : `${text} UTC`)
}
const withZone = /(?:Z|GMT|UTC?|[A-Z][DS]T|[+-]\d\d:?\d\d)$/i
const iso = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$/
