// Durations of manifests: "90s", "1h30m", "5d", "2w", from 1 s to 30 d. The one parser; pure.
import { z } from 'zod'
import { proven } from './schema.ts'

const units = { w: 604_800, d: 86_400, h: 3600, m: 60, s: 1 } as const
export const durationPattern = /^([0-9]{1,7}w)?([0-9]{1,7}d)?([0-9]{1,7}h)?([0-9]{1,7}m)?([0-9]{1,7}s)?$/
const longest = 30 * units.d

/** Seconds; undefined where the text is no duration from 1 s to 30 d. */
export const parseDuration = (text: string): number | undefined => {
  if (!durationPattern.test(text)) return undefined
  const parts = text.matchAll(/([0-9]+)([wdhms])/g)
  const seconds = [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * units[unit as keyof typeof units], 0)
  return seconds >= 1 && seconds <= longest ? seconds : undefined
}

/** Seconds of a duration that its schema has already accepted. */
export const secondsOf = (text: string): number => {
  const seconds = parseDuration(text)
  if (seconds === undefined) throw new RangeError(`${text} is no duration`)
  return seconds
}

/** The longest units first, as a person writes it: 5400 is "1h30m". */
export const printDuration = (seconds: number): string => {
  let rest = Math.round(seconds)
  let text = ''
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const count = Math.floor(rest / units[unit])
    if (count > 0) text += `${count}${unit}`
    rest -= count * units[unit]
  }
  return text === '' ? '0s' : text
}

/** A duration field. CEL sees a duration; its literals know no days. */
export const duration = (description: string): z.ZodString =>
  proven(z.string().max(40), `${description} A duration: whole numbers of w, d, h, m and s, longest first, such as 90s, 1h30m or 5d; from 1s to 30d.`, [
    {
      cel: "self >= duration('1s') && self <= duration('720h')",
      message: 'a duration from 1s to 30d',
      holds: (text) => parseDuration(text) !== undefined,
    },
  ], { format: 'duration' })
