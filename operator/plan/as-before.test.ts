import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSnapshot, revisionOf, toParts, type Snapshot } from '../../relay/snapshot/index.ts'
import { hugeKey } from '../../test/tools/huge-key.ts'
import { documentsOf, gather } from '../gather/internal.ts'
import { certificateFor, newAuthority } from '../make/index.ts'
import { needsIn, nothingMade, plan, type Declared, type Made, type Plan, type Secret } from './index.ts'

type Given = readonly (readonly [kind: string, name: string, spec: object, status?: object | undefined])[]
const declare = (given: Given, secrets: readonly Secret[] = [], refused: readonly string[] = []): Declared => ({
  ...gather(documentsOf('given.yaml', given.map(([kind, name, spec, status]) => JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { name, ...(kind !== 'RetrySchedule' && { namespace: 'mail' }) }, spec, status })).join('\n---\n')).documents).declared,
  secrets,
  refusedSecrets: new Map(refused.map((name) => [`mail/${name}`, new Error(`${name} may not be read`)])),
})

const { certificate, key } = certificateFor(['relay'], newAuthority(new Date()), new Date())
const secret = (name: string, data: Secret['data']): Secret => ({ namespace: 'mail', name, data })
const accepted = [{ type: 'Accepted', status: 'True' }]
const recorded = { conditions: accepted, relays: [{ namespace: 'mail', name: 'main', conditions: accepted }] }
const given = (login: string, client: string, more: Given = []): Given => [
  ['MailRelay', 'main', { hostname: 'mx.example' }],
  ['RetrySchedule', 'slow', { attempts: ['1h'], giveUpAfter: '5d' }],
  ['MailDomain', 'ours', { domain: 'ours.example', inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: '127.0.0.1', tls: { mode: 'Require', clientCertificateSecretRef: { name: client } } }] } } }, recorded],
  ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['app@ours.example'] }],
  ['DeliveryRoute', 'way', { retryScheduleName: 'slow', nextHops: [{ smarthost: { host: 'smart.example', credentialsSecretRef: { name: login } }, tls: { mode: 'Verify' } }] }],
  ...more,
]
const read = [secret('login', { username: 'u', password: 'p' }), secret('client', { 'tls.crt': certificate, 'tls.key': key })]
const auth = { username: 'mail.app', salt: 's', hash: 'h' }
const made: Made = { ...nothingMade, certificates: { 'mail/main': { certificate, key } }, credentials: { 'mail/app': auth } }
const planned = (declared: Declared, more: { made?: Made; held?: readonly string[]; before?: Snapshot } = {}): Plan =>
  plan({ declared, clusterDomain: 'cluster.local', made: more.made ?? made, held: new Set(more.held), ...(more.before && { before: new Map([['mail/main', more.before]]) }) })
const only = (declared: Declared, more?: Parameters<typeof planned>[1]) => planned(declared, more).snapshots[0]!
const whole = parseSnapshot(only(declare(given('login', 'client'), read)).snapshot)

test('1 domain, 1 sender and 1 route whose Secrets may not be read are as in the snapshot before, with certificate, schedule and password, and 1 new domain is there', () => {
  const declared = declare(given('taken', 'gone', [['MailDomain', 'more', { domain: 'more.example' }]]), read, ['taken', 'gone'])
  const { snapshot, asBefore, view } = only(declared, { made: { ...made, credentials: {} }, held: ['MailSender mail/app'], before: whole })
  const now = parseSnapshot(snapshot)
  assert.deepEqual([now.domains.find(({ name }) => name === 'ours'), now.senders, now.routes, now.certificates, now.schedules.map(({ name }) => name).toSorted()], [whole.domains[0], [{ ...whole.senders[0]!, auth }], whole.routes, whole.certificates, ['built in', 'slow']])
  assert.deepEqual(now.domains.map(({ name }) => name).toSorted(), ['more', 'ours'])
  assert.deepEqual([...asBefore].toSorted(), ['DeliveryRoute mail/way', 'MailDomain mail/ours', 'MailSender mail/app'])
  assert.deepEqual([view.domains.length, view.routes.length], [2, 1])
})

test('a sender that is a ServiceAccount by now, and whose Secret may not be read, has 0 passwords: the one before is over', () => {
  const byToken = given('login', 'client').map(([kind, name, spec, status]) => [kind, name, kind === 'MailSender' ? { ...spec, identity: { serviceAccountName: 'app' } } : spec, status] as const)
  assert.ok(whole.senders[0]!.auth)
  const { snapshot } = only(declare(byToken, read), { made: { ...made, credentials: {} }, held: ['MailSender mail/app'], before: whole })
  assert.deepEqual(snapshot.senders?.map(({ serviceAccount, auth: password }) => [serviceAccount, password]), [['app', undefined]])
})

test('without the snapshot before nobody knows how they were: 0 of 2 are in it', () => {
  const { snapshot, asBefore } = only(declare(given('taken', 'gone'), read, ['taken', 'gone']))
  assert.deepEqual([asBefore.size, snapshot.domains, snapshot.routes], [0, [], []])
})

test('a domain that by now is of another relay, and a route too, are 0 in the snapshot, though it had them before', () => {
  const elsewhere = given('taken', 'gone', [['MailRelay', 'other', { hostname: 'other.example' }]]).map(([kind, name, spec, status]) => [kind, name, { ...spec, ...((kind === 'MailDomain' || kind === 'DeliveryRoute') && { relayRefs: [{ name: 'other' }] }) }, status] as const)
  const { snapshots } = planned(declare(elsewhere, read, ['taken', 'gone']), { before: whole })
  const { snapshot } = snapshots.find(({ relay }) => relay === 'mail/main')!
  assert.deepEqual([snapshot.domains, snapshot.routes, snapshot.certificates?.map(({ name }) => name)], [[], [], ['self-signed']])
})

test('a domain that another claims by now, and that is not recorded as its holder, is 0 in the snapshot', () => {
  const declared = declare([...given('login', 'gone').filter(([kind]) => kind !== 'MailSender').map(([kind, name, spec]) => [kind, name, spec] as const), ['MailDomain', 'rival', { domain: 'ours.example' }]], read, ['gone'])
  assert.deepEqual(only(declared, { before: whole }).snapshot.domains?.map(({ name }) => name), ['rival'])
})

const admitting = (namespace: string): Given => [['MailRelay', 'main', { hostname: 'mx.example', listeners: [{ name: 'mx', protocol: 'SMTP', port: 25, allowedDomains: { namespaces: { from: 'Selector', selector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }, names: ['shop.example', 'else.example'] } }, { name: 'out', protocol: 'Submission', port: 587, allowedDomains: { namespaces: { from: 'Selector', selector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }, names: ['shop.example', 'else.example'] }, allowedSenders: { namespaces: { from: 'All' } } }] }]]
const tenants = (relay: Given, objects: readonly { kind: string; namespace: string; name: string; spec: object; status?: object }[], refused: readonly string[]): Declared => {
  const all = [...relay.map(([kind, name, spec]) => ({ kind, namespace: 'mail', name, spec })), ...objects]
  const { declared } = gather(documentsOf('given.yaml', all.map(({ kind, namespace, name, ...rest }) => JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { name, namespace }, ...rest })).join('\n---\n')).documents)
  return { ...declared, secrets: [], refusedSecrets: new Map(refused.map((key) => [key, new Error(`${key} may not be read`)])) }
}
const there = [{ name: 'main', namespace: 'mail' }]
const signed = { outbound: { dkim: { algorithms: ['ed25519'], keySecretRef: { name: 'theirs' } } } }

test('a domain that its MailRelay admits no more, and whose Secret may not be read, holds its name against 0 others there, and lends its addresses to 0 senders', () => {
  const declared = tenants(admitting('new'), [
    { kind: 'MailDomain', namespace: 'old', name: 'shop', spec: { domain: 'shop.example', relayRefs: there, ...signed }, status: recorded },
    { kind: 'MailSender', namespace: 'old', name: 'app', spec: { relayRef: there[0]!, from: ['app@shop.example'] } },
    { kind: 'MailDomain', namespace: 'new', name: 'shop', spec: { domain: 'shop.example', relayRefs: there } },
  ], ['old/theirs'])
  const { snapshot } = only(declared, { before: whole })
  assert.deepEqual([snapshot.domains?.map(({ manifest }) => manifest), snapshot.senders], [['MailDomain new/shop'], []])
})

test('of 2 domains of one name that are recorded as in force the one that can be judged holds it: the other was out while its MailRelay did not admit it, and its status could not say so', () => {
  const open: Given = [['MailRelay', 'main', { hostname: 'mx.example', listeners: [{ name: 'mx', protocol: 'SMTP', port: 25, allowedDomains: { namespaces: { from: 'All' }, names: ['shop.example'] } }] }]]
  const declared = tenants(open, [
    { kind: 'MailDomain', namespace: 'first', name: 'shop', spec: { domain: 'shop.example', relayRefs: there, ...signed }, status: recorded },
    { kind: 'MailDomain', namespace: 'second', name: 'shop', spec: { domain: 'shop.example', relayRefs: there }, status: recorded },
  ], ['first/theirs'])
  assert.deepEqual(only(declared, { before: whole }).snapshot.domains?.map(({ manifest }) => manifest), ['MailDomain second/shop'])
})

test('a domain that was made anew under the same name for another domain, with a Secret that may not be read, brings back 0 of what the one before had', () => {
  const made = (domain: string, more: object = {}) => [{ kind: 'MailDomain', namespace: 'old', name: 'shop', spec: { domain, relayRefs: there, ...more } }]
  const before = parseSnapshot(only(tenants(admitting('old'), made('shop.example'), [])).snapshot)
  assert.deepEqual(before.domains.map(({ domain }) => domain), ['shop.example'])
  const { snapshot } = only(tenants(admitting('old'), made('else.example', signed), ['old/theirs']), { before })
  assert.deepEqual(snapshot.domains, [])
})

const refusalOf = ({ conditions }: Plan, title: string): string | undefined => conditions.find(({ object, type, status }) => `${object.kind} ${object.namespace}/${object.name}` === title && type === 'Accepted' && status === 'False')?.message

test('1 domain and 1 route whose Secrets are gone stay as in the snapshot before, and are told so; the sender of the domain stays, and a rival older than it gets nothing', () => {
  const rival = ['MailDomain', 'rival', { domain: 'ours.example' }] as const
  const told = planned(declare(given('gone', 'away', [rival]).map(([kind, name, spec]) => [kind, name, spec] as const), read), { before: whole })
  const now = parseSnapshot(told.snapshots[0]!.snapshot)
  assert.deepEqual(now, whole)
  assert.equal(revisionOf(now), revisionOf(whole))
  assert.match(refusalOf(told, 'MailDomain mail/ours')!, /^Secret mail\/away does not exist.*; it stays in force as it was$/)
  assert.match(refusalOf(told, 'DeliveryRoute mail/way')!, /^Secret mail\/gone does not exist.*; it stays in force as it was$/)
  assert.equal(refusalOf(told, 'MailDomain mail/rival'), 'MailDomain mail/ours holds ours.example')
  assert.equal(refusalOf(told, 'MailSender mail/app'), undefined)
  assert.deepEqual(told.conditions.filter(({ object, type, status }) => object.kind === 'MailDomain' && type === 'Accepted' && status === 'True' && object.name === 'ours').map(({ relay, message }) => [relay, message]), [['mail/main', 'in force as it was']])
})

test('a domain that had a fault of its own and is mended, or whose MailRelay had, holds its name as before against 1 that goes before it: its status could not say so meanwhile', () => {
  const rivals = given('login', 'client').slice(0, 3).map(([kind, name, spec, status]) => [kind, name, spec, kind === 'MailDomain' ? { conditions: accepted, relays: [] } : status] as const)
  const { snapshot } = only(declare([...rivals, ['MailDomain', 'a-rival', { domain: 'ours.example' }, { relays: [] }]], read), { before: whole })
  assert.deepEqual(snapshot.domains?.map(({ name }) => name), ['ours'])
  const { snapshot: unknown } = only(declare([...rivals, ['MailDomain', 'a-rival', { domain: 'ours.example' }]], read))
  assert.deepEqual(unknown.domains?.map(({ name }) => name), ['a-rival'], 'nobody had it: the first by name')
})

test('1 domain and 1 route that were never in force are 0 in the snapshot, and are told what they lack and no more', () => {
  const told = planned(declare(given('gone', 'away').filter(([kind]) => kind !== 'MailSender').map(([kind, name, spec]) => [kind, name, spec] as const), read), { before: parseSnapshot(only(declare(given('login', 'client').slice(0, 2), read)).snapshot) })
  assert.deepEqual([told.snapshots[0]!.snapshot.domains, told.snapshots[0]!.snapshot.routes], [[], []])
  assert.match(refusalOf(told, 'MailDomain mail/ours')!, /^Secret mail\/away does not exist[^;]*$/)
})

test('a domain with a fault of its own that its MailRelay no longer has listeners for is 0 in the snapshot', () => {
  const elsewhere = given('login', 'gone', [['MailRelay', 'other', { hostname: 'other.example' }]]).map(([kind, name, spec]) => [kind, name, { ...spec, ...(kind === 'MailDomain' && { relayRefs: [{ name: 'other' }] }) }] as const)
  const { snapshots } = planned(declare(elsewhere, read), { before: whole })
  assert.deepEqual(snapshots.find(({ relay }) => relay === 'mail/main')!.snapshot.domains, [])
})

const app = (...from: string[]): Given => given('login', 'client').map(([kind, name, spec]) => [kind, name, kind === 'MailSender' ? { ...spec, from } : spec] as const)
const sendersOf = (told: Plan) => told.snapshots[0]!.snapshot.senders?.map(({ name, from }) => [name, from])

test('a MailSender with 2 addresses that a change gives a 3rd which it may not use stays with the 2, and is told so', () => {
  const before = parseSnapshot(only(declare(app('a@ours.example', 'b@ours.example'), read)).snapshot)
  const told = planned(declare(app('a@ours.example', 'b@ours.example', 'boss@bank.example'), read), { before })
  assert.deepEqual(parseSnapshot(told.snapshots[0]!.snapshot), before)
  assert.match(refusalOf(told, 'MailSender mail/app')!, /^boss@bank\.example: no MailDomain for bank\.example.*; it stays in force for a@ours\.example, b@ours\.example$/)
})

test('a MailSender whose domain lends it 1 of its 2 addresses no longer stays with the other; where it lends none of them it is out', () => {
  const before = parseSnapshot(only(declare(app('a@ours.example', 'b@ours.example'), read)).snapshot)
  const lending = (...from: string[]): Given => app('a@ours.example', 'b@ours.example').map(([kind, name, spec]) => [kind, name, kind === 'MailDomain' ? { ...spec, allowedSenders: { from } } : spec] as const)
  assert.deepEqual(sendersOf(planned(declare(lending('b@ours.example'), read), { before })), [['app', ['b@ours.example']]])
  assert.deepEqual(sendersOf(planned(declare(lending('c@ours.example'), read), { before })), [])
})

const policy = (name: string, rules: readonly object[]): Given[number] => ['RelayPolicy', name, { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules }]
const deny = (domain: string): object => ({ name: 'no', match: { rcptTo: [`*@${domain}`] }, action: 'Deny' })
const later = { name: 'later', match: {}, action: 'Redirect' } // waits for a later release
/** Rules of 50 ranges each. */
const allow = (second: number, rules: number): object[] => Array.from({ length: rules }, (_, n) => ({ name: `in-${n}`, match: { sources: Array.from({ length: 50 }, (_unused, m) => `11.${second}.${50 * n + m}.0/24`) }, action: 'Allow' }))

test('a RelayPolicy of 2 that a change breaks stays as it was, at its place: what it denied is not let through', () => {
  const before = parseSnapshot(only(declare(given('login', 'client', [policy('a', [deny('far.example')]), policy('b', [deny('near.example')])]), read)).snapshot)
  const told = planned(declare(given('login', 'client', [policy('a', [deny('far.example'), later]), policy('b', [deny('near.example')])]), read), { before })
  assert.deepEqual(told.snapshots[0]!.snapshot.policies, before.policies)
  assert.match(refusalOf(told, 'RelayPolicy mail/a')!, /Redirect.*; it stays in force as it was$/)
})

test('what a policy allows that stays counts: with its 200 ranges of 256 another of 100 makes too much of the world', () => {
  const before = parseSnapshot(only(declare(given('login', 'client', [policy('b', allow(1, 4))]), read)).snapshot)
  const told = planned(declare(given('login', 'client', [policy('a', allow(2, 2)), policy('b', [...allow(1, 4), later])]), read), { before })
  assert.deepEqual(told.snapshots[0]!.snapshot.policies, before.policies)
  assert.equal(before.policies.length, 1)
  assert.ok(told.conditions.some(({ object, reason }) => object.name === 'a' && reason === 'SourcesMakeTheWorld'))
})

test('16 policies of 460 KB that a change breaks take their room of the snapshot as before: of 16 others as large there is room for 2', () => {
  const large = (name: string, ...more: object[]): Given[number] => policy(name, [...Array.from({ length: 8 }, (_, n) => ({ name: `r${n}`, match: { rcptTo: Array.from({ length: 256 }, (_unused, m) => `${'x'.repeat(150)}${m}@${'y'.repeat(60)}.example`) }, action: 'Deny' })), ...more])
  const all = (of: string, ...more: object[]): Given => Array.from({ length: 16 }, (_, n) => large(`${of}-${n}`, ...more))
  const before = parseSnapshot(only(declare(given('login', 'client', all('a')), read)).snapshot)
  assert.equal(before.policies.length, 16)
  const { snapshot } = only(declare(given('login', 'client', [...all('a', later), ...all('b')]), read), { before })
  assert.deepEqual(Object.entries(Object.groupBy(snapshot.policies!, ({ name }) => name[0]!)).map(([of, them]) => [of, them!.length]), [['a', 16], ['b', 2]])
  assert.ok(toParts(parseSnapshot(snapshot)).parts.size > 0)
})

test('a domain that has signed with RSA keys of 8,192 and 2,048 bits, and a host that was shown one of 8,192, since before they had a limit, stay without those 2 keys and with the other', () => {
  const large = hugeKey(8192)
  const dkim = [['large', large], ['usual', hugeKey(2048)]].map(([selector, privateKey]) => ({ selector: selector!, privateKey: privateKey!, algorithm: 'rsa' as const }))
  const before = { ...whole, domains: whole.domains.map((one) => ({ ...one, dkim })), certificates: whole.certificates.map((one) => (one.name.includes('client') ? { ...one, key: large } : one)) }
  const now = parseSnapshot(only(declare(given('login', 'away'), read), { before }).snapshot)
  assert.deepEqual(now.domains[0]!.dkim.map(({ selector }) => selector), ['usual'])
  assert.deepEqual([whole, now].map(({ domains }) => domains[0]!.inbound!.hosts![0]!.tls.clientCertificate !== undefined), [true, false])
  assert.ok(now.certificates.every(({ key: shown }) => shown !== large))
})

const own = { tls: { secretRef: { name: 'own' } } }
const twoListeners: Given = [
  ['MailRelay', 'main', { hostname: 'mx.example', listeners: [{ name: 'mx', protocol: 'SMTP', port: 25 }, { name: 'submission', protocol: 'Submission', port: 587, ...own }] }],
  ['MailDomain', 'ours', { domain: 'ours.example' }, recorded], ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['app@ours.example'] }],
]
const pair = { 'tls.crt': certificate, 'tls.key': key }
for (const [what, secrets] of [['is away', []], ['lacks its key for a moment', [secret('own', { 'tls.crt': certificate })]], ['holds a key that is not its certificate’s', [secret('own', { ...pair, 'tls.key': certificateFor(['other'], newAuthority(new Date()), new Date()).key })]]] as const)
  test(`1 of 2 listeners stays open with the certificate that it had, while the Secret with it ${what}; without one it is closed`, () => {
    const before = parseSnapshot(only(declare(twoListeners, [secret('own', pair)])).snapshot)
    const { snapshots, conditions } = planned(declare(twoListeners, secrets), { before })
    assert.deepEqual(parseSnapshot(snapshots[0]!.snapshot), before)
    const told = conditions.filter(({ section, type }) => section === 'submission' && type === 'Accepted')
    assert.deepEqual(told.map(({ status }) => status), ['False'])
    assert.match(told[0]!.message, /; it stays in force with the certificate that it had$/)
    for (const other of [undefined, { ...before, listeners: before.listeners.slice(0, 1) }, { ...before, certificates: [] }])
      assert.deepEqual(only(declare(twoListeners, secrets), { ...(other && { before: other }) }).snapshot.listeners.map(({ name }) => name), ['mx'])
  })

test('a sender’s Secret names the same 1 listener and host while the certificate of that listener is away, and keeps its CA', () => {
  const named = certificateFor(['mx.example'], newAuthority(new Date()), new Date())
  const secrets = [secret('own', { 'tls.crt': named.certificate, 'tls.key': named.key, 'ca.crt': 'CA' })]
  const ofSender = (declared: Declared, before?: Snapshot) => needsIn({ declared, clusterDomain: 'cluster.local', ...(before && { before: new Map([['mail/main', before]]) }) }).flatMap((need) => (need.kind === 'credential' ? [[need.listener, need.host, need.trust]] : []))
  const before = parseSnapshot(only(declare(twoListeners, secrets)).snapshot)
  assert.deepEqual([ofSender(declare(twoListeners, secrets)), ofSender(declare(twoListeners), before)], [[['submission', 'mx.example', { ca: 'CA' }]], [['submission', 'mx.example', { asBefore: true }]]])
})
