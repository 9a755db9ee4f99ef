import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { givesUpAt, type Schedule } from '../snapshot/index.ts'
import { nextAttempt, waitSeconds } from './retry.ts'

const minute = 60
const hour = 3600
const day = 86_400
const schedule = (change: Partial<Schedule> = {}): Schedule => ({
  name: 'patient', manifest: 'RetrySchedule patient', attempts: [2 * minute, 5 * minute, 15 * minute, 4 * hour], giveUpAfter: 5 * day, delayNoticeAfter: 4 * hour, overrides: [], ...change,
})
const ask = (change: Partial<Parameters<typeof nextAttempt>[0]> = {}) => nextAttempt({ schedule: schedule(), class: 'Other', attempt: 1, arrivedAt: 0, now: 0, random: 0.5, ...change })
const backoff = schedule({ attempts: undefined, backoff: { initial: 60, factor: 2, max: hour, jitter: 0.2 } })

describe('the next attempt', () => {
  it('waits 2 minutes after the first, 5 after the second, and the last wait repeats', () => {
    const waits = [1, 2, 3, 4, 5, 50].map((attempt) => ask({ attempt, now: 1000 }))
    assert.deepEqual(waits.map((next) => next.kind === 'again' && (next.at - 1000) / 1000), [120, 300, 900, 14_400, 14_400, 14_400])
  })
  it('counts the wait from the end of the attempt, not from arrival', () => assert.deepEqual(ask({ now: 77_000 }), { kind: 'again', at: 77_000 + 120_000 }))
  it('doubles from 60 s up to the hour with a back-off', () => {
    assert.deepEqual([1, 2, 3, 7, 8, 5000].map((attempt) => waitSeconds({ schedule: backoff, class: 'Other', attempt, random: 0.5 })), [60, 120, 240, 3600, 3600, 3600])
  })
  it('spreads a back-off by its jitter, 20 % to either side', () => {
    assert.equal(waitSeconds({ schedule: backoff, class: 'Other', attempt: 1, random: 0 }), 48)
    assert.ok(Math.abs(waitSeconds({ schedule: backoff, class: 'Other', attempt: 1, random: 0.999999 }) - 72) < 0.01)
  })
  it('waits 1 s where the jitter takes all of a back-off of 1 s', () => {
    const plan = schedule({ attempts: undefined, backoff: { initial: 1, factor: 1, max: 1, jitter: 1 } })
    assert.deepEqual([0, 0.5].map((random) => waitSeconds({ schedule: plan, class: 'Other', attempt: 1, random })), [1, 1])
  })
  it('takes the override of the class, and only of that class', () => {
    const with5m = schedule({ overrides: [{ when: 'Greylist', attempts: [300, 600] }] })
    assert.equal(waitSeconds({ schedule: with5m, class: 'Greylist', attempt: 1, random: 0 }), 300)
    assert.equal(waitSeconds({ schedule: with5m, class: 'Greylist', attempt: 9, random: 0 }), 600)
    assert.equal(waitSeconds({ schedule: with5m, class: 'Connect', attempt: 1, random: 0 }), 120)
  })
  it('gives up at 5 days, not at 5 days minus one attempt', () => {
    const end = 5 * day * 1000
    assert.deepEqual(ask({ attempt: 40, now: end - hour * 1000 }), { kind: 'again', at: end })
    assert.deepEqual(ask({ attempt: 40, now: end - 1 }), { kind: 'again', at: end })
    assert.deepEqual(ask({ attempt: 40, now: end }), { kind: 'give-up' })
  })
  it('gives up even where the clock was stopped for a month', () => assert.deepEqual(ask({ now: 30 * day * 1000 }), { kind: 'give-up' }))
})

describe('properties of the schedule', () => {
  const anySchedule = fc.record({
    attempts: fc.array(fc.integer({ min: 1, max: 2 * day }), { minLength: 1, maxLength: 8 }),
    giveUpAfter: fc.integer({ min: 1, max: 30 * day }),
  }).map((change) => schedule(change))
  const anyBackoff = fc.record({ initial: fc.integer({ min: 1, max: hour }), factor: fc.double({ min: 1, max: 10, noNaN: true }), max: fc.integer({ min: hour, max: day }), jitter: fc.double({ min: 0, max: 1, noNaN: true }) })
    .map((made) => schedule({ attempts: undefined, backoff: made }))
  const run = (plan: Schedule, random: number): number[] => {
    const times = [0]
    for (let attempt = 1; attempt < 200_000; attempt++) {
      const next = nextAttempt({ schedule: plan, class: 'Other', attempt, arrivedAt: 0, now: times.at(-1)!, random })
      if (next.kind === 'give-up') return times
      times.push(next.at)
      if (times.length > 5000) return times
    }
    return times
  }
  const chance = fc.double({ min: 0, max: 0.999999, noNaN: true })

  it('every attempt is later than the one before, and none is past the end', () => {
    fc.assert(fc.property(fc.oneof(anySchedule, anyBackoff), chance, (plan, random) => {
      const times = run(plan, random)
      for (const [index, at] of times.entries()) if (index > 0) assert.ok(at > times[index - 1]! && at <= givesUpAt({ schedule: plan, arrivedAt: 0 }))
    }), { numRuns: 200 })
  })
  it('the last attempt is at the end itself', () => {
    fc.assert(fc.property(anySchedule.filter(({ attempts, giveUpAfter }) => giveUpAfter / Math.min(...attempts!) < 4000), chance, (plan, random) => {
      assert.equal(run(plan, random).at(-1), plan.giveUpAfter * 1000)
    }), { numRuns: 200 })
  })
  it('a wait is at least a second and at most the maximum with its jitter', () => {
    fc.assert(fc.property(anyBackoff, fc.integer({ min: 1, max: 100_000 }), chance, (plan, attempt, random) => {
      const wait = waitSeconds({ schedule: plan, class: 'Other', attempt, random })
      assert.ok(wait >= 1 && wait <= plan.backoff!.max * (1 + plan.backoff!.jitter))
    }))
  })
})
