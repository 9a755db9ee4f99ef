// DNS records and DKIM keys of a MailDomain, from the manifest to DNS and back: the operator on a real API server, and a real name server.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { applyObject } from '../../operator/kube/index.ts'
import { resources } from '../../operator/plan/index.ts'
import { startTestDns, type TestDns } from '../tools/dns-server.ts'
import { readSnapshotOf } from '../tools/snapshot-secrets.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks } from './tools/api-server.ts'
import { resourceOf, startOperatorWorld, type OperatorWorld } from './tools/operator.ts'

type Shown = { readonly type: string; readonly name: string; readonly value: string; readonly observed?: string; readonly state: string }
const domain = 'browncow.example'

const lacks = apiServerLacks()
describe('DNS records and DKIM keys, on a real API server with a real name server', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let world: OperatorWorld
  let dns: TestDns
  const records = async (name = 'browncow'): Promise<readonly Shown[]> => ((await world.get(resourceOf('MailDomain'), name))?.status as { requiredRecords?: Shown[] } | undefined)?.requiredRecords ?? []
  const stateOf = async (part: string): Promise<string | undefined> => (await records()).find(({ name, value }) => `${name} ${value}`.includes(part))?.state
  const selectors = async (): Promise<string[]> => (await records()).flatMap(({ name }) => /^(.*)\._domainkey\./.exec(name)?.[1] ?? [])
  const signing = async (): Promise<string[]> => (await readSnapshotOf(world.kube, 'mail', 'main')).domains.find((one) => one.domain === domain)!.dkim.map(({ selector }) => selector)
  /** As a person would who has the message of the condition: each line into the zone. */
  const publish = async (): Promise<void> => {
    const { message } = (await world.condition('MailDomain', 'browncow', 'RecordsPublished'))!
    for (const [, name, text] of message.matchAll(/^(\S+)\. IN TXT (.*)$/gm)) dns.set(name!, { txt: [[...text!.matchAll(/"([^"]*)"/g)].map(([, part]) => part!)], ttl: 0 })
    for (const [, name, host] of message.matchAll(/^(\S+)\. IN MX 10 (\S+)\.$/gm)) dns.set(name!, { mx: [[10, host!]], ttl: 0 })
  }
  const save = (dkim: object) => world.save('MailDomain', 'browncow', { domain, inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: 'store.example' }] } }, outbound: { dkim } })
  const events = async (): Promise<string[]> => (await world.kube.call<{ items: { reason: string; note: string; regarding: { name: string } }[] }>({ path: '/apis/events.k8s.io/v1/namespaces/mail/events' })).items.filter(({ regarding }) => regarding.name === 'browncow').map(({ reason, note }) => `${reason} ${note}`)

  before(async () => {
    dns = await startTestDns({ 'mx.example': { a: ['192.0.2.1'], ttl: 0 } })
    world = await startOperatorWorld(['mail'], { recordTimes: { firstMs: 200, lastMs: 500, patienceMs: 500 } })
    await world.save('MailRelay', 'main', { hostname: 'mx.example', resolver: { nameservers: [dns.nameserver] } })
  })
  after(async () => {
    await world.stop()
    await dns.close()
  })

  it('5 records are missing at first: the message has each as a line of a zone, an RSA key in 2 strings; the domain is Ready and signs all the same', async () => {
    await save({ algorithms: ['ed25519', 'rsa'] })
    await world.becomes('MailDomain', 'browncow', 'RecordsPublished', 'RecordsMissing')
    assert.deepEqual((await records()).map(({ type, state }) => `${type} ${state}`), ['MX Missing', 'TXT Missing', 'TXT Missing', 'TXT Missing', 'TXT Missing'])
    const { message, status } = (await world.condition('MailDomain', 'browncow', 'RecordsPublished'))!
    assert.equal(status, 'False')
    assert.match(message, /^browncow\.example\. IN MX 10 mx\.example\.$/m)
    assert.match(message, /^browncow\.example\. IN TXT "v=spf1 a:mx\.example ~all"$/m)
    assert.match(message, /^ph-rsa-[0-9]{6}-[0-9]{8}\._domainkey\.browncow\.example\. IN TXT "v=DKIM1; k=rsa; p=[^"]{237}" "[^"]+"$/m)
    assert.equal((await world.condition('MailDomain', 'browncow', 'Ready'))?.status, 'True')
    assert.equal((await signing()).length, 2)
  })

  it('what the message says is put into the zone, the SPF record in words of its own: all 5 are Published', async () => {
    await publish()
    dns.set(domain, { mx: [[50, 'backup.example'], [5, 'mx.example']], txt: ['v=spf1 include:_spf.example -all'], ttl: 0 })
    dns.set('_spf.example', { txt: ['v=spf1 ip4:192.0.2.0/28 -all'], ttl: 0 })
    await world.becomes('MailDomain', 'browncow', 'RecordsPublished', 'RecordsPublished')
    assert.equal((await records()).find(({ value }) => value.startsWith('v=spf1'))?.observed, 'v=spf1 include:_spf.example -all')
  })

  it('writes 0 times in 5 s while DNS is looked at and says the same', async () => {
    await until('2 pods', async () => ((await world.get(resourceOf('MailRelay'), 'main'))!.status as { replicas: number }).replicas === 2, 60_000)
    await sleep(2000)
    const [{ GET: _, ...before }, asked] = [{ ...world.operator.kube.sent }, dns.questions.length]
    await sleep(5000)
    const { GET: __, ...now } = { ...world.operator.kube.sent }
    assert.deepEqual([now.PATCH, now.POST, now.DELETE], [before.PATCH, before.POST, before.DELETE])
    assert.ok(dns.questions.length > asked + 20)
  })

  it('an SPF record that no longer lets us send is Different, in words that say what to put in', async () => {
    dns.set('_spf.example', { txt: ['v=spf1 ip4:198.51.100.0/28 -all'], ttl: 0 })
    await world.becomes('MailDomain', 'browncow', 'RecordsPublished', 'RecordsDiffer')
    assert.match((await world.condition('MailDomain', 'browncow', 'RecordsPublished'))!.message, /mx\.example \(192\.0\.2\.1\) send: put a:mx\.example into it/)
    dns.set('_spf.example', { txt: ['v=spf1 ip4:192.0.2.0/28 -all'], ttl: 0 })
    await world.becomes('MailDomain', 'browncow', 'RecordsPublished', 'RecordsPublished')
  })

  let first: string
  let second: string
  it('a key that is due is made, told in an Event and listed as Missing, and does not sign before it is seen, 8 s after it was due', async () => {
    await save({ algorithms: ['ed25519'], rotation: { every: '4s', overlap: '3s' } })
    await until('a second key', async () => (await selectors()).filter((selector) => selector.startsWith('ph-ed25519-')).length === 2, 60_000)
    ;[first, second] = (await selectors()) as [string, string]
    await until('it to be missing', async () => (await stateOf(second)) === 'Missing')
    await sleep(8000)
    assert.deepEqual([await signing(), await selectors(), await stateOf(first)], [[first], [first, second], 'Published'])
    assert.ok((await events()).some((text) => text.startsWith(`DkimKeyMade publish ${second}._domainkey.${domain}. IN TXT "v=DKIM1`)))
  })

  it('signs with it once it is published and seen; the record of the first is wanted for the 3 s of overlap, and then no more', async () => {
    await publish()
    await until('the second to sign', async () => (await signing()).join() === second, 60_000)
    assert.ok((await selectors()).includes(first))
    await until('the first to be forgotten', async () => !(await selectors()).includes(first), 60_000)
    const secret = (await world.get(resources.secret, 'browncow-dkim'))!.data as Record<string, string>
    assert.deepEqual(Object.keys(secret).filter((name) => name.startsWith(`${first}.`)), [`${first}.left-at`]) // so that it is never used again
    for (const text of [`DkimKeySigns ${second}`, `DkimKeyForgotten the record of ${first}`]) await until(text, async () => (await events()).some((told) => told.startsWith(text)))
  })

  it('name servers that say nothing hold up nobody: another domain is Ready, and RecordsPublished Unknown', async () => {
    for (const name of ['quiet.example', '_dmarc.quiet.example']) dns.set(name, { does: 'hang' })
    await world.save('MailDomain', 'quiet', { domain: 'quiet.example' })
    await world.becomes('MailDomain', 'quiet', 'Ready', 'Ready')
    await world.becomes('MailDomain', 'quiet', 'RecordsPublished', 'RecordsUnknown')
    await until('what it is that fails', async () => (await world.condition('MailDomain', 'quiet', 'RecordsPublished'))!.message.includes('no answer in time'))
  })

  it('keys of keySecretRef are shown as 1 record and left alone: no Secret is made', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    await applyObject(world.kube, resources.secret, { metadata: { name: 'own', namespace: 'mail' }, data: { 'ed25519.key': Buffer.from(pem).toString('base64'), 'ed25519.selector': Buffer.from('mine\n').toString('base64') } })
    await world.save('MailDomain', 'own', { domain: 'own.example', outbound: { dkim: { algorithms: ['ed25519'], keySecretRef: { name: 'own' } } } })
    await world.becomes('MailDomain', 'own', 'RecordsPublished', 'RecordsMissing')
    assert.deepEqual((await records('own')).map(({ name }) => name), ['own.example', 'mine._domainkey.own.example', '_dmarc.own.example'])
    assert.equal(await world.get(resources.secret, 'own-dkim'), undefined)
  })

  it('a domain that another holds is asked nothing of DNS, and says so', async () => {
    await world.save('MailDomain', 'thief', { domain })
    await world.becomes('MailDomain', 'thief', 'RecordsPublished', 'NotInForce')
  })

  it('had 0 runs of reconcile that failed', () => assert.deepEqual(world.troubles, []))
})
