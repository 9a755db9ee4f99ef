// Whole attempts by MX: what a host is sent, as it needs it, and what its replies mean for each recipient. Real name server, real sockets.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { attemptOf, bodyOf, mailbox, testDelivery, testMessage } from '../../test/tools/delivery.ts'
import { attemptsByMx } from '../../test/tools/attempts-by-mx.ts'
import { until } from '../../test/tools/until.ts'
import { composeDsn } from '../notices/dsn.ts'
import { QueueError } from '../queue/index.ts'

describe('what an attempt by MX sends', () => {
  const { mxHosts, deliverer, attempt, took } = attemptsByMx()

  it('sends one transaction with three recipients, and judges each', async () => {
    const [a] = await mxHosts({ replies: { rcpt: (line) => (line.includes('gone') ? '550 5.1.1 no such user' : line.includes('busy') ? '450 4.2.1 busy' : undefined) } })
    const settlement = await attempt(deliverer(a!.port), { to: ['ok@dest.example', 'gone@dest.example', 'busy@dest.example'] })
    assert.deepEqual(a!.mails[0]!.to, ['<ok@dest.example>'])
    assert.deepEqual(settlement.notices.map(({ recipient, status, diagnostic }) => [recipient.mailbox.local, status, diagnostic]), [['gone', '5.1.1', 'smtp; 550 5.1.1 no such user']])
    assert.deepEqual(settlement.later!.recipients.map(({ mailbox: { local } }) => local), ['busy'])
  })
  for (const without of [['PIPELINING'], []]) {
    it(`sends the rest in further transactions at once where a host takes 10 of 35${without.length > 0 ? ', without pipelining' : ''}`, async () => {
      const [a] = await mxHosts({ maxRecipients: 10, without })
      const to = Array.from({ length: 35 }, (_, index) => `u${index}@dest.example`)
      const settlement = await attempt(deliverer(a!.port), { to })
      assert.equal(settlement.later, undefined)
      assert.deepEqual(a!.mails.map((mail) => mail.to.length), [10, 10, 10, 5])
      assert.equal(a!.connections(), 1)
    })
  }
  it('fails all recipients on 5xx to MAIL, whatever is said behind it in the pipeline', async () => {
    const [a] = await mxHosts({ replies: { mail: '550 5.7.1 not you', rcpt: '450 4.2.0 hm' } })
    const settlement = await attempt(deliverer(a!.port), { to: ['a@dest.example', 'b@dest.example'] })
    assert.deepEqual(settlement.notices.map(({ status }) => status), ['5.7.1', '5.7.1'])
  })
  it('sends a lone dot and RSET after a 354 that no recipient deserved, and goes on with the connection', async () => {
    const refusesFirst = { rcpt: (_line: string, { messages }: { messages: number }) => (messages === 0 ? '550 5.1.1 no' : undefined), data: '354 go on' }
    const [a] = await mxHosts({ replies: refusesFirst })
    const made = deliverer(a!.port)
    await attempt(made)
    await attempt(made)
    assert.equal(a!.connections(), 1)
    assert.deepEqual(a!.mails.map(({ to }) => to.length), [1])
    assert.ok(a!.commands.includes('1 RSET'))
    assert.deepEqual(a!.faults, [])
  })

  it('keeps the connection for the next message, and begins a new one after 3 where 3 is the most', async () => {
    const [a] = await mxHosts({})
    const made = deliverer(a!.port, { messagesPerConnection: 3 })
    for (let count = 0; count < 7; count++) await attempt(made)
    assert.deepEqual([a!.count(), a!.connections()], [7, 3])
  })
  it('closes an idle connection with QUIT', async () => {
    const [a] = await mxHosts({})
    await attempt(deliverer(a!.port, { timeouts: { idle: 60 } }))
    await until('QUIT', () => a!.commands.includes('1 QUIT') && a!.open() === 0, 10_000, 10)
  })
  for (const reply of ['421 4.3.2 two are enough', '421 two are enough'])
    it(`takes a fresh connection to the same host when the kept one ends after 2 messages with ${reply}`, async () => {
      const [a] = await mxHosts({ replies: { mail: (_line, { messages }) => (messages < 2 ? undefined : reply) } })
      const made = deliverer(a!.port)
      const settled = [await attempt(made), await attempt(made), await attempt(made)]
      assert.deepEqual([a!.count(), a!.connections(), settled.map(({ later }) => later?.last.why)], [3, 2, [undefined, undefined, undefined]])
    })
  it('takes no second fresh connection to a host that answers every MAIL with 421', async () => {
    const [a] = await mxHosts({ replies: { mail: '421 4.3.2 closing' } })
    const { later } = await attempt(deliverer(a!.port))
    assert.deepEqual([a!.connections(), later!.last.class], [1, 'Connect'])
  })
  it('takes a fresh connection to the same host when the kept one died', async () => {
    const all = await mxHosts({}, {})
    const made = deliverer(all[0]!.port)
    await attempt(made)
    all[0]!.behave({ drop: 'mail' }) // dies as soon as it is used again
    const second = attempt(made)
    await until('the second MAIL', () => all[0]!.commands.filter((line) => line.includes('MAIL')).length >= 2, 5000, 1)
    all[0]!.behave({ drop: undefined as never })
    await second
    assert.deepEqual([took(all)[0]! + took(all)[1]!, all[0]!.connections() >= 2], [2, true])
  })

  it('counts an attempt called off by us as none, and asks again at once', async () => {
    const [a] = await mxHosts({ hang: 'mail' })
    const controller = new AbortController()
    const running = attempt(deliverer(a!.port), { signal: controller.signal })
    await until('MAIL', () => a!.commands.some((line) => line.includes('MAIL')), 10_000, 5)
    controller.abort()
    const { later } = await running
    assert.equal(later!.countsAsAttempt, false)
    assert.ok(later!.at <= Date.now())
  })
  it('never returns mail for an attempt that we called off, though its 5 days are over', async () => {
    const [a] = await mxHosts({ hang: 'mail' })
    const controller = new AbortController()
    const running = attempt(deliverer(a!.port), { signal: controller.signal, arrivedAt: Date.now() - 433_000_000 })
    await until('MAIL', () => a!.commands.some((line) => line.includes('MAIL')), 10_000, 5)
    controller.abort()
    const { later, notices } = await running
    assert.deepEqual([later?.recipients.length, notices.filter(({ kind }) => kind === 'failed')], [1, []])
  })
  it('cuts the connection when the message cannot be read to its end, and sends no dot', async () => {
    const [a] = await mxHosts({})
    const body = Buffer.concat([testMessage, Buffer.alloc(200_000, 'x\r\n')])
    const broken = { ...bodyOf(body, 10_000), open: () => failingBody(body) }
    const settlement = await attemptOf(deliverer(a!.port), testDelivery({ bytes: body.length }), broken)
    assert.deepEqual([a!.count(), settlement.later!.countsAsAttempt, settlement.notices], [0, false, []])
  })
  for (const [what, error, told] of [
    ['servers that do not answer', new QueueError('QUEUE_UNREACHABLE', 'chunk 3 could not be asked for'), ['ATTEMPT']],
    ['bytes that changed, of which the queue itself tells', new QueueError('BODY_DAMAGED', 'not those that were accepted'), []],
    ['anything else', new Error('what is this'), ['BUG']],
  ] as const) {
    it(`tries again after 60 s what could not be read because of ${what}, and the log says ${told.join() || '0 lines'}`, async () => {
      const [a] = await mxHosts({})
      const said: string[] = []
      const say = (code: string): void => void said.push(code)
      const made = deliverer(a!.port, { log: { info: say, warn: say, error: say } })
      const { later, notices } = await attemptOf(made, testDelivery({}), { ...bodyOf(testMessage), head: () => Promise.reject(error) })
      assert.deepEqual([said, Math.round((later!.at - later!.last.at) / 1000), later!.countsAsAttempt, notices], [told, 60, false, []])
    })
  }
  it('puts on hold what cannot be read even at the end of its time, and bounces nothing', async () => {
    const [a] = await mxHosts({})
    const body = { ...bodyOf(testMessage), head: () => Promise.reject(new Error('a chunk cannot be read')) }
    const settlement = await attemptOf(deliverer(a!.port), testDelivery({ arrivedAt: Date.now() - 433_000_000 }), body)
    assert.deepEqual([settlement.notices, settlement.later, settlement.held!.recipients.length], [[], undefined, 1])
  })
  it('puts on hold an envelope that would be two commands, and sends neither', async () => {
    const [a] = await mxHosts({})
    const settlement = await attempt(deliverer(a!.port), { envelope: { envid: 'a b', mailFrom: { local: 'a', domain: 'b>\r\nRSET' } } })
    assert.match(settlement.held!.why, /CR, LF or NUL|one word/)
    assert.ok(!a!.commands.some((line) => /MAIL|RSET/.test(line)))
  })
  it('keeps no more than ten lines of 512 characters of a long reply', async () => {
    const [a] = await mxHosts({ replies: { rcpt: `${`450-${'x'.repeat(900)}\n`.repeat(30)}450 end` } })
    const settlement = await attempt(deliverer(a!.port))
    assert.ok(settlement.later!.last.said!.length <= 10 * 513)
  })
  it('sends a message in pieces as it was', async () => {
    const [a] = await mxHosts({})
    const body = Buffer.concat([testMessage, Buffer.from('.\r\n..\r\nline\r\n'.repeat(30_000))])
    await attempt(deliverer(a!.port), { body, pieces: 7001 })
    assert.ok(a!.mails[0]!.raw.equals(body))
  })
  it('begins the message on another host when the first is lost within it', async () => {
    const all = await mxHosts({ dropAfterBytes: 50_000 }, {})
    const body = Buffer.concat([testMessage, Buffer.alloc(30_000_000, 'x\r\n')])
    await attempt(deliverer(all[0]!.port), { body, pieces: 65_536 })
    assert.deepEqual(took(all), [0, 1])
  })

  it('passes NOTIFY, ORCPT, RET and ENVID on where DSN is offered', async () => {
    const [a] = await mxHosts({})
    const recipient = { mailbox: mailbox('user@dest.example'), notify: ['SUCCESS', 'FAILURE'] as const, orcpt: 'rfc822;user@old.example' }
    const settlement = await attempt(deliverer(a!.port), { to: [recipient], envelope: { ret: 'HDRS', envid: 'abc+2Bd' } })
    assert.deepEqual([a!.mails[0]!.rcptParameters, a!.mails[0]!.mailParameters, settlement.notices], [['NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;user@old.example'], 'SIZE=101 RET=HDRS ENVID=abc+2Bd'.replace('101', String(testMessage.length)), []])
  })
  it('answers SUCCESS itself with "relayed" where the next host offers no DSN', async () => {
    const [a] = await mxHosts({ without: ['DSN'] })
    const settlement = await attempt(deliverer(a!.port), { to: [{ mailbox: mailbox('user@dest.example'), notify: ['SUCCESS'] }, 'other@dest.example'] })
    assert.deepEqual(settlement.notices.map(({ kind, recipient }) => [kind, recipient.mailbox.local]), [['relayed', 'user']])
    assert.deepEqual(a!.mails[0]!.rcptParameters, ['', ''])
  })

  const eightBit = Buffer.from('From: a@shop.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n')
  it('declares 8BITMIME where it is offered', async () => {
    const [a] = await mxHosts({})
    await attempt(deliverer(a!.port), { body: eightBit, envelope: { body: '8BITMIME' } })
    assert.match(a!.mails[0]!.mailParameters, /BODY=8BITMIME/)
    assert.ok(a!.mails[0]!.raw.equals(eightBit))
  })
  it('sends quoted-printable to a host without 8BITMIME', async () => {
    const [a] = await mxHosts({ without: ['8BITMIME'] })
    await attempt(deliverer(a!.port), { body: eightBit, envelope: { body: '8BITMIME' } })
    const text = a!.mails[0]!.raw.toString('latin1')
    assert.match(text, /Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n$/)
    assert.deepEqual(a!.mails[0]!.faults, [])
  })
  it('returns with 5.6.3 what must not be converted', async () => {
    const [a] = await mxHosts({ without: ['8BITMIME'] })
    const signed = Buffer.from('MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nGrüße\r\n--b--\r\n')
    const settlement = await attempt(deliverer(a!.port), { body: signed })
    assert.deepEqual([settlement.notices[0]!.status, a!.count()], ['5.6.3', 0])
  })
  for (const [what, original] of [
    ['a signed part of 8 bits', 'Subject: x\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nGrüße\r\n--b--\r\n'],
    ['8 bits in its header', 'Subject: Grüße\r\n\r\nGrüße\r\n'],
    ['broken MIME of 7 bits', 'Subject: x\r\nContent-Type: multipart/mixed\r\n\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: within\r\n--b--\r\n'],
  ] as const)
    it(`tells a sender whose host takes 7 bits of a message with ${what}: 1 notice comes with its header alone, also where all of it was to be returned`, async () => {
      const [a] = await mxHosts({ without: ['8BITMIME', 'SMTPUTF8'] })
      const about = testDelivery({ from: 'user@dest.example', to: ['gone@far.example'], envelope: { ret: 'FULL', body: '8BITMIME' } })
      const failed = { kind: 'failed', recipient: about.recipients[0]!, status: '5.1.1', plain: 'There is no such address there.', diagnostic: 'smtp; 550 5.1.1 Müller gibt es nicht' } as const
      const notice = composeDsn({ hostname: 'mx1.relay.example' }, { delivery: about, notices: [failed], original: Buffer.from(original), originalIsWhole: true, id: 'n1', now: 0 })!
      const settlement = await attempt(deliverer(a!.port), { from: null, to: notice.deliveries[0]!.recipients, body: (notice.body as { inline: Buffer }).inline, envelope: notice.envelope })
      assert.deepEqual([settlement.notices, a!.count()], [[], 1])
      const text = a!.mails[0]!.raw.toString('latin1')
      assert.match(text, /Content-Type: text\/rfc822-headers\r\n(.*\r\n)?\r\nSubject: (?!within)[^]*\r\n--=_n1_0--\r\n$/)
      assert.doesNotMatch(text, /[\x80-\xff]|--b\r\n|Transfer-Encoding: 8bit/)
    })
  it('needs no SMTPUTF8 where only the flag was set', async () => {
    const [a] = await mxHosts({ without: ['SMTPUTF8'] })
    const settlement = await attempt(deliverer(a!.port), { envelope: { smtputf8: true } })
    assert.deepEqual([settlement.notices, a!.count(), a!.mails[0]!.mailParameters.includes('SMTPUTF8')], [[], 1, false])
  })
  it('returns with 5.6.7 the one recipient whose address needs SMTPUTF8, and delivers to the other', async () => {
    const [a] = await mxHosts({ without: ['SMTPUTF8'] })
    const settlement = await attempt(deliverer(a!.port), { to: ['müller@dest.example', 'user@dest.example'], envelope: { smtputf8: true } })
    assert.deepEqual([settlement.notices.map(({ status, recipient }) => [status, recipient.mailbox.local]), a!.mails[0]!.to], [[['5.6.7', 'müller']], ['<user@dest.example>']])
  })
  for (const [status, from, body] of [['5.6.9', 'orders@shop.example', 'Subject: ü\r\n\r\nx\r\n'], ['5.6.7', 'jörg@shop.example', 'Subject: ü\r\n\r\nx\r\n'], ['5.6.7', 'jörg@shop.example', 'Subject: u\r\n\r\nx\r\n']] as const)
    it(`returns with ${status} a message from ${from} with ${JSON.stringify(body.slice(0, 10))} to a host without SMTPUTF8: only an address is one that is not permitted (RFC 6531 4.2)`, async () => {
      const [a] = await mxHosts({ without: ['SMTPUTF8'] })
      const settlement = await attempt(deliverer(a!.port), { from, body: Buffer.from(body), envelope: { smtputf8: true } })
      assert.deepEqual(settlement.notices.map((notice) => notice.status), [status])
    })
  it('returns with 5.6.7 a message to 1 address that needs SMTPUTF8, though the header needs it too: our own Received field names who it is for', async () => {
    const [a] = await mxHosts({ without: ['SMTPUTF8', '8BITMIME'] })
    const settlement = await attempt(deliverer(a!.port), { to: ['müller@dest.example'], body: Buffer.from('Received: by x\r\n\tfor <müller@dest.example>\r\n\r\nx\r\n'), envelope: { smtputf8: true } })
    assert.deepEqual(settlement.notices.map((notice) => notice.status), ['5.6.7'])
  })
  it('passes SMTPUTF8 on where it is offered', async () => {
    const [a] = await mxHosts({})
    await attempt(deliverer(a!.port), { to: ['müller@dest.example'], envelope: { smtputf8: true } })
    assert.match(a!.mails[0]!.mailParameters, /SMTPUTF8/)
    assert.deepEqual(a!.mails[0]!.to, ['<müller@dest.example>'])
  })
  it('returns with 5.3.4 what is larger than the host announces', async () => {
    const [a] = await mxHosts({ size: 50 })
    const settlement = await attempt(deliverer(a!.port))
    assert.deepEqual([settlement.notices[0]!.status, a!.count()], ['5.3.4', 0])
  })
  it('sends again without TLS where opportunistic TLS fails, and the trace says so', async () => {
    const { makeCertificate } = await import('../../test/tools/certificate.ts')
    const made = makeCertificate('mx1.dest.example')
    const [a] = await mxHosts({ tls: { key: made.key, cert: made.certificate, maxVersion: 'TLSv1.1' } })
    const settlement = await attempt(deliverer(a!.port))
    assert.deepEqual([a!.count(), a!.mails[0]!.isTls], [1, false])
    assert.match(settlement.trace[0]!.text, /again without TLS/)
  })
  it('never sends without TLS where a route says Require', async () => {
    const [a] = await mxHosts({})
    const route = { namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'mx' as const, tls: { mode: 'Require' as const } }] }
    const settlement = await attempt(deliverer(a!.port, {}, { routes: [route] }))
    assert.deepEqual([settlement.later!.last.class, a!.count()], ['TLS', 0])
  })

  it('whatever bytes were accepted arrive as one message and no second (property)', async () => {
    const [a] = await mxHosts({})
    const made = deliverer(a!.port)
    const token = fc.constantFrom('\r\n', '\n', '\r', '.', '\0', 'x', '\r\n.\r\n', '\n.\n', 'MAIL FROM:<evil@x.example>\r\n', 'RCPT TO:<v@x.example>\r\nDATA\r\n')
    await fc.assert(fc.asyncProperty(fc.array(token, { maxLength: 25 }), async (tokens) => {
      const before = a!.count()
      await attempt(made, { body: Buffer.from(`Subject: x\r\n\r\n${tokens.join('')}`, 'latin1') })
      assert.equal(a!.count() - before, 1)
      assert.deepEqual([a!.mails.at(-1)!.faults, a!.mails.at(-1)!.from, a!.faults], [[], '<orders@shop.example>', []])
    }), { numRuns: 150 })
  })
})

async function* failing(body: Buffer): AsyncGenerator<Buffer> {
  yield body.subarray(0, 60_000)
  await Promise.resolve()
  throw new Error('a chunk cannot be read')
}
const failingBody = (body: Buffer): ReturnType<ReturnType<typeof bodyOf>['open']> => failing(body) as never
