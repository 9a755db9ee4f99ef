import assert from 'node:assert/strict'
import { createHash, createPublicKey, randomBytes, sign, verify, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect, createServer } from 'node:tls'
import type { Need } from '../../operator/index.ts'
import { reachedAt } from '../listen-option.ts'
import { make, type MadeOptions } from './made.ts'

const needs: readonly Need[] = [
  { kind: 'certificate', relay: 'mail/main', names: ['mx.example', 'main.mail.svc'] },
  { kind: 'credential', sender: 'mail/app', relay: 'mail/main', username: 'mail.app', listener: 'submission', host: 'main.mail.svc', port: 587, bindPort: 2587, implicitTls: false },
  { kind: 'dkim', for: 'mail/ours', domain: 'ours.example', algorithm: 'ed25519', selectorPrefix: 'ph' },
  { kind: 'dkim', for: 'mail/ours', domain: 'ours.example', algorithm: 'rsa', selectorPrefix: 'ph' },
]
const now = new Date()
const day = 86_400_000

const options = (t: TestContext): MadeOptions => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-made-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return { folder: join(folder, 'made'), now, ...reachedAt({}) }
}

const filesIn = (folder: string): Record<string, string> =>
  Object.fromEntries(globSync('**', { cwd: folder }).filter((name) => statSync(join(folder, name)).isFile()).sort().map((name) => [name, readFileSync(join(folder, name), 'utf8')]))

/** True where a real handshake trusts the certificate for this name. */
const isTrusted = async (pair: { certificate: string; key: string }, ca: string, servername: string): Promise<boolean> => {
  const server = createServer({ cert: pair.certificate, key: pair.key }, (socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
  server.on('tlsClientError', () => {})
  await once(server, 'listening')
  const client = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, ca, ...(servername !== '' && { servername }) })
  try {
    await once(client, 'secureConnect')
    return client.authorized
  } catch {
    return false
  } finally {
    client.destroy()
    server.close()
  }
}

test('a client that knows ca.crt trusts the listener by host name and by 127.0.0.1, and by no other name', async (t) => {
  const given = options(t)
  const { certificates } = await make(needs, given)
  const ca = readFileSync(join(given.folder, 'senders/mail.app/ca.crt'), 'utf8')
  const pair = certificates['mail/main']!
  assert.equal(await isTrusted(pair, ca, 'mx.example'), true)
  assert.equal(await isTrusted(pair, ca, 'main.mail.svc'), true)
  assert.equal(await isTrusted(pair, ca, ''), true, '127.0.0.1, without a server name')
  assert.equal(await isTrusted(pair, ca, 'other.example'), false)
  assert.equal(await isTrusted(pair, (await make(needs, options(t))).certificates['mail/main']!.certificate, 'mx.example'), false, 'another CA')
})

test('a client is told the 1 address of --host, or the 1 that --listen gave its listener, and trusts the certificate there', async (t) => {
  const given = options(t)
  const told = (name: string) => readFileSync(join(given.folder, 'senders/mail.app', name), 'utf8')
  await make(needs, given)
  assert.deepEqual([told('host'), told('port')], ['127.0.0.1', '2587'])
  const { certificates } = await make(needs, { ...given, ...reachedAt({ host: '::', listen: { submission: '[::1]:4587', mx: '127.0.0.9:4525' } }) })
  assert.deepEqual([told('host'), told('port'), told('uri').slice(-10)], ['::1', '4587', '[::1]:4587'])
  assert.match(new X509Certificate(certificates['mail/main']!.certificate).subjectAltName!, /127\.0\.0\.9/)
  await make(needs, { ...given, ...reachedAt({ host: '::' }) })
  assert.deepEqual([told('host'), told('port')], ['127.0.0.1', '2587'], 'no client connects to every address')
})

test('the CA is one for 10 years, the certificate is none and is for 1 year', async (t) => {
  const given = options(t)
  const leaf = new X509Certificate((await make(needs, given)).certificates['mail/main']!.certificate)
  const ca = new X509Certificate(readFileSync(join(given.folder, 'ca/ca.crt')))
  assert.deepEqual([ca.ca, leaf.ca, leaf.checkIssued(ca), leaf.verify(ca.publicKey), ca.verify(ca.publicKey)], [true, false, true, true, true])
  const days = (certificate: X509Certificate) => Math.round((certificate.validToDate.getTime() - now.getTime()) / day)
  assert.deepEqual([days(ca), days(leaf)], [3653, 365])
  assert.match(leaf.subjectAltName ?? '', /DNS:mx\.example, DNS:main\.mail\.svc, IP Address:127\.0\.0\.1, DNS:localhost, IP Address:0:0:0:0:0:0:0:1/)
})

test('every file is readable by its owner only, also where somebody opened it since', async (t) => {
  const given = options(t)
  await make(needs, given)
  chmodSync(join(given.folder, 'senders/mail.app/password'), 0o644)
  await make(needs, given)
  for (const name of Object.keys(filesIn(given.folder))) assert.equal(statSync(join(given.folder, name)).mode & 0o777, 0o600, name)
  for (const name of ['', 'ca', 'senders', 'senders/mail.app', 'dkim/mail.ours']) assert.equal(statSync(join(given.folder, name)).mode & 0o777, 0o700, name)
})

test('a second time nothing changes: 1 CA, 1 certificate, the same password and keys', async (t) => {
  const given = options(t)
  const [first, before] = [await make(needs, given), filesIn(given.folder)]
  assert.deepEqual(await make(needs, { ...given, now: new Date(now.getTime() + 300 * day) }), first)
  assert.deepEqual(filesIn(given.folder), before)
})

test('with 29 days left, or for another name, a certificate is made anew; the CA stays', async (t) => {
  const given = options(t)
  const first = (await make(needs, given)).certificates['mail/main']!
  const later = (await make(needs, { ...given, now: new Date(now.getTime() + 336 * day) })).certificates['mail/main']!
  assert.notEqual(later.certificate, first.certificate)
  const renamed = (await make([{ kind: 'certificate', relay: 'mail/main', names: ['mx2.example'] }], given)).certificates['mail/main']!
  assert.equal(new X509Certificate(renamed.certificate).checkHost('mx2.example'), 'mx2.example')
  assert.ok(new X509Certificate(renamed.certificate).verify(new X509Certificate(readFileSync(join(given.folder, 'ca/ca.crt'))).publicKey))
})

test('a certificate file that was damaged is made anew instead of being served', async (t) => {
  const given = options(t)
  await make(needs, given)
  writeFileSync(join(given.folder, 'certificates/mail.main/tls.crt'), 'damaged')
  const { certificates } = await make(needs, given)
  assert.doesNotThrow(() => new X509Certificate(certificates['mail/main']!.certificate))
})

test('the folder of a sender says where, who and 256 random bits; what is handed on is a salted hash of them', async (t) => {
  const given = options(t)
  const { username, salt, hash } = (await make(needs, given)).credentials['mail/app']!
  const files = filesIn(join(given.folder, 'senders/mail.app'))
  assert.deepEqual([files.username, files.host, files.port], ['mail.app', '127.0.0.1', '2587'])
  assert.equal(files.uri, `smtp://mail.app:${files.password}@127.0.0.1:2587`)
  assert.equal(Buffer.from(files.password!, 'base64url').length, 32)
  assert.equal(createHash('sha256').update(Buffer.concat([Buffer.from(salt, 'hex'), Buffer.from(files.password!)])).digest('hex'), hash)
  assert.equal(username, files.username)
  assert.ok(!JSON.stringify(await make(needs, given)).includes(files.password!))
})

test('the DNS record beside a DKIM key verifies what the key signs, for rsa and ed25519, and has strings of at most 255 bytes', async (t) => {
  const given = options(t)
  const keys = (await make(needs, given)).dkim['mail/ours']!
  const month = now.toISOString().slice(0, 7).replace('-', '')
  assert.deepEqual(keys.map(({ selector, algorithm }) => [selector.replace(/[0-9]{8}$/, ''), algorithm]), [[`ph-ed25519-${month}-`, 'ed25519'], [`ph-rsa-${month}-`, 'rsa']])
  for (const { selector, algorithm, privateKey } of keys) {
    const record = readFileSync(join(given.folder, `dkim/mail.ours/${selector}.txt`), 'utf8')
    const strings = [...record.matchAll(/"([^"]*)"/g)].map(([, text]) => text!)
    assert.ok(record.startsWith(`${selector}._domainkey.ours.example. IN TXT "v=DKIM1; k=${algorithm}; p=`) && strings.every(({ length }) => length <= 255))
    const raw = Buffer.from(/p=(.*)$/.exec(strings.join(''))![1]!, 'base64')
    const spki = algorithm === 'rsa' ? raw : Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw]) // RFC 8410 4
    const [text, digest] = [randomBytes(100), algorithm === 'rsa' ? 'sha256' : undefined]
    assert.ok(verify(digest, text, createPublicKey({ key: spki, format: 'der', type: 'spki' }), sign(digest, text, privateKey)), algorithm)
  }
})

test('a key keeps its selector in the next month, and another prefix gets a key of its own, which signs 7 days later', async (t) => {
  const given = options(t)
  const first = (await make(needs, given)).dkim['mail/ours']![0]!
  assert.deepEqual((await make(needs, { ...given, now: new Date(now.getTime() + 40 * day) })).dkim['mail/ours']![0], first)
  const renamed: Need = { kind: 'dkim', for: 'mail/ours', domain: 'ours.example', algorithm: 'ed25519', selectorPrefix: 'mta' }
  const [same, other] = (await make([renamed], given)).dkim['mail/ours']!
  assert.deepEqual([same, other!.stage], [first, 'coming'])
  assert.ok(other!.selector.startsWith('mta-ed25519-') && other!.privateKey !== first.privateKey)
  assert.equal((await make([renamed], { ...given, now: new Date(now.getTime() + 7 * day) })).dkim['mail/ours']![0]!.selector, other!.selector)
})

test('with rotation every 90 days and 7 days of overlap, the next key is made on day 83, signs from day 90, and so on', async (t) => {
  const given = options(t)
  const rotation = { everySeconds: 90 * 86_400, overlapSeconds: 7 * 86_400 }
  const at = async (days: number) => (await make([{ kind: 'dkim', for: 'mail/ours', domain: 'ours.example', algorithm: 'ed25519', selectorPrefix: 'ph', rotation }], { ...given, now: new Date(now.getTime() + days * day) })).dkim['mail/ours']![0]!.selector
  const records = () => globSync('*.txt', { cwd: join(given.folder, 'dkim/mail.ours') }).length
  const seen: { days: number; selector: string; records: number }[] = []
  for (const days of [0, 82, 83, 89, 90, 172, 173, 179, 180]) seen.push({ days, selector: await at(days), records: records() })
  assert.deepEqual(seen.map(({ days, records }) => [days, records]), [[0, 1], [82, 1], [83, 2], [89, 2], [90, 2], [172, 2], [173, 3], [179, 3], [180, 3]])
  const [first, second, third] = [seen[0]!.selector, seen[4]!.selector, seen[8]!.selector]
  assert.deepEqual(seen.map(({ selector }) => selector), [first, first, first, first, second, second, second, second, third])
  assert.equal(new Set([first, second, third]).size, 3)
})

test('2 keys of one month have selectors of their own', async (t) => {
  const given = { ...options(t), now: new Date('2026-11-02T00:00:00Z') }
  const rotation = { everySeconds: 2 * 86_400, overlapSeconds: 86_400 }
  const at = async (date: string) => (await make([{ kind: 'dkim', for: 'mail/ours', domain: 'ours.example', algorithm: 'ed25519', selectorPrefix: 'ph', rotation }], { ...given, now: new Date(date) })).dkim['mail/ours']![0]!.selector
  const selectors: string[] = []
  for (const date of ['2026-11-02T00:00:00Z', '2026-11-03T00:00:00Z', '2026-11-04T00:00:00Z']) selectors.push(await at(date))
  assert.deepEqual(selectors.map((selector) => [selector.slice(0, 18), selector === selectors[0]]), [true, true, false].map((isFirst) => ['ph-ed25519-202611-', isFirst]))
})
