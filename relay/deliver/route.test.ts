import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mailbox, testDelivery, testSnapshot } from '../../test/tools/delivery.ts'
import type { SnapshotInput } from '../snapshot/index.ts'
import { hopsOf } from './hops.ts'
import { scheduleFor, wayOf } from './route.ts'
import { signerOf } from './sign.ts'

type RouteInput = NonNullable<SnapshotInput['routes']>[number]
const route = (name: string, match: RouteInput['match'], change: Partial<RouteInput> = {}): RouteInput => ({
  namespace: 'mail', name, manifest: `DeliveryRoute mail/${name}`, match, nextHops: [{ kind: 'smarthost', host: `${name}.example` }], ...change,
})
const hosted = (name: string, inbound: object): NonNullable<SnapshotInput['domains']>[number] => ({
  namespace: 'mail', name, manifest: `MailDomain mail/${name}`, domain: `${name}.example`, listeners: ['mx'], inbound: { recipients: { mode: 'Any' }, ...inbound },
})
const wayTo = (snapshot: ReturnType<typeof testSnapshot>, domain: string, from: string | null = 'a@shop.example', sender?: string): string => {
  const way = wayOf(snapshot, { domain, mailFrom: from === null ? null : mailbox(from), ...(sender !== undefined && { sender }) })
  return way.kind === 'route' ? way.route.name : way.kind
}

describe('the way of a delivery', () => {
  it('is MX where no route matches', () => assert.equal(wayTo(testSnapshot(), 'dest.example'), 'mx'))
  it('takes the exact domain before the longest suffix before the shorter one before any', () => {
    const routes = [route('any', { recipientDomains: ['*'] }), route('short', { recipientDomains: ['*.example'] }), route('long', { recipientDomains: ['*.dest.example'] }), route('exact', { recipientDomains: ['a.dest.example'] })]
    for (const order of [routes, routes.toReversed()]) {
      const snapshot = testSnapshot({ routes: order })
      assert.deepEqual(['a.dest.example', 'b.dest.example', 'dest.example', 'dest.org'].map((domain) => wayTo(snapshot, domain)), ['exact', 'long', 'short', 'any'])
    }
  })
  it('takes senders before senderDomains among equals', () => {
    const snapshot = testSnapshot({ routes: [route('by-domain', { senderDomains: ['shop.example'] }), route('by-sender', { senders: ['shop/shop'] })] })
    assert.equal(wayTo(snapshot, 'dest.example', 'a@shop.example', 'shop/shop'), 'by-sender')
    assert.equal(wayTo(snapshot, 'dest.example', 'a@shop.example', 'shop/other'), 'by-domain')
    assert.equal(wayTo(snapshot, 'dest.example', 'a@other.example'), 'mx')
  })
  it('takes the exact sender domain before any before none, where the recipient is the same', () => {
    const recipientDomains = ['dest.example']
    const routes = [route('none', { recipientDomains }), route('any', { recipientDomains, senderDomains: ['*'] }), route('exact', { recipientDomains, senderDomains: ['shop.example'] })]
    for (const order of [routes, routes.toReversed()]) {
      const snapshot = testSnapshot({ routes: order })
      assert.deepEqual(['a@shop.example', 'a@other.example', null].map((from) => wayTo(snapshot, 'dest.example', from)), ['exact', 'any', 'none'])
    }
  })
  it('counts the best of 2 patterns that fit', () => {
    const snapshot = testSnapshot({ routes: [route('suffix', { recipientDomains: ['*.example'] }), route('two', { recipientDomains: ['*', 'dest.example'] })] })
    assert.equal(wayTo(snapshot, 'dest.example'), 'two')
  })
  it('wants every matcher to fit', () => {
    const snapshot = testSnapshot({ routes: [route('both', { recipientDomains: ['dest.example'], senderDomains: ['shop.example'] })] })
    assert.deepEqual([wayTo(snapshot, 'dest.example'), wayTo(snapshot, 'dest.example', 'a@other.example'), wayTo(snapshot, 'dest.example', null)], ['both', 'mx', 'mx'])
  })
  it('takes the oldest among equals, then the first name', () => {
    const match = { recipientDomains: ['dest.example'] }
    assert.equal(wayTo(testSnapshot({ routes: [route('a-young-one', match, { createdAt: '2026-02-01T00:00:00Z' }), route('old', match, { createdAt: '2026-01-01T00:00:00Z' })] }), 'dest.example'), 'old')
    assert.equal(wayTo(testSnapshot({ routes: [route('b', match), route('a', match)] }), 'dest.example'), 'a')
  })
  it('a hosted domain goes to its own hosts, whatever the relay-wide smarthost', () => {
    const snapshot = testSnapshot({ routes: [route('any', { recipientDomains: ['*'] }), route('all', {})], domains: [hosted('home', { hosts: [{ host: '10.0.0.1' }] })] })
    assert.equal(wayTo(snapshot, 'home.example'), 'hosts')
    assert.equal(wayTo(snapshot, 'dest.example'), 'all')
  })
  it('a route that names the hosted domain wins over its hosts', () => {
    const snapshot = testSnapshot({ routes: [route('named', { recipientDomains: ['home.example'] })], domains: [hosted('home', { hosts: [{ host: '10.0.0.1' }] })] })
    assert.equal(wayTo(snapshot, 'home.example'), 'named')
  })
  it('a hosted domain without hosts is a backup MX', () => assert.equal(wayTo(testSnapshot({ domains: [hosted('home', {})] }), 'home.example'), 'mx'))
  it('brings its schedule', () => {
    const schedules = [{ name: 'patient', manifest: 'RetrySchedule patient', attempts: [60], giveUpAfter: 100 }, { name: 'quick', manifest: 'RetrySchedule quick', attempts: [1], giveUpAfter: 10 }]
    const snapshot = testSnapshot({ schedules, routes: [route('quick', { recipientDomains: ['dest.example'] }, { retrySchedule: 'quick' })] })
    assert.deepEqual(['dest.example', 'other.example'].map((domain) => scheduleFor(snapshot, { domain, mailFrom: null }).name), ['quick', 'patient'])
  })
})

describe('the next hops', () => {
  const hops = (nextHops: RouteInput['nextHops'], random: () => number): string[] => {
    const snapshot = testSnapshot({ routes: [route('r', {}, { nextHops })] })
    return hopsOf(wayOf(snapshot, { domain: 'dest.example', mailFrom: null }), random).map((hop) => (hop.kind === 'mx' ? 'mx' : hop.host.host))
  }
  it('go by preference', () => assert.deepEqual(hops([{ kind: 'mx', preference: 20 }, { kind: 'smarthost', host: 'b', preference: 10 }, { kind: 'smarthost', host: 'a', preference: 5 }], () => 0.5), ['a', 'b', 'mx']))
  it('among equals a weight of 3 comes first 3 times out of 4', () => {
    let seed = 1
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
    const first = Array.from({ length: 4000 }, () => hops([{ kind: 'smarthost', host: 'a', weight: 3 }, { kind: 'smarthost', host: 'b', weight: 1 }], random)[0])
    const share = first.filter((host) => host === 'a').length / 4000
    assert.ok(Math.abs(share - 0.75) < 0.03, `${share}`)
  })
})

describe('10,000 hosted domains', () => {
  it('are gone through once for a snapshot, and not for each way and each signature of 100 deliveries', () => {
    const snapshot = testSnapshot({ domains: Array.from({ length: 10_000 }, (_, n) => ({ ...hosted(`d${n}`, {}), dkim: [{ selector: 's', algorithm: 'ed25519', privateKey: 'k' }] })) })
    let reads = 0
    const domains = new Proxy(snapshot.domains, { get: (all, at) => (reads++, Reflect.get(all, at) as unknown) })
    const look = (): unknown[] => [wayOf({ ...snapshot, domains }, { domain: 'far.example.org', mailFrom: null }).kind, signerOf({ ...snapshot, domains }, testDelivery({ envelope: { sender: 'shop/shop' } }), Buffer.from('From: a@below.d9999.example\r\n\r\n'))?.domain]
    assert.deepEqual(look(), ['mx', 'd9999.example'])
    reads = 0
    for (let n = 0; n < 100; n++) look()
    assert.equal(reads, 0)
  })
})
