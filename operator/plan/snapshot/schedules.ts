// The RetrySchedules that a snapshot needs, in seconds, and the one that holds where none is named. Pure.
import { secondsOf, type RetrySchedule, type RetryWaits } from '../../../crds/index.ts'
import type { Schedule } from '../../../relay/snapshot/index.ts'
import { titleOf } from '../input.ts'
import type { RelayView } from '../view.ts'
import type { World } from '../world.ts'
import { present } from './present.ts'

/** No RetrySchedule can have this name: Kubernetes allows no space in one. */
export const builtIn: Schedule = {
  name: 'built in',
  manifest: 'the built-in RetrySchedule',
  attempts: [120, 300, 900, 1800, 3600, 7200, 14_400],
  giveUpAfter: 5 * 86_400, // RFC 5321 4.5.4.1: at least 4 to 5 days
  delayNoticeAfter: 14_400,
  overrides: [],
}

export const schedulesOf = ({ relay, routes }: RelayView, world: World): Schedule[] => {
  const names = [relay.spec.retryScheduleName, ...routes.map(({ spec }) => spec.retryScheduleName)]
  const named = [...new Set(names)].flatMap((name) => (name === undefined ? [] : (world.schedule(name) ?? [])))
  return relay.spec.retryScheduleName === undefined ? [builtIn, ...named.map(scheduleOf)] : named.map(scheduleOf)
}

export const scheduleOf = (schedule: RetrySchedule): Schedule => {
  const { giveUpAfter, delayNoticeAfter, overrides } = schedule.spec
  return {
    name: schedule.metadata.name,
    manifest: titleOf(schedule),
    ...waitsOf(schedule.spec),
    giveUpAfter: secondsOf(giveUpAfter),
    ...present({ delayNoticeAfter: delayNoticeAfter === undefined ? undefined : secondsOf(delayNoticeAfter) }),
    overrides: overrides.map((override) => ({ when: override.when, ...waitsOf(override) })),
  }
}

const waitsOf = ({ attempts, backoff }: RetryWaits): Pick<Schedule, 'attempts' | 'backoff'> =>
  backoff === undefined
    ? present({ attempts: attempts?.map(secondsOf) })
    : { backoff: { ...backoff, initial: secondsOf(backoff.initial), max: secondsOf(backoff.max) } }
