import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { newMessageId } from './lanes.ts'

describe('a message id', () => {
  it('has 20 characters without dot or dash, at a whole millisecond and within one', () => {
    for (const now of [0, 1_700_000_000_000, 1_700_000_000_000.37]) assert.match(newMessageId(now), /^[0-9a-hjkmnp-tv-z]{20}$/)
  })

  it('sorts by time over 2 milliseconds', () => {
    assert.ok(newMessageId(1_700_000_000_000.9) < newMessageId(1_700_000_000_001))
  })
})
