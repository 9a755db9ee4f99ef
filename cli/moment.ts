// A moment as people write it: a duration from now, ahead or back, or a time, in UTC where it names no zone: so we print them.

/** In ms since the epoch; NaN where it is neither. */
export const momentOf = async (text: string, now: number, where: 'ahead' | 'back'): Promise<number> => {
  const { parseDuration } = await import('../crds/index.ts') // loaded when wanted: other commands start faster
  const seconds = parseDuration(text)
  return seconds === undefined ? Date.parse(withoutZone.test(text) ? `${text.replace(' ', 'T')}Z` : text) : now + (where === 'ahead' ? seconds : -seconds) * 1000
}

const withoutZone = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$/
