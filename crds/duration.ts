// Durations of manifests: "90s", "1h30m", "5d", "2w": whole numbers of w, d, h, m and s, the longest unit first. The one parser; pure.
import { z } from 'zod'
import { proven } from './schema.ts'

const units = { w: 604_800, d: 86_400, h: 3600, m: 60, s: 1 } as const
const durationPattern = /^([0-9]{1,7}w)?([0-9]{1,7}d)?([0-9]{1,7}h)?([0-9]{1,7}m)?([0-9]{1,7}s)?$/

/** Seconds; undefined where the text is no duration from 1 s to `longest` seconds. */
export const parseDuration = (text: string, longest = 30 * units.d): number | undefined => {
  if (!durationPattern.test(text)) return undefined
  const parts = text.matchAll(/([0-9]+)([wdhms])/g)
  const seconds = [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * units[unit as keyof typeof units], 0)
  return seconds >= 1 && seconds <= longest ? seconds : undefined
}

/** Seconds of a duration that its schema has already accepted. */
export const secondsOf = (text: string): number => {
  const seconds = parseDuration(text, Infinity)
  if (seconds === undefined) throw new RangeError(`${text} is no duration`)
  return seconds
}

/** What a process waits for in one go: a timer holds 24 days, and of a longer one goes off at once. */
export const waitOf = (text: string): number => Math.min(secondsOf(text), units.d)

/** Whether the first is the longer; false where either is no duration, which is told on its own. */
export const isLonger = (a: string, b: string): boolean => (parseDuration(a, Infinity) ?? NaN) > (parseDuration(b, Infinity) ?? NaN)

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

/** A duration field of at most `longest`, such as 45m. CEL sees a duration; its literals know no days. */
export const duration = (description: string, longest = '30d'): z.ZodString => {
  const seconds = secondsOf(longest)
  return proven(
    z.string().max(40),
    `${description} A duration from 1s to ${longest}, such as ${seconds > 5 * units.d ? '90s, 1h30m or 5d' : '30s or 1m30s'}.`,
    [
      {
        cel: `self >= duration('1s') && self <= duration('${seconds}s')`,
        message: `a duration from 1s to ${longest}`,
        holds: (text) => parseDuration(text, seconds) !== undefined,
      },
    ],
    { format: 'duration', pattern: durationPattern.source }, // the format alone would take 1.5h and 2 days
  )
}
