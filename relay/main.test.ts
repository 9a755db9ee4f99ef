import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { acceptanceOf, readinessOf } from './main.ts'

const [old, isNew, stopping] = [{ stopping: false, isNew: false }, { stopping: false, isNew: true }, { stopping: true, isNew: false }]
const queue = (ok: boolean, since?: number) => ({ durable: () => ({ ok, reason: 'NotSynced', text: 'sync_interval is not always' }), outageSince: () => since })

describe('readiness', () => {
  it('stays through an outage of 59 s, when clients get 451, and goes at 61 s', () => {
    assert.equal(readinessOf(queue(true, 0), old, 59_000).ready, true)
    assert.equal(readinessOf(queue(false, 0), old, 59_000).ready, true)
    assert.deepEqual(readinessOf(queue(true, 0), old, 61_000), { ready: false, reason: 'the queue has been out of reach for 61 s' })
  })

  it('is not given to a new process in its 1st minute, while its queue was not yet seen to keep the promise: others serve without a 451', () => {
    assert.deepEqual(readinessOf(queue(false, 0), isNew, 1000), { ready: false, reason: 'NotSynced: sync_interval is not always' })
  })

  it('is refused at once, in 0 s, by a queue that does not keep the promise, and by a stop', () => {
    assert.deepEqual(readinessOf(queue(false), old, 0), { ready: false, reason: 'NotSynced: sync_interval is not always' })
    assert.equal(readinessOf(queue(true), stopping, 0).ready, false)
    assert.equal(readinessOf(queue(true), old, 0).ready, true)
  })
})

test('that the queue is full is told the operator in place of 1 that is durable, and not in place of 1 that is not', () => {
  assert.deepEqual([false, true].map((full) => acceptanceOf({ ...queue(true), isFull: () => full }).reason), ['NotSynced', 'QueueFull'])
  assert.deepEqual(acceptanceOf({ ...queue(false), isFull: () => true }), queue(false).durable())
})
