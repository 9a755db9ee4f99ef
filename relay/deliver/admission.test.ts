// What a site may have at a time: connections, a pace, mail on hold; and what a site is. Real name server, real sockets.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { attemptsByMx } from '../../test/tools/attempts-by-mx.ts'
import { testDelivery, testSnapshot } from '../../test/tools/delivery.ts'

describe('admission', () => {
  const { mxHosts, deliverer, attempt } = attemptsByMx()

  it('lets a site have 2 connections and no third, and the next when one ends', async () => {
    const [a] = await mxHosts({ delayMs: (phase) => (phase === 'dot' ? 200 : 0) })
    const route = { namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'mx' as const }], limits: { connections: 2 } }
    const made = deliverer(a!.port, {}, { routes: [route] })
    const running = [attempt(made), attempt(made)]
    assert.deepEqual(made.admit(testDelivery()), { kind: 'wait' })
    assert.match(made.whyWaiting('dest.example', { mailFrom: null }).join('\n'), /2 of 2 connections.*DeliveryRoute mail\/r/)
    await Promise.all(running)
    assert.deepEqual(made.admit(testDelivery()), { kind: 'now' })
  })
  it('lets the 2nd of a site with 30 a minute wait, and says that they start 2 s apart', async () => {
    const [a] = await mxHosts({})
    const route = { namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'mx' as const }], limits: { ratePerMinute: 30 } }
    const made = deliverer(a!.port, { now: () => Date.UTC(2026, 0, 1), monotonic: () => 1_000_000 }, { routes: [route] }) // a clock that stands: a machine that stalls for 2 s lets nothing go
    await attempt(made) // learns which site it is
    await attempt(made)
    assert.deepEqual(made.admit(testDelivery()), { kind: 'wait', paceMs: 2_000 })
    assert.match(made.whyWaiting('dest.example', { mailFrom: null }).join('\n'), /not before 2026-01-01T00:00:04.000Z: .*30 messages a minute \(DeliveryRoute mail\/r\)/)
  })
  it('lets the next of a site with 30 a minute go after 2 s, though the clock was set back by 1 hour', async () => {
    const [a] = await mxHosts({})
    const route = { namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'mx' as const }], limits: { ratePerMinute: 30 } }
    const clocks = { now: Date.now(), monotonic: 1_000_000 }
    const made = deliverer(a!.port, { now: () => clocks.now, monotonic: () => clocks.monotonic }, { routes: [route] })
    await attempt(made) // learns which site it is
    await attempt(made)
    Object.assign(clocks, { now: clocks.now - 3_600_000, monotonic: clocks.monotonic + 4_000 })
    assert.deepEqual(made.admit(testDelivery()), { kind: 'now' })
  })
  it('lets the next go at once where the 30 a minute of its route were raised to 6,000 meanwhile', async () => {
    const [a] = await mxHosts({})
    const routeWith = (ratePerMinute: number) => testSnapshot({ routes: [{ namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'mx' }], limits: { ratePerMinute } }] })
    let current = routeWith(30)
    const made = deliverer(a!.port, { snapshot: () => current, monotonic: () => 1_000_000 })
    await attempt(made) // learns which site it is
    await attempt(made)
    assert.equal(made.admit(testDelivery()).kind, 'wait')
    current = routeWith(6_000)
    assert.deepEqual(made.admit(testDelivery()), { kind: 'now' })
  })
  it('names a site by its MX hosts once it knows them', async () => {
    const all = await mxHosts({})
    const made = deliverer(all[0]!.port)
    assert.equal(made.site('dest.example', { mailFrom: null }), 'dest.example')
    await attempt(made)
    assert.equal(made.site('dest.example', { mailFrom: null }), 'mx mx1.dest.example mx2.dest.example mx3.dest.example')
  })
  it('holds what a route holds', async () => {
    const route = { namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'mx' as const }], hold: true }
    const made = deliverer(1, {}, { routes: [route] })
    assert.match((await attempt(made)).held!.why, /DeliveryRoute mail\/r/)
    assert.equal(made.heldBy('dest.example', { mailFrom: null }), 'DeliveryRoute mail/r')
    assert.equal(deliverer(1, {}, { routes: [{ ...route, hold: false }] }).heldBy('dest.example', { mailFrom: null }), undefined)
  })
})
