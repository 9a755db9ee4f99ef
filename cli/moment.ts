// A moment as people write it: a duration from now, ahead or back, or a time.

/** In ms since the epoch; NaN where it is neither. */
export const momentOf = async (text: string, now: number, where: 'ahead' | 'back'): Promise<number> => {
  const { parseDuration } = await import('../crds/index.ts') // loaded when wanted: other commands start faster
  const seconds = parseDuration(text)
  return seconds === undefined ? Date.parse(text) : now + (where === 'ahead' ? seconds : -seconds) * 1000
}
