import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDelayNoticeDue } from './lateness.ts'
import type { Schedule } from './schema.ts'

const hour = 3_600_000
const schedule: Schedule = { name: 'patient', manifest: 'RetrySchedule patient', attempts: [120], giveUpAfter: 432_000, delayNoticeAfter: 14_400, overrides: [] }

describe('the delay notice', () => {
  it('is due at 4 hours, not a millisecond before, and once', () => {
    const isDue = (now: number, delayNoticed: boolean) => isDelayNoticeDue({ schedule, arrivedAt: 0, delayNoticed }, now)
    assert.deepEqual([isDue(4 * hour - 1, false), isDue(4 * hour, false), isDue(9 * hour, true)], [false, true, false])
  })
  it('never comes where the schedule names none, not in 31 years', () => {
    const { delayNoticeAfter: _, ...silent } = schedule
    assert.equal(isDelayNoticeDue({ schedule: silent, arrivedAt: 0, delayNoticed: false }, 1e12), false)
  })
})
