import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { durations } from '../test/tools/field-cases.ts'
import { duration, isLonger, parseDuration, printDuration } from './duration.ts'

for (const [text, seconds] of durations) {
  test(`${JSON.stringify(text)} is ${seconds === undefined ? 'no duration' : `${seconds} seconds`}`, () => {
    assert.equal(parseDuration(text), seconds)
    assert.equal(duration('A wait.').safeParse(text).success, seconds !== undefined)
  })
}

test('a field may allow more than 30 days, and says how much', () => {
  assert.equal(parseDuration('90d', 400 * 86_400), 90 * 86_400)
  assert.match(duration('Every.', '400d').safeParse('401d').error!.issues[0]!.message, /from 1s to 400d/)
})

test('what is printed is read back as the same seconds, from 1 s to 30 d', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 30 * 86_400 }), (seconds) => assert.equal(parseDuration(printDuration(seconds)), seconds)))
})

test('longer compares seconds, not text, and holds for nothing that is no duration', () => {
  assert.equal(isLonger('2h', '90m'), true)
  assert.equal(isLonger('60m', '1h'), false)
  assert.equal(isLonger('5d', 'soon'), false)
  assert.equal(isLonger('late', '1h'), false)
})
