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
  it('remembers nothing of a site that rests', () => {
    const throttle = new Throttle()
    throttle.start('a', { connections: 1 }, 0)
    throttle.end('a', 0)
    assert.equal(throttle.active('a'), 0)
  })
})
