// One attempt at hosts that a route names: real sockets, and a pool that tells of a host what no host should do.
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { attemptOf, bodyOf, never, testDeliverer, testDelivery, testMessage, testSnapshot, type DeliveryChange } from '../../test/tools/delivery.ts'
import { freePort } from '../../cli/standalone/nats-process.ts'
import { startSink, type RunningSink, type SinkOptions } from '../../cli/standalone/sink.ts'
import { createResolver, type Answer, type Resolver } from '../dns/index.ts'
import type { Settlement } from '../queue/index.ts'
import { runAttempt, type Attempt, type AttemptResult } from './attempt.ts'
import { contentOf } from './content.ts'
import type { HostEvent, TlsFault } from './failover.ts'
import { Pool } from './pool.ts'
import { wayOf } from './route.ts'
import type { Opening, Target } from './session.ts'
import { attemptLimit, settingsFrom, type Timeouts } from './settings.ts'
import { Watch } from './wire.ts'

const snapshotWith = (host: { port: number; implicitTls?: boolean }) =>
  testSnapshot({ routes: [{ namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'smarthost', host: '127.0.0.1', ...host }] }] })

/** One attempt at a smarthost that behaves like this. */
const attemptAt = async (t: TestContext, behaviour: SinkOptions, { implicitTls = false, timeouts = {}, ...change }: { implicitTls?: boolean; timeouts?: Partial<Timeouts> } & DeliveryChange = {}): Promise<{ sink: RunningSink; settlement: Settlement }> => {
  const sink = await startSink(behaviour)
  const deliverer = testDeliverer(snapshotWith({ port: sink.port, implicitTls }), { timeouts })
  t.after(() => Promise.all([deliverer.close(), sink.close()]))
  const settlement = await attemptOf(deliverer, testDelivery({ bytes: testMessage.length, ...change }), bodyOf(testMessage))
  return { sink, settlement }
}

it('opens 1 connection to a port 465 that speaks no TLS, and is deferred as TLS', async (t) => {
  const { sink, settlement: { later } } = await attemptAt(t, {}, { implicitTls: true })
  assert.deepEqual([sink.connections(), later!.last.class], [1, 'TLS'])
  assert.match(later!.last.why, /TLS handshake failed, on a port that should have TLS from the first byte/)
})

const heloOnly: SinkOptions = { replies: { ehlo: '502 5.5.1 what' } }

it('delivers ASCII mail with the flag SMTPUTF8 to a host that says 502 to EHLO, without the flag', async (t) => {
  const { sink, settlement } = await attemptAt(t, heloOnly, { envelope: { smtputf8: true } })
  assert.deepEqual([settlement.later, settlement.notices, sink.mails.map(({ mailParameters }) => mailParameters)], [undefined, [], ['']])
})

it('returns with 5.6.7 the one of 2 recipients that a host that says 502 to EHLO cannot take', async (t) => {
  const { sink, settlement } = await attemptAt(t, heloOnly, { to: ['müller@dest.example', 'user@dest.example'], envelope: { smtputf8: true } })
  assert.deepEqual([settlement.later, settlement.notices.map(({ status, recipient }) => [status, recipient.mailbox.local])], [undefined, [['5.6.7', 'müller']]])
  assert.deepEqual(sink.mails.map(({ to }) => to), [['<user@dest.example>']])
})

type Take = (target: Target, opening: Opening) => HostEvent
/** One attempt by way of a pool in which every host ends like this. */
const attemptBy = async (take: Take, change: Partial<Attempt> = {}): Promise<AttemptResult> => {
  const pool = { take: (target: Target, opening: Opening) => Promise.resolve({ kind: 'failed', event: take(target, opening) }) } as unknown as Pool
  const snapshot = snapshotWith({ port: 25 })
  const settings = settingsFrom({})
  const delivery = testDelivery()
  const content = await contentOf(bodyOf(testMessage), testMessage.length)
  return runAttempt({
    snapshot, settings, delivery, pool, resolver: createResolver({ nameservers: () => [] }), machine: createResolver({ nameservers: () => [] }), random: () => 0.5, signal: never(), endsAt: Infinity, way: wayOf(snapshot, { domain: delivery.domain, mailFrom: null }),
    opening: { hostname: 'mx1.relay.example', settings, watch: new Watch(10) },
    message: { envelope: delivery.envelope, recipients: delivery.recipients, content, hasEightBit: () => Promise.resolve(false) },
    avoid: { isSlow: () => false, note: () => {}, reached: () => {} },
    contentFor: () => Promise.resolve({ content }),
    ...change,
  })
}

it('tries a host without TLS 1 time and not 200, though it says again that its TLS failed', async () => {
  const asked: (boolean | undefined)[] = []
  const fault: TlsFault = { kind: 'tls', how: 'handshake', policy: 'Opportunistic', implicitTls: false, host: '127.0.0.1', address: '127.0.0.1', text: 'no' }
  const { ended } = await attemptBy((_, { withoutTls }) => (asked.push(withoutTls), fault))
  assert.deepEqual([asked, ended.map(({ outcome }) => outcome.kind === 'deferred' && outcome.why.class)], [[false, true], ['TLS']])
})

/** MX hosts of both families, as seen where there is no way to any IPv6 address. */
const withoutIpv6 = async (hosts: readonly { readonly v4: readonly string[]; readonly v6: readonly string[] }[]): Promise<{ asked: string[]; result: AttemptResult }> => {
  const asked: string[] = []
  const records = <T>(some: readonly T[]): Answer<T> => (some.length > 0 ? { kind: 'records', records: some, ttl: 60 } : { kind: 'nodata', ttl: 60 })
  const resolver = {
    mx: () => Promise.resolve(records(hosts.map((_, index) => ({ preference: index, exchange: `mx${index}.dest.example` })))),
    addresses: (name: string, family: 4 | 6) => Promise.resolve(records(hosts[Number(/\d+/.exec(name)![0])]![`v${family}`])),
  } as unknown as Resolver
  const result = await attemptBy(({ host, address }) => {
    asked.push(address)
    const noWay = address.includes(':')
    return { kind: 'silent', at: 'CONNECT', how: noWay ? 'no-way' : 'refused', host, address, text: noWay ? 'no way' : 'connection refused', reused: false, dotWritten: false }
  }, { resolver, way: { kind: 'mx' } as Attempt['way'] })
  return { asked, result }
}

it('an address that there is no way to is none of the 5 of an attempt: of 6 hosts with both families 5 are asked over IPv4, and what they did is told', async () => {
  const { asked, result: { ended } } = await withoutIpv6(Array.from({ length: 6 }, (_, n) => ({ v4: [`8.8.0.${n}`], v6: [`2600::${n}`, `2600::1:${n}`] })))
  assert.deepEqual(asked.filter((address) => !address.includes(':')), [0, 1, 2, 3, 4].map((n) => `8.8.0.${n}`))
  assert.match(JSON.stringify(ended[0]!.outcome), /mx4\.dest\.example \[8\.8\.0\.4\]: connection refused/)
})

it('what a host did over IPv4 is told, though 1 more is asked after it that there is no way to', async () => {
  const { asked, result: { ended } } = await withoutIpv6([{ v4: ['8.8.0.0'], v6: [] }, { v4: [], v6: ['2600::1'] }])
  assert.deepEqual(asked, ['8.8.0.0', '2600::1'])
  assert.match(JSON.stringify(ended[0]!.outcome), /mx0\.dest\.example \[8\.8\.0\.0\]: connection refused/)
})

it('1 connection that opens says of its address that it was reached', async (t) => {
  const sink = await startSink()
  const pool = new Pool(500)
  t.after(() => (pool.close(), sink.close()))
  const reached: string[] = []
  await attemptBy(() => assert.fail(), { pool, way: wayOf(snapshotWith({ port: sink.port }), { domain: 'dest.example', mailFrom: null }), avoid: { isSlow: () => false, note: () => {}, reached: (address) => reached.push(address) } })
  assert.deepEqual([reached, sink.mails.length], [['127.0.0.1'], 1])
})

it('of 1,000 addresses without a way 25 are tried, and no more notes are written', async () => {
  const { asked, result: { notes } } = await withoutIpv6(Array.from({ length: 16 }, (_, n) => ({ v4: [], v6: Array.from({ length: 64 }, (_, m) => `2600::${n}:${m}`) })))
  assert.deepEqual([asked.length, notes.length], [25, 25])
})

const twenty = Array.from({ length: 20 }, (_, index) => `user${index}@dest.example`)
/** 2.5 s for 20 recipients, and no reply has less: what runs out is the time of the attempt, however slow this machine is. */
const short = { attempt: 500, rcpt: 3000 }

it('an attempt has a time of its own: a host that answers each of 20 recipients just in time is left, and the mail waits', async (t) => {
  const delayMs = (phase: string): number => (phase === 'rcpt' ? 300 : 0) // 6 s in all
  const { sink, settlement: { later, notices } } = await attemptAt(t, { delayMs, without: ['PIPELINING'] }, { to: twenty, timeouts: short })
  assert.deepEqual([later?.recipients.length, later?.last.class, notices, sink.count()], [20, 'Connect', [], 0])
  assert.match(later!.last.why, /the attempt took too long in all/)
  assert.ok(sink.commands.length < 15, `${sink.commands.length} commands`)
})

it('does not say of a host that answers each of 20 recipients in time that it hung, where the time of the attempt runs out', async (t) => {
  const events: HostEvent[] = []
  const sink = await startSink({ delayMs: (phase) => (phase === 'rcpt' ? 300 : 0), without: ['PIPELINING'] })
  const pool = new Pool(500)
  t.after(() => (pool.close(), sink.close()))
  const way = wayOf(snapshotWith({ port: sink.port }), { domain: 'dest.example', mailFrom: null })
  await attemptBy(() => assert.fail(), { pool, way, delivery: testDelivery({ to: twenty }), endsAt: performance.now() + 500, avoid: { isSlow: () => false, note: (event) => events.push(event), reached: () => {} } })
  assert.deepEqual(events, [])
})

it('an attempt that took its time begins no further transaction, and says so: the 452 of a host that takes 1 recipient at a time', async (t) => {
  const { sink, settlement: { later } } = await attemptAt(t, { delayMs: (phase) => (phase === 'dot' ? 500 : 0), maxRecipients: 1 }, { to: twenty, timeouts: short })
  assert.ok(sink.count() >= 1 && sink.count() < 7, `${sink.count()} transactions`)
  assert.equal(later?.recipients.length, 20 - sink.count())
  assert.match(later.last.why, /the attempt took too long in all/)
})

it('tells of the 1 of 201 recipients that a host which takes 1 at a time has not had after 200 transactions what that host said, not that the time was over', async (t) => {
  const { sink, settlement: { later } } = await attemptAt(t, { maxRecipients: 1 }, { to: Array.from({ length: 201 }, (_, index) => `user${index}@dest.example`) })
  assert.deepEqual([sink.count(), later?.recipients.length, later?.last.said], [200, 1, '452 4.5.3 too many recipients'])
})

it('waits for the answer to the final dot beyond the time of the attempt, 3.1 s: the mail may have been taken', async (t) => {
  const began = performance.now()
  const delayMs = (phase: string): number => (phase === 'dot' ? Math.max(0, began + 4000 - performance.now()) : 0)
  const { sink, settlement } = await attemptAt(t, { delayMs }, { timeouts: { attempt: 3000, rcpt: 3000 } })
  assert.deepEqual([sink.count(), settlement.later, settlement.notices], [1, undefined, []])
})

it('gives an attempt an hour, 10 s for each recipient and a second for each 10 KB', () => {
  const settings = settingsFrom({})
  assert.equal(attemptLimit(settings, { recipients: 1, bytes: 0 }), 3_610_000)
  assert.equal(attemptLimit(settings, { recipients: 1000, bytes: 50_000_000 }), 3_600_000 + 10_000_000 + 5_000_000)
})

it('defers and does not return mail for a domain that does not exist, where 1 of 2 hops is its MX and the other, a smarthost, is only away', async (t) => {
  const snapshot = testSnapshot({ routes: [{ namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'smarthost', host: '127.0.0.1', port: await freePort(), preference: 10 }, { kind: 'mx', preference: 20 }] }] })
  const deliverer = testDeliverer(snapshot)
  t.after(() => deliverer.close())
  const { later, notices } = await attemptOf(deliverer, testDelivery({ bytes: testMessage.length, to: ['user@gone.invalid'] }), bodyOf(testMessage))
  assert.deepEqual([later?.last.class, notices], ['Connect', []])
})

for (const [rcpt, connections] of [['450 4.3.2 Service currently unavailable', 2], ['450 4.2.0 Greylisted', 1]] as const) {
  it(`opens ${connections} for 2 attempts at a host that says ${rcpt}`, async (t) => {
    const sink = await startSink({ replies: { rcpt } })
    const deliverer = testDeliverer(snapshotWith(sink))
    t.after(() => Promise.all([deliverer.close(), sink.close()]))
    for (const _ of '12') await attemptOf(deliverer, testDelivery({ bytes: testMessage.length }), bodyOf(testMessage))
    assert.equal(sink.connections(), connections)
  })
}
