import assert from 'node:assert/strict'
import { test } from 'node:test'
import { declare, type Given, main, needed, only, open, ours, planned, refusals, sender, sink, submission } from '../../test/tools/planned.ts'
import { decideMail } from '../../relay/decide/index.ts'
import { parseSnapshot, toParts } from '../../relay/snapshot/index.ts'
import { certificateFor, newAuthority } from '../make/index.ts'
import { needsIn, nothingMade, plan, reasons, waitingFields, type Condition, type Input, type Made } from './index.ts'
import { bindPortOf, fit, refuseDomain, refuseDomainOnRelay, refuseListener, refusePolicy, refusePolicyOnRelay, refuseRelay, refuseRoute, refuseSender, refuseTarget } from './internal.ts'

type Fault = { readonly title: string; readonly given: Given; readonly on: string; readonly reason: Condition['reason']; readonly words: RegExp; readonly path?: string; readonly type?: Condition['type'] }

const faults: readonly Fault[] = [
  { title: 'a MailRelay whose RetrySchedule is not there', given: [['MailRelay', 'main', { hostname: 'a.b', retryScheduleName: 'gone' }]], on: 'main', reason: 'RetryScheduleNotFound', words: /RetrySchedule gone/, path: 'spec.retryScheduleName' },
  { title: 'ports 587 and 2587, which would open the same', given: [['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({}), { name: 'b', protocol: 'SMTP', port: 2587 }] }]], on: 'main', reason: 'PortConflict', words: /submission \(587\) and b \(2587\)/, path: 'spec.listeners.1.port' },
  { title: 'a listener whose certificate is not there', given: [['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ tls: { secretRef: { name: 'tls' } } }), { name: 'b', protocol: 'SMTP', port: 25 }] }]], on: 'main', reason: 'CertificateNotFound', words: /Secret mail\/tls does not exist/, path: 'spec.listeners.0.tls.secretRef.name' },
  { title: 'a certificate that cannot be read', given: [['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ tls: { secretRef: { name: 'tls' } } })] }], ['Secret', 'tls', { 'tls.crt': 'x', 'tls.key': 'y' }]], on: 'main', reason: 'CertificateInvalid', words: /Secret mail\/tls: /, path: 'spec.listeners.0.tls.secretRef.name' },
  { title: 'a MailRelay none of whose listeners can open', given: [['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ tls: { secretRef: { name: 'tls' } } })] }]], on: 'main', reason: 'NoListener', words: /none/, path: 'spec.listeners' },
  { title: 'a MailDomain for a relay that is not there', given: [['MailDomain', 'ours', { domain: 'a.b', relayRefs: [{ name: 'mian' }] }]], on: 'ours', reason: 'RelayNotFound', words: /MailRelay mail\/mian does not exist/, path: 'spec.relayRefs' },
  { title: 'a MailDomain in a namespace without relays that names none', given: [['MailDomain', 'far/ours', { domain: 'a.b' }], main], on: 'ours', reason: 'RelayNotFound', words: /namespace far has none/ },
  { title: 'a MailDomain on a relay that is refused itself', given: [['MailRelay', 'main', { hostname: 'a.b', retryScheduleName: 'gone' }], ours], on: 'ours', reason: 'RelayNotAccepted', words: /MailRelay mail\/main is not in force/ },
  { title: 'a DeliveryRoute in a namespace without relays that names none', given: [['DeliveryRoute', 'far/r', {}], main], on: 'r', reason: 'RelayNotFound', words: /namespace far has none/ },
  { title: 'a domain name that is none', given: [main, ['MailDomain', 'ours', { domain: `${'ü'.repeat(60)}.example` }]], on: 'ours', reason: 'InvalidName', words: /is no domain name/, path: 'spec.domain' },
  { title: 'a MailDomain that lends out addresses of another', given: [main, ['MailDomain', 'ours', { domain: 'ours.example', allowedSenders: { from: ['*@theirs.example'] } }]], on: 'ours', reason: 'InvalidName', words: /\*@theirs.example is no address of ours.example/, path: 'spec.allowedSenders.from.0' },
  { title: 'a listed recipient of another domain', given: [main, ['MailDomain', 'ours', { domain: 'ours.example', inbound: { ...sink, recipients: { mode: 'List', list: ['joe', 'ann@theirs.example'] } } }]], on: 'ours', reason: 'InvalidName', words: /ann@theirs.example/, path: 'spec.inbound.recipients.list.1' },
  { title: 'a MailDomain of a namespace that no listener admits', given: [main, ['MailDomain', 'shop/ours', { domain: 'ours.example', relayRefs: [{ name: 'main', namespace: 'mail' }] }]], on: 'ours', reason: 'NotAdmitted', words: /no listener of MailRelay mail\/main admits domain ours.example of namespace shop/ },
  { title: 'a MailDomain of an admitted namespace, but of a name that is not', given: [['MailRelay', 'main', { hostname: 'a.b', listeners: [open(['*.shop.example'])] }], ['MailDomain', 'shop/ours', { domain: 'bank.example', relayRefs: [{ name: 'main', namespace: 'mail' }] }]], on: 'ours', reason: 'NotAdmitted', words: /bank.example/ },
  { title: 'the second of two that claim one domain', given: [main, ours, ['MailDomain', 'zwei', { domain: 'OURS.example', inbound: sink }]], on: 'zwei', reason: 'DomainConflict', words: /MailDomain mail\/ours holds/, path: 'spec.domain' },
  { title: 'a tenant that delivers to a private address', given: [['MailRelay', 'main', { hostname: 'a.b', listeners: [open(['*'])] }], ['MailDomain', 'shop/ours', { domain: 'ours.example', relayRefs: [{ name: 'main', namespace: 'mail' }], inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: '10.0.0.5' }] } } }]], on: 'ours', reason: 'HostNotAllowed', words: /10.0.0.5/, path: 'spec.inbound.deliverTo.hosts.0.host' },
  { title: 'anybody who delivers to the metadata service', given: [main, ['MailDomain', 'ours', { domain: 'ours.example', inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: '169.254.169.254' }] } } }]], on: 'ours', reason: 'HostNotAllowed', words: /169.254.169.254/ },
  { title: 'a list of recipients with a pattern in it, which would be 1 address that nobody has', given: [main, ['MailDomain', 'ours', { domain: 'ours.example', inbound: { ...sink, recipients: { mode: 'List', list: ['joe', '*@ours.example'] } } }]], on: 'ours', reason: 'InvalidName', words: /^\*@ours\.example is no pattern here but one address; for every address of ours\.example set mode: Any$/, path: 'spec.inbound.recipients.list.1' },
  { title: 'DKIM keys of 1 algorithm where 2 are the default', given: [main, ['MailDomain', 'ours', { domain: 'ours.example', outbound: { dkim: { keySecretRef: { name: 'keys' } } } }], ['Secret', 'keys', { 'rsa.key': 'x', 'rsa.selector': 's' }]], on: 'ours', reason: 'KeyNotFound', words: /^Secret mail\/keys lacks ed25519\.key, ed25519\.selector; to sign without ed25519 set algorithms: \[rsa\]$/, path: 'spec.outbound.dkim.keySecretRef.name' },
  { title: 'DKIM keys that are not there', given: [main, ['MailDomain', 'ours', { domain: 'ours.example', outbound: { dkim: { algorithms: ['rsa'], keySecretRef: { name: 'keys' } } } }], ['Secret', 'keys', { 'rsa.key': 'x' }]], on: 'ours', reason: 'KeyNotFound', words: /Secret mail\/keys lacks rsa.selector/, path: 'spec.outbound.dkim.keySecretRef.name' },
  { title: 'a DKIM key that is none', given: [main, ['MailDomain', 'ours', { domain: 'ours.example', outbound: { dkim: { algorithms: ['rsa'], keySecretRef: { name: 'keys' } } } }], ['Secret', 'keys', { 'rsa.key': 'x', 'rsa.selector': 's1' }]], on: 'ours', reason: 'KeyInvalid', words: /rsa.key is no rsa private key/ },
  { title: 'a MailSender of a namespace that no listener admits', given: [main, ours, ['MailSender', 'shop/app', { relayRef: { name: 'main', namespace: 'mail' }, from: ['a@ours.example'] }]], on: 'app', reason: 'NotAdmitted', words: /namespace shop/, path: 'spec.relayRef' },
  { title: 'an address whose domain nobody declared', given: [main, ours, ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['a@ours.example', 'a@bank.example'] }]], on: 'app', reason: 'FromNotAllowed', words: /a@bank.example: no MailDomain for bank.example/, path: 'spec.from.1' },
  { title: 'an address of a domain that does not admit the namespace', given: [['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ allowedSenders: { namespaces: { from: 'All' } } })] }], ours, ['MailSender', 'shop/app', { relayRef: { name: 'main', namespace: 'mail' }, from: ['a@ours.example'] }]], on: 'app', reason: 'FromNotAllowed', words: /MailDomain mail\/ours does not admit namespace shop/ },
  { title: 'an address that the domain does not lend', given: [main, ['MailDomain', 'ours', { domain: 'ours.example', allowedSenders: { from: ['orders@ours.example'] } }], ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['boss@ours.example'] }]], on: 'app', reason: 'FromNotAllowed', words: /lends only orders@ours.example/ },
  { title: 'a MailSender that wants every address there is', given: [main, ours, ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['*'] }]], on: 'app', reason: 'FromNotAllowed', words: /\*/ },
  { title: 'a MailSender without from in a namespace without domains', given: [main, ['MailSender', 'app', { relayRef: { name: 'main' } }]], on: 'app', reason: 'FromNotAllowed', words: /namespace mail has no MailDomain/ },
  { title: 'the younger of two with one ServiceAccount', given: [main, ours, ['MailSender', 'app', { relayRef: { name: 'main' }, identity: { serviceAccountName: 'app' } }, { created: '2026-01-02T00:00:00Z' }], ['MailSender', 'old', { relayRef: { name: 'main' }, identity: { serviceAccountName: 'app' } }, { created: '2026-01-01T00:00:00Z' }]], on: 'app', reason: 'AccountConflict', words: /MailSender mail\/old has ServiceAccount mail\/app on MailRelay mail\/main/, path: 'spec.identity.serviceAccountName' },
  { title: 'a password for listeners that take tokens only', given: [['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ auth: ['XOAUTH2', 'OAUTHBEARER'] })] }], ours, sender], on: 'app', reason: 'MechanismMissing', words: /listener submission of MailRelay mail\/main takes no passwords/, path: 'spec.identity' },
  { title: 'a RelayPolicy for nothing', given: [main, ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailDomain', name: 'gone' }], rules: [{ name: 'r', action: 'Deny' }] }]], on: 'p', reason: 'TargetNotFound', words: /MailDomain mail\/gone/, path: 'spec.targetRefs.0.name' },
  { title: 'a RelayPolicy for a listener that is not there', given: [main, ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailRelay', name: 'main', sectionName: 'mxx' }], rules: [{ name: 'r', action: 'Deny' }] }]], on: 'p', reason: 'TargetNotFound', words: /no listener mxx/, path: 'spec.targetRefs.0.sectionName' },
  { title: 'a RelayPolicy for a domain that is refused', given: [main, ours, ['MailDomain', 'zwei', { domain: 'ours.example' }], ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailDomain', name: 'zwei' }], rules: [{ name: 'r', action: 'Deny' }] }]], on: 'p', reason: 'TargetNotAccepted', words: /MailDomain mail\/zwei is not in force/ },
  { title: 'an Allow for the whole Internet', given: [main, ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'r', match: { sources: ['0.0.0.0/0', '::/0', '10.0.0.0/8'] }, action: 'Allow' }] }]], on: 'p', reason: 'SourcesTooWide', words: /0.0.0.0\/0 is wider than \/24.*::\/0 is wider than \/48/, path: 'spec.rules.0.match.sources' },
  { title: 'a limit on connections for a domain only', given: [main, ours, ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailDomain', name: 'ours' }], limits: [{ by: 'domain', messagesPerMinute: 1 }, { by: 'source', connectionsPerMinute: 60 }] }]], on: 'p', reason: 'LimitNotCounted', words: /^a limit on connections needs a MailRelay among the targets/, path: 'spec.limits.1.connectionsPerMinute' },
  { title: 'a listener that takes a PROXY header from anybody', given: [['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({}), { name: 'mx', protocol: 'SMTP', port: 25, proxyProtocol: { trustedCIDRs: ['10.0.0.0/8', '0.0.0.0/0'] } }] }]], on: 'main', reason: 'SourcesTooWide', words: /^0.0.0.0\/0 is wider than/, path: 'spec.listeners.1.proxyProtocol.trustedCIDRs' },
  { title: 'the last of the policies that together allow too much', given: [main, ...Array.from({ length: 5 }, (_, i): Given[number] => ['RelayPolicy', `p${i}`, { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'r', match: { sources: Array.from({ length: 64 }, (_, n) => `198.${i}.${n}.0/24`) }, action: 'Allow' }] }])], on: 'p4', reason: 'SourcesMakeTheWorld', words: /MailRelay mail\/main would trust more/ },
  { title: 'an Allow by address from another namespace', given: [['MailRelay', 'main', { hostname: 'a.b', listeners: [open(['*'])] }], ['MailDomain', 'shop/ours', { domain: 'ours.example', relayRefs: [{ name: 'main', namespace: 'mail' }] }], ['RelayPolicy', 'shop/p', { targetRefs: [{ kind: 'MailDomain', name: 'ours' }], rules: [{ name: 'r', match: { sources: ['203.0.113.0/24'] }, action: 'Allow' }] }]], on: 'p', reason: 'AllowNotPermitted', words: /only a policy in namespace mail may let addresses use MailRelay mail\/main/ },
  { title: 'a rule that names a sender who is not there, which changes nothing', given: [main, ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'r', match: { senders: ['app'] }, action: 'Deny' }] }]], on: 'p', reason: 'SenderNotFound', words: /MailSender mail\/app/, type: 'ResolvedRefs' },
  { title: 'a DeliveryRoute whose credentials are not there', given: [main, ['DeliveryRoute', 'r', { nextHops: [{ smarthost: { host: 'a.example', credentialsSecretRef: { name: 'login' } }, tls: { mode: 'Verify' } }] }], ['Secret', 'login', { username: 'u' }]], on: 'r', reason: 'CredentialsNotFound', words: /Secret mail\/login lacks password/, path: 'spec.nextHops.0.smarthost.credentialsSecretRef.name' },
  { title: 'a DeliveryRoute with a client certificate that is not there', given: [main, ['DeliveryRoute', 'r', { nextHops: [{ mx: {}, tls: { mode: 'Verify', clientCertificateSecretRef: { name: 'c' } } }] }]], on: 'r', reason: 'CertificateNotFound', words: /mail\/c/ },
  { title: 'a list of recipients that fills a Secret by itself', given: [main, ['MailDomain', 'ours', { domain: 'ours.example', inbound: { ...sink, recipients: { mode: 'List', list: Array.from({ length: 9000 }, (_, n) => `${n}-${'x'.repeat(70)}`) } } }]], on: 'ours', reason: 'SnapshotTooBig', words: /one object has at most 524224/ },
  { title: 'a Service that hides who comes', given: [['MailRelay', 'main', { hostname: 'a.b', service: { type: 'LoadBalancer' }, listeners: [submission({})] }]], on: 'main', reason: 'AddressRewritten', words: /no rule may trust an address here/, path: 'spec.service.type', type: 'SourceAddressPreserved' },
  { title: 'a DeliveryRoute whose RetrySchedule is not there', given: [main, ['DeliveryRoute', 'r', { retryScheduleName: 'gone' }]], on: 'r', reason: 'RetryScheduleNotFound', words: /gone/ },
]

for (const { title, given, on, reason, words, path, type = 'Accepted' } of faults) {
  test(`${reason}: ${title}`, () => {
    const told = refusals(planned(given).conditions).filter(({ object }) => object.name === on)
    assert.deepEqual(told.filter((one) => one.reason === reason).map((one) => [one.type, one.path?.join('.') ?? path]), [[type, path ?? told[0]!.path?.join('.')]])
    assert.match(told.find((one) => one.reason === reason)!.message, words)
  })
}

test('a limit on connections is in force where 1 of its 2 targets is a MailRelay', () => {
  const given: Given = [main, ours, ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailDomain', name: 'ours' }, { kind: 'MailRelay', name: 'main' }], limits: [{ by: 'source', connectionsPerMinute: 60 }] }]]
  assert.deepEqual(refusals(planned(given).conditions), [])
  assert.deepEqual(only(given).policies.map(({ limits }) => limits), [[{ by: 'source', connectionsPerMinute: 60 }]])
})

const waiting: Readonly<Record<string, Given>> = {
  'inbound.trust': [['MailDomain', 'x', { domain: 'a.b', inbound: { ...sink, trust: { spf: 'Enforce' } } }]],
  'inbound.filterRef': [['MailDomain', 'x', { domain: 'a.b', inbound: { ...sink, filterRef: { name: 'f' } } }]],
  'outbound.returnPath': [['MailDomain', 'x', { domain: 'a.b', outbound: { returnPath: 'bounce.a.b' } }]],
  'identity.podSelector': [['MailSender', 'x', { relayRef: { name: 'main' }, identity: { podSelector: { matchLabels: { app: 'x' } } }, from: ['a@ours.example'] }]],
  'action: Redirect': [['RelayPolicy', 'x', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'a', action: 'Deny' }, { name: 'r', action: 'Redirect' }] }]],
  'tls.mode: DANE|MTASTS': [
    ['DeliveryRoute', 'x', { nextHops: [{ mx: {}, tls: { mode: 'DANE' } }, { mx: {}, tls: { mode: 'MTASTS' } }] }],
    ['MailDomain', 'x', { domain: 'a.b', inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: 'a.b', tls: { mode: 'DANE' } }] } } }],
  ],
}

test('these 6 fields wait for a later release, and no others', () => {
  assert.deepEqual([...new Set(waitingFields.map(({ field }) => field))].sort(), Object.keys(waiting).sort())
})

for (const [field, given] of Object.entries(waiting)) {
  test(`${field} is refused as NotImplemented where it stands, and stays out of the snapshot`, () => {
    const { conditions, snapshots } = planned([main, ours, ...given])
    for (const [kind] of given) {
      const told = refusals(conditions).filter(({ object }) => object.kind === kind && object.name === 'x')
      assert.ok(told.length > 0 && told.every(({ reason, message, path }) => reason === 'NotImplemented' && message.startsWith(field) && path!.length > 1), JSON.stringify(told))
    }
    const { domains, senders, policies, routes } = parseSnapshot(snapshots[0]!.snapshot)
    assert.deepEqual([domains.length, senders.length, policies.length, routes.length], [1, 0, 0, 0])
  })
}

const slips: readonly (readonly [what: string, given: Given, hint: string])[] = [
  ['a MailRelay', [main, ['MailDomain', 'ours', { domain: 'ours.example', relayRefs: [{ name: 'mian' }] }]], 'MailRelay mail/mian does not exist; did you mean main?'],
  ['a MailSender', [main, ours, sender, ['DeliveryRoute', 'r', { match: { senders: ['ap'] } }]], 'MailSender mail/ap does not exist; did you mean app? (DeliveryRoute mail/r holds without)'],
  ['a Secret of another namespace, of which nothing is told', [main, ['DeliveryRoute', 'r', { nextHops: [{ smarthost: { host: 'a.example', credentialsSecretRef: { name: 'logn' } }, tls: { mode: 'Verify' } }] }], ['Secret', 'shop/login', { username: 'u' }]], 'Secret mail/logn does not exist'],
  ['the domain of an address', [main, ours, ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['a@our.example'] }]], 'a@our.example: no MailDomain for our.example (did you mean ours.example?) is accepted, and no foreignDomains names it on MailRelay mail/main'],
  ['a listener', [main, ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailRelay', name: 'main', sectionName: 'mxx' }], rules: [{ name: 'r', action: 'Deny' }] }]], 'MailRelay mail/main has no listener mxx, only mx, submission'],
]
for (const [what, given, hint] of slips) {
  test(`a slip in the name of ${what}: ${hint}`, () => assert.deepEqual(refusals(planned(given).conditions).map(({ message }) => message), [hint]))
}

const services: readonly (readonly [service: object | undefined, proxied: boolean, plain: boolean])[] = [
  [undefined, true, true],
  [{ type: 'ClusterIP' }, true, true],
  [{ type: 'NodePort' }, true, false],
  [{ type: 'LoadBalancer' }, true, false],
  [{ type: 'LoadBalancer', externalTrafficPolicy: 'Cluster' }, true, false],
  [{ type: 'LoadBalancer', externalTrafficPolicy: 'Local' }, true, true],
]
for (const [service, proxied, plain] of services) {
  test(`behind a Service ${JSON.stringify(service)} a listener ${plain ? 'keeps' : 'loses'} the address of its clients, one with PROXY headers keeps it`, () => {
    const listeners = [{ name: 'proxied', protocol: 'SMTP', port: 25, proxyProtocol: { trustedCIDRs: ['10.1.1.1/32'] } }, { name: 'plain', protocol: 'SMTP', port: 26 }]
    const relay: Given[number] = ['MailRelay', 'main', { hostname: 'a.b', listeners, ...(service && { service }) }]
    assert.deepEqual(only([relay]).listeners.map(({ sourceAddressPreserved }) => sourceAddressPreserved), [proxied, plain])
    const told = planned([relay]).conditions.filter(({ type }) => type === 'SourceAddressPreserved')
    assert.deepEqual(told.map(({ section, status }) => [section, status]), [['proxied', String(proxied).replace(/^./, (c) => c.toUpperCase())], ['plain', plain ? 'True' : 'False']])
  })
}

const byAccount: Given[number] = ['MailSender', 'app', { relayRef: { name: 'main' }, identity: { serviceAccountName: 'shop' }, from: ['app@ours.example'] }]
const keys = [{ kty: 'RSA', kid: 'one', n: 'AQAB', e: 'AQAB' }]
const known = { kind: 'known', issuer: 'https://issuer.example', keys } as const
const credential = { username: 'mail.app', salt: '00', hash: 'ff' }
const credentialCases: Readonly<Record<string, { readonly one: Given[number]; readonly more: Partial<Input>; readonly status: Condition['status']; readonly reason: Condition['reason']; readonly words: RegExp }>> = {
  'a password that is made': { one: sender, more: { made: { ...nothingMade, credentials: { 'mail/app': credential } } }, status: 'True', reason: 'CredentialsReady', words: /Secret mail\/app-smtp$/ },
  'a password that was rotated': { one: sender, more: { made: { ...nothingMade, credentials: { 'mail/app': { ...credential, previous: { salt: '00', hash: 'ee', until: '2026-11-26T00:00:00Z' } } } } }, status: 'True', reason: 'CredentialsReady', words: /the password before is right until 2026-11-26T00:00:00Z/ },
  'a password that is not made': { one: sender, more: {}, status: 'Unknown', reason: 'CredentialsPending', words: /not made yet/ },
  'a token and the keys of the cluster': { one: byAccount, more: { tokenIssuer: known }, status: 'True', reason: 'CredentialsReady', words: /ServiceAccount mail\/shop for audience posthouse.dev\/mail\/main/ },
  'a token and keys that could not be read': { one: byAccount, more: { tokenIssuer: { kind: 'unknown', why: 'GET /openid/v1/jwks: Forbidden' } }, status: 'False', reason: 'KeysUnknown', words: /GET \/openid\/v1\/jwks: Forbidden/ },
  'a token and no cluster': { one: byAccount, more: {}, status: 'Unknown', reason: 'KeysUnknown', words: /the keys of a cluster, and here is none/ },
}
for (const [title, { one, more, status, reason, words }] of Object.entries(credentialCases))
  test(`a MailSender with ${title}: CredentialsReady is ${status}, ${reason}`, () => {
    const [told] = planned([main, ours, one], more.made, more).conditions.filter(({ type }) => type === 'CredentialsReady')
    assert.deepEqual([told?.status, told?.reason], [status, reason])
    assert.match(told!.message, words)
  })

test('a ServiceAccount that is not there is told, with the nearest of its namespace; 0 words where it is there, or nobody looked', () => {
  const told = (accounts?: readonly string[]) => planned([main, ours, byAccount], nothingMade, { tokenIssuer: known, ...(accounts && { accounts: new Set(accounts) }) }).conditions.filter(({ type }) => type === 'ResolvedRefs').map(({ status, reason, message, path }) => [status, reason, message, path?.join('.')])
  assert.deepEqual(told(['mail/shpo', 'other/shop']), [['False', 'AccountNotFound', 'ServiceAccount mail/shop does not exist; did you mean shpo? (nobody has a token as MailSender mail/app until it does)', 'spec.identity.serviceAccountName']])
  assert.deepEqual([told(['mail/shop']), told()], [[], []])
})

test('keys and the 2 mechanisms of tokens are in a snapshot only where a MailSender brings tokens and the keys are known', () => {
  const of = (one: Given[number], tokenIssuer?: Input['tokenIssuer']) => {
    const { relay, listeners, senders } = parseSnapshot(planned([main, ours, one], nothingMade, { tokenIssuer }).snapshots[0]!.snapshot)
    return [relay.tokens, listeners.map(({ auth }) => auth.length), senders[0]!.serviceAccount]
  }
  assert.deepEqual(of(byAccount, known), [{ issuer: 'https://issuer.example', audience: 'posthouse.dev/mail/main', keys }, [0, 4], 'shop'])
  assert.deepEqual(of(byAccount), [undefined, [0, 2], 'shop'])
  assert.deepEqual(of(sender, known), [undefined, [0, 2], undefined])
})

test('a token goes by every mechanism, a password by PLAIN and LOGIN: 2 senders, 3 listeners', () => {
  const listeners = [submission({ auth: ['OAUTHBEARER'] }), { name: 'plain', protocol: 'Submissions', port: 465, auth: ['PLAIN'] }, { name: 'none', protocol: 'Submission', port: 2588, auth: [] }]
  const relay: Given[number] = ['MailRelay', 'main', { hostname: 'a.b', listeners }]
  const second: Given[number] = ['MailSender', 'second', { relayRef: { name: 'main' }, from: ['second@ours.example'] }]
  const { senders } = parseSnapshot(planned([relay, ours, byAccount, second]).snapshots[0]!.snapshot)
  assert.deepEqual(senders.map(({ name, listeners }) => [name, listeners]), [['app', ['submission', 'plain']], ['second', ['plain']]])
})

test('who brings tokens needs a Secret without a password; an annotation asks for another password', () => {
  const needs = (one: Given[number], annotations?: object) => {
    const declared = declare([main, ours, one])
    const senders = declared.senders.map((each) => ({ ...each, metadata: { ...each.metadata, annotations: { ...annotations } } }))
    return needsIn({ declared: { ...declared, senders }, clusterDomain: 'cluster.local' }).filter(({ kind }) => kind !== 'certificate')
  }
  const at = { sender: 'mail/app', relay: 'mail/main', listener: 'submission', host: 'main.mail.svc', port: 587, bindPort: 2587, implicitTls: false }
  assert.deepEqual(needs(byAccount), [{ ...at, kind: 'binding', audience: 'posthouse.dev/mail/main' }])
  assert.deepEqual(needs(sender, { 'posthouse.dev/rotate-credentials': '2' }), [{ ...at, kind: 'credential', username: 'mail.app', rotation: '2' }])
})

test('a client connects to the 1st of 3 names that the listener’s certificate is for, and trusts the CA beside it', () => {
  const authority = newAuthority(new Date())
  const need = (names: readonly string[], more: object = {}) => {
    const { certificate, key } = certificateFor(names, authority, new Date())
    const relay: Given[number] = ['MailRelay', 'main', { hostname: 'mx.example', listeners: [submission({ tls: { secretRef: { name: 'own' } } })] }]
    const [found] = needed([relay, ours, byAccount, ['Secret', 'own', { 'tls.crt': certificate, 'tls.key': key, ...more }]]).filter(({ kind }) => kind === 'binding')
    return found?.kind === 'binding' ? [found.host, found.trust] : []
  }
  assert.deepEqual(need(['mx.example', 'main.mail.svc'], { 'ca.crt': 'CA' }), ['main.mail.svc', { ca: 'CA' }])
  assert.deepEqual(need(['mx.example', '*.mail.svc.cluster.local']), ['main.mail.svc.cluster.local', {}])
  assert.deepEqual(need(['mx.example']), ['mx.example', {}])
  assert.deepEqual(need(['other.example']), ['main.mail.svc', {}])
})

test('every reason of the table is given by a test here', () => {
  const given = new Set<string>([...faults.map(({ reason }) => reason), 'Accepted', 'SelfSigned', 'AddressPreserved', 'NodeAddressSeen', 'NotImplemented', 'AccountNotFound', 'Unreadable', ...Object.values(credentialCases).map(({ reason }) => reason)])
  assert.deepEqual(Object.keys(reasons).filter((reason) => !given.has(reason)), [])
})

test('checks are asked in this order: what makes others meaningless first', () => {
  const names = [refuseRelay, refuseListener, refuseDomain, refuseDomainOnRelay, refuseSender, refusePolicy, refuseTarget, refusePolicyOnRelay, refuseRoute].map((checks) => (checks as readonly { name: string }[]).map(({ name }) => name))
  assert.deepEqual(names, [
    ['scheduleOfRelayIsMissing', 'listenersShareAPort', 'queueSecretIsMissing'],
    ['certificateIsMissing', 'certificateIsUnusable', 'anyPeerMayClaimAnAddress'],
    ['domainIsNoName', 'allowedAddressIsOfAnotherDomain', 'listedRecipientIsOfAnotherDomain', 'listedRecipientIsAPattern', 'dkimKeyIsMissing', 'certificateForHostIsMissing'],
    ['hostIsOutOfReach', 'noListenerAdmitsIt'],
    ['addressIsNoPattern', 'noListenerTakesIt', 'noListenerTakesItsCredential', 'accountIsOfAnother', 'addressIsNotAllowed', 'thereIsNoAddress'],
    ['patternOfRuleIsNoName', 'sourceIsTooWide', 'connectionsAreOfNoRelay'],
    ['targetIsMissing', 'listenerIsMissing'],
    ['allowedFromAnotherNamespace', 'togetherTheyMakeTheWorld'],
    ['domainOfMatchIsNoName', 'scheduleOfRouteIsMissing', 'credentialsAreMissing', 'certificateForNextHopIsMissing'],
  ])
})

test('the smallest MailRelay listens on 25 without AUTH and 587 with it, keeps 10Gi on 3 servers, and has the built-in schedule', () => {
  const { relay, listeners, schedules } = only([main])
  assert.deepEqual(listeners.map(({ name, protocol, port, bindPort, auth }) => [name, protocol, port, bindPort, auth]), [
    ['mx', 'SMTP', 25, 2525, []],
    ['submission', 'Submission', 587, 2587, ['PLAIN', 'LOGIN']],
  ])
  assert.deepEqual([relay.queue, relay.queueReplicas, relay.queueBytes], ['mail_main', 3, 10 * 2 ** 30])
  assert.deepEqual(schedules.map(({ name, attempts, giveUpAfter, delayNoticeAfter }) => [name, attempts, giveUpAfter, delayNoticeAfter]), [[relay.retrySchedule, [120, 300, 900, 1800, 3600, 7200, 14_400], 432_000, 14_400]])
})

test('the smallest MailSender may use every address of the MailDomains of its namespace, and gets a credential', () => {
  const given: Given = [main, ours, ['MailDomain', 'second', { domain: 'second.example' }], ['MailSender', 'app', { relayRef: { name: 'main' } }]]
  assert.deepEqual(only(given).senders.map(({ from, listeners }) => [from, listeners]), [[['*@ours.example', '*@second.example'], ['submission']]])
  const need = needed(given).find(({ kind }) => kind === 'credential')
  assert.deepEqual(need, { kind: 'credential', sender: 'mail/app', relay: 'mail/main', username: 'mail.app', listener: 'submission', host: 'main.mail.svc', port: 587, bindPort: 2587, implicitTls: false })
})

test('recipients are asked for at the hosts by default, and taken as they are for a backup MX', () => {
  const modes = only([main, ['MailDomain', 'a', { domain: 'a.b', inbound: { deliverTo: { hosts: [{ host: 'h.example' }] } } }], ['MailDomain', 'b', { domain: 'b.b', inbound: { deliverTo: { mx: {} } } }]]).domains.map(({ inbound }) => [inbound!.recipients.mode, inbound!.hosts?.length])
  assert.deepEqual(modes, [['Callout', 1], ['Any', undefined]])
})

test('ports 25, 465 and 587 become 2525, 2465 and 2587; 1024 and above stay', () => assert.deepEqual([25, 465, 587, 1023, 1024, 2525].map(bindPortOf), [2525, 2465, 2587, 3023, 1024, 2525]))

test('what is refused stays out and the rest goes on', () => {
  const { snapshots } = planned([main, ours, sender, ['MailSender', 'bad', { relayRef: { name: 'main' }, from: ['a@bank.example'] }], ['DeliveryRoute', 'bad', { retryScheduleName: 'gone' }]])
  const { senders, routes, domains } = parseSnapshot(snapshots[0]!.snapshot)
  assert.deepEqual([senders.map(({ name }) => name), routes.length, domains.length], [['app'], 0, 1])
})

test('of 3 that claim a domain the one recorded as holder keeps it, though it is the youngest', () => {
  const held = { relays: [{ namespace: 'mail', name: 'main', controllerName: 'x', conditions: [{ type: 'Accepted', status: 'True' }] }] }
  const claim = (name: string, created: string, status?: unknown): Given[number] => ['MailDomain', name, { domain: 'ours.example' }, { created, ...(status !== undefined && { status }) }]
  const three: Given = [main, claim('a', '2026-01-02T00:00:00Z'), claim('b', '2026-01-01T00:00:00Z'), claim('c', '2026-01-03T00:00:00Z', held)]
  assert.deepEqual(only(three).domains.map(({ name }) => name), ['c'])
  assert.deepEqual(only(three.slice(0, 3)).domains.map(({ name }) => name), ['b'], 'without a holder the oldest')
})

test('consent from both sides: a labelled namespace sends as the domain that admits it, an unlabelled one does not', () => {
  const label = { from: 'Selector', selector: { matchLabels: { mail: 'allowed' } } }
  const given = (labels: object): Given => [
    ['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ allowedSenders: { namespaces: label } })] }],
    ['MailDomain', 'ours', { domain: 'ours.example', allowedSenders: { namespaces: label, from: ['orders@ours.example'] } }],
    ['MailSender', 'shop/app', { relayRef: { name: 'main', namespace: 'mail' }, from: ['orders@ours.example'] }],
    ['Namespace', 'shop', labels],
  ]
  assert.deepEqual(only(given({ mail: 'allowed' })).senders.map(({ namespace, from }) => [namespace, from]), [['shop', ['orders@ours.example']]])
  assert.deepEqual(only(given({ mail: 'no' })).senders, [])
})

test('who is not admitted hears that no Namespace manifest says which labels it has, where 1 selector asks for them, and only then', () => {
  const asks: Given[number] = ['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ allowedSenders: { namespaces: { from: 'Selector', selector: { matchLabels: { mail: 'allowed' } } } } })] }]
  const given: Given = [asks, ours, ['MailSender', 'shop/app', { relayRef: { name: 'main', namespace: 'mail' }, from: ['a@ours.example'] }]]
  const told = (more: Given) => refusals(planned([...given, ...more]).conditions).map(({ message }) => message.includes('Namespace shop is not declared'))
  assert.deepEqual([told([]), told([['Namespace', 'shop', {}]])], [[true], [false]])
  assert.deepEqual(refusals(planned([main, ...given.slice(1)]).conditions).map(({ message }) => message.includes('is not declared')), [false])
})

test('a foreign domain counts on the listener that lists it, and on no other', () => {
  const listeners = [submission({ allowedSenders: { foreignDomains: ['*.partner.example'] } }), { name: 'other', protocol: 'Submissions', port: 465 }]
  const app = (from: string): Given[number] => ['MailSender', 'app', { relayRef: { name: 'main' }, from: [from] }]
  const relay: Given[number] = ['MailRelay', 'main', { hostname: 'a.b', listeners }]
  assert.deepEqual(only([relay, app('news@mail.partner.example')]).senders[0]!.listeners, ['submission'])
  assert.deepEqual(only([relay, ours, app('a@ours.example')]).senders[0]!.listeners, ['submission', 'other'])
  assert.deepEqual(only([relay, app('news@partner.example')]).senders, [])
})

test('a wildcard of foreignDomains is no consent of a MailDomain of another namespace: 0 tenants send as the other\'s, unless its domain is listed by its name, or it admits them', () => {
  const relay = (foreignDomains: string[]): Given[number] => ['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ allowedSenders: { namespaces: { from: 'All' }, foreignDomains }, allowedDomains: { namespaces: { from: 'All' }, names: ['*'] } })] }]
  const ref = { name: 'main', namespace: 'mail' }
  const victim = (more: object): Given[number] => ['MailDomain', 'bank/d', { domain: 'bank.example', relayRefs: [ref], ...more }]
  const may = (foreign: string[], from: string[], more: object = {}) => {
    const snapshot = only([relay(foreign), victim(more), ['MailSender', 'shop/app', { relayRef: ref, from }]])
    const mailFrom = { local: 'ceo', domain: 'bank.example' }
    const client = { address: '192.0.2.1', helo: 'h', tls: true, sender: 'shop/app' }
    return snapshot.senders.length > 0 && decideMail({ snapshot, listener: snapshot.listeners[0]!, client, mailFrom }) === undefined
  }
  assert.deepEqual([may(['*'], ['*@bank.example']), may(['*.example'], ['ceo@bank.example']), may(['*'], ['*']), may(['*'], ['*.example'])], [false, false, false, false])
  const admitting = { allowedSenders: { namespaces: { from: 'All' } } }
  assert.deepEqual([may(['*', 'bank.example'], ['*@bank.example']), may(['*'], ['*'], admitting), may(['*'], ['*.example'], admitting)], [true, true, true])
})

test('a tenant may deliver to its own Service, and no other private host', () => {
  const domain = (host: string): Given => [['MailRelay', 'main', { hostname: 'a.b', listeners: [open(['*'])] }], ['MailDomain', 'shop/ours', { domain: 'ours.example', relayRefs: [{ name: 'main', namespace: 'mail' }], inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host }] } } }]]
  assert.deepEqual(only(domain('store.shop.svc')).domains.map(({ inbound }) => [inbound!.hosts![0]!.host, inbound!.privateHostsAllowed]), [['store.shop.svc.cluster.local', false]])
  assert.deepEqual(only(domain('mx.provider.example')).domains.map(({ inbound }) => inbound!.privateHostsAllowed), [false])
  assert.deepEqual(only(domain('store.mail.svc')).domains, [])
})

test('names come out as lower-case A-labels everywhere', () => {
  const { domains, senders, policies, routes } = only([
    main,
    ['MailDomain', 'b', { domain: 'Bücher.Example', inbound: { ...sink, recipients: { mode: 'List', list: ['Max', 'Info@BÜCHER.example'] } } }],
    ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['Max@BÜCHER.example'] }],
    ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailDomain', name: 'b' }], rules: [{ name: 'r', match: { rcptTo: ['*@BÜCHER.example'] }, action: 'Hold' }] }],
    ['DeliveryRoute', 'r', { match: { recipientDomains: ['*.BÜCHER.example'] } }],
  ])
  assert.equal(domains[0]!.domain, 'xn--bcher-kva.example')
  assert.deepEqual(domains[0]!.inbound!.recipients.list, ['Max', 'Info@xn--bcher-kva.example'])
  assert.deepEqual(senders[0]!.from, ['Max@xn--bcher-kva.example'])
  assert.deepEqual([policies[0]!.targets, policies[0]!.rules[0]!.match.rcptTo], [[{ kind: 'MailDomain', domain: 'xn--bcher-kva.example' }], ['*@xn--bcher-kva.example']])
  assert.deepEqual(routes[0]!.match.recipientDomains, ['*.xn--bcher-kva.example'])
})

test('a policy holds only at the relays its targets attach to, in order of age, and may allow sources only in their namespace', () => {
  const policy = (name: string, created: string): Given[number] => ['RelayPolicy', name, { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'r', match: { sources: ['10.0.0.0/8'] }, action: 'Allow' }] }, { created }]
  const { snapshots } = planned([main, ['MailRelay', 'other', { hostname: 'o.example' }], policy('young', '2026-02-01T00:00:00Z'), policy('old', '2026-01-01T00:00:00Z')])
  const held = snapshots.map(({ relay, snapshot }) => [relay, parseSnapshot(snapshot).policies.map(({ name, mayAllowSources }) => [name, mayAllowSources])])
  assert.deepEqual(held, [['mail/main', [['old', true], ['young', true]]], ['mail/other', []]])
})

test('the password never reaches the snapshot, the salted hash does; without what was made the plan says what it needs', () => {
  const made: Made = { certificates: { 'mail/main': { certificate: 'C', key: 'K' } }, credentials: { 'mail/app': { username: 'mail.app', salt: '00', hash: 'ff' } }, dkim: {} }
  const whole = only([main, ours, sender], made)
  assert.deepEqual([whole.senders[0]!.auth, whole.certificates, whole.listeners.map(({ tls }) => tls?.certificate)], [{ username: 'mail.app', salt: '00', hash: 'ff' }, [{ name: 'self-signed', certificate: 'C', key: 'K' }], ['self-signed', 'self-signed']])
  const bare = planned([main, ours, sender])
  assert.deepEqual(needed([main, ours, sender]).map(({ kind }) => kind), ['certificate', 'credential'])
  assert.equal(parseSnapshot(bare.snapshots[0]!.snapshot).listeners[0]!.tls, undefined)
})

test('the plan is a function: the same input gives the same plan, and leaves the input as it was', () => {
  const declared = declare([main, ours, sender])
  const before = JSON.stringify(declared)
  const input: Input = { declared, made: nothingMade, clusterDomain: 'cluster.local' }
  assert.deepEqual(plan(input), plan(input))
  assert.equal(JSON.stringify(declared), before)
})

test('past the room of a snapshot the oldest objects stay, the younger are told, and nothing else is accepted of them', () => {
  const view = { relay: declare([main]).relays[0]!, listeners: [], domains: [], senders: [], policies: [], routes: declare([main, ['DeliveryRoute', 'old', {}, { created: '2026-01-01T00:00:00Z' }], ['DeliveryRoute', 'new', {}, { created: '2026-02-01T00:00:00Z' }]]).routes }
  const { snapshots } = planned([main, ['DeliveryRoute', 'old', {}, { created: '2026-01-01T00:00:00Z' }], ['DeliveryRoute', 'new', {}, { created: '2026-02-01T00:00:00Z' }]])
  const whole = fit(snapshots[0]!.snapshot, view)
  assert.deepEqual([whole.tooBig, whole.snapshot.routes!.length], [[], 2])
  const bytes = Buffer.byteLength(JSON.stringify(snapshots[0]!.snapshot))
  const tight = fit(snapshots[0]!.snapshot, view, { whole: bytes - 100, part: 100_000 })
  assert.deepEqual([tight.tooBig.map(({ object, violation }) => [object.metadata.name, violation.reason]), tight.snapshot.routes!.map(({ name }) => name)], [[['new', 'SnapshotTooBig']], ['old']])
})

const wide: Given[number] = ['MailRelay', 'main', { hostname: 'mx.example', listeners: [open(['*.shop.example'])] }]
/** A MailDomain of a tenant whose `hosts` are each shown a certificate of their own, followed by `bytes` of something else. */
const tenant = (name: string, hosts: number, bytes: number, created = '2026-02-01T00:00:00Z'): Given => {
  const { certificate, key } = certificateFor(['client.example'], newAuthority(new Date()), new Date())
  const names = Array.from({ length: hosts }, (_, n) => `${name}-${n}`)
  const deliverTo = { hosts: names.map((one) => ({ host: `${one}.example`, tls: { clientCertificateSecretRef: { name: one } } })) }
  return [
    ['MailDomain', `shop/${name}`, { domain: `${name}.shop.example`, relayRefs: [{ name: 'main', namespace: 'mail' }], inbound: { recipients: { mode: 'Any' }, deliverTo } }, { created }],
    ...names.map((one): Given[number] => ['Secret', `shop/${one}`, { 'tls.crt': `${certificate}${'#'.repeat(bytes)}`, 'tls.key': key }]),
  ]
}

test('a client certificate of 600 KB is refused where a tenant names it, and the snapshot of the others is made', () => {
  const { snapshots, conditions } = planned([wide, ours, ...tenant('big', 1, 600_000)])
  assert.deepEqual(toParts(parseSnapshot(snapshots[0]!.snapshot)).index.relay.name, 'main')
  const told = conditions.find(({ object, status }) => object.name === 'big' && status === 'False')
  assert.deepEqual([told?.reason, snapshots[0]!.snapshot.domains!.map(({ name }) => name)], ['CertificateInvalid', ['ours']])
  assert.match(told!.message, /more than 64 KiB/)
})

test('a CA is in the snapshot once, where 2 next hops believe it, beside the certificate of the same Secret, and counts for the object that names it', () => {
  const authority = newAuthority(new Date())
  const { certificate, key } = certificateFor(['client.example'], authority, new Date())
  const tls = { mode: 'Verify', caSecretRef: { name: 'c' }, clientCertificateSecretRef: { name: 'c' } }
  const nextHops = ['a', 'b'].map((name) => ({ smarthost: { host: `${name}.example` }, tls }))
  const { snapshots } = planned([main, ['DeliveryRoute', 'r', { nextHops }], ['Secret', 'c', { 'ca.crt': authority.certificate, 'tls.crt': certificate, 'tls.key': key }]])
  const { snapshot, view } = snapshots[0]!
  assert.deepEqual(snapshot.routes![0]!.nextHops.map((hop) => hop.tls), Array.from({ length: 2 }, () => ({ mode: 'Verify', clientCertificate: 'secret:mail/c', authority: 'ca:mail/c' })))
  assert.deepEqual(snapshot.certificates!.filter(({ name }) => name !== 'self-signed'), [{ name: 'secret:mail/c', certificate, key }, { name: 'ca:mail/c', certificate: authority.certificate, key: '' }])
  const bytes = Buffer.byteLength(JSON.stringify(snapshot))
  assert.deepEqual([fit(snapshot, view, { whole: bytes - 100, part: 100_000 })].map(({ tooBig, snapshot: fitted }) => [tooBig.map(({ object }) => object.metadata.name), fitted.certificates!.map(({ name }) => name).filter((name) => name !== 'self-signed')]), [[['r'], []]])
})

test('client certificates count for the object that names them: 1 tenant with 8 of 50 KB goes before anybody else does', () => {
  const { snapshots } = planned([wide, [...ours.slice(0, 3), { created: '2026-03-01T00:00:00Z' }] as unknown as Given[number], ...tenant('first', 2, 50_000, '2026-01-01T00:00:00Z'), ...tenant('greedy', 8, 50_000)])
  const { snapshot, view } = snapshots[0]!
  const { tooBig, snapshot: fitted } = fit(snapshot, view, { whole: 300_000, part: 100_000 })
  assert.deepEqual([tooBig.map(({ object }) => object.metadata.name), fitted.domains!.map(({ name }) => name).sort(), fitted.certificates!.length], [['greedy'], ['first', 'ours'], 2])
})
