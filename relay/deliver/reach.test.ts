import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Route } from '../snapshot/index.ts'
import type { Ended } from './attempt.ts'
import type { Outcome } from './outcome.ts'
import { bodyOf, never, testDeliverer, testDelivery, testMessage, testSnapshot } from '../../test/tools/delivery.ts'
import { freePort } from '../../cli/standalone/nats-process.ts'
import { startSink } from '../../cli/standalone/sink.ts'
import { Reach } from './reach.ts'

const route = (name = 'partner', hold = false): Route => ({ namespace: 'mail', name, manifest: `DeliveryRoute mail/${name}`, hold, nextHops: [] }) as unknown as Route
const ended = (...outcomes: object[]): Ended[] => outcomes.map((outcome) => ({ recipient: {}, outcome: outcome as Outcome }) as Ended)
const said = { code: 250, lines: ['250 ok'] }
const delivered = ended({ kind: 'delivered', said })
const failed = (text = 'connection refused', kind = 'Connect') => ended({ kind: 'deferred', why: { class: kind, text } })

describe('what a process knows of a route', () => {
  const of = (reach: Reach, now = route()) => reach.list([now]).map(({ reached, why }) => (reached ? 'reached' : why))
  const cases: readonly (readonly [title: string, attempts: readonly Ended[][], expected: readonly unknown[]])[] = [
    ['nothing after 0 attempts', [], []],
    ['it is reached after 1 delivery', [delivered], ['reached']],
    ['it is reached by a refusal', [ended({ kind: 'refused', said })], ['reached']],
    ['it is reached by a temporary no', [ended({ kind: 'deferred', why: { class: 'Greylist' }, said })], ['reached']],
    ['nothing after 2 failures', [failed(), failed()], []],
    ['it is out of reach after 3, in the words of the first', [failed('one'), failed('two'), failed('three')], ['one']],
    ['it is still reached after a delivery and 2 failures', [delivered, failed(), failed()], ['reached']],
    ['it is out of reach after a delivery and 3 failures', [delivered, failed(), failed(), failed()], ['connection refused']],
    ['it is reached again after 1 delivery', [failed(), failed(), failed(), delivered], ['reached']],
    ['DNS and TLS count like connections', [failed('a', 'DNS'), failed('b', 'TLS'), failed('c')], ['a']],
    ['a host that took 1 recipient of 2 was reached', [[...failed(), ...delivered]], ['reached']],
    ['nothing by mail that is held or has nowhere to go', [ended({ kind: 'held' }), ended({ kind: 'unroutable' })], []],
  ]
  for (const [title, attempts, expected] of cases) {
    it(title, () => {
      const reach = new Reach()
      for (const attempt of attempts) reach.note(route(), 'smarthost', attempt)
      assert.deepEqual(of(reach), expected)
    })
  }
  it('1 site of 2 that is reached is enough', () => {
    const reach = new Reach()
    for (let n = 0; n < 3; n++) reach.note(route(), 'mx a', failed())
    assert.deepEqual(of(reach), ['connection refused'])
    reach.note(route(), 'mx b', delivered)
    assert.deepEqual(of(reach), ['reached'])
  })
  it('is forgotten when the route says something else, and kept when a snapshot says the same again', () => {
    const reach = new Reach()
    reach.note(route(), 'a', delivered)
    assert.deepEqual([of(reach, route()), of(reach, route('partner', true))], [['reached'], []])
  })
  it('is bounded: 256 routes, 64 sites of each, the oldest go', () => {
    const reach = new Reach()
    const routes = Array.from({ length: 300 }, (_, n) => route(`r${n}`))
    for (const one of routes) reach.note(one, 'a', delivered)
    assert.equal(reach.list(routes).length, 256)
    const fresh = new Reach()
    const now = route()
    for (let n = 0; n < 3; n++) fresh.note(now, 'bad', failed('bad'))
    for (let n = 0; n < 63; n++) fresh.note(now, `s${n}`, failed())
    assert.deepEqual(of(fresh), ['bad'])
    fresh.note(now, 'bad', failed()) // the last to be seen: others go before it
    for (let n = 63; n < 126; n++) fresh.note(now, `s${n}`, failed())
    assert.deepEqual(of(fresh), ['bad'])
    fresh.note(now, 's126', failed())
    assert.deepEqual(of(fresh), [])
  })
})

describe('what a deliverer tells of a route with a smarthost', () => {
  it('nobody listens, 3 attempts: not reached, and where; then somebody does: reached', async () => {
    const port = await freePort()
    const routes = [{ namespace: 'mail', name: 'partner', manifest: 'DeliveryRoute mail/partner', match: {}, nextHops: [{ kind: 'smarthost' as const, host: '127.0.0.1', port }] }]
    const deliverer = testDeliverer(testSnapshot({ routes }), { allowLoopback: true })
    const attempt = () => deliverer.attempt(testDelivery({ bytes: testMessage.length }), bodyOf(testMessage), never())
    try {
      for (const expected of [0, 0, 1]) {
        await attempt()
        assert.equal(deliverer.reached().length, expected)
      }
      const [told] = deliverer.reached()
      assert.deepEqual([told!.route, told!.reached], ['DeliveryRoute mail/partner', false])
      assert.match(told!.why!, /127\.0\.0\.1/)
      const sink = await startSink({ port })
      await attempt()
      assert.deepEqual([deliverer.reached(), sink.count()], [[{ route: 'DeliveryRoute mail/partner', reached: true }], 1])
      await sink.close()
    } finally {
      await deliverer.close()
    }
  })
})
