import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { policySchema, senderSchema } from '../snapshot/index.ts'
import { greetedBy, sendMail, startReceiver } from '../../test/tools/session.ts'
import { createFleetLimits } from './fleet-limits.ts'
import { newWindow, shareOf, take } from './window.ts'

const hour = 3_600_000
const sender = senderSchema.parse({ namespace: 'shop', name: 'shop', manifest: 'MailSender shop/shop', listeners: ['mx'], from: ['*'], limits: { messagesPerHour: 100 } })
const policyOf = (limits: object[]) => policySchema.parse({ namespace: 'mail', name: 'house', manifest: 'RelayPolicy mail/house', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, limits })
const alone = (now: () => number) => createFleetLimits({ pod: 'a', peers: () => [{ pod: 'a' }], now })

test('the parts of 1 to 5 processes add up to the limit exactly, for limits of 1 to 1,000', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 5 }), (limit, peers) => {
    const parts = Array.from({ length: peers }, (_, rank) => shareOf(limit, peers, rank))
    assert.equal(parts.reduce((sum, part) => sum + part, 0), limit)
  }))
})

test('in no window, wherever it begins, is more taken than the limit (500 made-up arrivals)', () => {
  const arrivals = fc.array(fc.nat({ max: 30_000 }), { minLength: 1, maxLength: 60 }).map((gaps) => gaps.map(((at) => (gap: number) => (at += gap))(1_700_000_000_000)))
  fc.assert(fc.property(arrivals, fc.integer({ min: 1, max: 10 }), (times, limit) => {
    const window = newWindow()
    const taken = times.filter((at) => take(window, at, 60_000, limit))
    for (const from of taken) assert.ok(taken.filter((at) => at >= from && at < from + 60_000).length <= limit)
  }), { numRuns: 500 })
})

test('a steady client gets at least 90 % of its limit over 10 hours', () => {
  const window = newWindow()
  let taken = 0
  for (let at = 0; at < 10 * hour; at += 1000) if (take(window, 1e12 + at, hour, 600)) taken += 1
  assert.ok(taken >= 5400 && taken <= 6600, String(taken))
})

for (const processes of [1, 2, 3]) {
  test(`of 100 messages per hour exactly 100 pass at ${processes} process(es), in whatever order each hears of the others`, () => {
    const pods = Array.from({ length: processes }, (_, index) => ({ pod: `p${index}` }))
    const fleet = pods.map(({ pod }, index) => createFleetLimits({ pod, peers: () => [...pods.slice(index), ...pods.slice(0, index)], now: () => 1e12 }))
    let passed = 0
    for (let turn = 0; turn < 300; turn++) if (!fleet[turn % processes]!.count('messages', { source: '192.0.2.1', sender: 'shop/shop' }, [], sender)) passed += 1
    assert.equal(passed, 100)
  })
}

test('a process that has heard of 0 others, not even of itself, has all of the limit', () => assert.equal(shareOf(100, 0, 0), 100))

test('a clock that goes back forgets nothing: 1 a minute stays 1', () => {
  const window = newWindow()
  assert.deepEqual([60_000, 0, 61_000, 123_000].map((at) => take(window, at, 60_000, 1)), [true, false, false, true])
})

test('100,000 sources are remembered; past that the longest unused is forgotten, and no other', () => {
  const limits = alone(() => 1e12)
  const policy = policyOf([{ by: 'source', messagesPerMinute: 1 }])
  const isOver = (source: string) => limits.count('messages', { source }, [policy]) !== undefined
  assert.deepEqual(['kept', 'gone'].map(isOver), [false, false])
  for (let n = 0; n < 99_998; n++) isOver(`s${n}`)
  assert.equal(isOver('kept'), true)
  isOver('one more')
  assert.deepEqual([isOver('gone'), isOver('kept')], [false, true])
})

test('a limit by sender counts nobody who is not identified', () => {
  const limits = alone(() => 1e12)
  const policy = policyOf([{ by: 'sender', messagesPerMinute: 1 }])
  assert.deepEqual([1, 2].map(() => limits.count('messages', { source: 'x' }, [policy])), [undefined, undefined])
})

test('a process that leaves gives its share to the others', () => {
  let pods = [{ pod: 'a' }, { pod: 'b' }]
  const limits = createFleetLimits({ pod: 'a', peers: () => pods, now: () => 1e12 })
  const count = () => limits.count('messages', { source: 's', sender: 'shop/shop' }, [], sender)
  for (let index = 0; index < 50; index++) assert.equal(count(), undefined)
  assert.deepEqual(count() && { manifest: count()!.manifest, limit: count()!.limit }, { manifest: 'MailSender shop/shop', limit: 100 })
  pods = [{ pod: 'a' }]
  assert.equal(count(), undefined)
})

test('a policy counts by source, sender or domain, each its own unit', () => {
  const policy = policyOf([{ by: 'source', connectionsPerMinute: 1, messagesPerMinute: 2 }, { by: 'domain', recipientsPerHour: 1 }])
  const limits = alone(() => 1e12)
  const count = (unit: 'connections' | 'messages' | 'recipients', source: string, domain?: string) => limits.count(unit, { source, ...(domain !== undefined && { domain }) }, [policy])?.what
  assert.deepEqual([count('connections', 'x'), count('connections', 'x'), count('connections', 'y')], [undefined, 'connections per minute by source x', undefined])
  assert.deepEqual([count('messages', 'x'), count('messages', 'x'), count('messages', 'x')], [undefined, undefined, 'messages per minute by source x'])
  assert.deepEqual([count('recipients', 'x', 'd'), count('recipients', 'y', 'd'), count('recipients', 'y', 'e')], [undefined, 'recipients per hour by domain d', undefined])
})

test('what 1 limit refuses counts under no other: 200 tries against 2 a minute leave the 100 of the hour', () => {
  let now = 1e12
  const limits = alone(() => now)
  const slow = policyOf([{ by: 'sender', messagesPerMinute: 2 }])
  const over = () => limits.count('messages', { source: 's', sender: 'shop/shop' }, [slow], sender)?.manifest
  const said = Array.from({ length: 200 }, over)
  assert.deepEqual([said.indexOf('RelayPolicy mail/house'), said.lastIndexOf('MailSender shop/shop')], [2, -1])
  now += 70_000
  assert.deepEqual([over(), over(), over()], [undefined, undefined, 'RelayPolicy mail/house'])
})

test('a policy in Warn mode counts nobody out, and tells each of the 2 that Enforce would have refused', () => {
  const warned: string[] = []
  const limits = createFleetLimits({ pod: 'a', peers: () => [{ pod: 'a' }], now: () => 1e12, warn: ({ manifest }) => void warned.push(manifest) })
  const warning = { ...policyOf([{ by: 'source', connectionsPerMinute: 1 }]), mode: 'Warn' as const }
  assert.deepEqual([1, 2, 3].map(() => limits.count('connections', { source: 'z' }, [warning])), [undefined, undefined, undefined])
  assert.deepEqual(warned, ['RelayPolicy mail/house', 'RelayPolicy mail/house'])
})

test('over the limit is 450 4.7.1 with the name of the manifest: MailSender at MAIL, RelayPolicy at RCPT', async (t) => {
  const receiver = await startReceiver(t, (input) => {
    input.senders![0]!.limits = { messagesPerHour: 2 }
    input.policies = [{ namespace: 'mail', name: 'house', manifest: 'RelayPolicy mail/house', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, limits: [{ by: 'domain', recipientsPerHour: 3 }] }]
  })
  const line = await greetedBy(t, receiver, 'submissions')
  for (let index = 0; index < 2; index++) assert.match(await sendMail(line, undefined, 'a@shop.example', ['x@far.example']), /^250 /)
  assert.match(await line.ask('MAIL FROM:<a@shop.example>'), /^450 4\.7\.1 .*2 messages per hour \(MailSender shop\/shop\)/)
  const other = await greetedBy(t, receiver)
  await other.ask('MAIL FROM:<a@client.example>')
  for (let index = 0; index < 3; index++) assert.match(await other.ask(`RCPT TO:<u${index}@hosted.example>`), /^250 /)
  assert.match(await other.ask('RCPT TO:<u9@hosted.example>'), /^450 4\.7\.1 .*3 recipients per hour by domain hosted\.example \(RelayPolicy mail\/house\)/)
})

for (const step of [-hour, hour])
  test(`a clock that is set ${step < 0 ? 'back' : 'on'} by 1 hour changes no limit: 2 messages a minute stay 2`, async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
    const receiver = await startReceiver(t, (input) => {
      input.policies = [{ namespace: 'mail', name: 'house', manifest: 'RelayPolicy mail/house', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, limits: [{ by: 'source', messagesPerMinute: 2 }] }]
    })
    const line = await greetedBy(t, receiver)
    assert.match(await sendMail(line), /^250 /)
    t.mock.timers.setTime(Date.now() + step)
    assert.match(await sendMail(line), /^250 /)
    assert.match(await line.ask('MAIL FROM:<a@client.example>'), /^450 4\.7\.1 /)
  })

test('a policy on 2 MailDomains that counts by source counts a message for both once, at its first recipient there, and none that goes elsewhere', async (t) => {
  const receiver = await startReceiver(t, (input) => {
    const targets = ['hosted.example', 'listed.example'].map((domain) => ({ kind: 'MailDomain' as const, domain }))
    input.policies = [{ namespace: 'mail', name: 'guard', manifest: 'RelayPolicy mail/guard', targets, mayAllowSources: true, limits: [{ by: 'domain', messagesPerMinute: 9 }, { by: 'source', messagesPerMinute: 2 }] }]
  })
  const line = await greetedBy(t, receiver)
  const both = ['a@hosted.example', 'b@hosted.example', 'fred@listed.example']
  for (const to of [['x@asked.example'], both, both]) {
    assert.match(await line.ask('MAIL FROM:<a@client.example>'), /^250 /)
    for (const one of to) assert.match(await line.ask(`RCPT TO:<${one}>`), one.endsWith('asked.example') ? /^4/ : /^250 /)
    await line.ask('RSET')
  }
  await line.ask('MAIL FROM:<a@client.example>')
  for (const to of both) assert.match(await line.ask(`RCPT TO:<${to}>`), /^450 4\.7\.1 .*2 messages per minute by source 127\.0\.0\.1 \(RelayPolicy mail\/guard\)/)
})

test('a policy on a MailDomain that counts by sender stops the 3rd message of a MailSender in a minute at RCPT', async (t) => {
  const receiver = await startReceiver(t, (input) => {
    input.policies = [{ namespace: 'mail', name: 'guard', manifest: 'RelayPolicy mail/guard', targets: [{ kind: 'MailDomain', domain: 'hosted.example' }], mayAllowSources: true, limits: [{ by: 'sender', messagesPerMinute: 2 }] }]
  })
  const line = await greetedBy(t, receiver, 'submissions')
  for (let index = 0; index < 2; index++) assert.match(await sendMail(line, undefined, 'a@shop.example', ['x@hosted.example']), /^250 /)
  assert.match(await line.ask('MAIL FROM:<a@shop.example>'), /^250 /)
  assert.match(await line.ask('RCPT TO:<x@far.example>'), /^250 /)
  assert.match(await line.ask('RCPT TO:<x@hosted.example>'), /^450 4\.7\.1 .*2 messages per minute by sender shop\/shop \(RelayPolicy mail\/guard\)/)
})
