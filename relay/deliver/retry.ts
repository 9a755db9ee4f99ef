// When the next attempt is, who set it so, and whether there is one. Pure arithmetic over plain data.
import { givesUpAt, type Schedule } from '../snapshot/index.ts'
import type { DeferClass } from './outcome.ts'

export type Asked = {
  readonly schedule: Schedule
  readonly class: DeferClass
  readonly attempt: number // the one that just ended, 1 for the first
  readonly arrivedAt: number // ms
  readonly now: number // ms, the end of that attempt
  readonly random: number // [0, 1)
}
export type NextAttempt = { readonly kind: 'again'; readonly at: number } | { readonly kind: 'give-up' }

/**
 * The last attempt is made when `giveUpAfter` is reached, never before it: a wait that would pass the end is cut to it.
 */
export const nextAttempt = (asked: Asked): NextAttempt => {
  const end = givesUpAt(asked)
  if (asked.now >= end) return { kind: 'give-up' }
  return { kind: 'again', at: Math.min(asked.now + Math.ceil(waitSeconds(asked) * 1000), end) }
}

/** Who set the wait: the manifest, and which of its overrides. */
export const waitSetBy = ({ overrides, manifest }: Schedule, why: string | undefined): string =>
  overrides.some(({ when }) => when === why) ? `${manifest}, override ${why}` : manifest

/** The wait after attempt n: the n-th of the list, the last repeats; or the back-off's n-th step with its jitter. */
export const waitSeconds = ({ schedule, class: why, attempt, random }: Pick<Asked, 'schedule' | 'class' | 'attempt' | 'random'>): number => {
  const plan = schedule.overrides.find(({ when }) => when === why) ?? schedule
  const step = Math.max(0, attempt - 1)
  if (plan.attempts !== undefined) return plan.attempts[Math.min(step, plan.attempts.length - 1)]!
  if (plan.backoff === undefined) return 300 // a schedule without either does not pass the manifest's own check
  const { initial, factor, max, jitter } = plan.backoff
  // a long-waiting message must not overflow factor ** step
  const grown = Math.min(max, initial * Math.min(factor ** Math.min(step, 1000), max / initial))
  return Math.max(1, grown * (1 + jitter * (2 * random - 1)))
}
