import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSnapshot, type SnapshotInput } from '../../relay/snapshot/index.ts'
import { closedTo, strangersAdmitted } from './proof.ts'

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

test('a fault in what decide prepares is found: with the range of 1 rule replaced behind its back, strangers at both listeners', async () => {
  const { indexOf } = await import('../../relay/decide/index.ts')
  const snapshot = snapshotOf(['10.0.0.0/8'])
  const [rule] = indexOf(snapshot).ofListener.get('mx')![0]!.rules
  Object.assign(rule!, { sources: [{ family: 4, bits: 24, first: 0xc0000200n, last: 0xc00002ffn }] }) // 192.0.2.0/24
  const admitted = strangersAdmitted(snapshot)
  assert.deepEqual(admitted, [{ listener: 'mx', address: '192.0.2.1' }, { listener: 'submission', address: '192.0.2.1' }])
  assert.deepEqual(closedTo(snapshot, admitted).listeners.map(({ relayingClosed }) => relayingClosed), [true, true])
})

test('a mark that is not heeded is found: an address of a node, inside an Allow, at 2 listeners', async () => {
  const { indexOf } = await import('../../relay/decide/index.ts')
  const node = snapshotOf(['10.0.0.0/8'], {}, { nodeAddresses: ['10.84.0.1'] })
  Object.assign(indexOf(node), { nodes: [] })
  assert.deepEqual(strangersAdmitted(node).map(({ address }) => address), ['10.84.0.1', '10.84.0.1'])
})
