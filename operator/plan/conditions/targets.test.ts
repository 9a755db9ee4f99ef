// What a RelayPolicy says of its targets where one MailRelay refuses it and another does not.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { RelayPolicy } from '../../../crds/index.ts'
import { declare, main, open, ours, sink, type Given } from '../../../test/tools/planned.ts'
import { nothingMade, plan } from '../index.ts'
import { statusesOf } from './index.ts'

const second: Given[number] = ['MailRelay', 'second', { hostname: 's.example' }]
const allow = (name: string, targetRefs: readonly object[], sources: readonly string[]): Given[number] => ['RelayPolicy', name, { targetRefs, rules: [{ name: 'r', match: { sources }, action: 'Allow' }] }]
const a64th = (n: number): string[] => Array.from({ length: 64 }, (_, at) => `198.${n}.${at}.0/24`)
const filling = Array.from({ length: 4 }, (_, n) => allow(`a${n}`, [{ kind: 'MailRelay', name: 'main' }], a64th(n)))

type Status = { readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }[] }

/** Of each target of policy p: what its conditions say; and of each MailRelay whether its snapshot has p. */
const told = (given: Given) => {
  const declared = declare(given)
  const { snapshots, conditions } = plan({ declared, made: nothingMade, clusterDomain: 'cluster.local' })
  const pods = ['x', 'y'].map((name) => ({ name, ready: true, revision: 'r' }))
  const views = snapshots.map(({ view }) => ({ view, revision: 'r', observed: { pods, queueNodes: [], addresses: [] } }))
  const manifests: readonly RelayPolicy[] = declared.policies.filter(({ metadata }) => metadata.name === 'p')
  const [status] = statusesOf({ manifests, conditions, views, mistaken: [], controllerName: 'c', bindings: new Map(), records: new Map() })
  const { targets } = status!.status as unknown as { targets: readonly (Status & { kind: string; name: string })[] }
  return {
    targets: Object.fromEntries(targets.map((target) => [`${target.kind} ${target.name}`, target.conditions.map(({ type, status: said, reason }) => `${type} ${said} ${reason}`)])),
    words: targets.map((target) => target.conditions[0]!.message),
    runs: snapshots.filter(({ snapshot }) => snapshot.policies!.some(({ name }) => name === 'p')).map(({ relay }) => relay),
  }
}

it('1 of 2 MailRelays that would trust too much with it refuses it, and the other lets its addresses relay and says so', () => {
  const { targets, runs } = told([main, second, ...filling, allow('p', [{ kind: 'MailRelay', name: 'main' }, { kind: 'MailRelay', name: 'second' }], a64th(9))])
  assert.deepEqual(runs, ['mail/second'])
  assert.deepEqual(targets, { 'MailRelay main': ['Accepted False SourcesMakeTheWorld', 'Enforced False SourcesMakeTheWorld'], 'MailRelay second': ['Accepted True Accepted', 'Enforced True Enforced'] })
})

it('1 MailDomain at 2 MailRelays, of which 1 is of another namespace and refuses the Allow, is told both', () => {
  const edge: Given[number] = ['MailRelay', 'edge/main', { hostname: 'e.example', listeners: [open(['*'])] }]
  const both: Given[number] = ['MailDomain', 'ours', { domain: 'ours.example', relayRefs: [{ name: 'main' }, { name: 'main', namespace: 'edge' }], inbound: { ...sink, deliverTo: { hosts: [{ host: 'mx.outside.example' }] } } }]
  const { targets, words, runs } = told([main, second, edge, both, allow('p', [{ kind: 'MailDomain', name: 'ours' }, { kind: 'MailRelay', name: 'second' }], ['10.0.0.0/8'])])
  assert.deepEqual(runs, ['mail/main', 'mail/second'])
  assert.deepEqual(targets, { 'MailDomain ours': ['Accepted False AllowNotPermitted', 'Enforced True Enforced'], 'MailRelay second': ['Accepted True Accepted', 'Enforced True Enforced'] })
  assert.match(words[0]!, /may let addresses use MailRelay edge\/main; it is in force at MailRelay mail\/main$/)
})

it('a target in force nowhere is told so, and not what 1 MailRelay has against the policy', () => {
  const rival: Given[number] = ['MailDomain', 'zwei', { domain: 'ours.example' }]
  const { targets } = told([main, ours, rival, ...filling, allow('p', [{ kind: 'MailRelay', name: 'main' }, { kind: 'MailDomain', name: 'zwei' }], a64th(9))])
  assert.deepEqual(targets, { 'MailRelay main': ['Accepted False SourcesMakeTheWorld', 'Enforced False SourcesMakeTheWorld'], 'MailDomain zwei': ['Accepted False TargetNotAccepted', 'Enforced False TargetNotAccepted'] })
})

it('left out of the full snapshot of 1 MailRelay of 2, it is in force at the other', () => {
  const wide = ['main', 'second'].map((name): Given[number] => ['MailRelay', name, { hostname: `${name}.example`, listeners: [open(['*'])] }])
  const at = (name: string, relays: readonly string[], inbound: object): Given[number] => ['MailDomain', `shop/${name}`, { domain: `${name}.example`, relayRefs: relays.map((relay) => ({ name: relay, namespace: 'mail' })), inbound }, { created: '2026-01-01T00:00:00Z' }]
  const hosts = { hosts: [{ host: 'mx.outside.example' }] }
  const list = Array.from({ length: 9300 }, (_, n) => `${n}-${'x'.repeat(44)}`)
  const full = Array.from({ length: 17 }, (_, n) => at(`big${n}`, ['main'], { recipients: { mode: 'List', list }, deliverTo: hosts }))
  const { targets, runs } = told([...wide, at('theirs', ['main', 'second'], { recipients: { mode: 'Any' }, deliverTo: hosts }), ...full, ['RelayPolicy', 'shop/p', { targetRefs: [{ kind: 'MailDomain', name: 'theirs' }], rules: Array.from({ length: 8 }, (_, n) => ({ name: `r${n}`, match: { mailFrom: Array.from({ length: 256 }, (_x, m) => `${'y'.repeat(60)}${n}-${m}@${'z'.repeat(60)}.example`) }, action: 'Deny' })) }]])
  assert.deepEqual(runs, ['mail/second'])
  assert.deepEqual(targets, { 'MailDomain theirs': ['Accepted False SnapshotTooBig', 'Enforced True Enforced'] })
})
