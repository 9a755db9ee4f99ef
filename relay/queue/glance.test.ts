import assert from 'node:assert/strict'
import { setImmediate as soon } from 'node:timers/promises'
import { test } from 'node:test'
import { createGlance } from './glance.ts'

test('a question that fails in place of its answer is 1 without an answer: what was known stays, and the process lives', async () => {
  let asked = 0
  let now = 0
  const glance = createGlance(() => (++asked === 2 ? Promise.reject(new TypeError('no such thing')) : Promise.resolve(asked)), { monotonic: () => now })
  for (const expected of [1, 1, 3]) {
    glance()
    await soon()
    assert.equal(glance(), expected)
    now += 15_000
  }
})
