import assert from 'node:assert/strict'
import { test } from 'node:test'
import { indexOf } from '../../relay/decide/index.ts'
import { parsePrefix, parseSnapshot, type Snapshot, type SnapshotInput } from '../../relay/snapshot/index.ts'
import { closedTo, inWords, strangersAdmitted } from './proof.ts'

const manifest = 'MailRelay mail/main'
const snapshotOf = (sources: readonly string[], change: Partial<SnapshotInput> = {}, relay: object = {}) =>
  parseSnapshot({
    version: 1,
    relay: { namespace: 'mail', name: 'main', manifest, hostname: 'mx.test', queue: 'main', queueReplicas: 1, queueBytes: 1e9, retrySchedule: 'default', ...relay },
    listeners: [{ name: 'mx', manifest, protocol: 'SMTP', port: 25, bindPort: 2525 }, { name: 'submission', manifest, protocol: 'Submission', port: 587, bindPort: 2587 }],
    domains: [{ namespace: 'mail', name: 'd', manifest: 'MailDomain mail/d', domain: 'far.example', listeners: ['mx'], inbound: { recipients: { mode: 'Any' } } }],
    policies: [{ namespace: 'mail', name: 'p', manifest: 'RelayPolicy mail/p', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, rules: [{ name: 'r', action: 'Allow', match: { sources: [...sources] } }] }],
    schedules: [{ name: 'default', manifest: 'RetrySchedule default', attempts: [60], giveUpAfter: 3600 }],
    ...change,
  })

test('of a sound snapshot with 4 ranges, a hosted domain and a node inside a range, the rules admit 0 strangers', () => {
  const snapshot = snapshotOf(['10.0.0.0/8', '203.0.113.0/24', '192.0.2.1/32', '2001:db8::/48'], {}, { nodeAddresses: ['10.84.0.1'] })
  assert.deepEqual(strangersAdmitted(snapshot), [])
})

test('ranges that are too wide, and rules of a policy that may not allow, name nobody: 0 strangers', () => {
  assert.deepEqual(strangersAdmitted(snapshotOf(['0.0.0.0/1', '198.51.0.0/16'])), [])
  const { policies } = snapshotOf(['10.0.0.0/8'])
  assert.deepEqual(strangersAdmitted(snapshotOf([], { policies: policies.map((policy) => ({ ...policy, mayAllowSources: false })) })), [])
})

test('a fault in what decide prepares is found: with the range of 1 rule replaced behind its back, strangers at both listeners', () => {
  const snapshot = snapshotOf(['10.0.0.0/8'])
  const [rule] = indexOf(snapshot).ofListener.get('mx')![0]!.rules
  Object.assign(rule!, { sources: [{ family: 4, bits: 24, first: 0xc0000200n, last: 0xc00002ffn }] }) // 192.0.2.0/24
  const admitted = strangersAdmitted(snapshot)
  assert.deepEqual(admitted, [{ listener: 'mx', address: '192.0.2.1' }, { listener: 'submission', address: '192.0.2.1' }])
  assert.deepEqual(closedTo(snapshot, admitted).listeners.map(({ relayingClosed }) => relayingClosed), [true, true])
})

test('a mark that is not heeded is found: an address of a node, inside an Allow, at 2 listeners', () => {
  const node = snapshotOf(['10.0.0.0/8'], {}, { nodeAddresses: ['10.84.0.1'] })
  Object.assign(indexOf(node), { nodes: [] })
  assert.deepEqual(strangersAdmitted(node).map(({ address }) => address), ['10.84.0.1', '10.84.0.1'])
})

type Policy = NonNullable<SnapshotInput['policies']>[number]
const policyOf = (source: string, change: Partial<Policy> = {}, rule: Partial<NonNullable<Policy['rules']>[number]> = {}): Policy => ({
  namespace: 'mail', name: 'p', manifest: 'RelayPolicy mail/p', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, ...change, rules: [{ name: 'r', action: 'Allow', match: { sources: [source] }, ...rule }],
})
/** The same snapshot, in which decide takes another range for that of its 1st rule. */
const fooled = (snapshot: Snapshot, source: string): Snapshot => {
  for (const policies of indexOf(snapshot).ofListener.values()) if (policies[0]) Object.assign(policies[0].rules[0]!, { sources: [parsePrefix(source)!] })
  return snapshot
}
const found = (snapshot: Snapshot): string[] => [...new Set(strangersAdmitted(snapshot).map(({ address }) => address))]

test('a range that decide makes 1 address wider is found, at either end, of IPv4 and IPv6', () => {
  const wider = (source: string, taken: string) => found(fooled(snapshotOf([source]), taken))
  assert.deepEqual(wider('10.0.0.0/8', '9.255.255.255'), ['9.255.255.255'])
  assert.deepEqual(wider('10.0.0.0/8', '11.0.0.0'), ['11.0.0.0'])
  assert.deepEqual(wider('2001:db8:1::/48', '2001:db8:2::'), ['2001:db8:2:0:0:0:0:0'])
  assert.deepEqual(wider('2001:db8:1::/48', '2001:db8:0:ffff:ffff:ffff:ffff:ffff'), ['2001:db8:0:ffff:ffff:ffff:ffff:ffff'])
})

test('ranges at the 4 ends of what there is have 1 neighbour each, and name nobody beside them', () => {
  assert.deepEqual(strangersAdmitted(snapshotOf(['0.0.0.0/24', '255.255.255.0/24', '::/48', 'ffff:ffff:ffff::/48'])), [])
})

test('a stranger is found who relays only with TLS, only without, only from nobody, or only in the name of the 1st or 4th of 4 hosted domains', () => {
  const names = ['far.example', 'b.example', 'c.example', 'd.example']
  const domains = names.map((domain) => ({ namespace: 'mail', name: domain, manifest: `MailDomain mail/${domain}`, domain, listeners: ['mx'], inbound: { recipients: { mode: 'Any' as const } } }))
  for (const match of [{ tls: true }, { tls: false }, { mailFrom: ['<>'] }, { mailFrom: ['*@far.example'] }, { mailFrom: ['*@d.example'] }]) {
    const snapshot = snapshotOf([], { domains, policies: [policyOf('10.0.0.0/8', {}, { match: { sources: ['10.0.0.0/8'], ...match } })] })
    assert.deepEqual(found(fooled(snapshot, '192.0.2.0/24')), ['192.0.2.1'], JSON.stringify(match))
  }
})

test('a stranger is named by none of 4: a policy in Warn mode, one that may not allow, a rule that denies, a range too wide', () => {
  const second = { name: 'q', manifest: 'RelayPolicy mail/q' }
  const others = [policyOf('192.0.2.0/24', { ...second, mode: 'Warn' }), policyOf('192.0.2.0/24', { ...second, mayAllowSources: false }), policyOf('198.51.100.0/24', second, { action: 'Deny', match: { sources: ['192.0.2.0/24'], rcptTo: ['*@nobody.example'] } }), policyOf('192.0.0.0/16', second)]
  for (const other of others) assert.deepEqual(found(fooled(snapshotOf([], { policies: [policyOf('10.0.0.0/8'), other] }), '192.0.2.0/24')), ['192.0.2.1'])
})

test('of 2 nodes inside an Allow each is found, and of 2 listeners only the one at which a stranger relays is closed', () => {
  const nodes = snapshotOf(['10.0.0.0/8'], {}, { nodeAddresses: ['10.84.0.1', '10.84.0.2'] })
  Object.assign(indexOf(nodes), { nodes: [] })
  assert.deepEqual(found(nodes), ['10.84.0.1', '10.84.0.2'])
  const atMx = fooled(snapshotOf([], { policies: [policyOf('10.0.0.0/8', { targets: [{ kind: 'MailRelay', listener: 'mx' }] })] }), '192.0.2.0/24')
  assert.deepEqual(closedTo(atMx, strangersAdmitted(atMx)).listeners.map(({ relayingClosed }) => relayingClosed), [true, false])
})

test('of 9 strangers the first 8 are named', () => {
  const nine = Array.from({ length: 9 }, (_, n) => ({ listener: 'mx', address: `192.0.2.${n}` }))
  assert.deepEqual([inWords(nine).length, inWords(nine)[0]], [8, '192.0.2.0 at mx'])
})
