import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from './failure.ts'
import { patienceMs } from './seconds.ts'

test('a time-out of 0.5 s to 86,400 s is taken as it is; beyond a day a timer would go off at once, so it is refused like what is no number', () => {
  assert.deepEqual(['0.5', '30', '86400'].map(patienceMs), [500, 30_000, 86_400_000])
  for (const wrong of ['0', '-1', 'x', '', '86401', '9999999', 'Infinity', '1e9']) assert.throws(() => patienceMs(wrong), (error) => error instanceof Failure && error.message === '--timeout: seconds, such as 30, up to 86400', wrong)
})
