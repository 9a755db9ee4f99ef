// The order in which the API server lists objects, or events came, means nothing: a restart of the operator must not give pods another snapshot.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { wayOf } from '../../relay/deliver/internal.ts'
import { parseSnapshot, revisionOf } from '../../relay/snapshot/index.ts'
import { declare, open, planned, sink, submission, type Given } from '../../test/tools/planned.ts'
import { needsIn, nothingMade, plan, type Declared } from './index.ts'

const all = { namespaces: { from: 'All' } }
const relay = (name: string): Given[number] => ['MailRelay', name, { hostname: `${name.replace('/', '.')}.example`, listeners: [open(['*']), submission({ allowedSenders: { ...all, foreignDomains: ['*.foreign.example'] } })] }]
const both = [{ name: 'main', namespace: 'mail' }, { name: 'second', namespace: 'mail' }]
const domain = (key: string, name: string, created?: string): Given[number] => ['MailDomain', key, { domain: name, relayRefs: both, inbound: { ...sink, deliverTo: { hosts: [{ host: 'mx.outside.example' }] } }, allowedSenders: all }, created === undefined ? {} : { created }]

const given: Given = [
  relay('main'), relay('second'), relay('edge/main'),
  domain('mail/a', 'a.example'), domain('mail/b', 'b.example'), domain('shop/c', 'c.example', '2026-01-01T00:00:00Z'), domain('bank/c', 'c.example', '2026-01-01T00:00:00Z'), domain('bank/d', 'sub.d.foreign.example'), domain('shop/d', 'x.foreign.example'),
  ['MailSender', 'shop/whole', { relayRef: both[0] }],
  ['MailSender', 'shop/wide', { relayRef: both[0], from: ['*.foreign.example'] }],
  ['MailSender', 'shop/one', { relayRef: both[0], from: ['x@a.example', 'y@b.example'], identity: { serviceAccountName: 'app' } }],
  ['MailSender', 'shop/two', { relayRef: both[0], from: ['x@a.example', 'z@gone.example'], identity: { serviceAccountName: 'app' } }],
  ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailRelay', name: 'main' }, { kind: 'MailDomain', name: 'a' }, { kind: 'MailRelay', name: 'second', sectionName: 'mx' }], rules: [{ name: 'r', match: { sources: ['10.0.0.0/8'] }, action: 'Allow' }], limits: [{ by: 'source', messagesPerMinute: 5 }] }],
  ['RelayPolicy', 'q', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'r', match: { rcptTo: ['*@a.example'] }, action: 'Hold' }], limits: [{ by: 'source', messagesPerMinute: 5 }] }],
  ['RelayPolicy', 'shop/r', { targetRefs: [{ kind: 'MailDomain', name: 'c' }, { kind: 'MailSender', name: 'whole' }], rules: [{ name: 'r', match: { senders: ['whole', 'mail/none'] }, action: 'Deny' }] }],
  ['DeliveryRoute', 'r1', { match: { recipientDomains: ['*.partner.example'] }, retryScheduleName: 'slow' }],
  ['DeliveryRoute', 'r2', { match: { recipientDomains: ['*.partner.example'] }, retryScheduleName: 'quick', relayRefs: [{ name: 'main' }, { name: 'second' }] }],
  ['DeliveryRoute', 'r3', { relayRefs: [{ name: 'gone' }, { name: 'second' }] }],
  ['RetrySchedule', 'slow', { attempts: ['1h'], giveUpAfter: '2d' }],
  ['RetrySchedule', 'quick', { attempts: ['1m'], giveUpAfter: '1h' }],
]

const lists = ['relays', 'domains', 'senders', 'policies', 'routes', 'schedules'] as const

const planOf = (declared: Declared) => {
  const { snapshots, conditions } = plan({ declared, made: nothingMade, clusterDomain: 'cluster.local' })
  return {
    snapshots: snapshots.map(({ relay: of, snapshot }) => [of, revisionOf(parseSnapshot(snapshot))]),
    conditions,
    needs: needsIn({ declared, clusterDomain: 'cluster.local' }),
  }
}

it('makes the same snapshots and says the same of 20 manifests, in whichever order they come', () => {
  const declared = declare(given)
  const expected = planOf(declared)
  assert.equal(planned(given).snapshots.length, 3)
  const shuffled = fc.tuple(...lists.map((list) => fc.shuffledSubarray<unknown>([...declared[list]], { minLength: declared[list].length })))
  fc.assert(fc.property(shuffled, (orders) => assert.deepEqual(planOf({ ...declared, ...Object.fromEntries(orders.map((order, index) => [lists[index], order])) }), expected)), { numRuns: 200 })
})

it('a manifest that is in no cluster yet is younger than 1 of 2 that is there: of 2 routes alike the old one wins, as it will there', () => {
  const route = (name: string, created?: string): Given[number] => ['DeliveryRoute', name, { match: { recipientDomains: ['partner.example'] } }, created === undefined ? {} : { created }]
  const { snapshots } = planned([relay('main'), route('a-new'), route('old', '2026-01-01T00:00:00Z')])
  const way = wayOf(parseSnapshot(snapshots[0]!.snapshot), { domain: 'partner.example', mailFrom: null })
  assert.equal(way.kind === 'route' && way.route.name, 'old')
})
