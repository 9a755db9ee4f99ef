import assert from 'node:assert/strict'
import { before, test, type TestContext } from 'node:test'
import { envelope, simpleMail, startReceiver } from '../../test/tools/session.ts'
import { plainLogin, testSnapshot, type TestReceiver } from '../../test/tools/receive.ts'
import { loginOf } from '../../test/tools/fake-queue.ts'
import { openLine, type Line } from '../../test/tools/talk.ts'
import { newIssuer, type TestIssuer } from '../../test/tools/tokens.ts'
import type { AuthMechanism, SnapshotInput } from '../snapshot/index.ts'

const all: AuthMechanism[] = ['PLAIN', 'LOGIN', 'XOAUTH2', 'OAUTHBEARER']
let cluster: TestIssuer
before(async () => void (cluster = await newIssuer()))

/** The sender of the tests is ServiceAccount shop/shop; the listeners offer everything. */
const byAccount = (input: SnapshotInput): void => {
  input.relay.tokens = cluster.tokens()
  const { auth: _, ...sender } = input.senders![0]!
  input.senders = [{ ...sender, serviceAccount: 'shop' }]
  for (const listener of input.listeners) if (listener.protocol !== 'SMTP') listener.auth = all
}

const open = async (t: TestContext, receiver: TestReceiver): Promise<Line> => {
  const line = await openLine({ port: receiver.port('submissions'), implicitTls: true })
  t.after(() => line.destroy())
  await line.reply(30_000)
  await line.ask('EHLO pod.example')
  return line
}
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const xoauth2 = (token: string): string => base64(`user=anything\x01auth=Bearer ${token}\x01\x01`)
const oauthbearer = (token: string): string => base64(`n,a=shop@shop.example,\x01host=main.mail.svc\x01port=465\x01auth=Bearer ${token}\x01\x01`)
const welcome = '235 2.7.0 Authenticated as MailSender shop/shop'

test('EHLO names the 4 mechanisms, and a token proves its MailSender by each of them, with an initial response and without', async (t) => {
  const receiver = await startReceiver(t, byAccount)
  const token = await cluster.token()
  const ways: readonly (readonly string[])[] = [
    [`AUTH XOAUTH2 ${xoauth2(token)}`], ['AUTH XOAUTH2', xoauth2(token)],
    [`AUTH OAUTHBEARER ${oauthbearer(token)}`], ['auth oauthbearer', oauthbearer(token)],
    [`AUTH PLAIN ${plainLogin('whoever', token)}`], ['AUTH PLAIN', plainLogin('', token)],
    [`AUTH LOGIN ${base64('shop.shop')}`, base64(token)],
  ]
  for (const way of ways) {
    const line = await open(t, receiver)
    assert.ok(line.transcript.some((said) => /^S: 250[- ]AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER$/.test(said)))
    for (const step of way.slice(0, -1)) assert.match(await line.ask(step), /^334 /)
    assert.equal(await line.ask(way.at(-1)!), welcome)
    assert.match(await line.ask('MAIL FROM:<ceo@victim.example>'), /^550 5\.7\.1 shop\/shop may not send as ceo@victim\.example/)
    assert.match(await line.ask('MAIL FROM:<orders@shop.example>'), /^250 /)
    assert.match(await line.ask('RCPT TO:<fred@far.example>'), /^250 /)
  }
})

const refusals: readonly (readonly [what: string, change: Readonly<Record<string, unknown>>, words: string])[] = [
  ['for another relay', { aud: ['posthouse.dev/mail/other'] }, 'it is not for this relay, whose audience is posthouse.dev/mail/main'],
  ['of an account without a MailSender', { sub: 'system:serviceaccount:shop:other' }, 'no MailSender of namespace shop in force on MailRelay mail/main names ServiceAccount shop/other'],
  ['of an account of the same name in another namespace', { sub: 'system:serviceaccount:evil:shop' }, 'no MailSender of namespace evil in force on MailRelay mail/main names ServiceAccount evil/shop'],
  ['that is 2 hours old', { iat: Math.floor(Date.now() / 1000) - 7200 }, 'it is older than an hour; its volume needs expirationSeconds: 3600 or less'],
]
for (const [what, change, words] of refusals)
  test(`a token ${what} is refused with 535 by each mechanism, after 334 and an answer where it is a bearer's, and with 501 where that answer is *`, async (t) => {
    const receiver = await startReceiver(t, byAccount)
    const token = await cluster.token(change)
    const line = await open(t, receiver)
    const expected = `535 5.7.8 Token refused: ${words}`
    assert.equal(await line.ask(`AUTH PLAIN ${plainLogin('shop', token)}`), expected)
    for (const [begin, form] of [[`AUTH XOAUTH2 ${xoauth2(token)}`, /^\{"status":"401"/], [`AUTH OAUTHBEARER ${oauthbearer(token)}`, /^\{"status":"invalid_token"\}$/]] as const) {
      const asked = await line.ask(begin)
      assert.match(asked, /^334 /)
      assert.match(Buffer.from(asked.slice(4), 'base64').toString(), form)
      assert.equal(await line.ask('AQ=='), expected)
      assert.match(await line.ask(begin), /^334 /)
      assert.equal(await line.ask('*'), `501 5.7.0 Authentication cancelled. Token refused: ${words}`)
    }
    assert.match(await line.ask('MAIL FROM:<orders@shop.example>'), /^250 /)
    assert.match(await line.ask('RCPT TO:<fred@far.example>'), /^550 5\.7\.1 Relaying denied: authenticate first/)
  })

test('a token that this cluster did not sign is told nothing of what stands in it', async (t) => {
  const receiver = await startReceiver(t, byAccount)
  const token = await (await newIssuer()).token({ sub: 'system:serviceaccount:shop:other', aud: ['posthouse.dev/mail/other'] })
  assert.equal(await (await open(t, receiver)).ask(`AUTH PLAIN ${plainLogin('shop', token)}`), '535 5.7.8 Token refused: it is not signed by this cluster')
})

test('where the relay has 0 keys a token as password is refused, and says so', async (t) => {
  const receiver = await startReceiver(t)
  assert.match(await (await open(t, receiver)).ask(`AUTH PLAIN ${plainLogin('shop', await cluster.token())}`), /^535 5\.7\.8 Token refused: this relay knows no keys/)
})

const malformed: readonly (readonly [mechanism: string, text: string])[] = [
  ['XOAUTH2', ''], ['XOAUTH2', 'user=a\x01auth=Bearer x\x01'], ['XOAUTH2', 'user=a\x01\x01'], ['XOAUTH2', 'user=a\x01auth=Basic x\x01\x01'], ['XOAUTH2', 'user=a\x01auth=Bearer x\x01auth=Bearer y\x01\x01'],
  ['OAUTHBEARER', 'user=a\x01auth=Bearer x\x01\x01'], ['OAUTHBEARER', 'p=tls-unique,,\x01auth=Bearer x\x01\x01'], ['OAUTHBEARER', 'n,,\x01\x01'], ['OAUTHBEARER', 'n,,auth=Bearer x\x01\x01'],
]
test(`${malformed.length} malformed bearers are refused with 501`, async (t) => {
  const receiver = await startReceiver(t, byAccount)
  for (const [mechanism, text] of malformed) assert.equal((await (await open(t, receiver)).ask(`AUTH ${mechanism} ${base64(text) || '='}`)).slice(0, 9), '501 5.5.2', `${mechanism} ${JSON.stringify(text)}`)
})

test('an AUTH line of 12,288 octets is read, one of 12,289 is too long (RFC 4954 4)', async (t) => {
  const receiver = await startReceiver(t, byAccount)
  const lineOf = async (octets: number): Promise<string> => {
    for (let padding = octets / 2; ; padding += 1) {
      const line = `AUTH PLAIN ${plainLogin('', await cluster.token({ padding: 'x'.repeat(padding) }))}`
      if (line.length >= octets - 3) return line.padEnd(octets, ' ')
    }
  }
  assert.equal(await (await open(t, receiver)).ask(await lineOf(12_288)), welcome)
  assert.equal(await (await open(t, receiver)).ask(await lineOf(12_289)), '500 5.5.6 Authentication line longer than 12288 octets')
})

test('an answer of 12,289 octets ends the AUTH it was for: the next line is a command', async (t) => {
  const line = await open(t, await startReceiver(t))
  assert.match(await line.ask('AUTH LOGIN'), /^334 /)
  assert.match(await line.ask('A'.repeat(12_289)), /^500 5\.5\.6 /)
  assert.match(await line.ask('NOOP'), /^250 /)
})

test('a rotation of the cluster’s keys counts from the next AUTH on, in a connection that is open', async (t) => {
  const receiver = await startReceiver(t, byAccount)
  const line = await open(t, receiver)
  const next = await newIssuer()
  const token = await next.token()
  assert.match(await line.ask(`AUTH PLAIN ${plainLogin('shop', token)}`), /^535 5\.7\.8 Token refused: it is not signed/)
  await receiver.receiving.reload(testSnapshot((input) => {
    byAccount(input)
    input.relay.tokens = next.tokens()
  }))
  assert.equal(await line.ask(`AUTH PLAIN ${plainLogin('shop', token)}`), welcome)
})

test('during a rotation 2 passwords are right, after it 1', async (t) => {
  const rotated = (until: string) => (input: SnapshotInput) => {
    const { username: _, ...previous } = loginOf('shop', 'the old one')
    input.senders![0]!.auth = { ...loginOf('shop', 'the new one'), previous: { ...previous, until } }
  }
  const codes = async (until: string): Promise<string[]> => {
    const receiver = await startReceiver(t, rotated(until))
    return Promise.all(['the new one', 'the old one', 'neither'].map(async (secret) => (await (await open(t, receiver)).ask(`AUTH PLAIN ${plainLogin('shop', secret)}`)).slice(0, 3)))
  }
  assert.deepEqual(await codes('2100-01-01T00:00:00Z'), ['235', '235', '535'])
  assert.deepEqual(await codes('2026-01-01T00:00:00Z'), ['235', '535', '535'])
})

const withPassword = (secret: string, before?: { readonly secret: string; readonly until: string }) => (input: SnapshotInput): void => {
  const { username: _, ...previous } = loginOf('shop', before?.secret ?? '')
  input.senders![0]!.auth = { ...loginOf('shop', secret), ...(before && { previous: { ...previous, until: before.until } }) }
}
const over = '421 4.7.0 What identified MailSender shop/shop on this connection no longer holds; authenticate anew on another'

/** A connection in the middle of its 1st mail, when the snapshot changes: that mail is taken. What is said to the MAIL behind it. */
const nextMail = async (t: TestContext, first: (input: SnapshotInput) => void, login: string, then: (input: SnapshotInput) => void): Promise<string> => {
  const receiver = await startReceiver(t, first)
  const line = await open(t, receiver)
  assert.equal(await line.ask(login), welcome)
  await envelope(line, 'orders@shop.example', ['fred@far.example'])
  assert.match(await line.ask('DATA'), /^354 /)
  await receiver.receiving.reload(testSnapshot(then))
  assert.match(await line.ask(`${simpleMail}\r\n.`), /^250 /)
  return line.ask('MAIL FROM:<orders@shop.example>')
}
const [otherPassword, far, past] = [`AUTH PLAIN ${plainLogin('shop', 'one')}`, '2100-01-01T00:00:00Z', '2026-01-01T00:00:00Z']

test('a password that was replaced sends no 2nd mail on a connection that it began: 421', async (t) => {
  assert.equal(await nextMail(t, withPassword('one'), otherPassword, withPassword('two')), over)
  assert.equal(await nextMail(t, withPassword('one'), otherPassword, withPassword('three', { secret: 'two', until: far })), over)
  assert.equal(await nextMail(t, withPassword('two', { secret: 'one', until: far }), otherPassword, withPassword('two', { secret: 'one', until: past })), over)
})

test('a password goes on sending where it is right still, also as the one before for 24 hours', async (t) => {
  assert.match(await nextMail(t, withPassword('one'), otherPassword, withPassword('one')), /^250 /)
  assert.match(await nextMail(t, withPassword('one'), otherPassword, withPassword('two', { secret: 'one', until: far })), /^250 /)
  assert.match(await nextMail(t, withPassword('two', { secret: 'one', until: far }), otherPassword, withPassword('two', { secret: 'one', until: far })), /^250 /)
})

test('a MailSender that is gone, that its listener no longer admits, or whose ServiceAccount is another, sends no 2nd mail on an open connection: 421', async (t) => {
  assert.equal(await nextMail(t, withPassword('one'), otherPassword, (input) => void (input.senders = [])), over)
  assert.equal(await nextMail(t, withPassword('one'), otherPassword, (input) => (withPassword('one')(input), void (input.senders![0]!.listeners = ['mx']))), over)
  const token = await cluster.token()
  assert.match(await nextMail(t, byAccount, `AUTH PLAIN ${plainLogin('', token)}`, byAccount), /^250 /)
  assert.equal(await nextMail(t, byAccount, `AUTH PLAIN ${plainLogin('', token)}`, (input) => (byAccount(input), void (input.senders![0]!.serviceAccount = 'other'))), over)
})
