import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createUnstored } from './unstored.ts'

test('writes are in vain since the first of them that nothing was stored after: 3 asked at 0, 4 and 8 s', () => {
  const unstored = createUnstored()
  assert.equal(unstored.since(0), undefined)
  for (const now of [0, 4_000, 8_000]) unstored.asked(now)
  assert.equal(unstored.since(9_000), 0)
  unstored.settled()
  assert.equal(unstored.since(9_000), undefined)
  unstored.asked(10_000)
  assert.equal(unstored.since(12_000), 10_000)
})

test('1 write that was never answered says nothing 21 s later, nor does it count with one an hour later', () => {
  const unstored = createUnstored()
  unstored.asked(0)
  assert.deepEqual([unstored.since(20_000), unstored.since(21_000)], [0, undefined])
  unstored.asked(3_600_000)
  assert.equal(unstored.since(3_601_000), 3_600_000)
})
