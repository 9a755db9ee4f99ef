import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { holds, isBounded, parseAddress, parsePrefix, parseSnapshot, splitMailbox, type Snapshot, type SnapshotInput } from '../snapshot/index.ts'
import { decideMail, decideHeaderFrom, decideRecipient, allowRulesMakeTheWorld, type Client, type Verdict } from './index.ts'

type Policy = NonNullable<SnapshotInput['policies']>[number]
const relay = { namespace: 'mail', name: 'main', manifest: 'MailRelay mail/main', hostname: 'mx.test', queue: 'main', queueReplicas: 1 as const, queueBytes: 1e9, retrySchedule: 'default' }

const policy = (change: Partial<Policy> & Pick<Policy, 'rules'>): Policy => ({
  namespace: 'mail', name: 'house', manifest: 'RelayPolicy mail/house', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, ...change,
})

const snapshotOf = (change: Partial<SnapshotInput> = {}): Snapshot => parseSnapshot({
  version: 1,
  relay,
  listeners: [
    { name: 'mx', manifest: 'MailRelay mail/main', protocol: 'SMTP', port: 25, bindPort: 2525 },
    { name: 'submission', manifest: 'MailRelay mail/main', protocol: 'Submission', port: 587, bindPort: 2587, auth: ['PLAIN'] },
    { name: 'snat', manifest: 'MailRelay mail/main', protocol: 'SMTP', port: 26, bindPort: 2526, sourceAddressPreserved: false },
  ],
  senders: [{ namespace: 'shop', name: 'shop', manifest: 'MailSender shop/shop', listeners: ['submission', 'mx'], from: ['*@shop.example', 'ann@other.example'] }],
  domains: [{ namespace: 'mail', name: 'hosted', manifest: 'MailDomain mail/hosted', domain: 'hosted.example', listeners: ['mx', 'submission'], inbound: { recipients: { mode: 'Any' } } }, { namespace: 'mail', name: 'out', manifest: 'MailDomain mail/out', domain: 'out.example', listeners: ['mx'] }],
  schedules: [{ name: 'default', manifest: 'RetrySchedule default', attempts: [60], giveUpAfter: 3600 }],
  ...change,
})

const stranger: Client = { address: '203.0.113.9', helo: 'client.example', tls: false }
const shop: Client = { address: '203.0.113.9', helo: 'client.example', tls: true, sender: 'shop/shop' }

const decide = (given: { snapshot?: Snapshot; listener?: string; client?: Client; from?: string; to: string }): Verdict => {
  const snapshot = given.snapshot ?? snapshotOf()
  const listener = snapshot.listeners.find(({ name }) => name === (given.listener ?? 'mx'))!
  const mailFrom = given.from === '' ? null : splitMailbox(given.from ?? 'joe@somespammer.com')!
  return decideRecipient({ snapshot, listener, client: given.client ?? stranger, mailFrom, rcptTo: splitMailbox(given.to)! })
}
const words = (verdict: Verdict): string => (verdict.kind === 'deny' ? `${verdict.reply.code} ${verdict.reply.enhanced} ${verdict.reply.text}` : verdict.kind)

test('a stranger gets 550 5.7.1 Relaying denied, with the relay and the rule named', () => {
  assert.equal(words(decide({ to: 'fred@spam-recipient.com' })), '550 5.7.1 Relaying denied: spam-recipient.com is not hosted here and nothing admits 203.0.113.9 (MailRelay mail/main, rule default-deny)')
  assert.match(words(decide({ listener: 'snat', client: shop, from: 'a@shop.example', to: 'fred@far.example' })), /nothing admits MailSender shop\/shop \(/)
})

test('a stranger on submission is told to authenticate first, also for a hosted domain', () => {
  for (const to of ['fred@spam-recipient.com', 'fred@hosted.example']) {
    assert.match(words(decide({ listener: 'submission', to, client: { ...stranger, tls: true } })), /^550 5\.7\.1 .*authenticate first \(/)
    assert.match(words(decide({ listener: 'submission', to })), /^550 5\.7\.1 .*authenticate first, after STARTTLS: /)
  }
})

test('a hosted domain takes mail of strangers at its listeners only, and only where it is inbound', () => {
  assert.deepEqual(decide({ to: 'fred@hosted.example' }), { kind: 'pass', because: { rule: 'hosted-domain', manifest: 'MailDomain mail/hosted' }, warnings: [] })
  assert.equal(decide({ listener: 'snat', to: 'fred@hosted.example' }).kind, 'deny')
  assert.equal(decide({ to: 'fred@out.example' }).kind, 'deny')
  assert.equal(decide({ to: 'fred@sub.hosted.example' }).kind, 'deny')
})

test('an identified sender reaches everybody with an address of its own, and nobody new with another', () => {
  assert.deepEqual(decide({ listener: 'submission', client: shop, from: 'a@shop.example', to: 'fred@far.example' }).because, { rule: 'identified-sender', manifest: 'MailSender shop/shop' })
  assert.match(words(decide({ listener: 'submission', client: shop, from: 'bob@other.example', to: 'fred@far.example' })), /^550 5\.7\.1 shop\/shop may not send as bob@other\.example \(MailSender shop\/shop, rule from\)/)
  assert.equal(decide({ listener: 'submission', client: shop, from: '', to: 'fred@far.example' }).kind, 'deny')
  assert.equal(decide({ listener: 'snat', client: shop, from: 'a@shop.example', to: 'fred@far.example' }).kind, 'deny', 'not admitted by that listener')
})

test('MAIL refuses an identified sender the address of another, but never the null sender', () => {
  const snapshot = snapshotOf()
  const listener = snapshot.listeners[1]!
  assert.equal(decideMail({ snapshot, listener, client: shop, mailFrom: splitMailbox('bob@other.example')! })?.reply.code, 550)
  assert.equal(decideMail({ snapshot, listener, client: shop, mailFrom: splitMailbox('ann@other.example')! }), undefined)
  assert.equal(decideMail({ snapshot, listener, client: shop, mailFrom: null }), undefined)
  assert.equal(decideMail({ snapshot, listener, client: stranger, mailFrom: splitMailbox('a@shop.example')! }), undefined)
})

test('the header From is held to the same list: 1 strange mailbox of 2 is enough to refuse', () => {
  const snapshot = snapshotOf()
  const [sender] = snapshot.senders
  assert.equal(decideHeaderFrom(snapshot, sender!, [splitMailbox('a@shop.example')!]), undefined)
  assert.match(words(decideHeaderFrom(snapshot, sender!, [splitMailbox('a@shop.example')!, splitMailbox('ceo@victim.example')!])!), /ceo@victim\.example in the header From/)
  assert.equal(words(decideHeaderFrom(snapshot, sender!, ['Shop', splitMailbox('a@shop.example')!])!), '550 5.7.1 The header From has Shop, which is not one address; a name with a comma or a colon stands in double quotes (MailSender shop/shop, rule from)')
  assert.match(words(decideHeaderFrom(snapshot, sender!, ['x'.repeat(60_000)])!), /has x{60}\.\.\., which is not one address;/)
})

const allowing = (source: string, change: Partial<Policy> = {}): Snapshot => snapshotOf({ policies: [policy({ rules: [{ name: 'office', match: { sources: [source] }, action: 'Allow' }], ...change })] })

test('an Allow rule by address lets that address pass, in every spelling of it', () => {
  for (const address of ['203.0.113.9', '::ffff:203.0.113.9']) {
    assert.deepEqual(decide({ snapshot: allowing('203.0.113.0/24'), client: { ...stranger, address }, to: 'a@far.example' }).because, { rule: 'office', manifest: 'RelayPolicy mail/house' })
  }
})

const useless: readonly (readonly [string, Snapshot, string])[] = [
  ['for another address', allowing('203.0.112.0/24'), 'mx'],
  ['by an unbounded prefix', allowing('203.0.0.0/16'), 'mx'],
  ['by the whole world', allowing('0.0.0.0/0'), 'mx'],
  ['outside the relay\'s namespace', allowing('203.0.113.0/24', { mayAllowSources: false }), 'mx'],
  ['in Warn mode', allowing('203.0.113.0/24', { mode: 'Warn' }), 'mx'],
  ['where addresses are rewritten', allowing('203.0.113.0/24'), 'snat'],
  ['for another listener', allowing('203.0.113.0/24', { targets: [{ kind: 'MailRelay', listener: 'submission' }] }), 'mx'],
  ['without a source', snapshotOf({ policies: [policy({ rules: [{ name: 'all', action: 'Allow' }] })] }), 'mx'],
  ['by sender address, which anybody may forge', snapshotOf({ policies: [policy({ rules: [{ name: 'all', match: { mailFrom: ['*'] }, action: 'Allow' }] })] }), 'mx'],
  ['beside one that makes the world', snapshotOf({ policies: [policy({ rules: [{ name: 'office', match: { sources: ['203.0.113.0/24', '0.0.0.0/1', '128.0.0.0/1'] }, action: 'Allow' }] })] }), 'mx'],
]
for (const [name, snapshot, listener] of useless) {
  test(`an Allow rule ${name} lets no stranger pass`, () => assert.equal(decide({ snapshot, listener, to: 'a@far.example' }).kind, 'deny'))
}

test('Deny and Hold speak over every way to pass, in the words of the manifest', () => {
  const rules: Policy['rules'] = [
    { name: 'no-spoofing', match: { authenticated: false, mailFrom: ['*@shop.example'] }, action: 'Deny', reply: 'mail from us comes from us' },
    { name: 'legal-hold', match: { rcptTo: ['*@opponent.example', 'legal@hosted.example'] }, action: 'Hold' },
  ]
  const snapshot = snapshotOf({ policies: [policy({ rules })] })
  assert.equal(words(decide({ snapshot, from: 'a@shop.example', to: 'b@hosted.example' })), '550 5.7.1 mail from us comes from us (RelayPolicy mail/house, rule no-spoofing)')
  assert.equal(decide({ snapshot, listener: 'submission', client: shop, from: 'a@shop.example', to: 'b@far.example' }).kind, 'pass')
  const held = decide({ snapshot, listener: 'submission', client: shop, from: 'a@shop.example', to: 'b@opponent.example' })
  assert.deepEqual(held, { kind: 'hold', because: { rule: 'legal-hold', manifest: 'RelayPolicy mail/house' }, reason: 'held by policy (RelayPolicy mail/house, rule legal-hold)', warnings: [] })
})

test('the first rule that matches ends its own policy, and no other', () => {
  const allowFirst = policy({ rules: [{ name: 'fine', match: { mailFrom: ['joe@somespammer.com'] }, action: 'Allow' }, { name: 'no', action: 'Deny' }] })
  assert.equal(decide({ snapshot: snapshotOf({ policies: [allowFirst] }), to: 'a@hosted.example' }).kind, 'pass')
  const another = policy({ name: 'other', manifest: 'RelayPolicy mail/other', rules: [{ name: 'no', action: 'Deny' }] })
  assert.equal(decide({ snapshot: snapshotOf({ policies: [allowFirst, another] }), to: 'a@hosted.example' }).kind, 'deny')
})

test('Warn changes nothing and says what Enforce would have done', () => {
  const snapshot = snapshotOf({ policies: [policy({ mode: 'Warn', rules: [{ name: 'no', action: 'Deny' }] })] })
  assert.deepEqual(decide({ snapshot, to: 'a@hosted.example' }), { kind: 'pass', because: { rule: 'hosted-domain', manifest: 'MailDomain mail/hosted' }, warnings: [{ rule: 'no', manifest: 'RelayPolicy mail/house' }] })
})

test('a policy on a domain or a sender speaks for that one only', () => {
  const rules: Policy['rules'] = [{ name: 'no', action: 'Deny' }]
  const onDomain = snapshotOf({ policies: [policy({ rules, targets: [{ kind: 'MailDomain', domain: 'far.example' }] })] })
  assert.equal(decide({ snapshot: onDomain, to: 'a@hosted.example' }).kind, 'pass')
  assert.equal(decide({ snapshot: onDomain, listener: 'submission', client: shop, from: 'a@shop.example', to: 'a@far.example' }).kind, 'deny')
  const onSender = snapshotOf({ policies: [policy({ rules, targets: [{ kind: 'MailSender', sender: 'shop/shop' }] })] })
  assert.equal(decide({ snapshot: onSender, to: 'a@hosted.example' }).kind, 'pass')
  assert.equal(decide({ snapshot: onSender, client: shop, from: 'a@shop.example', to: 'a@hosted.example' }).kind, 'deny')
})

test('every condition of a match must hold: helo, tls, senders, sources, null sender', () => {
  const denies = (match: NonNullable<Policy['rules']>[number]['match'], client: Client, from = 'a@shop.example'): boolean =>
    decide({ snapshot: snapshotOf({ policies: [policy({ rules: [{ name: 'no', match, action: 'Deny' }] })] }), client, from, to: 'a@hosted.example' }).kind === 'deny'
  assert.ok(denies({ helo: ['*.example'] }, stranger))
  assert.ok(!denies({ helo: ['*.other'] }, stranger))
  assert.ok(denies({ tls: false }, stranger) && !denies({ tls: true }, stranger) && denies({ tls: true }, shop))
  assert.ok(denies({ senders: ['shop/shop'] }, shop) && !denies({ senders: ['shop/shop'] }, stranger))
  assert.ok(denies({ sources: ['0.0.0.0/0'] }, stranger), 'a Deny may name any prefix')
  assert.ok(!denies({ sources: ['10.0.0.0/8'] }, stranger) && !denies({ sources: ['10.0.0.0/8'], tls: false }, stranger))
  assert.ok(denies({ mailFrom: ['<>'] }, stranger, '') && !denies({ mailFrom: ['<>'] }, stranger))
})

const anyPrefix = fc.tuple(fc.nat({ max: 255 }), fc.nat({ max: 255 }), fc.nat({ max: 255 }), fc.integer({ min: 0, max: 32 })).map(([a, b, c, bits]) => `${a}.${b}.${c}.0/${bits}`)
const anyAddress = fc.tuple(fc.constantFrom('10.0.0', '203.0.113', '192.0.2', '8.8.8'), fc.nat({ max: 255 })).map(([net, last]) => `${net}.${last}`)
const anyRule = fc.record({
  name: fc.constantFrom('r1', 'r2'),
  match: fc.record({
    sources: fc.array(fc.oneof(anyPrefix, fc.constantFrom('203.0.113.0/24', '10.0.0.0/8', '0.0.0.0/0')), { maxLength: 3 }),
    authenticated: fc.boolean(), mailFrom: fc.constantFrom<string[]>(['*'], ['*@shop.example'], ['<>']), rcptTo: fc.constantFrom<string[]>(['*'], ['*@far.example']),
  }, { requiredKeys: [] }),
  action: fc.constantFrom('Allow' as const, 'Deny' as const, 'Hold' as const),
})
const anyPolicy = fc.record({ rules: fc.array(anyRule, { maxLength: 3 }), mayAllowSources: fc.boolean(), mode: fc.constantFrom('Enforce' as const, 'Warn' as const) })
const anyTo = fc.constantFrom('a@hosted.example', 'a@far.example', '"a@hosted.example"@far.example', 'a%hosted.example@far.example', 'hosted.example!a@far.example', 'a@[192.0.2.1]')

test('nothing passes without a MailSender, a hosted domain, or an Allow rule with a bounded source that holds the client (5,000 snapshots)', () => {
  fc.assert(
    fc.property(fc.array(anyPolicy, { maxLength: 3 }), anyAddress, fc.constantFrom('mx', 'submission', 'snat'), fc.boolean(), fc.constantFrom('a@shop.example', 'x@y.example', ''), anyTo, (policies, address, listener, known, from, to) => {
      const snapshot = snapshotOf({ policies: policies.map((change) => policy(change as Partial<Policy> & Pick<Policy, 'rules'>)) })
      const client = { ...(known ? shop : stranger), address }
      const verdict = decide({ snapshot, listener, client, from, to })
      if (verdict.kind === 'deny') return
      const hosted = to === 'a@hosted.example' && listener !== 'snat'
      const sender = known && listener !== 'snat' && from === 'a@shop.example'
      const holding = (source: string) => isBounded(parsePrefix(source)!) && holds(parsePrefix(source)!, parseAddress(address)!)
      const allowed = listener !== 'snat' && snapshot.policies.some(({ mayAllowSources, mode, rules }) => mayAllowSources && mode === 'Enforce' && rules.some(({ action, match }) => action === 'Allow' && match.sources?.some(holding)))
      assert.ok(hosted || sender || allowed)
      if (!hosted && !sender) assert.ok(!allowRulesMakeTheWorld(snapshot.policies))
    }),
    { numRuns: 5000 },
  )
})

test('with 1,000 domains, senders and policies on domains, 20,000 decisions take less than 5 s', () => {
  const many = Array.from({ length: 1000 }, (_, index) => `d${index}.example`)
  const snapshot = snapshotOf({
    domains: many.map((domain) => ({ namespace: 'mail', name: domain, manifest: `MailDomain mail/${domain}`, domain, listeners: ['mx'], inbound: { recipients: { mode: 'Any' as const } } })),
    policies: many.map((domain) => policy({ manifest: `RelayPolicy mail/${domain}`, targets: [{ kind: 'MailDomain', domain }], rules: [{ name: 'no', match: { rcptTo: [`bad@${domain}`] }, action: 'Deny' }] })),
  })
  const began = process.cpuUsage()
  for (let index = 0; index < 20_000; index++) assert.equal(decide({ snapshot, to: `bad@d${index % 1000}.example` }).kind, 'deny')
  assert.ok(process.cpuUsage(began).user / 1e6 < 5)
})

const allowed = (address: string, change: { relay?: object; listener?: object; from?: string; to?: string }): string => {
  const listeners = [{ name: 'mx', manifest: 'MailRelay mail/main', protocol: 'SMTP' as const, port: 25, bindPort: 2525, ...change.listener }]
  const snapshot = snapshotOf({ relay: { ...relay, ...change.relay }, listeners, senders: [], policies: [policy({ rules: [{ name: 'old-hosts', match: { sources: ['10.0.0.0/8', 'fd00::/32'] }, action: 'Allow' }] })] })
  return decide({ snapshot, client: { ...stranger, address }, from: change.from ?? 'a@far.example', to: change.to ?? 'fred@far.example' }).kind
}

test('of 5 addresses inside an Allow the 3 of nodes and gateways never count, and the 2 beside them do', () => {
  const nodes = { nodeAddresses: ['10.0.0.2', '10.84.0.0/31', 'fd00::1'] }
  assert.deepEqual(['10.0.0.2', '::ffff:10.84.0.1', 'fd00::1', '10.84.0.2', 'fd00::2'].map((address) => allowed(address, { relay: nodes })), ['deny', 'deny', 'deny', 'pass', 'pass'])
})

test('at a closed listener an Allow by address passes 0 mails that could reach anybody, and hosted domains and identified senders as before', () => {
  const closed = { relayingClosed: true }
  const mails = [{ from: '' }, { to: 'x@far.invalid' }, { from: '', to: 'x@invalid.example' }, { from: '', to: 'x@far.invalid' }]
  assert.deepEqual(mails.map((mail) => allowed('10.0.0.9', { listener: closed, ...mail })), ['deny', 'deny', 'deny', 'pass'])
  assert.equal(allowed('203.0.113.9', { listener: closed, from: '', to: 'x@far.invalid' }), 'deny', 'no rule means this address')
  assert.equal(allowed('203.0.113.9', { listener: closed, to: 'fred@hosted.example' }), 'pass')
  const snapshot = snapshotOf()
  const shut = parseSnapshot({ ...snapshot, listeners: snapshot.listeners.map((listener) => ({ ...listener, relayingClosed: true })) })
  assert.equal(decide({ snapshot: shut, listener: 'submission', client: shop, from: 'a@shop.example', to: 'fred@far.example' }).kind, 'pass')
})
