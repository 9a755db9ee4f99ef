import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { documentsOf, gather } from '../../gather/internal.ts'
import { doorMark, nothingMade, plan, statusesOf, type Attempts, type Observed, type RelayView, type StatusInput } from '../index.ts'

type Given = readonly [kind: string, name: string, spec: object, status?: object | undefined][]
const main = (spec: object = {}, status?: object): Given[number] => ['MailRelay', 'main', { hostname: 'mx.example', replicas: 2, ...spec }, status]
const revision = 'r2'
const pod = (name: string, change: Partial<Observed['pods'][number]> = {}): Observed['pods'][number] => ({ name, ready: true, revision, durable, ...change })

const durable = { ok: true, reason: 'Durable', text: 'synced on 3 of 3' }
const silent = { revision: undefined, durable: undefined, why: 'timeout' } as unknown as Partial<Observed['pods'][number]>

const asked = (view: RelayView): Attempts => ({ from: ['10.0.0.7'], every: '5m', doors: Object.fromEntries(view.listeners.map((listener) => [listener.name, doorMark(view.relay, listener)])) })

const statuses = (given: Given, observed: Partial<Observed> = {}, mistaken: StatusInput['mistaken'] = [], more: Partial<StatusInput> = {}) => {
  const text = given.map(([kind, key, spec, status]) => {
    const [name, namespace = 'mail'] = key.split('/').reverse() as [string, string?]
    return JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { name, generation: 4, ...(kind !== 'RetrySchedule' && { namespace }) }, spec, status })
  }).join('\n---\n')
  const { declared } = gather(documentsOf('given.yaml', text).documents)
  const { snapshots, conditions } = plan({ declared, made: nothingMade, clusterDomain: 'cluster.local' })
  const manifests = [...declared.relays, ...declared.domains, ...declared.senders, ...declared.policies, ...declared.routes, ...declared.schedules]
  const views = snapshots.map(({ view }) => ({ view, revision, observed: { pods: [pod('a'), pod('b')], queueNodes: ['n1', 'n2', 'n3'], addresses: ['10.0.0.9'], ...observed }, attempts: asked(view) }))
  return statusesOf({ manifests, conditions, views, mistaken, controllerName: 'test', bindings: new Map([['mail/app', 'app-smtp']]), records: new Map(), ...more })
}
const stateOf = (given: Given, name: string, observed?: Partial<Observed>): Record<string, string> => {
  const { status } = statuses(given, observed).find(({ object }) => object.name === name)!
  return Object.fromEntries(status.conditions.map(({ type, status: is, reason }) => [type, `${is} ${reason}`]))
}

describe('the status of a MailRelay', () => {
  it('is Ready when 2 of 2 pods run its snapshot and their queue is durable', () => {
    assert.deepEqual(stateOf([main()], 'main'), { Accepted: 'True Accepted', Programmed: 'True Programmed', DurableAccept: 'True Durable', OpenRelayProbe: 'True StrangersRefused', Ready: 'True Ready' })
  })
  const unready: readonly (readonly [what: string, observed: Partial<Observed>, programmed: string, durability: string, ready: string])[] = [
    ['1 pod of 2 runs the snapshot before', { pods: [pod('a'), pod('b', { revision: 'r1' })] }, 'False Pending', 'True Durable', 'False Pending'],
    ['1 pod of 2 is not there', { pods: [pod('a')] }, 'False Pending', 'True Durable', 'False Pending'],
    ['a 3rd pod still runs the snapshot before', { pods: [pod('a'), pod('b'), pod('c', { revision: 'r1' })] }, 'False Pending', 'True Durable', 'False Pending'],
    ['0 pods have answered', { pods: [{ name: 'a', ready: false, why: 'Pending' }] }, 'False Pending', 'Unknown NotObserved', 'False Pending'],
    ['1 pod finds its queue not durable', { pods: [pod('a'), pod('b', { durable: { ok: false, reason: 'NotSynced', text: 'sync_interval is 2m' } })] }, 'True Programmed', 'False NotSynced', 'False NotSynced'],
    ['1 pod finds its queue full', { pods: [pod('a'), pod('b', { durable: { ok: false, reason: 'QueueFull', text: 'no room' } })] }, 'True Programmed', 'False QueueFull', 'False QueueFull'],
    ['2 pods take on trust that the servers sync', { pods: ['a', 'b'].map((name) => pod(name, { durable: { ok: true, reason: 'SyncTrusted', text: 'taken on trust' } })) }, 'True Programmed', 'True SyncTrusted', 'True Ready'],
    ['0 of 2 pods are ready, so that the Service refuses connections', { pods: ['a', 'b'].map((name) => pod(name, { ready: false })) }, 'True Programmed', 'True Durable', 'False NoPodReady'],
    ['1 of 2 pods is ready', { pods: [pod('a'), pod('b', { ready: false })] }, 'True Programmed', 'True Durable', 'True Ready'],
    ['1 of 2 ready pods has said nothing', { pods: [pod('a'), pod('b', silent)] }, 'False Pending', 'Unknown NotObserved', 'False Pending'],
    ['1 of 2 ready pods says nothing now, and said so lately', { pods: [pod('a'), pod('b', { ...silent, lately: { revision, durable } })] }, 'True Programmed', 'True Durable', 'True Ready'],
    ['1 of 2 pods says nothing now and is not ready, and said so lately', { pods: [pod('a'), pod('b', { ...silent, ready: false, lately: { revision, durable } })] }, 'False Pending', 'True Durable', 'False Pending'],
    ['0 of 2 pods are ready, and 1 of them has not reached its queue', { pods: [pod('a', { ready: false }), pod('b', { ready: false, durable: { ok: false, reason: 'Unreachable', text: 'the queue has not answered yet' } })] }, 'True Programmed', 'False Unreachable', 'False Unreachable'],
    ['1 of 2 ready pods says nothing now, and ran another snapshot lately', { pods: [pod('a'), pod('b', { ...silent, lately: { revision: 'old', durable } })] }, 'False Pending', 'True Durable', 'False Pending'],
    ['1 of 2 ready pods says nothing now, and said otherwise lately', { pods: [pod('a'), pod('b', { ...silent, lately: { revision, durable: { ok: false, reason: 'SyncNotAlways', text: 'sync_interval is 2m' } } })] }, 'True Programmed', 'False SyncNotAlways', 'False SyncNotAlways'],
    ['1 of 2 pods says nothing and is not ready', { pods: [pod('a'), pod('b', { ...silent, ready: false })] }, 'False Pending', 'True Durable', 'False Pending'],
    ['1 of 2 pods is just starting and has not reached its queue', { pods: [pod('a', { ready: false, durable: { ok: false, reason: 'Unreachable', text: 'the queue has not answered yet' } }), pod('b')] }, 'True Programmed', 'True Durable', 'True Ready'],
    ['1 of 2 pods has lost its queue and is not taken out yet', { pods: [pod('a', { durable: { ok: false, reason: 'Unreachable', text: 'out of use' } }), pod('b')] }, 'True Programmed', 'False Unreachable', 'False Unreachable'],
    ['1 of 2 pods is not ready, for the stream is another', { pods: [pod('a', { ready: false, durable: { ok: false, reason: 'StreamMismatch', text: 'it has 64 lanes' } }), pod('b')] }, 'True Programmed', 'False StreamMismatch', 'False StreamMismatch'],
    ['1 of 2 pods takes on trust what the other has seen', { pods: [pod('a'), pod('b', { durable: { ok: true, reason: 'SyncTrusted', text: 'taken on trust' } })] }, 'True Programmed', 'True SyncTrusted', 'True Ready'],
    ['a volume has 4 GiB of the 10 wished for', { volume: 4 * 2 ** 30 }, 'True Programmed', 'True SmallerVolume', 'True Ready'],
    ['3 servers run on 1 node, which an alert waits for, and a volume is smaller besides', { queueNodes: ['n1', 'n1', 'n1'], volume: 4 * 2 ** 30 }, 'True Programmed', 'True SingleNode', 'True Ready'],
    ['3 servers run on 1 node', { queueNodes: ['n1', 'n1', 'n1'] }, 'True Programmed', 'True SingleNode', 'True Ready'],
  ]
  for (const [what, observed, programmed, durability, ready] of unready) {
    it(`when ${what}: Ready is ${ready}`, () => {
      const { Programmed, DurableAccept, Ready } = stateOf([main()], 'main', observed)
      assert.deepEqual([Programmed, DurableAccept, Ready], [programmed, durability, ready])
    })
  }
  it('says SingleNode when 3 of 3 servers are ready on 1 node; with 2 of 3 only where it said so before, for the 3rd may be elsewhere', () => {
    const said = (nodes: readonly string[], reason: string) => stateOf([main({}, { conditions: [{ type: 'Accepted', status: 'True', reason: 'Accepted' }, { type: 'DurableAccept', status: 'True', reason }] })], 'main', { queueNodes: nodes }).DurableAccept
    assert.deepEqual([said(['n1', 'n1', 'n1'], 'Durable'), said(['n1', 'n1'], 'Durable'), said(['n1', 'n1'], 'SingleNode'), said(['n1', 'n1', 'n2'], 'SingleNode')], ['True SingleNode', 'True Durable', 'True SingleNode', 'True Durable'])
  })
  it('says nothing of 1 node where 1 server is all there should be', () => {
    assert.equal(stateOf([main({ queue: { managed: { replicas: 1 } } })], 'main', { queueNodes: ['n1'] }).DurableAccept, 'True Durable')
  })
  it('says in words what each of 3 pods runs, and of a queue all that is less than was wished for', () => {
    const said = (observed: Partial<Observed>, type: string) => statuses([main()], observed)[0]!.status.conditions.find((one) => one.type === type)!.message
    assert.equal(said({ pods: [pod('a'), pod('b', { revision: 'r1' }), pod('c', silent), pod('d', { ...silent, why: undefined } as never)] }, 'Programmed'), '1 of 2 pods run revision r2; b runs r1; c does not answer (timeout); d does not answer')
    assert.equal(said({}, 'DurableAccept'), 'synced on 3 of 3')
    assert.equal(said({ queueNodes: ['n1', 'n1', 'n1'], volume: 4 * 2 ** 30 }, 'DurableAccept'), 'synced on 3 of 3; all servers run on node n1, whose loss takes them all; storage.size is 10Gi and the smallest volume has 4096 MiB, which counts until the claims have grown')
  })
  it('that is refused is not Ready, for the same reason, and has 2 conditions', () => {
    assert.deepEqual(stateOf([main({ retryScheduleName: 'gone' })], 'main'), { Accepted: 'False RetryScheduleNotFound', Ready: 'False RetryScheduleNotFound' })
  })
  it('that is refused keeps 5 things that were seen of it before, for its pods run on: that a listener is closed above all', () => {
    const seen = { replicas: 2, selector: 'a=b', revision: 'r1', addresses: ['10.0.0.9'], listeners: [{ name: 'mx', attachedSenders: 0, attachedDomains: 1, closedFor: 'm', conditions: [] }] }
    const { status } = statuses([main({ retryScheduleName: 'gone' }, { ...seen, conditions: [{ type: 'Programmed', status: 'True' }] })])[0]!
    const { conditions, observedGeneration, ...kept } = status
    assert.deepEqual([kept, observedGeneration, conditions.map(({ type }) => type)], [seen, 4, ['Accepted', 'Ready']])
  })
  it('with 0 replicas says that nothing takes mail, and nothing of strangers; with 1 it does', () => {
    assert.deepEqual(stateOf([main({ replicas: 0 })], 'main', { pods: [] }), { Accepted: 'True Accepted', Programmed: 'False ScaledToZero', Ready: 'False ScaledToZero' })
    assert.equal(stateOf([main({ replicas: 1 })], 'main', { pods: [pod('a')] }).OpenRelayProbe, 'True StrangersRefused')
  })
  it('shows the 4 things that were observed of it', () => {
    const { replicas, selector, revision: shown, addresses } = statuses([main()])[0]!.status
    assert.deepEqual([replicas, selector, shown, addresses], [2, 'app.kubernetes.io/name=posthouse,app.kubernetes.io/instance=main,app.kubernetes.io/component=relay', 'r2', ['10.0.0.9']])
  })
  it('that is refused keeps 1 thing where 1 was seen', () => {
    const { conditions: _, observedGeneration: __, ...kept } = statuses([main({ retryScheduleName: 'gone' }, { replicas: 2 })])[0]!.status
    assert.deepEqual(kept, { replicas: 2 })
  })
  it('of which an object could not be made is not Programmed and not Ready, and nothing else of it is doubted', () => {
    const refused = new Map([['MailRelay mail/main', { reason: 'NotApplied', message: 'no room' } as const]])
    const { status } = statuses([main()], {}, [], { refused })[0]!
    assert.deepEqual(status.conditions.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`), ['Accepted True Accepted', 'Programmed False NotApplied', 'DurableAccept True Durable', 'OpenRelayProbe True StrangersRefused', 'Ready False NotApplied'])
  })
  it('that is being deleted says why it is still there, in force, refused or unreadable', () => {
    const leaving = new Map([['mail/main', { type: 'Drained', status: 'False', reason: 'QueueNotEmpty', message: '2 deliveries wait' } as const]])
    for (const one of [main(), main({ retryScheduleName: 'gone' })]) {
      const { status: { conditions } } = statuses([one], {}, [], { leaving })[0]!
      assert.deepEqual(conditions.filter(({ type }) => type === 'Drained' || type === 'Ready').map(({ type, reason }) => `${type} ${reason}`), ['Drained QueueNotEmpty', 'Ready QueueNotEmpty'])
    }
    const unread = (kind: 'MailRelay' | 'MailDomain', name: string) => ({ object: { kind, namespace: 'mail', name }, generation: 7, status: undefined, message: 'no' })
    const told = statuses([], {}, [unread('MailRelay', 'main'), unread('MailDomain', 'main'), unread('MailRelay', 'other')], { leaving })
    assert.deepEqual(told.map(({ object }) => `${object.kind} ${object.name}`), ['MailDomain main', 'MailRelay other'], 'whoever lets it go writes its status')
  })
  it('is told in at most 32,000 characters, for no more fit into a condition', () => {
    const long = 'x'.repeat(40_000)
    const said = statuses([main()], { pods: [pod('a', { durable: { ok: true, reason: 'Durable', text: long } }), pod('b')] }, [{ object: { kind: 'MailDomain', namespace: 'mail', name: 'odd' }, generation: 7, status: undefined, message: long }])
    assert.deepEqual([said[0]!.status.conditions.find(({ type }) => type === 'DurableAccept')!.message.length, said[1]!.status.conditions[0]!.message.length], [32_000, 32_000])
  })
  it('names 1 of 2 listeners that cannot be opened, and why, beside the one that is open', () => {
    const listeners = [{ name: 'mx', protocol: 'SMTP', port: 25 }, { name: 'secure', protocol: 'Submissions', port: 465, tls: { secretRef: { name: 'gone' } } }]
    const { status } = statuses([main({ listeners })])[0]!
    const shown = (status.listeners as { name: string; attachedSenders: number; conditions: { type: string; status: string; reason: string }[] }[]).map(({ name, attachedSenders, conditions }) => [name, attachedSenders, ...conditions.filter(({ type }) => type === 'Accepted').map(({ status: is, reason }) => `${is} ${reason}`)])
    assert.deepEqual(shown, [['mx', 0, 'True SelfSigned'], ['secure', 0, 'False CertificateNotFound']])
    assert.deepEqual(status.conditions.filter(({ type }) => type === 'Accepted' || type === 'Ready').map(({ type, status: is, reason }) => `${type} ${is} ${reason}`), ['Accepted False CertificateNotFound', 'Ready False CertificateNotFound'])
  })
  it('counts for each of 2 listeners what is attached', () => {
    const given: Given = [main(), ['MailDomain', 'd', { domain: 'd.example', inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: 'store.example' }] } } }], ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['a@d.example'] }]]
    const { status } = statuses(given)[0]!
    const attached = ({ listeners }: typeof status) => (listeners as { name: string; attachedSenders: number; attachedDomains: number }[]).map(({ name, attachedSenders, attachedDomains }) => [name, attachedSenders, attachedDomains])
    assert.deepEqual(attached(status), [['mx', 0, 1], ['submission', 1, 1]])
    const listeners = [{ name: 'mx', protocol: 'SMTP', port: 25, allowedDomains: { namespaces: { from: 'All' }, names: ['*.shop.example'] } }, { name: 'submission', protocol: 'Submission', port: 587 }]
    assert.deepEqual(attached(statuses([main({ listeners }), ['MailDomain', 'shop/s', { domain: 'a.shop.example', relayRefs: [{ name: 'main', namespace: 'mail' }] }]])[0]!.status), [['mx', 0, 1], ['submission', 0, 0]])
  })
})

describe('the status of what names no MailRelay, in a namespace of 70', () => {
  const names = Array.from({ length: 70 }, (_, n) => `r${String(n).padStart(2, '0')}`)
  const inbound = { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: 'store.example' }] } }
  const given: Given = [
    ...names.map((name, n): Given[number] => ['MailRelay', name, { hostname: `${name}.example`, ...(n === 0 && { retryScheduleName: 'gone' }) }]),
    ['MailDomain', 'd', { domain: 'd.example', inbound }],
    ['DeliveryRoute', 'out', {}],
  ]
  const judged = names.map((name) => ({ type: 'MX', name: 'd.example', value: `10 ${name}.example.`, state: 'Published' }) as const)
  const shown = statuses(given, {}, [], { records: new Map([['mail/d', { judged, comingKeys: [] }]]) })
  const relaysOf = (name: string) => shown.find(({ object }) => object.name === name)!.status.relays as { name: string; conditions: { type: string; status: string }[] }[]

  it('has 64 of them, as many as the API server takes: those where it is in force come first', () => {
    for (const name of ['d', 'out']) assert.deepEqual(relaysOf(name).map((one) => one.name), names.slice(1, 65), name)
  })
  it('has 64 of its 70 records, and all are counted', () => {
    const { requiredRecords, conditions } = shown.find(({ object }) => object.name === 'd')!.status
    assert.deepEqual([(requiredRecords as object[]).length, conditions.find(({ type }) => type === 'RecordsPublished')!.message], [64, 'DNS has what is needed: 70 of 70 records'])
  })
})

describe('the status of what cannot be read', () => {
  const unread = (kind: 'MailRelay' | 'MailDomain', status?: object): StatusInput['mistaken'][number] => ({ object: { kind, namespace: 'mail', name: 'odd' }, generation: 7, status, message: 'spec.future: no such field' })
  const said = { reason: 'Unreadable', status: 'False', message: 'spec.future: no such field', observedGeneration: 7 }
  it('says why in 2 conditions, and goes on without what else was said', () => {
    assert.deepEqual(statuses([main()], {}, [unread('MailDomain', { binding: { name: 'x' } })]).at(-1), { object: { kind: 'MailDomain', namespace: 'mail', name: 'odd' }, status: { observedGeneration: 7, conditions: [{ type: 'Accepted', ...said }, { type: 'Ready', ...said }] } })
  })
  it('keeps of a MailRelay what was seen, such as 1 closed listener', () => {
    const listeners = [{ name: 'mx', closedFor: 'm' }]
    assert.deepEqual(statuses([], {}, [unread('MailRelay', { listeners })])[0]!.status.listeners, listeners)
  })
})

describe('the status of what attaches', () => {
  it('names the MailRelay and the generation it was judged by, here 4; a MailSender its Secret', () => {
    const given: Given = [main(), ['MailDomain', 'd', { domain: 'd.example' }], ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['a@d.example'] }]]
    const { status } = statuses(given).find(({ object }) => object.kind === 'MailSender')!
    assert.deepEqual([status.observedGeneration, status.binding, (status.relays as { namespace: string; name: string }[]).map(({ namespace, name }) => `${namespace}/${name}`)], [4, { name: 'app-smtp' }, ['mail/main']])
    assert.ok(status.conditions.every(({ observedGeneration }) => observedGeneration === 4))
  })
  it('whose object could not be made is not Ready: a MailSender by its credentials, a MailDomain by itself', () => {
    const given: Given = [main(), ['MailDomain', 'd', { domain: 'd.example' }], ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['a@d.example'] }]]
    const refused = new Map(['MailDomain mail/d', 'MailSender mail/app'].map((title) => [title, { reason: 'NotApplied', message: 'no room' } as const]))
    const all = statuses(given, {}, [], { refused })
    const of = (kind: string) => all.find(({ object }) => object.kind === kind)!.status.conditions.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`)
    assert.deepEqual(of('MailSender'), ['Accepted True Accepted', 'CredentialsReady False NotApplied', 'Ready False NotApplied'])
    assert.deepEqual(of('MailDomain'), ['Accepted True Accepted', 'RecordsPublished Unknown NotInForce', 'Ready False NotApplied'])
  })
  it('names MailRelays for the 3 kinds that may have several, records for a MailDomain, the Secret for a MailSender, and the listener of a target', () => {
    const targetRefs = [{ kind: 'MailRelay', name: 'main' }, { kind: 'MailRelay', name: 'main', sectionName: 'mx' }]
    const given: Given = [main(), ['MailDomain', 'app', { domain: 'd.example' }], ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['a@d.example'] }], ['RelayPolicy', 'p', { targetRefs, rules: [{ name: 'r', action: 'Deny' }] }], ['DeliveryRoute', 'r', {}], ['RetrySchedule', 's', { attempts: ['1m'] }]]
    const records = new Map([['mail/app', { judged: [{ type: 'TXT', name: 'd.example', value: 'v', state: 'Missing' } as const], comingKeys: [] }]])
    const fields = statuses(given, {}, [], { records }).map(({ object, status }) => `${object.kind} ${['relays', 'requiredRecords', 'binding', 'targets'].filter((field) => status[field as keyof typeof status] !== undefined).join(' ')}`)
    assert.deepEqual(fields.slice(1).toSorted(), ['DeliveryRoute relays', 'MailDomain relays requiredRecords', 'MailSender relays binding', 'RelayPolicy targets', 'RetrySchedule '])
    const { targets } = statuses(given).find(({ object }) => object.kind === 'RelayPolicy')!.status as unknown as { targets: object[] }
    const relays = statuses(given).flatMap(({ status }) => ((status.relays ?? []) as { namespace: string; name: string }[]).map(({ namespace, name }) => `${namespace}/${name}`))
    assert.deepEqual(relays, ['mail/main', 'mail/main', 'mail/main'])
    assert.deepEqual(targets.map((target) => Object.keys(target)), [['kind', 'name', 'conditions'], ['kind', 'name', 'sectionName', 'conditions']])
  })
  it('has the conditions of the API on each of the 5 kinds that attach', () => {
    const given: Given = [main(), ['MailDomain', 'd', { domain: 'd.example' }], ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['a@d.example'] }], ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'r', action: 'Deny' }] }], ['DeliveryRoute', 'r', {}], ['RetrySchedule', 's', { attempts: ['1m'] }]]
    const types = (name: string) => Object.keys(stateOf(given, name)).sort()
    assert.deepEqual(types('d'), ['Accepted', 'Ready', 'RecordsPublished'])
    assert.deepEqual(types('app'), ['Accepted', 'CredentialsReady', 'Ready'])
    assert.deepEqual(types('p'), ['Accepted', 'Ready'])
    assert.deepEqual(types('r'), ['Accepted', 'Reachable', 'Ready'])
    assert.deepEqual(types('s'), ['Accepted', 'Ready'])
  })
  it('of 2 that claim one domain is in force for the older and DomainConflict for the other, each naming the other', () => {
    const given: Given = [main(), ['MailDomain', 'a', { domain: 'd.example' }], ['MailDomain', 'b', { domain: 'd.example' }]]
    assert.deepEqual([stateOf(given, 'a').Ready, stateOf(given, 'b').Ready], ['True Ready', 'False DomainConflict'])
  })
  it('that cannot identify itself yet is not Ready: 3 conditions', () => {
    const given: Given = [main(), ['MailDomain', 'd', { domain: 'd.example' }], ['MailSender', 'app', { relayRef: { name: 'main' }, identity: { serviceAccountName: 'app' }, from: ['a@d.example'] }]]
    assert.deepEqual(stateOf(given, 'app'), { Accepted: 'True Accepted', CredentialsReady: 'Unknown KeysUnknown', Ready: 'Unknown KeysUnknown' })
  })
  it('of a RelayPolicy says of each of 3 targets whether it is accepted: the one that does not exist is not', () => {
    const targetRefs = [{ kind: 'MailRelay', name: 'main' }, { kind: 'MailRelay', name: 'main', sectionName: 'mxx' }, { kind: 'MailDomain', name: 'gone' }]
    const { status } = statuses([main(), ['RelayPolicy', 'p', { targetRefs, rules: [{ name: 'r', action: 'Deny' }] }]]).find(({ object }) => object.kind === 'RelayPolicy')!
    const targets = status.targets as { sectionName?: string; conditions: { type: string; status: string; reason: string }[] }[]
    assert.deepEqual(targets.map(({ conditions }) => conditions.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`)), [
      ['Accepted True Accepted', 'Enforced True Enforced'],
      ['Accepted False TargetNotFound', 'Enforced False TargetNotFound'],
      ['Accepted False TargetNotFound', 'Enforced False TargetNotFound'],
    ])
  })
  it('names both sides: the holder of a domain and the MailRelay are Contested, each by who was refused, and Ready all the same', () => {
    const given: Given = [main(), ['MailDomain', 'a', { domain: 'd.example', allowedSenders: { from: ['orders@d.example'] } }], ['MailDomain', 'b', { domain: 'd.example' }], ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['boss@d.example'] }]]
    const contested = (name: string) => statuses(given).find(({ object }) => object.name === name)!.status.conditions.filter(({ type }) => type === 'Contested').map(({ status, reason, message }) => [status, reason, message])
    assert.deepEqual(contested('a'), [['True', 'DomainConflict', 'MailDomain mail/b is refused: MailDomain mail/a holds d.example; MailSender mail/app is refused: boss@d.example: MailDomain mail/a lends only orders@d.example on MailRelay mail/main']])
    assert.deepEqual([stateOf(given, 'a').Ready, contested('b'), contested('main')], ['True Ready', [], []])
    const closed: Given = [main({ listeners: [{ name: 'mx', protocol: 'SMTP', port: 25 }] }), ['MailDomain', 'a', { domain: 'd.example' }], ...Array.from({ length: 12 }, (_, n): Given[number] => ['MailSender', `app${n}`, { relayRef: { name: 'main' } }])]
    const { reason, message } = statuses(closed)[0]!.status.conditions.find(({ type }) => type === 'Contested')!
    assert.deepEqual([reason, message.match(/is refused/g)?.length, message.endsWith('; and 2 more'), stateOf(closed, 'main').Ready], ['NotAdmitted', 10, true, 'True Ready'])
  })
  it('names both sides: of 2 MailSenders with one ServiceAccount the holder is Contested by the other', () => {
    const identity = { serviceAccountName: 'app' }
    const given: Given = [main(), ['MailDomain', 'd', { domain: 'd.example' }], ['MailSender', 'a', { relayRef: { name: 'main' }, identity }], ['MailSender', 'b', { relayRef: { name: 'main' }, identity }]]
    assert.deepEqual([stateOf(given, 'a').Contested, stateOf(given, 'b').Accepted, stateOf(given, 'b').Contested], ['True AccountConflict', 'False AccountConflict', undefined])
  })
  it('whose reference dangles without harm is Ready, and says so in ResolvedRefs', () => {
    assert.deepEqual(stateOf([main(), ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'r', match: { senders: ['gone'] }, action: 'Deny' }] }]], 'p'), { Accepted: 'True Accepted', ResolvedRefs: 'False SenderNotFound', Ready: 'True Ready' })
  })
})
