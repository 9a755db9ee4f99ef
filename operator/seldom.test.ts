import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeldom } from './seldom.ts'

test('trouble met every 2 s for 5 minutes is said 5 times, each with how often it was met since', () => {
  const seldom = createSeldom()
  const said: number[] = []
  for (let now = 0; now < 300_000; now += 2_000) said.push(...[seldom('refused', now)].flatMap((times) => times ?? []))
  assert.deepEqual(said, [1, 30, 30, 30, 30])
})

test('2 troubles are told apart, and one that comes again after 3 minutes is said at once', () => {
  const seldom = createSeldom()
  assert.deepEqual([seldom('a', 0), seldom('b', 1_000), seldom('a', 2_000), seldom('b', 181_000), seldom('a', 181_000)], [1, 1, undefined, 1, 1])
})
