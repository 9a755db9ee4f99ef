import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { documentsOf, gather } from '../gather/internal.ts'
import { needsIn, nothingMade, plan, ranAt, type Declared } from './index.ts'

type Given = readonly (readonly [kind: string, name: string, spec: object, status?: object | undefined])[]

const accepted = [{ type: 'Accepted', status: 'True' }]
const at = (name: string) => ({ relays: [{ namespace: 'mail', name, conditions: accepted }] })
const declare = (given: Given): Declared =>
  gather(documentsOf('given.yaml', given.map(([kind, name, spec, status]) => JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { name, namespace: 'mail' }, spec, status })).join('\n---\n')).documents).declared

const sink = { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: '127.0.0.1' }] } }
const two: Given = [
  ['MailRelay', 'one', { hostname: 'one.example' }],
  ['MailRelay', 'two', { hostname: 'two.example' }],
  ['MailDomain', 'ours', { domain: 'ours.example', inbound: sink, relayRefs: [{ name: 'one' }] }, at('one')],
  ['MailDomain', 'else', { domain: 'else.example', inbound: sink, relayRefs: [{ name: 'two' }] }],
  ['MailSender', 'app', { relayRef: { name: 'one' }, from: ['app@ours.example'] }],
  ['RelayPolicy', 'house', { targetRefs: [{ kind: 'MailRelay', name: 'one' }], rules: [{ name: 'r', action: 'Deny' }] }],
  ['DeliveryRoute', 'way', { relayRefs: [{ name: 'one' }] }],
]

/** A field whose reading throws, from the nth reading on. */
const rigged = (declared: Declared, kind: string, name: string, field: string, from = 1): Declared => {
  const object = Object.values(declared).flat().find((one) => (one as { kind?: string }).kind === kind && (one as { metadata: { name: string } }).metadata.name === name) as { spec: Record<string, unknown> }
  const value = object.spec[field]
  let reads = 0
  Object.defineProperty(object.spec, field, { enumerable: true, get: () => { if (++reads >= from) throw new TypeError('a bug'); return value } })
  return declared
}
const plannedFrom = (declared: Declared) => {
  const given = { declared, clusterDomain: 'cluster.local' }
  return { needs: needsIn(given), ...plan({ ...given, made: nothingMade }) }
}

describe('a plan that throws', () => {
  for (const [kind, name, field] of [['MailRelay', 'one', 'listeners'], ['MailDomain', 'ours', 'inbound'], ['MailDomain', 'ours', 'domain'], ['MailSender', 'app', 'from'], ['RelayPolicy', 'house', 'rules'], ['DeliveryRoute', 'way', 'match']] as const) {
    it(`over the ${field} of ${kind} ${name} tells 1 fault of it, and plans MailRelay two as before`, () => {
      const { snapshots, faults } = plannedFrom(rigged(declare(two), kind, name, field))
      assert.deepEqual([...new Set(faults.map(({ object, error }) => `${object.kind} ${object.name}: ${(error as Error).message}`))], [`${kind} ${name}: a bug`])
      const before = plannedFrom(declare(two)).snapshots.find(({ relay }) => relay === 'mail/two')
      assert.deepEqual(snapshots.find(({ relay }) => relay === 'mail/two')?.snapshot, before!.snapshot)
    })
  }

  it('over a domain that was in force judges the sender of the domain as before', () => {
    const { conditions, faults } = plannedFrom(rigged(declare(two), 'MailDomain', 'ours', 'inbound'))
    assert.equal(conditions.find(({ object, type }) => object.kind === 'MailSender' && type === 'Accepted')?.status, 'True')
    assert.ok(faults.length > 0)
  })

  it('anywhere after 1 to 60 readings of a field never throws out of the plan, tells nothing of MailRelay two or its domain, and leaves it whole', () => {
    const whole = plannedFrom(declare(two)).snapshots.find(({ relay }) => relay === 'mail/two')!.snapshot
    for (const [kind, name, field] of [['MailRelay', 'one', 'hostname'], ['MailDomain', 'ours', 'outbound'], ['MailSender', 'app', 'identity'], ['RelayPolicy', 'house', 'targetRefs'], ['DeliveryRoute', 'way', 'nextHops']] as const)
      for (let from = 1; from <= 60; from++) {
        const { snapshots, faults } = plannedFrom(rigged(declare(two), kind, name, field, from))
        for (const { object } of faults) assert.ok(!['two', 'else'].includes(object.name), `${kind} ${field} ${from}: ${object.name}`)
        assert.deepEqual(snapshots.find(({ relay }) => relay === 'mail/two')?.snapshot, whole, `${kind} ${field} ${from}`)
      }
  })
})

it('where an object was in force its status says: at 1 of 2 relays, at a relay itself, and at those of the targets of a policy', () => {
  const named = (kind: 'MailDomain' | 'RelayPolicy' | 'MailRelay', status?: object) => ({ kind, metadata: { namespace: 'mail', name: 'x' }, status })
  assert.deepEqual(ranAt(named('MailDomain', { relays: [...at('one').relays, { namespace: 'mail', name: 'two', conditions: [{ type: 'Accepted', status: 'False' }] }] })), ['mail/one'])
  assert.deepEqual(ranAt(named('MailRelay')), ['mail/x'])
  const targets = [{ kind: 'MailRelay', name: 'two', conditions: accepted }, { kind: 'MailDomain', name: 'd', conditions: accepted }, { kind: 'MailRelay', name: 'three' }]
  assert.deepEqual(ranAt(named('RelayPolicy', { targets }), [], (title) => (title === 'MailDomain mail/d' ? at('one') : undefined)), ['mail/two', 'mail/one'])
})

const names = Array.from({ length: 66 }, (_, n) => `r${n}`)
const full = { conditions: accepted, relays: names.slice(0, 64).map((name) => ({ namespace: 'mail', name, conditions: accepted })) }

it('an object in force at all 64 MailRelays that its status has room for counts as in force at the other 2 of its namespace, and at 0 of another', () => {
  const ranNow = (status: object) => ranAt({ kind: 'MailDomain', metadata: { namespace: 'mail', name: 'x' }, status }, [...names.map((name) => `mail/${name}`), 'shop/r65'])
  assert.deepEqual(ranNow(full).slice(62), ['mail/r62', 'mail/r63', 'mail/r64', 'mail/r65'])
  assert.equal(ranNow({ relays: [...full.relays.slice(1), { ...full.relays[0]!, conditions: [] }] }).length, 63)
})

it('a domain in force at 66 MailRelays keeps all of them against an older one, and 1 that holds the last by its status keeps that', () => {
  const relays: Given = names.map((name) => ['MailRelay', name, { hostname: `${name}.example` }])
  const holdersFrom = (held: object | undefined) => {
    const declared = declare([...relays, ['MailDomain', 'a-first', { domain: 'ours.example', inbound: sink }, held], ['MailDomain', 'ours', { domain: 'ours.example', inbound: sink }, full]])
    return new Map(plannedFrom(declared).snapshots.map(({ relay, snapshot }) => [relay, snapshot.domains!.map(({ name }) => name).join()]))
  }
  assert.deepEqual([...holdersFrom(undefined).values()], names.map(() => 'ours'))
  const withOne = holdersFrom(at('r65'))
  assert.deepEqual([withOne.get('mail/r64'), withOne.get('mail/r65')], ['ours', 'a-first'])
})
