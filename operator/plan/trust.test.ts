// What was seen at a MailRelay, and what its status keeps of it, decides whether addresses count: in the snapshot and in the status alike.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { documentsOf, gather } from '../gather/internal.ts'
import { addressMark, doorMark, nothingMade, nothingSeen, plan, statusesOf, trustMark, type Attempts, type Declared, type Observed, type RelayView, type Seen, type SeenAtRelay } from './index.ts'

const policy = (sources: readonly string[]): object => ({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'RelayPolicy', metadata: { namespace: 'mail', name: 'old' }, spec: { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'r', action: 'Allow', match: { sources } }] } })
const relay = (spec: object = {}): object => ({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', metadata: { namespace: 'mail', name: 'main' }, spec: { hostname: 'mx.example', ...spec } })
const declare = (documents: readonly object[]): Declared => gather(documentsOf('given.yaml', documents.map((one) => JSON.stringify(one)).join('\n---\n')).documents).declared

type Status = { readonly listeners: readonly { readonly name: string; readonly closedFor?: string; readonly hiddenFor?: string; readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[] }[]; readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }[] }
const before: Declared = declare([relay(), policy(['10.0.0.0/8'])])
const after: Declared = declare([relay(), policy(['10.1.0.0/16'])])
const doorsOf = (declared: Declared): Attempts['doors'] => {
  const { view } = plan({ declared, made: nothingMade, clusterDomain: 'cluster.local' }).snapshots[0]!
  return Object.fromEntries(view.listeners.map((listener) => [listener.name, doorMark(view.relay, listener)]))
}
const asked: Attempts = { from: ['10.0.0.7'], every: '5m', doors: doorsOf(before) }
const pods: Observed['pods'] = [{ name: 'a', ready: true, revision: 'r', clients: {} }]

/** One look: what is published, and what is said. */
const look = (declared: Declared, seen: Seen, given: { readonly status?: Status; readonly attempts?: Attempts | undefined; readonly admitted?: readonly string[]; readonly pods?: Observed['pods'] } = {}) => {
  const relays = declared.relays.map((one) => ({ ...one, status: given.status }))
  const { snapshots, conditions } = plan({ declared: { ...declared, relays }, made: nothingMade, clusterDomain: 'cluster.local', seen })
  const { view, snapshot } = snapshots[0]!
  const observed: Observed = { pods: given.pods ?? pods, queueNodes: [], addresses: [] }
  const views = [{ view, revision: 'r', observed, attempts: 'attempts' in given ? given.attempts : asked, admitted: given.admitted ?? [] }]
  const status = statusesOf({ manifests: relays, conditions, views, seen, mistaken: [], controllerName: 'test', bindings: new Map(), records: new Map() })[0]!.status as unknown as Status
  const of = (type: string): string => {
    const { status: is, reason } = [...status.conditions, ...status.listeners[0]!.conditions].find((one) => one.type === type)!
    return `${is} ${reason}`
  }
  return { view, snapshot, status, probe: of('OpenRelayProbe'), preserved: of('SourceAddressPreserved'), closed: snapshot.listeners.map(({ relayingClosed }) => relayingClosed), counts: snapshot.listeners.map(({ sourceAddressPreserved }) => sourceAddressPreserved) }
}
const seenAt = (change: Partial<SeenAtRelay>, nodeAddresses: readonly string[] = []): Seen => ({ relays: { 'mail/main': { hidden: {}, strangers: {}, ...change } }, nodeAddresses })
const mx = ({ listeners }: RelayView) => listeners[0]!
const markOf = (declared: Declared): string => {
  const { view } = look(declared, nothingSeen)
  return trustMark(view, mx(view))
}
const got = (declared: Declared, relayed: boolean, closedFor?: string): Seen => seenAt({ strangers: { mx: { mark: markOf(declared), relayed, ...(closedFor !== undefined && { closedFor }) } } })

describe('a stranger who relayed at 1 of 2 listeners', () => {
  const relayed = look(before, got(before, true))
  it('closes that 1, in the snapshot and in the status', () => {
    assert.deepEqual([relayed.closed, relayed.probe], [[true, false], 'False StrangerRelayed'])
    assert.deepEqual(relayed.status.listeners.map(({ closedFor }) => closedFor), [markOf(before), undefined])
  })
  it('leaves it closed after a restart, which knows 0 attempts', () => {
    const { closed, probe, status } = look(before, nothingSeen, { status: relayed.status, attempts: undefined })
    assert.deepEqual([closed, probe, status], [[true, false], 'False StrangerRelayed', relayed.status])
  })
  it('and is refused the 2nd time leaves it closed while the manifests are the same', () => {
    assert.deepEqual(look(before, got(before, false), { status: relayed.status }).closed, [true, false])
  })
  it('leaves it closed when the manifests have changed and 0 strangers have tried since', () => {
    for (const seen of [nothingSeen, got(before, false), got(before, true)]) assert.deepEqual(look(after, seen, { status: relayed.status }).closed, [true, false])
  })
  it('leaves it closed when the manifests have changed and a stranger relayed a 2nd time', () => {
    assert.deepEqual(look(after, got(after, true), { status: relayed.status }).closed, [true, false])
  })
  it('leaves it open again, 0 closed, when the manifests have changed and a stranger was refused', () => {
    const { closed, probe, status } = look(after, got(after, false), { status: relayed.status })
    assert.deepEqual([closed, probe, status.listeners[0]!.closedFor], [[false, false], 'True StrangersRefused', undefined])
  })
})

describe('the condition OpenRelayProbe', () => {
  it('is Unknown before the 1st attempt, and what the operator before it said where there was one', () => {
    assert.equal(look(before, nothingSeen, { attempts: undefined }).probe, 'Unknown NotObserved')
    const { status } = look(before, nothingSeen)
    assert.deepEqual(look(before, nothingSeen, { attempts: undefined, status }).status.conditions, status.conditions)
  })
  it('of another generation of the MailRelay says 0 things of this one after a restart', () => {
    const { status } = look(before, nothingSeen)
    const [main] = before.relays
    const changed = { ...before, relays: [{ ...main!, metadata: { ...main!.metadata, generation: 2 } }] }
    assert.equal(look(changed, nothingSeen, { attempts: undefined, status }).probe, 'Unknown NotObserved')
  })
  it('stays True of a listener that admits 1 domain more: a stranger knocks where he did', () => {
    const admitting = { ...before, relays: before.relays.map((relay) => ({ ...relay, spec: { ...relay.spec, listeners: relay.spec.listeners.map((one) => ({ ...one, allowedDomains: { namespaces: { from: 'All' as const }, names: ['more.example'] } })) } })) }
    assert.equal(look(admitting, nothingSeen).probe, 'True StrangersRefused')
  })
  it('is Unknown with 1 listener that nobody tried, at 1 that was tried at another port, and by a Service that was another', () => {
    const untried = (spec: object): string => {
      const { probe, status } = look(declare([relay(spec)]), nothingSeen)
      return `${probe}: ${status.conditions.find(({ type }) => type === 'OpenRelayProbe')!.message}`
    }
    const [mx, submission] = before.relays[0]!.spec.listeners
    const said = (which: string): string => `Unknown NotObserved: no stranger has tried ${which} yet: pods that run this snapshot are waited for`
    assert.equal(untried({ listeners: [mx, submission, { name: 'wide', protocol: 'SMTP', port: 2626 }] }), said('listener wide'))
    assert.equal(untried({ listeners: [{ ...mx, port: 2626 }, submission] }), said('listener mx'))
    assert.equal(untried({ service: { type: 'NodePort' } }), said('listeners mx, submission'))
    assert.equal(look(declare([relay(), policy(['10.1.0.0/16'])]), nothingSeen).probe, 'True StrangersRefused')
  })
  it('is Unknown, with since when, where a change could not be tried for too long, and holds 1 failure that was said before', () => {
    const late: Attempts = { ...asked, late: '2026-01-01T00:00:00Z' }
    assert.match(look(before, nothingSeen, { attempts: late }).status.conditions.find(({ type }) => type === 'OpenRelayProbe')!.message, /^no stranger has tried listeners mx, submission since 2026-01-01T00:00:00Z/)
    const probe = (was: Attempts): string => look(before, nothingSeen, { attempts: { ...late, doors: {} }, status: look(before, nothingSeen, { attempts: was }).status }).probe
    assert.deepEqual([probe(asked), probe({ ...asked, failed: 'nobody answers' })], ['Unknown NotObserved', 'False ProbeFailed'])
  })
  it('is True again when a stranger is refused after attempts that failed, at 1 listener as at 2', () => {
    for (const declared of [before, declare([relay({ listeners: [{ name: 'mx', protocol: 'SMTP', port: 25 }] })])]) {
      const attempts = { ...asked, doors: doorsOf(declared) }
      const { status } = look(declared, nothingSeen, { attempts: { ...attempts, failed: 'nobody answers' } })
      assert.equal(look(declared, nothingSeen, { attempts, status }).probe, 'True StrangersRefused')
    }
  })
  it('says where only pods were asked, of which not all run this snapshot', () => {
    const { message } = look(before, nothingSeen, { attempts: { ...asked, partly: true } }).status.conditions.find(({ type }) => type === 'OpenRelayProbe')!
    assert.match(message, /asked from 10\.0\.0\.7 straight at a pod that runs this snapshot, for not all do, after every change/)
  })
  it('names the 1 address that was asked from, every listener and how often', () => {
    const { message } = look(before, nothingSeen).status.conditions.find(({ type }) => type === 'OpenRelayProbe')!
    assert.equal(message, 'a stranger is refused at listeners mx, submission, to the end of DATA; asked from 10.0.0.7 through the Service and straight at a pod, after every change and every 5m')
  })
  it('is False where attempts fail, and where the rules alone would let 1 address relay', () => {
    assert.equal(look(before, nothingSeen, { attempts: { ...asked, failed: 'nobody answers' } }).probe, 'False ProbeFailed')
    assert.equal(look(before, nothingSeen, { admitted: ['192.0.2.1 at mx'] }).probe, 'False StrangerAdmitted')
  })
})

it('a mark is another for another port, Service or PROXY peers, and the same for 1 limit more; the door of a listener also for another protocol', () => {
  const { view } = look(before, nothingSeen)
  const listener = mx(view)
  const trusted = (address: string) => ({ ...listener, proxyProtocol: { trustedCIDRs: [address] } })
  const other = { ...view.relay, spec: { ...view.relay.spec, service: { ...view.relay.spec.service, type: 'NodePort' as const } } }
  for (const mark of [addressMark, doorMark]) {
    assert.equal(new Set([mark(view.relay, listener), mark(other, listener), mark(view.relay, { ...listener, port: 26 }), mark(view.relay, trusted('10.0.0.1')), mark(view.relay, trusted('10.0.0.2'))]).size, 5)
    assert.equal(mark(view.relay, { ...listener, limits: { ...listener.limits, connections: 7 } }), mark(view.relay, listener))
  }
  const submissions = { ...listener, protocol: 'Submissions' as const }
  assert.deepEqual([addressMark(view.relay, submissions) === addressMark(view.relay, listener), doorMark(view.relay, submissions) === doorMark(view.relay, listener)], [true, false])
})

describe('the address of a node in place of a client’s', () => {
  const { view } = look(before, nothingSeen)
  const nodeSeen = look(before, seenAt({ hidden: { mx: addressMark(view.relay, mx(view)) } }))
  it('seen at 1 of 2 listeners takes the trust from addresses there', () => assert.deepEqual([nodeSeen.counts, nodeSeen.preserved], [[false, true], 'False NodeAddressSeen']))
  it('is remembered by the status: after a restart 1 of 2 listeners still trusts no address', () => assert.deepEqual(look(before, nothingSeen, { status: nodeSeen.status }).counts, [false, true]))
  it('is forgotten when the Service is another: 2 listeners trust again until one is seen', () => {
    const declared = declare([relay({ service: { type: 'LoadBalancer', externalTrafficPolicy: 'Local' } })])
    assert.deepEqual(look(declared, nothingSeen, { status: nodeSeen.status }).counts, [true, true])
  })
  it('unseen, addresses are preserved only when a pod was asked: with 0 answers it is Unknown', () => {
    assert.equal(look(before, nothingSeen).preserved, 'True AddressPreserved')
    assert.equal(look(before, nothingSeen, { pods: [{ name: 'a', ready: false }] }).preserved, 'Unknown NotObserved')
  })
  it('unseen, addresses are not known of a listener because the other was known before, or because it was Accepted', () => {
    const known = { status: 'True', reason: 'AddressPreserved', observedGeneration: 0 }
    const listeners = [{ name: 'mx', conditions: [{ ...known, type: 'Accepted' }, { ...known, type: 'SourceAddressPreserved', status: 'Unknown' }] }, { name: 'submission', conditions: [{ ...known, type: 'SourceAddressPreserved' }] }]
    assert.equal(look(before, nothingSeen, { status: { listeners, conditions: [] }, pods: [{ name: 'a', ready: false }] }).preserved, 'Unknown NotObserved')
  })
  it('unseen, addresses are preserved when 1 pod of 2 was asked', () => {
    assert.equal(look(before, nothingSeen, { pods: [...pods, { name: 'b', ready: false }] }).preserved, 'True AddressPreserved')
  })
  it('unseen, addresses are preserved when 1 pod that runs this snapshot was asked, not 1 that runs another, unless that was said of this generation', () => {
    const other: Observed['pods'] = [{ name: 'a', ready: true, revision: 'q', clients: {} }]
    const { status } = look(before, nothingSeen)
    const [main] = before.relays
    const changed = { ...before, relays: [{ ...main!, metadata: { ...main!.metadata, generation: 2 } }] }
    assert.deepEqual([look(before, nothingSeen, { pods: other }).preserved, look(before, nothingSeen, { pods: other, status }).preserved, look(changed, nothingSeen, { pods: other, status }).preserved, look(changed, nothingSeen, { status }).preserved], ['Unknown NotObserved', 'True AddressPreserved', 'Unknown NotObserved', 'True AddressPreserved'])
  })
  it('stands in the snapshot only where an Allow rule would mean it: 2 of 4', () => {
    const { snapshot } = look(before, seenAt({}, ['10.84.0.0/31', '10.9.9.9', '192.168.7.7', 'fd00::1', '10.9.9.9']))
    assert.deepEqual(snapshot.relay.nodeAddresses, ['10.84.0.0/31', '10.9.9.9'])
  })
  it('is joined by the 1 router that pods of the relay have, and not by 1 that a relay of another namespace has', () => {
    const { relays } = seenAt({ gateways: ['10.9.9.1'] })
    const seen = { ...seenAt({}), relays: { ...relays, 'tenant/main': { hidden: {}, strangers: {}, gateways: ['10.9.9.2'] } } }
    assert.deepEqual(look(before, seen).snapshot.relay.nodeAddresses, ['10.9.9.1'])
  })
  it('is joined by our own 1 address, for we ask as a stranger: also where a test wants addresses believed', () => {
    for (const believeAll of [false, true]) assert.deepEqual(look(before, { ...seenAt({}), ownAddresses: ['10.84.0.7', '192.168.7.7'], believeAll }).snapshot.relay.nodeAddresses, ['10.84.0.7'])
  })
  it('counts for nothing where a test wants addresses believed: 2 of 2 trust, 0 node addresses', () => {
    const { counts, snapshot } = look(declare([relay({ service: { type: 'NodePort' } }), policy(['10.0.0.0/8'])]), { ...seenAt({}, ['10.9.9.9']), believeAll: true })
    assert.deepEqual([counts, snapshot.relay.nodeAddresses], [[true, true], []])
  })
})
