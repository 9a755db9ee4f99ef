// Conditions of what is observed: DNS records, routes that reach a host, policies in effect. Each with what was in the status before.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DeliveryRoute, MailDomain, RelayPolicy } from '../../../crds/index.ts'
import type { JudgedRecord } from '../records/index.ts'
import { enforcedAt } from './enforced.ts'
import type { ObservedPod } from './fleet.ts'
import { reachableOf } from './reachable.ts'
import { recordsStatus, type RecordsSeen } from './records.ts'

const key = `v=DKIM1; k=rsa; p=${'A'.repeat(392)}`
const record = (state: JudgedRecord['state'], change: Partial<JudgedRecord> = {}): JudgedRecord => ({ type: 'TXT', name: 's._domainkey.d.example', value: key, state, ...change })
const domain = (requiredRecords: readonly object[] = []): MailDomain => ({ kind: 'MailDomain', metadata: { name: 'd', namespace: 'mail', labels: {}, annotations: {} }, spec: {} as MailDomain['spec'], status: { requiredRecords } })
const seenOf = (...judged: JudgedRecord[]): RecordsSeen => ({ judged, comingKeys: [] })

describe('RecordsPublished', () => {
  const cases: readonly (readonly [title: string, judged: readonly JudgedRecord[] | undefined, expected: string, comingKeys?: readonly string[]])[] = [
    ['of 2 published records', [record('Published'), record('Published')], 'True RecordsPublished'],
    ['of 1 missing and 1 different', [record('Different'), record('Missing')], 'False RecordsMissing'],
    ['of 1 different and 1 unknown', [record('Unknown'), record('Different')], 'False RecordsDiffer'],
    ['of 1 published and 1 unknown', [record('Published'), record('Unknown')], 'Unknown RecordsUnknown'],
    ['of 1 that nobody has asked about', [record(undefined)], 'Unknown RecordsUnknown'],
    ['of 2 published, while a third is of a key that is still made', [record('Published'), record('Published')], 'Unknown RecordsUnknown', ['rsa']],
    ['of 1 missing, while another is of a key that is still made', [record('Missing')], 'False RecordsMissing', ['rsa']],
    ['of a domain in force nowhere', undefined, 'Unknown NotInForce'],
  ]
  for (const [title, judged, expected, comingKeys = []] of cases) {
    it(`${title} is ${expected}`, () => {
      const { published: { status, reason, message } } = recordsStatus(domain(), judged && { judged, comingKeys })
      assert.equal(message.includes('DKIM key (rsa) is being made'), comingKeys.length > 0)
      assert.equal(`${status} ${reason}`, expected)
    })
  }
  it('says a missing key as 1 line for the zone, in 2 strings of at most 255', () => {
    const line = recordsStatus(domain(), seenOf(record('Missing'))).published.message.split('\n')[1]!
    assert.match(line, /^s\._domainkey\.d\.example\. IN TXT ("[^"]{1,255}" ?)+$/)
    assert.equal([...line.matchAll(/"([^"]*)"/g)].map(([, part]) => part).join(''), key)
  })
  it('says of 1 that differs what is there and what is needed, and of 1 unknown why, with nothing to put into the zone', () => {
    const { message } = recordsStatus(domain(), seenOf(record('Different', { type: 'MX', name: 'd.example', value: '10 mx.d.example.', observed: '10 old.example.', why: 'another host' }), record('Unknown', { why: 'SERVFAIL' }))).published
    assert.match(message, /^d\.example MX differs: another host\nnow: 10 old\.example\.\nneeded: d\.example\. .*mx\.d\.example\.\ns\._domainkey\.d\.example TXT is not known: SERVFAIL$/)
  })
  it('holds what the status had of a record while it has not been looked at again, but not of another key', () => {
    const seen = { type: 'TXT', name: 's._domainkey.d.example', value: key, state: 'Published', observed: 'it' }
    assert.deepEqual(recordsStatus(domain([seen]), seenOf(record(undefined))).requiredRecords, [seen])
    assert.equal(recordsStatus(domain([{ ...seen, value: 'v=DKIM1; p=B' }]), seenOf(record(undefined))).requiredRecords[0]!.state, 'Unknown')
  })
  it('has in requiredRecords the 5 fields of the API and no other', () => {
    assert.deepEqual(Object.keys(recordsStatus(domain(), seenOf(record('Different', { observed: 'x', why: 'y' }))).requiredRecords[0]!), ['type', 'name', 'value', 'observed', 'state'])
  })
})

type Routes = NonNullable<ObservedPod['routes']>
const route = (conditions: readonly object[] = []): DeliveryRoute => ({ kind: 'DeliveryRoute', metadata: { name: 'r', namespace: 'mail', labels: {}, annotations: {}, generation: 4 }, spec: {} as DeliveryRoute['spec'], status: { conditions } })
const [reached, unreached]: [Routes, Routes] = [[{ route: 'DeliveryRoute mail/r', reached: true }], [{ route: 'DeliveryRoute mail/r', reached: false, why: 'refused' }]]
const was = (status: string, observedGeneration = 4): object => ({ type: 'Reachable', status, reason: status === 'True' ? 'Reachable' : 'NoHostReached', message: 'before', observedGeneration })

describe('Reachable', () => {
  const cases: readonly (readonly [title: string, before: readonly object[], pods: readonly (readonly [revision: string, routes: Routes])[], expected: string])[] = [
    ['when 0 pods have sent mail by it', [], [['r2', []]], 'Unknown NotObserved'],
    ['when 1 pod of 2 reached a host', [], [['r2', reached], ['r2', unreached]], 'True Reachable'],
    ['when 1 pod reached none and 1 sent nothing', [], [['r2', unreached], ['r2', []]], 'False NoHostReached'],
    ['when 1 pod reached a host by another route', [], [['r2', [{ route: 'DeliveryRoute mail/other', reached: true }]]], 'Unknown NotObserved'],
    ['when only a pod with the snapshot before reached one', [], [['r1', reached], ['r2', []]], 'Unknown NotObserved'],
    ['when 0 pods know, and it was True before', [was('True')], [['r2', []]], 'True Reachable'],
    ['when 0 pods know, and it was False before', [was('False')], [['r2', []]], 'False NoHostReached'],
    ['when 0 pods know, and it was True of another generation', [was('True', 3)], [['r2', []]], 'Unknown NotObserved'],
    ['when 1 pod reached one, and it was False before', [was('False')], [['r2', reached]], 'True Reachable'],
  ]
  for (const [title, before, pods, expected] of cases) {
    it(`${title} is ${expected}`, () => {
      const it = route(before)
      const observed = { pods: pods.map(([revision, routes], n) => ({ name: `p${n}`, ready: true, revision, routes })), queueNodes: [], addresses: [] }
      const { status, reason } = reachableOf(it, [{ view: { routes: [it] } as never, revision: 'r2', observed }])
      assert.equal(`${status} ${reason}`, expected)
    })
  }
  it('hears of 2 MailRelays only the one that has the route, and says the first of 2 reasons by the alphabet', () => {
    const it = route()
    const view = (routes: readonly DeliveryRoute[], ...said: Routes[]) => ({ view: { routes } as never, revision: 'r2', observed: { pods: said.map((one, n) => ({ name: `p${n}`, ready: true, revision: 'r2', routes: one })), queueNodes: [], addresses: [] } })
    assert.equal(reachableOf(it, [view([], reached), view([it], [{ ...unreached[0]!, why: 'timeout' }], unreached)]).message, 'in three attempts or more no host was reached: refused')
  })
  it('of a route in force on 0 MailRelays is Unknown', () => assert.equal(reachableOf(route([was('True')]), []).reason, 'NotInForce'))
})

const policy = (change: object = {}): RelayPolicy => ({ kind: 'RelayPolicy', metadata: { name: 'p', namespace: 'mail', labels: {}, annotations: {}, generation: 4 }, spec: { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'no', match: {}, action: 'Deny' }], limits: [], mode: 'Enforce', ...change } })
const enforcedBefore = (generation: number): object => ({ targets: [{ kind: 'MailRelay', name: 'main', conditions: [{ type: 'Accepted', status: 'True', observedGeneration: generation }, { type: 'Enforced', status: 'True', observedGeneration: generation }] }] })

describe('Enforced', () => {
  const accepted = { status: 'True', reason: 'Accepted', message: 'in force' }
  const judge = (it: RelayPolicy, revisions: readonly string[], said: typeof accepted = accepted, attached = true, targets = it.spec.targetRefs) => {
    const relay = { kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail' }, spec: { replicas: 2, queue: { managed: { replicas: 3 } }, service: {} } }
    const observed = { pods: revisions.map((revision, n) => ({ name: `p${n}`, ready: true, revision })), queueNodes: [], addresses: [] }
    const view = { relay, listeners: [], policies: attached ? [{ policy: it, targets }] : [] }
    const { status, reason } = enforcedAt(it, it.spec.targetRefs[0]!, said, [{ view: view as never, revision: 'r2', observed }])
    return `${status} ${reason}`
  }
  it('when 2 pods of 2 run it is True', () => assert.equal(judge(policy(), ['r2', 'r2']), 'True Enforced'))
  it('when 1 pod of 2 runs it is False', () => assert.equal(judge(policy(), ['r2', 'r1']), 'False Pending'))
  it('when 1 pod of 2 runs a newer snapshot, and both ran this generation of it before, stays True', () => assert.equal(judge({ ...policy(), status: enforcedBefore(4) }, ['r2', 'r1']), 'True Enforced'))
  it('when both ran only another generation of it is False', () => assert.equal(judge({ ...policy(), status: enforcedBefore(3) }, ['r2', 'r1']), 'False Pending'))
  it('when only 3 other targets of it were in effect before is False', () => {
    const conditions = [{ type: 'Enforced', status: 'True', observedGeneration: 4 }]
    const targets = [{ kind: 'MailRelay', name: 'main', sectionName: 'mx' }, { kind: 'MailRelay', name: 'other' }, { kind: 'MailDomain', name: 'main' }].map((target) => ({ ...target, conditions }))
    assert.equal(judge({ ...policy(), status: { targets } }, ['r2', 'r1']), 'False Pending')
  })
  for (const [kind, field, one] of [['MailDomain', 'domains', 'domain'], ['MailSender', 'senders', 'sender']] as const)
    it(`of a ${kind} that has come to a 2nd MailRelay, whose pods do not run it yet, is False, though it was in effect at the 1st; where it was at both before, stays True`, () => {
      const targetRefs = [{ kind, name: 'd' }]
      const aimed = { ...policy({ targetRefs }), status: { targets: [{ ...targetRefs[0], conditions: [{ type: 'Enforced', status: 'True', observedGeneration: 4 }] }] } }
      const judgedAfter = (...known: readonly string[]): string => {
        const relays = known.map((name) => ({ namespace: 'mail', name, conditions: [{ type: 'Accepted', status: 'True' }] }))
        const attached = { [one]: { kind, metadata: { name: 'd', namespace: 'mail' }, status: { relays } }, listeners: [] }
        const fleetOf = (name: string, revision: string) => ({ view: { relay: { kind: 'MailRelay', metadata: { name, namespace: 'mail' }, spec: { replicas: 1, queue: { managed: { replicas: 3 } }, service: {} } }, listeners: [], domains: [], senders: [], [field]: [attached], policies: [{ policy: aimed, targets: targetRefs }] } as never, revision: 'r2', observed: { pods: [{ name, ready: true, revision }], queueNodes: [], addresses: [] } })
        const { status, message } = enforcedAt(aimed, targetRefs[0]!, accepted, [fleetOf('first', 'r2'), fleetOf('second', 'r1')])
        return `${status} ${message}`
      }
      assert.equal(judgedAfter('first'), 'False not all pods of MailRelay mail/second run a snapshot with it yet')
      assert.equal(judgedAfter('first', 'second'), 'True in effect on every pod')
    })
  it('where another denies all that it holds is Overridden, and PartlyOverridden where that is on 1 MailRelay of 2', () => {
    const hold = { ...policy({ rules: [{ name: 'h', match: {}, action: 'Hold' }] }), status: enforcedBefore(4) }
    const relay = { kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail' }, spec: { service: {} } }
    const fleetOf = (...policies: readonly RelayPolicy[]) => ({ view: { relay, listeners: [], policies: policies.map((one) => ({ policy: one, targets: one.spec.targetRefs })) } as never, revision: 'r2', observed: { pods: [], queueNodes: [], addresses: [] } })
    const judged = (...views: ReturnType<typeof fleetOf>[]) => {
      const { status, reason, message } = enforcedAt(hold, hold.spec.targetRefs[0]!, accepted, views)
      return [`${status} ${reason}`, message]
    }
    const words = 'rule h is overridden by rule no of RelayPolicy mail/p'
    assert.deepEqual([judged(fleetOf(hold, policy())), judged(fleetOf(hold, policy()), fleetOf(hold))], [['False Overridden', words], ['True PartlyOverridden', words]])
  })
  it('in mode Warn is False on 2 pods of 2', () => assert.equal(judge(policy({ mode: 'Warn' }), ['r2', 'r2']), 'False WarnOnly'))
  it('of a target that is refused is False for the same reason', () => assert.equal(judge(policy(), ['r2', 'r2'], { status: 'False', reason: 'TargetNotFound', message: 'gone' }, false), 'False TargetNotFound'))
  it('on 1 MailRelay that has it for 0 of its targets is False', () => assert.equal(judge(policy(), ['r2', 'r2'], accepted, true, []), 'False NotInForce'))
  it('on 0 MailRelays is False', () => assert.equal(judge(policy(), ['r2', 'r2'], accepted, false), 'False NotInForce'))
  it('of 2 rules of which the 2nd is never asked is True, and says so', () => assert.equal(judge(policy({ rules: [{ name: 'no', match: {}, action: 'Deny' }, { name: 'late', match: {}, action: 'Hold' }] }), ['r2', 'r2']), 'True PartlyOverridden'))
})
