// What the checks let pass, beside what they refuse: of each the nearest that is sound.
import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { hugeKey } from '../../../test/tools/huge-key.ts'
import { type Given, main, needed, only, open, ours, planned, refusals, sender, submission } from '../../../test/tools/planned.ts'
import { certificateFor, dkimKeysFor, newAuthority } from '../../make/index.ts'
import type { Condition } from '../index.ts'
import { hostFault } from './hosts.ts'
import { dkimKeyOf, publicPartOf, shownPairFault } from './key-pair.ts'

const policy = (name: string, more: object): Given[number] => ['RelayPolicy', name, { targetRefs: [{ kind: 'MailRelay', name: 'main' }], ...more }]
const noName = `${'ü'.repeat(60)}.example`
const queueOf = (refs: object, data: object): Given => [['MailRelay', 'main', { hostname: 'a.b', queue: { external: { servers: ['tls://n.example:4222'], ...refs } } }], ['Secret', 's', data]]
const login = (data: object): Given => queueOf({ credentialsSecretRef: { name: 's' } }, data)
const tls = (data: object): Given => queueOf({ tlsSecretRef: { name: 's' } }, data)

const lessSound: readonly (readonly [title: string, given: Given, reason: Condition['reason']])[] = [
  ['an Allow for 1 range that is too wide', [main, policy('p', { rules: [{ name: 'r', match: { sources: ['198.51.0.0/16'] }, action: 'Allow' }] })], 'SourcesTooWide'],
  ['a limit on connections for a domain, the 1st of its limits', [main, ours, ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailDomain', name: 'ours' }], limits: [{ by: 'source', connectionsPerMinute: 60 }] }]], 'LimitNotCounted'],
  ['a rule for mail to what is no domain name', [main, policy('p', { rules: [{ name: 'r', match: { rcptTo: [`*@${noName}`] }, action: 'Deny' }] })], 'InvalidName'],
  ['a queue with a user name and no password', login({ username: 'u' }), 'CredentialsNotFound'],
  ['a queue with a password and no user name', login({ password: 'p' }), 'CredentialsNotFound'],
  ['a queue with a certificate and no key', tls({ 'ca.crt': 'c', 'tls.crt': 'x' }), 'CredentialsNotFound'],
  ['a queue without a CA', tls({ 'tls.crt': 'x', 'tls.key': 'y' }), 'CredentialsNotFound'],
  ['a queue whose Secret is not there', login({}).slice(0, 1), 'CredentialsNotFound'],
]
for (const [title, given, reason] of lessSound) test(`${reason}: ${title}`, () => assert.deepEqual(refusals(planned(given).conditions).map((one) => one.reason).slice(0, 1), [reason]))

const ranges = (from: number) => Array.from({ length: 64 }, (_, n) => `198.${from}.${n}.0/24`)
const tenant: Given = [['MailRelay', 'main', { hostname: 'a.b', listeners: [open(['*.partner.example', '*.shop.example'])] }], ['MailDomain', 'shop/d', { domain: 'd.shop.example', relayRefs: [{ name: 'main', namespace: 'mail' }] }]]
const sound: Readonly<Record<string, Given>> = {
  'a Deny for the whole Internet': [main, policy('p', { rules: [{ name: 'r', match: { sources: ['0.0.0.0/0'] }, action: 'Deny' }] })],
  '5 Deny rules of 64 ranges each': [main, ...[0, 1, 2, 3, 4].map((n) => policy(`p${n}`, { rules: [{ name: 'r', match: { sources: ranges(n) }, action: 'Deny' }] }))],
  'a Deny by address from another namespace': [...tenant, ['RelayPolicy', 'shop/p', { targetRefs: [{ kind: 'MailDomain', name: 'd' }], rules: [{ name: 'r', match: { sources: ['10.0.0.0/8'] }, action: 'Deny' }] }]],
  'a domain that fits 1 of the 2 names of the listener': tenant,
  'a RelayPolicy for 1 listener of 2': [main, policy('p', { targetRefs: [{ kind: 'MailRelay', name: 'main', sectionName: 'submission' }], rules: [{ name: 'r', action: 'Deny' }] })],
  'a rule that names a MailSender with its namespace': [main, ours, sender, policy('p', { rules: [{ name: 'r', match: { senders: ['mail/app', 'app'] }, action: 'Deny' }] })],
  'a queue with user name and password': login({ username: 'u', password: 'p' }),
  'a queue with a token': login({ token: 't' }),
  'a queue with a file of NATS': login({ 'user.creds': 'c' }),
  'a queue with a CA': tls({ 'ca.crt': 'c' }),
  'a queue with a CA, a certificate and its key': tls({ 'ca.crt': 'c', 'tls.crt': 'x', 'tls.key': 'y' }),
}
for (const [title, given] of Object.entries(sound)) test(`refused by 0 checks: ${title}`, () => assert.deepEqual(refusals(planned(given).conditions), []))

test('of a RelayPolicy 1 target of 2 is in force, and the other, a domain that is refused, is not', () => {
  const targetRefs = [{ kind: 'MailRelay', name: 'main' }, { kind: 'MailDomain', name: 'zwei' }]
  const given: Given = [main, ['MailRelay', 'second', { hostname: 'b.example' }], ours, ['MailDomain', 'zwei', { domain: 'ours.example' }], ['RelayPolicy', 'p', { targetRefs, rules: [{ name: 'r', action: 'Deny' }] }]]
  const told = planned(given).conditions.filter(({ object }) => object.name === 'p').map(({ status, reason, path }) => [status, reason, path?.join('.')])
  assert.deepEqual(told, [['True', 'Accepted', undefined], ['False', 'TargetNotAccepted', 'spec.targetRefs.1.name']])
})

test('a RelayPolicy that 1 MailRelay refuses is told that once, and another beside it what is wrong with its own target', () => {
  const allow = { name: 'r', match: { sources: ['10.0.0.0/8'] }, action: 'Allow' }
  const tenants: Given = [['MailRelay', 'main', { hostname: 'a.b', listeners: [open(['*'])] }], ['MailDomain', 'shop/d', { domain: 'd.example', relayRefs: [{ name: 'main', namespace: 'mail' }] }], ['MailDomain', 'shop/zwei', { domain: 'd.example', relayRefs: [{ name: 'main', namespace: 'mail' }] }]]
  const policies: Given = [['RelayPolicy', 'shop/p', { targetRefs: [{ kind: 'MailDomain', name: 'd' }], rules: [allow] }], ['RelayPolicy', 'shop/q', { targetRefs: [{ kind: 'MailDomain', name: 'zwei' }], rules: [{ name: 'r', action: 'Deny' }] }]]
  const told = refusals(planned([...tenants, ...policies]).conditions).filter(({ object }) => object.kind === 'RelayPolicy')
  assert.deepEqual(told.map(({ object, reason }) => `${object.name} ${reason}`), ['p AllowNotPermitted', 'q TargetNotAccepted'])
})

test('a domain is held by the 1 of 2 whose status says Accepted True of this MailRelay, were it the younger', () => {
  const status = (...conditions: readonly string[]) => ({ relays: [{ namespace: 'mail', name: 'main', conditions: conditions.map((one) => ({ type: one.split(' ')[0], status: one.split(' ')[1] })) }] })
  const held = (older: object, younger: object): string => {
    const { conditions } = planned([main, ['MailDomain', 'old', { domain: 'd.example' }, { created: '2026-01-01T00:00:00Z', status: older }], ['MailDomain', 'young', { domain: 'd.example' }, { created: '2026-02-01T00:00:00Z', status: younger }]])
    return refusals(conditions).map(({ object }) => object.name).join()
  }
  assert.equal(held({}, status('Accepted True', 'ResolvedRefs False')), 'old')
  assert.equal(held({}, status('Accepted False', 'ResolvedRefs True')), 'young')
  assert.equal(held({}, { relays: [{ ...status('Accepted True').relays[0], name: 'other' }] }), 'young')
})

test('a domain is taken at 1 listener of 2 where the other cannot open', () => {
  const listeners = [submission({ tls: { secretRef: { name: 'gone' } } }), { name: 'b', protocol: 'SMTP', port: 25 }]
  assert.deepEqual(only([['MailRelay', 'main', { hostname: 'a.b', listeners }], ours]).domains.map((one) => one.listeners), [['b']])
})

test('a listener says SelfSigned, or Accepted where the certificate is a person’s own', () => {
  const { certificate, key } = certificateFor(['a.b'], newAuthority(new Date()), new Date())
  const listeners = [submission({ tls: { secretRef: { name: 'tls' } } }), { name: 'b', protocol: 'SMTP', port: 25 }]
  const { conditions } = planned([['MailRelay', 'main', { hostname: 'a.b', listeners }], ['Secret', 'tls', { 'tls.crt': certificate, 'tls.key': key }]])
  assert.deepEqual(conditions.filter(({ section, type }) => section !== undefined && type === 'Accepted').map(({ section, reason, message }) => [section, reason, message]), [['submission', 'Accepted', 'in force'], ['b', 'SelfSigned', 'in force, with a certificate of our own CA']])
})

test('a namespace is selected when all of 2 labels and each of 4 kinds of expression fit, as Kubernetes has it', () => {
  const admits = (selector: object, labels: object = { mail: 'allowed', team: 'shop' }): boolean =>
    only([['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ allowedSenders: { namespaces: { from: 'Selector', selector } } })] }], ['MailDomain', 'ours', { domain: 'ours.example', allowedSenders: { namespaces: { from: 'All' } } }], ['MailSender', 'shop/app', { relayRef: { name: 'main', namespace: 'mail' }, from: ['a@ours.example'] }], ['Namespace', 'shop', labels]]).senders.length === 1
  const by = (operator: string, ...values: string[]) => ({ matchExpressions: [{ key: 'team', operator, ...(values.length > 0 && { values }) }] })
  assert.deepEqual([{ mail: 'allowed', team: 'shop' }, { mail: 'allowed', team: 'bank' }].map((matchLabels) => admits({ matchLabels })), [true, false])
  assert.deepEqual([by('In', 'bank', 'shop'), by('In', 'bank'), by('NotIn', 'bank'), by('NotIn', 'shop'), by('Exists'), by('DoesNotExist')].map((one) => admits(one)), [true, false, true, false, true, false])
  assert.deepEqual([by('In', 'shop'), by('NotIn', 'shop'), by('Exists'), by('DoesNotExist')].map((one) => admits(one, {})), [false, true, false, true], 'without the label')
  assert.equal(admits({ matchExpressions: [...by('Exists').matchExpressions, ...by('In', 'bank').matchExpressions] }), false, '1 of 2 that does not fit')
  assert.deepEqual([admits({}), admits({ matchLabels: { 'kubernetes.io/metadata.name': 'shop' } })], [true, true])
  assert.deepEqual(['toString', 'constructor'].map((key) => admits({ matchExpressions: [{ key, operator: 'Exists' }] }, {})), [false, false], 'a label that no namespace has, named as what every object has')
})

test('a DKIM key for each of 2 algorithms is made for a domain that brings none, and none for one that does: its own signs', () => {
  const dkim = (more: object): Given => [main, ['MailDomain', 'ours', { domain: 'OURS.example', outbound: { dkim: { algorithms: ['rsa', 'ed25519'], ...more } } }]]
  const keysNeeded = (given: Given) => needed(given).filter(({ kind }) => kind === 'dkim')
  const rotation = { rotation: { everySeconds: 86_400, overlapSeconds: 3600 } }
  assert.deepEqual(keysNeeded(dkim({ selectorPrefix: 'mta', rotation: { every: '1d', overlap: '1h' } })), ['rsa', 'ed25519'].map((algorithm) => ({ kind: 'dkim', for: 'mail/ours', domain: 'ours.example', algorithm, selectorPrefix: 'mta', ...rotation })))
  const [rsa, ed25519] = [generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('ed25519')].map(({ privateKey }) => privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  const own: Given = [...dkim({ keySecretRef: { name: 'keys' } }), ['Secret', 'keys', { 'rsa.key': rsa, 'rsa.selector': ' s1\n', 'ed25519.key': ed25519, 'ed25519.selector': 's2' }]]
  assert.deepEqual(keysNeeded(own), [])
  assert.deepEqual(only(own).domains[0]!.dkim.map(({ selector, algorithm }) => [selector, algorithm]), [['s1', 'rsa'], ['s2', 'ed25519']])
  assert.deepEqual(only(dkim({})).domains[0]!.dkim, [])
})

test('of 7 selectors of a DKIM key the 4 that make a name in DNS are taken, dates and numbers among them, and 3 are not', () => {
  const key = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const signing = (selector: string): Given => [main, ['MailDomain', 'ours', { domain: 'ours.example', outbound: { dkim: { algorithms: ['ed25519'], keySecretRef: { name: 'keys' } } } }], ['Secret', 'keys', { 'ed25519.key': key, 'ed25519.selector': selector }]]
  const selectors = ['20230601', '2024', 's1.mta', 'a_b', '-s', 's1.', 's'.repeat(64)]
  assert.deepEqual(selectors.map((selector) => refusals(planned(signing(selector)).conditions).map(({ reason }) => reason)), [[], [], [], [], ['KeyInvalid'], ['KeyInvalid'], ['KeyInvalid']])
})

test('a MailSender without from sends as what the MailDomains of its own namespace lend it, and as 0 others', () => {
  const relayRef = { name: 'main', namespace: 'mail' }
  const relayRefs = [relayRef]
  const all = { namespaces: { from: 'All' } }
  const given: Given = [
    ['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ allowedSenders: all, allowedDomains: { ...all, names: ['*'] } })] }],
    ['MailDomain', 'ours', { domain: 'ours.example', allowedSenders: all }],
    ['MailDomain', 'shop/own', { domain: 'own.example', relayRefs, allowedSenders: { from: ['orders@own.example', 'news@own.example'] } }],
    ['MailDomain', 'shop/other', { domain: 'other.example', relayRefs, allowedSenders: { namespaces: { from: 'Selector', selector: { matchLabels: { a: 'b' } } } } }],
  ]
  const fromOf = (spec: object) => only([...given, ['MailSender', 'shop/app', { relayRef, ...spec }]]).senders.map(({ from }) => from)
  assert.deepEqual(fromOf({}), [['orders@own.example', 'news@own.example']])
  assert.deepEqual(fromOf({ from: ['news@own.example'] }), [['news@own.example']], '1 of 2 that are lent')
  assert.deepEqual(fromOf({ from: ['a@other.example'] }), [])
})

test('hosts that a tenant may name: public addresses, names, and Services of its own namespace; 9 others not', () => {
  const fault = (host: string) => hostFault(host, 'shop', false) !== undefined
  assert.deepEqual(['8.8.8.8', '2001:4860::1', 'mail.example', 'svc.example', 'store.svc.example', 'store.shop.svc', 'pod.store.shop.svc.cluster.local'].filter(fault), [])
  const refused = ['10.0.0.1', '::ffff:10.0.0.1', 'fd00::1', '100.64.0.1', '127.0.0.1', 'localhost', 'a.localhost', 'store.bank.svc', 'store.bank.svc.cluster.local']
  assert.deepEqual(refused.filter((host) => !fault(host)), [])
  assert.deepEqual(refused.filter((host) => hostFault(host, 'mail', true) !== undefined), [], 'the namespace of the MailRelay may')
  assert.deepEqual(['169.254.169.254', 'fd00:ec2::254', 'fd20:ce::254', '100.100.100.200', '168.63.129.16', '::ffff:168.63.129.16', '224.0.0.1', '0.0.0.0'].filter((host) => hostFault(host, 'mail', true) === undefined), [], 'nobody may')
})

test('a client certificate for a next hop needs both halves of 1 pair', () => {
  const [one, other] = [0, 1].map(() => certificateFor(['a.b'], newAuthority(new Date()), new Date()))
  const reason = (data: object) => refusals(planned([main, ['DeliveryRoute', 'r', { nextHops: [{ mx: {}, tls: { mode: 'Verify', clientCertificateSecretRef: { name: 'c' } } }] }], ['Secret', 'c', data]]).conditions).map((refusal) => refusal.reason)
  assert.deepEqual(reason({ 'tls.crt': one!.certificate, 'tls.key': one!.key }), [])
  assert.deepEqual([reason({ 'tls.crt': one!.certificate }), reason({ 'tls.key': one!.key })], [['CertificateNotFound'], ['CertificateNotFound']])
  assert.deepEqual(reason({ 'tls.crt': one!.certificate, 'tls.key': other!.key }), ['CertificateInvalid'])
})

test('the CA of a next hop is a Secret with 1 certificate or more in ca.crt, of a route and of a deliverTo host alike', () => {
  const { certificate } = certificateFor(['a.b'], newAuthority(new Date()), new Date())
  const tls = { mode: 'Verify', caSecretRef: { name: 'c' } }
  const route: Given[number] = ['DeliveryRoute', 'r', { nextHops: [{ mx: {}, tls }] }]
  const domain: Given[number] = ['MailDomain', 'd', { domain: 'd.example', inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: 'store.example', tls }] } } }]
  const refused = (...secret: Given) => refusals(planned([main, route, domain, ...secret]).conditions).map(({ object, reason, path }) => `${object.kind} ${reason} ${path?.join('.')}`)
  const both = (reason: string) => [`DeliveryRoute ${reason} spec.nextHops.0.tls.caSecretRef.name`, `MailDomain ${reason} spec.inbound.deliverTo.hosts.0.tls.caSecretRef.name`]
  assert.deepEqual([refused(['Secret', 'c', { 'ca.crt': certificate }]), refused(['Secret', 'c', { 'ca.crt': `of 2\n${certificate}${certificate}` }])], [[], []])
  assert.deepEqual([refused().sort(), refused(['Secret', 'c', { 'tls.crt': certificate }]).sort()], [both('CertificateNotFound'), both('CertificateNotFound')])
  const broken = certificate.replace(/\n[^\n]{20}/, '\n00000000000000000000')
  const cutShort = certificate.slice(0, certificate.indexOf('-----END')) // TLS reads none behind it
  for (const bundle of ['', 'none', broken, `${cutShort}${certificate}`, `${certificate}${'#'.repeat(70_000)}`]) assert.deepEqual(refused(['Secret', 'c', { 'ca.crt': bundle }]).sort(), both('CertificateInvalid'), bundle.slice(0, 80))
})

test('a route with user name and password, and a RetrySchedule that is there, is refused by 0 checks; one from or to what is no name is', () => {
  const route = (spec: object): Given => [main, ['RetrySchedule', 'quick', { attempts: ['1m'] }], ['DeliveryRoute', 'r', spec], ['Secret', 'login', { username: 'u', password: 'p' }]]
  const reasons = (spec: object) => refusals(planned(route(spec)).conditions).map((refusal) => refusal.reason)
  assert.deepEqual(reasons({ retryScheduleName: 'quick', nextHops: [{ smarthost: { host: 'a.example', credentialsSecretRef: { name: 'login' } }, tls: { mode: 'Verify' } }] }), [])
  assert.deepEqual([reasons({ match: { recipientDomains: [noName] } }), reasons({ match: { senderDomains: [noName] } })], [['InvalidName'], ['InvalidName']])
})

test('a DKIM key is one of its algorithm, RSA of 1,024 to 4,096 bits (RFC 8301 3.2), and is published as its RFC has it', () => {
  const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()
  const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength })
  const ed25519 = generateKeyPairSync('ed25519')
  const small = rsa(1024)
  assert.deepEqual([dkimKeyOf(pem(small.privateKey), 'rsa') === pem(small.privateKey), dkimKeyOf(pem(ed25519.privateKey), 'ed25519') === pem(ed25519.privateKey)], [true, true])
  assert.deepEqual([dkimKeyOf(pem(rsa(1016).privateKey), 'rsa'), dkimKeyOf(pem(small.privateKey), 'ed25519'), dkimKeyOf(pem(ed25519.privateKey), 'rsa'), dkimKeyOf('none', 'rsa')], [undefined, undefined, undefined, undefined])
  assert.deepEqual([4096, 8192, 16_384].map((bits) => dkimKeyOf(hugeKey(bits), 'rsa') !== undefined), [true, false, false], 'a signature takes 0.01 s with the first, and 4 s with the last')
  assert.equal(publicPartOf(pem(small.privateKey), 'rsa'), small.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'))
  assert.equal(publicPartOf(pem(ed25519.privateKey), 'ed25519'), Buffer.from(ed25519.publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('base64'))
})

test('a DKIM key in the Secret of a domain that is too large counts as none, whatever the record beside it says: of 3 there 1 signs', async () => {
  const need = { kind: 'dkim', for: 'shop/ours', domain: 'ours.example', algorithm: 'rsa', selectorPrefix: 'ph' } as const
  const record = '"v=DKIM1; k=rsa; p=AAAA"'
  const kept = { 'ph-rsa-202611.key': hugeKey(16_384), 'ph-rsa-202611.txt': record, 'ph-rsa-202612.key': hugeKey(2048), 'ph-rsa-202612.txt': record.repeat(1000), 'ph-rsa-202610.key': hugeKey(2048), 'ph-rsa-202610.txt': record }
  assert.deepEqual((await dkimKeysFor(need, kept, new Date())).keys.map(({ selector }) => selector), ['ph-rsa-202610'])
})

test('a client certificate with an RSA key of 8,192 bits is shown to nobody, for each handshake would hold up the relay; one with 2,048 bits may be', () => {
  assert.deepEqual([2048, 8192].map((bits) => shownPairFault('', hugeKey(bits))?.replace(/ \(.*/, '')), ['tls.crt or tls.key cannot be read', 'tls.key has more than 4096 bits'])
})

test('40 MailDomains of 1 namespace that lend 64 long addresses each to everybody cost a sender with a wildcard 0 of its own place: those of that namespace alone it may not use by it', () => {
  const relay: Given[number] = ['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ allowedSenders: { namespaces: { from: 'All' }, foreignDomains: ['*'] }, allowedDomains: { namespaces: { from: 'All' }, names: ['*'] } })] }]
  const ref = { name: 'main', namespace: 'mail' }
  const lending = (name: string, from?: string[]): Given[number] => ['MailDomain', name, { domain: `${name.replace('/', '.')}.example`, relayRefs: [ref], allowedSenders: { namespaces: { from: 'All' }, ...(from && { from }) } }]
  const many = Array.from({ length: 40 }, (_, n) => lending(`evil/d${n}`, Array.from({ length: 64 }, (_unused, m) => `${'x'.repeat(280)}${m}@evil.d${n}.example`)))
  const { senders } = only([relay, ...many, lending('good/d'), ['MailSender', 'shop/app', { relayRef: ref, from: ['*'] }]])
  assert.deepEqual(senders.map(({ from }) => from), [['*', '*@good.d.example']])
})
