import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, it } from 'node:test'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { testDelivery, testMessage, testSnapshot } from '../../test/tools/delivery.ts'
import type { Snapshot, SnapshotInput } from '../snapshot/index.ts'
import { wholeContent, type Content } from './content.ts'
import { createSigning, fromDomain, sign, signerOf } from './sign.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ed = generateKeyPairSync('ed25519')
const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string
const keys = [{ selector: 'r1', algorithm: 'rsa' as const, privateKey: pem(rsa.privateKey) }, { selector: 'e1', algorithm: 'ed25519' as const, privateKey: pem(ed.privateKey) }]
const published: Record<string, string> = {
  'r1._domainkey.shop.example': `v=DKIM1; k=rsa; p=${rsa.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`,
  'e1._domainkey.shop.example': `v=DKIM1; k=ed25519; p=${ed.publicKey.export({ type: 'spki', format: 'der' }).subarray(12).toString('base64')}`,
}
const verify = async (message: Buffer): Promise<string[]> => {
  const resolver = (name: string): Promise<string[][]> => Promise.resolve([[published[name] ?? '']])
  const { results } = await dkimVerify(message, { resolver })
  return results.map(({ signingDomain, algo, status }) => `${signingDomain} ${algo} ${status.result}`).sort()
}
const signer = { domain: 'shop.example', keys }
const domain = (name: string, change: Partial<NonNullable<SnapshotInput['domains']>[number]> = {}): NonNullable<SnapshotInput['domains']>[number] => ({ namespace: 'mail', name, manifest: `MailDomain mail/${name}`, domain: name, listeners: [], dkim: keys, ...change })

describe('a DKIM signature', () => {
  it('is made with RSA and Ed25519, and verifies with both', async () => {
    const { headers, fault } = await sign(signer, wholeContent(testMessage), Date.now())
    assert.equal(fault, undefined)
    assert.deepEqual(await verify(Buffer.concat([headers, testMessage])), ['shop.example ed25519-sha256 pass', 'shop.example rsa-sha256 pass'])
  })
  it('is not made of a header section over 64 KiB, which would cost its square', async () => {
    const long = Buffer.concat([Buffer.from(`Subject: x${'\r\n a'.repeat(40_000)}\r\n`), testMessage])
    const content: Content = { bytes: long.length, head: long.subarray(0, 65_536), async *open() { yield long } }
    assert.deepEqual(await sign(signer, content, Date.now()), { headers: Buffer.alloc(0), fault: 'the header section is over 64 KiB' })
  })
  it('does not verify for a message changed by one word', async () => {
    const { headers } = await sign(signer, wholeContent(testMessage), Date.now())
    const results = await verify(Buffer.concat([headers, Buffer.from(testMessage.toString().replace('line one', 'line two'))]))
    assert.deepEqual([results.length, results.filter((result) => result.endsWith('pass'))], [2, []])
  })
  it('of 20 MB in pieces lets the event loop turn in between, and verifies', async () => {
    const body = Buffer.concat([testMessage, Buffer.from(`${'x'.repeat(70)}\r\n`.repeat(290_000))])
    const content: Content = { bytes: body.length, head: testMessage, async *open() { yield body } }
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const { headers } = await sign({ domain: 'shop.example', keys: keys.slice(0, 1) }, content, Date.now())
    clearInterval(timer)
    assert.ok(turns > 10, `${turns} turns`)
    assert.deepEqual(await verify(Buffer.concat([headers, body])), ['shop.example rsa-sha256 pass'])
  })
  it('with a broken key is missing, and says which', async () => {
    const { headers, fault } = await sign({ domain: 'shop.example', keys: [{ selector: 'bad', algorithm: 'rsa', privateKey: 'no key' }, keys[1]!] }, wholeContent(testMessage), Date.now())
    assert.match(fault!, /bad/)
    assert.equal(headers.toString().match(/DKIM-Signature:/g)!.length, 1)
  })
  it('is made once for all deliveries of a message', async () => {
    const signing = createSigning(() => Date.now())
    const content = wholeContent(testMessage)
    const [a, b] = await Promise.all([signing(testDelivery({ id: 'm1.0' }), 'as-is', signer, content), signing(testDelivery({ id: 'm1.1' }), 'as-is', signer, content)])
    assert.equal(a, b)
    assert.notEqual(await signing(testDelivery({ message: 'm2' }), 'as-is', signer, content), a)
    assert.notEqual(await signing(testDelivery(), 'converted', signer, content), a)
  })
  it('is made anew at the 2nd attempt where the key was replaced under its selector meanwhile, and not where the snapshot was only read again', async () => {
    const signing = createSigning(() => Date.now())
    const content = wholeContent(testMessage)
    const before = { ...signer, keys: [{ ...keys[0]!, privateKey: pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey) }] }
    const after = { ...signer, keys: [keys[0]!] }
    const said = async (given: typeof before): Promise<string[]> => verify(Buffer.concat([(await signing(testDelivery(), 'as-is', given, content)).headers, testMessage]))
    assert.deepEqual([await said(before), await said(after)], [['shop.example rsa-sha256 fail'], ['shop.example rsa-sha256 pass']])
    assert.equal(await signing(testDelivery(), 'as-is', after, content), await signing(testDelivery(), 'as-is', structuredClone(after), content))
  })
})

describe('whose signature', () => {
  const signs = (snapshot: Snapshot, change: Parameters<typeof testDelivery>[0], head = 'From: a@shop.example\r\n\r\n'): string | undefined => signerOf(snapshot, testDelivery(change), Buffer.from(head))?.domain
  const shop = testSnapshot({ domains: [domain('shop.example'), domain('news.shop.example'), domain('home.example', { inbound: { recipients: { mode: 'Any' } } })] })
  const identified = { envelope: { sender: 'shop/shop' } }

  it('is the header From\'s domain', () => assert.equal(signs(shop, identified), 'shop.example'))
  it('is the nearest domain above it', () => {
    assert.equal(signs(shop, identified, 'From: a@x.news.shop.example\r\n\r\n'), 'news.shop.example')
    assert.equal(signs(shop, identified, 'From: a@other.shop.example\r\n\r\n'), 'shop.example')
  })
  it('is never that of a domain above one that another namespace has, with keys or without', () => {
    const tenant = testSnapshot({ domains: [domain('shop.example'), domain('a.shop.example', { dkim: [] }), domain('b.shop.example', { namespace: 'tenant', dkim: [] }), domain('c.shop.example', { namespace: 'tenant' })] })
    const signer = (name: string) => signs(tenant, { envelope: { sender: 'tenant/app' }, from: null }, `From: a@${name}\r\n\r\n`)
    assert.deepEqual(['a.shop.example', 'b.shop.example', 'x.b.shop.example', 'x.c.shop.example'].map(signer), ['shop.example', undefined, undefined, 'c.shop.example'])
  })
  it('is that of a tenant\'s domain above it for its own MailSenders, and for 0 of another tenant, who may be let use it by foreignDomains', () => {
    const bank = testSnapshot({ domains: [domain('bank.example', { namespace: 'bank' })] })
    const signer = (sender: string, name: string) => signs(bank, { envelope: { sender }, from: `a@${name}` }, `From: a@${name}\r\n\r\n`)
    assert.deepEqual(['bank/app', 'shop/app'].map((sender) => [signer(sender, 'bank.example'), signer(sender, 'news.bank.example')]), [['bank.example', 'bank.example'], ['bank.example', undefined]])
  })
  it('is that of a tenant\'s domain above a domain of the same tenant that has no key yet, also for 1 of another tenant whom that domain admits', () => {
    const bank = testSnapshot({ domains: [domain('bank.example', { namespace: 'bank' }), domain('news.bank.example', { namespace: 'bank', dkim: [] })] })
    const signer = (name: string) => signs(bank, { envelope: { sender: 'shop/app' }, from: null }, `From: a@${name}\r\n\r\n`)
    assert.deepEqual(['news.bank.example', 'x.news.bank.example'].map(signer), ['bank.example', undefined])
  })
  it('is the envelope sender\'s where the header From has no key', () => assert.equal(signs(shop, { ...identified, from: 'a@shop.example' }, 'From: a@elsewhere.example\r\n\r\n'), 'shop.example'))
  it('is nobody\'s without a key', () => assert.equal(signs(shop, { ...identified, from: 'a@b.example' }, 'From: a@notshop.example\r\n\r\n'), undefined))
  it('is never put under what a stranger sent to a hosted domain, though it says From: us', () => assert.equal(signs(shop, { to: ['user@home.example'] }), undefined))
  it('is not put under what a stranger sent either when the domain is no longer hosted', () => {
    assert.equal(signs(shop, { to: ['user@gone.example'], envelope: { stranger: true } }), undefined)
  })
  it('is put under what an Allow rule lets out, and under our own notices', () => {
    assert.equal(signs(shop, {}), 'shop.example')
    assert.equal(signs(shop, { to: ['user@home.example'], envelope: { source: 'local' } }), 'shop.example')
  })
  const froms: readonly [string, string | undefined][] = [
    ['From: a@b.example', 'b.example'], ['From: "x@y.example" <a@B.example>', 'b.example'], ['from:\r\n A <a@b.example>', 'b.example'], ['From: a@b.example, c@d.example', 'b.example'],
    ['From: a@b.example (c@d.example)', 'b.example'], ['From: (a (b) <ceo@victim.example>) me@mine.example', 'mine.example'], ['Subject: x\u2028From: ceo@victim.example', undefined], ['From: (CEO <ceo@victim.example>', undefined], ['From: a@b.example\r\nFrom: c@d.example', undefined], ['Subject: x', undefined], ['From: nobody', undefined], ['Subject: x\r\n\r\nFrom: a@b.example', undefined],
  ]
  for (const [head, expected] of froms) it(`reads ${JSON.stringify(head)} as ${expected ?? 'none'}`, () => assert.equal(fromDomain(Buffer.from(`${head}\r\n\r\nbody`)), expected))
})
