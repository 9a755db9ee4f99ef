// What a manifest says has to be in the snapshot, or the relays do something else than what was written.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { main, only, ours, sender, submission } from '../../../test/tools/planned.ts'
import { nothingMade, type MadeDkimKey } from '../index.ts'

test('a listener brings its 13 limits, in octets and seconds, its PROXY peers, its foreign domains and what it does with bare newlines', () => {
  const limits = {
    connections: 1, connectionsPerSource: 2, messagesPerConnection: 3, recipientsPerMessage: 1004, maxMessageBytes: 5_000_000, maxHeaderBytes: 6_000, headers: 107, received: 108, errors: 9,
    commandTimeout: '10m', dataTimeout: '11m', messageTimeout: '12m', greetingTimeout: '13s',
  }
  const [listener] = only([['MailRelay', 'main', { hostname: 'a.b', listeners: [submission({ limits, bareNewlines: 'Normalise', proxyProtocol: { trustedCIDRs: ['10.0.0.0/8'] }, allowedSenders: { foreignDomains: ['*.Partner.example'] } })] }]]).listeners
  assert.deepEqual(listener!.limits, {
    connections: 1, connectionsPerSource: 2, messagesPerConnection: 3, recipientsPerMessage: 1004, messageBytes: 5_000_000, headerBytes: 6_000, headers: 107, received: 108, errors: 9,
    commandSeconds: 600, dataSeconds: 660, messageSeconds: 720, greetingSeconds: 13, lineBytes: 12_288, // which no manifest says
  })
  assert.deepEqual([listener!.bareNewlines, listener!.proxyProtocol, listener!.foreignDomains], ['Normalise', { trustedCIDRs: ['10.0.0.0/8'] }, ['*.partner.example']])
})

test('waits of 25 and 30 days, which no timer holds and which a MailRelay of an older release may have, count as 1 day; one of 20 hours as it is', () => {
  const limits = { commandTimeout: '25d', dataTimeout: '30d', greetingTimeout: '20h' }
  const { relay, listeners } = only([['MailRelay', 'main', { hostname: 'a.b', drain: { timeout: '25d' }, listeners: [submission({ limits })] }]])
  assert.deepEqual([relay.drainSeconds, listeners[0]!.limits.commandSeconds, listeners[0]!.limits.dataSeconds, listeners[0]!.limits.greetingSeconds], [86_400, 86_400, 86_400, 72_000])
})

test('a RelayPolicy brings its mode, its 3 kinds of target, and each of the 7 things a rule may ask for', () => {
  const targetRefs = [{ kind: 'MailRelay', name: 'main', sectionName: 'mx' }, { kind: 'MailDomain', name: 'ours' }, { kind: 'MailSender', name: 'app' }]
  const match = { sources: ['10.0.0.0/8'], authenticated: true, tls: false, senders: ['app', 'shop/app'], helo: ['A.example'], mailFrom: ['*@B.example', '<>'], rcptTo: ['*@C.example'] }
  const [policy] = only([main, ours, sender, ['RelayPolicy', 'p', { targetRefs, mode: 'Warn', rules: [{ name: 'r', action: 'Deny', match, reply: 'not from there' }, { name: 's', action: 'Hold' }], limits: [{ by: 'source', messagesPerMinute: 7 }] }]]).policies
  assert.deepEqual([policy!.mode, policy!.targets], ['Warn', [{ kind: 'MailRelay', listener: 'mx' }, { kind: 'MailDomain', domain: 'ours.example' }, { kind: 'MailSender', sender: 'mail/app' }]])
  assert.deepEqual(policy!.rules, [
    { name: 'r', action: 'Deny', match: { ...match, senders: ['mail/app', 'shop/app'], helo: ['a.example'], mailFrom: ['*@b.example', '<>'], rcptTo: ['*@c.example'] }, reply: 'not from there' },
    { name: 's', action: 'Hold', match: {} },
  ])
  assert.deepEqual(policy!.limits, [{ by: 'source', messagesPerMinute: 7 }])
})

test('a MailSender brings its limits, its priority, its ServiceAccount and whether it may send from nobody', () => {
  const [one] = only([main, ours, ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['app@ours.example'], allowNullSender: true, priority: 'Bulk', limits: { messagesPerHour: 5, recipientsPerMessage: 6 }, identity: { serviceAccountName: 'app' } }]]).senders
  assert.deepEqual([one!.allowNullSender, one!.priority, one!.limits, one!.serviceAccount], [true, 'Bulk', { messagesPerHour: 5, recipientsPerMessage: 6 }, 'app'])
})

test('a DeliveryRoute brings its limits, its time-outs in seconds, its hold, and of 2 hops each preference, weight and TLS', () => {
  const nextHops = [{ smarthost: { host: 'a.example', port: 465 }, preference: 5, weight: 3, tls: { mode: 'Require' } }, { mx: {}, preference: 20 }]
  const [route] = only([main, ['DeliveryRoute', 'r', { match: { recipientDomains: ['*.Far.example'], senders: ['app'] }, nextHops, hold: true, limits: { connections: 2, ratePerMinute: 60 }, timeouts: { dot: '20m' } }]]).routes
  const hops = route!.nextHops.map((hop) => [hop.kind, hop.preference, hop.weight, hop.tls.mode, hop.kind === 'smarthost' && [hop.host, hop.port, hop.implicitTls]])
  assert.deepEqual(hops, [['smarthost', 5, 3, 'Require', ['a.example', 465, true]], ['mx', 20, 1, 'Opportunistic', false]])
  assert.deepEqual([route!.match, route!.hold, route!.limits, route!.timeouts], [{ recipientDomains: ['*.far.example'], senderDomains: [], senders: ['mail/app'] }, true, { connections: 2, ratePerMinute: 60 }, { dot: 1200 }])
})

test('of 4 DKIM keys that were made the 1 signs that is at its stage and of an algorithm that is asked for', () => {
  const key = (selector: string, algorithm: 'rsa' | 'ed25519', stage: MadeDkimKey['stage']): MadeDkimKey => ({ selector, algorithm, stage, privateKey: 'k', publicPart: 'p' })
  const made = { ...nothingMade, dkim: { 'mail/ours': [key('s1', 'rsa', 'signing'), key('s2', 'rsa', 'coming'), key('s3', 'rsa', 'leaving'), key('s4', 'ed25519', 'signing')] } }
  const [domain] = only([main, ['MailDomain', 'ours', { domain: 'ours.example', outbound: { dkim: { algorithms: ['rsa'] } } }]], made).domains
  assert.deepEqual(domain!.dkim, [{ selector: 's1', algorithm: 'rsa', privateKey: 'k' }])
})
