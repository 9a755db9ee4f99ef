import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readinessOf } from './main.ts'

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
