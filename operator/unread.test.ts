// What becomes of objects in force that this release cannot read: of a newer one after a rollback, or from before a rule of their CRD.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSnapshot, type Snapshot } from '../relay/snapshot/index.ts'
import { gatherCluster, type FromCluster } from './gather/index.ts'
import { nothingMade, plan, statusesOf, type Plan } from './plan/index.ts'

type Given = readonly (readonly [kind: string, name: string, spec: object])[]
const gathered = (given: Given): FromCluster => gatherCluster(given.map(([kind, name, spec]) => ({ apiVersion: 'posthouse.dev/v1alpha1', kind, object: { metadata: { name: name.split('/').at(-1)!, namespace: name.includes('/') ? name.split('/')[0]! : 'mail', generation: 2 }, spec } })), [])
const planned = ({ declared }: FromCluster, before?: Snapshot): Plan => plan({ declared, made: nothingMade, clusterDomain: 'cluster.local', ...(before && { before: new Map([['mail/main', before]]) }) })
const snapshotIn = ({ snapshots }: Plan): Snapshot => parseSnapshot(snapshots[0]!.snapshot)

const own = (name: string, more: object = {}): Given[number] => ['MailDomain', name, { domain: `${name}.example`, inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: '127.0.0.1' }] }, ...more } }]
const policy = (more: object = {}): Given[number] => ['RelayPolicy', 'rules', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'no', match: { rcptTo: ['*@far.example'], ...more }, action: 'Deny' }] }]
const route = (more: object = {}): Given[number] => ['DeliveryRoute', 'way', { match: { recipientDomains: ['far.example'] }, nextHops: [{ smarthost: { host: 'smart.example' } }], ...more }]
const given = (...more: Given): Given => [['MailRelay', 'main', { hostname: 'mx.example' }], own('other'), ...more]
const whole = snapshotIn(planned(gathered(given(own('ours'), policy(), route()))))

test('1 domain, 1 policy and 1 route in force that this release cannot read by now stay as they were, and say so: mail for the domain is taken, and what the policy denied does not pass', () => {
  const found = gathered(given(own('ours', { greeting: 'of a later release' }), policy({ weekdays: ['Mon'] }), route({ nextHops: [{ smarthost: { host: 'smart.example' }, tls: { mode: 'Later' } }] })))
  const told = planned(found, whole)
  assert.deepEqual(snapshotIn(told), whole)
  const statuses = statusesOf({ manifests: found.manifests, conditions: told.conditions, views: [], mistaken: found.mistaken, controllerName: 'test', bindings: new Map(), records: new Map() })
  const unread = statuses.filter(({ status }) => status.conditions.some(({ reason }) => reason === 'Unreadable'))
  assert.deepEqual(unread.map(({ object }) => object.name).toSorted(), ['ours', 'rules', 'way'])
  for (const { status } of unread) assert.match(status.conditions[0]!.message, /^spec\..*(greeting|weekdays|mode).*; it stays in force as it was$/)
  assert.equal(statuses.length, found.manifests.length + found.mistaken.length)
  const relays = (unread.find(({ object }) => object.kind === 'MailDomain')!.status as { relays?: { name: string; conditions: { status: string; message: string }[] }[] }).relays
  assert.deepEqual(relays?.map(({ name, conditions: [one] }) => [name, one!.status, one!.message]), [['main', 'True', 'in force as it was']])
})

test('1 domain that cannot be read and was never in force is 0 in the snapshot, and so is one of which nobody can read for which domain it is', () => {
  const never = snapshotIn(planned(gathered(given()), undefined))
  assert.deepEqual(snapshotIn(planned(gathered(given(own('ours', { greeting: 'later' }))), never)).domains.map(({ name }) => name), ['other'])
  const found = gathered(given(['MailDomain', 'ours', { domain: 3 }]))
  assert.deepEqual(snapshotIn(planned(found, whole)).domains.map(({ name }) => name), ['other'])
  assert.equal(found.mistaken.length, 1)
})

const changed: readonly (readonly [what: string, object: Given[number]])[] = [
  ['a domain with another way to deliver', own('ours', { deliverTo: { lmtp: { host: '127.0.0.1' } } })],
  ['a domain with a host said in another way', own('ours', { deliverTo: { hosts: [{ service: 'store' }] } })],
  ['a policy with another action', ['RelayPolicy', 'rules', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'no', action: 'Quarantine' }] }]],
  ['a policy with nothing but a list of a later release', ['RelayPolicy', 'rules', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], filters: [{ name: 'no' }] }]],
  ['a policy for another kind of target', ['RelayPolicy', 'rules', { targetRefs: [{ kind: 'Namespace', name: 'mail' }], limits: [{ by: 'sender', recipientsPerHour: 1 }] }]],
  ['a route whose only next hop is said in another way', route({ nextHops: [{ smarthost: { service: 'smart' } }] })],
]
for (const [what, object] of changed) {
  test(`1 object in force that lacks by now what its kind must have stays as it was: ${what}`, () => {
    const rest = [own('ours'), policy(), route()].filter(([kind]) => kind !== object[0])
    const found = gathered(given(...rest, object))
    assert.equal(found.mistaken.length, 1)
    assert.deepEqual(snapshotIn(planned(found, whole)), whole)
  })
}

test('a domain of which nobody can read whom it lends to lends to 1 sender what it lent it before, and nothing to 2 others: without the condition that is of a later release its selector would take everybody', () => {
  const relay: Given[number] = ['MailRelay', 'main', { hostname: 'mx.example', listeners: [{ name: 'out', protocol: 'Submission', port: 587, allowedSenders: { namespaces: { from: 'All' } } }] }]
  const lending = (selector: object): Given[number] => ['MailDomain', 'ours', { domain: 'ours.example', allowedSenders: { namespaces: { from: 'Selector', selector } } }]
  const app = (name: string, from: string): Given[number] => ['MailSender', name, { relayRef: { name: 'main', namespace: 'mail' }, from: [from] }]
  const before = snapshotIn(planned(gathered([relay, lending({ matchLabels: { 'kubernetes.io/metadata.name': 'shop' } }), app('shop/app', 'app@ours.example'), app('evil/app', 'app@ours.example')])))
  const using = ({ senders }: Snapshot) => senders.map(({ manifest, from }) => [manifest, ...from])
  assert.deepEqual(using(before), [['MailSender shop/app', 'app@ours.example']])
  const told = planned(gathered([relay, lending({ cel: 'false' }), app('shop/app', 'app@ours.example'), app('shop/new', 'new@ours.example'), app('evil/app', 'app@ours.example')]), before)
  assert.deepEqual([using(snapshotIn(told)), snapshotIn(told).domains], [using(before), before.domains])
  const refused = told.conditions.filter(({ object, status }) => object.kind === 'MailSender' && status === 'False').map(({ message }) => message)
  assert.deepEqual(refused, ['app', 'new'].map((name) => `${name}@ours.example: MailDomain mail/ours cannot be read (allowedSenders), and lends only what it lent before on MailRelay mail/main`))
})
