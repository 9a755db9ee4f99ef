// How long a RetrySchedule lets mail wait before its sender hears of it, and before it is given up. Pure arithmetic.
import type { Schedule } from './schema.ts'

type Waiting = { readonly schedule: Schedule; readonly arrivedAt: number } // ms

export const givesUpAt = ({ schedule, arrivedAt }: Waiting): number => arrivedAt + schedule.giveUpAfter * 1000

/** True once: the first time that it is put off past `delayNoticeAfter`. */
export const isDelayNoticeDue = ({ schedule, arrivedAt, delayNoticed }: Waiting & { readonly delayNoticed: boolean }, now: number): boolean =>
  !delayNoticed && schedule.delayNoticeAfter !== undefined && now - arrivedAt >= schedule.delayNoticeAfter * 1000
