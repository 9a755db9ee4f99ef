import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Throttle } from './throttle.ts'

describe('the throttle', () => {
  it('lets 3 start where 3 are allowed, and the fourth wait until one ends', () => {
    const throttle = new Throttle()
    const limits = { connections: 3 }
    for (let count = 0; count < 3; count++) {
      assert.equal(throttle.admit('a', limits, 0).kind, 'now')
      throttle.start('a', limits, 0)
    }
    assert.equal(throttle.admit('a', limits, 0).kind, 'wait')
    assert.equal(throttle.admit('b', limits, 0).kind, 'now')
    throttle.end('a', 0)
    assert.equal(throttle.admit('a', limits, 0).kind, 'now')
  })
  it('lets one a second through at 60 a minute, and names the time of the next', () => {
    const throttle = new Throttle()
    const limits = { connections: 10, ratePerMinute: 60 }
    throttle.start('a', limits, 5000)
    assert.deepEqual(throttle.admit('a', limits, 5999).kind, 'not-now')
    const next = throttle.admit('a', limits, 5000)
    assert.equal(next.kind === 'not-now' && next.at, 6000)
    assert.equal(throttle.admit('a', limits, 6000).kind, 'now')
  })
  it('lets 10 start at once at 600 a minute, and the 11th after 100 ms', () => {
    const throttle = new Throttle()
    const limits = { connections: 20, ratePerMinute: 600 }
    for (let count = 0; count < 10; count++) {
      assert.equal(throttle.admit('a', limits, 0).kind, 'now', `number ${count + 1}`)
      throttle.start('a', limits, 0)
    }
    assert.deepEqual(throttle.admit('a', limits, 0), { kind: 'not-now', at: 100, why: 'a: 600 messages a minute' })
  })
  it('a rate that comes with a new snapshot counts from then on', () => {
    const throttle = new Throttle()
    throttle.start('a', { connections: 3 }, 0)
    assert.equal(throttle.admit('a', { connections: 3, ratePerMinute: 1 }, 0).kind, 'now')
  })
  it('lets the next go 1 s after a rate of 1 a minute was raised to 60, and at once where it was taken away, not after the 60 s that were left', () => {
    for (const [ratePerMinute, waitMs] of [[60, 1000], [undefined, 0]] as const) {
      const throttle = new Throttle()
      throttle.start('a', { connections: 3, ratePerMinute: 1, setBy: 'r' }, 0)
      const raised = { connections: 3, ratePerMinute, setBy: 'r' }
      const first = throttle.admit('a', raised, 0)
      assert.equal(first.kind === 'not-now' ? first.at : 0, waitMs)
      assert.equal(throttle.admit('a', raised, waitMs).kind, 'now')
      throttle.start('a', raised, waitMs)
      const second = throttle.admit('a', raised, waitMs)
      assert.equal(second.kind === 'not-now' ? second.at : waitMs, 2 * waitMs)
    }
  })
  it('lets a route with 60 a minute wait for the 60 s of another with 1 a minute to the same site', () => {
    const throttle = new Throttle()
    throttle.start('a', { connections: 3, ratePerMinute: 1, setBy: 'slow' }, 0)
    const next = throttle.admit('a', { connections: 3, ratePerMinute: 60, setBy: 'quick' }, 0)
    assert.equal(next.kind === 'not-now' && next.at, 60_000)
  })
  it('keeps to the rate over any hour, but for one second\'s worth at once (property)', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 6000 }), fc.array(fc.nat(400), { minLength: 50, maxLength: 400 }), (ratePerMinute, waits) => {
      const throttle = new Throttle()
      const limits = { connections: 1e9, ratePerMinute }
      let now = 0
      let started = 0
      for (const wait of waits) {
        now += wait
        if (throttle.admit('a', limits, now).kind !== 'now') continue
        throttle.start('a', limits, now)
        throttle.end('a', now)
        started++
      }
      assert.ok(started <= (now / 60_000) * ratePerMinute + Math.max(1, ratePerMinute / 60) + 1)
    }))
  })
  it('remembers a site while 1 of its 2 is active or its next time has not come, and then nothing', () => {
    const throttle = new Throttle()
    const limits = { connections: 5, ratePerMinute: 60 }
    const isRemembered = () => throttle.admit('a', { connections: 0 }, 0).kind === 'wait' // who is not known always starts
    throttle.end('a', 0)
    throttle.start('a', limits, 0)
    throttle.start('a', limits, 0)
    throttle.end('a', 9999)
    assert.deepEqual([throttle.active('a'), isRemembered()], [1, true])
    throttle.end('a', 1999)
    assert.deepEqual([throttle.active('a'), isRemembered()], [0, true])
    throttle.start('a', { connections: 5 }, 2000)
    throttle.end('a', 2000)
    assert.equal(isRemembered(), false)
  })
  it('remembers under 5,000 of 100,000 sites that had 1 message each at 60 a minute, and those whose next message may not start yet', () => {
    const throttle = new Throttle()
    const limits = { connections: 10, ratePerMinute: 60 }
    for (let n = 0; n < 100_000; n++) {
      throttle.start(`s${n}`, limits, n)
      throttle.end(`s${n}`, n)
    }
    assert.ok(throttle.size < 5_000, String(throttle.size))
    assert.deepEqual(['s99999', 's99100'].map((name) => throttle.admit(name, limits, 100_000).kind), ['not-now', 'not-now'])
  })
})
