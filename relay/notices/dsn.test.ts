import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { mailbox, testDelivery, type DeliveryChange } from '../../test/tools/delivery.ts'
import type { Notice, NewMessage, Recipient } from '../queue/index.ts'
import { silentLog } from '../report/index.ts'
import { createComposeNotice } from './compose-notice.ts'
import { composeDsn, fromXtext, type NoticeSettings } from './dsn.ts'
import { testSnapshot } from '../../test/tools/delivery.ts'

const original = Buffer.from('From: orders@shop.example\r\nSubject: hello\r\n\r\nthe body\r\n')
const failed = (address: string, change: Partial<Notice> = {}, recipient: Partial<Recipient> = {}): Notice => ({
  kind: 'failed', recipient: { mailbox: mailbox(address), ...recipient }, status: '5.1.1', diagnostic: 'smtp; 550 5.1.1 no such user', remote: 'mx.dest.example', plain: 'There is no such address there.', lastAttemptAt: 1_700_000_100_000, ...change,
})
const settings: NoticeSettings = { hostname: 'mx1.relay.example' }
const compose = (notices: readonly Notice[], change: DeliveryChange & { original?: Buffer; whole?: boolean } = {}, set: NoticeSettings = settings): NewMessage | undefined => {
  const { original: bytes = original, whole = true, ...rest } = change
  return composeDsn(set, { delivery: testDelivery({ arrivedAt: 1_700_000_000_000, ...rest }), notices, original: bytes, originalIsWhole: whole, id: 'n1', now: 1_700_000_200_000 })
}
const bytesOf = (message: NewMessage | undefined): Buffer => (message!.body as { inline: Buffer }).inline
const textOf = (message: NewMessage | undefined): string => bytesOf(message).toString('utf8')

/** A small reader of multipart/report, to see what a mail program sees. */
const read = (message: NewMessage | undefined) => {
  const text = textOf(message)
  const boundary = /boundary="([^"]+)"/.exec(text)![1]!
  const [head = '', ...rest] = text.split(`\r\n--${boundary}`)
  const parts = rest.slice(0, -1).map((part) => {
    const at = part.indexOf('\r\n\r\n')
    return { type: /Content-Type: ([^\r\n;]+)/.exec(part)![1]!, content: part.slice(at + 4) }
  })
  assert.equal(rest.at(-1), '--\r\n')
  return { head, parts }
}

describe('a notice about replies without measure', () => {
  for (const length of [196, 197, 250, 2_000]) {
    it(`is written with a word of ${length} characters in the reply, and no line is over 998 octets`, () => {
      const text = textOf(compose([failed('user@dest.example', { diagnostic: `smtp; 550 5.1.1 <${'a'.repeat(length)}>: unknown` })]))
      assert.ok(text.replace(/\s/g, '').includes('a'.repeat(Math.min(length, 150))))
      assert.deepEqual(text.split('\r\n').filter((line) => Buffer.byteLength(line) > 998), [])
    })
  }
  for (const blanks of [' '.repeat(500), `${' '.repeat(500)}end`])
    it(`has 0 lines of blanks alone where the reply has ${blanks.length === 500 ? '500 blanks at its end' : '500 blanks in a row'} (RFC 5322 3.2.2)`, () => {
      const text = textOf(compose([failed('user@dest.example', { diagnostic: `smtp; 550 5.1.1 unknown${blanks}` })]))
      assert.deepEqual(text.split('\r\n').filter((line) => /^ +$/.test(line)), [])
      assert.ok(text.includes(`Diagnostic-Code: smtp; 550 5.1.1 unknown${blanks.trim() === '' ? '' : ' end'}\r\n`), text)
    })
  for (const [count, reply] of [[1_000, 400], [100, 5_000], [1_000, 5_000]] as const) {
    it(`of ${count} recipients with ${reply} characters each fits into a record of the queue, and names them or says how many more there are`, () => {
      const message = compose(Array.from({ length: count }, (_, n) => failed(`user-${n}@dest.example`, { diagnostic: `smtp; 550 5.1.1 ${'no such user '.repeat(reply / 13)}` })))
      assert.ok(bytesOf(message).length < 800_000, String(bytesOf(message).length))
      const named = (textOf(message).match(/^Final-Recipient: /gm) ?? []).length
      const more = Number(/happened to (\d+) more\s+recipients/.exec(textOf(message))?.[1] ?? 0)
      assert.equal(named + more, count)
    })
  }
  it('is written with 1,000 emoji in a reply, each of them whole', () => {
    for (const smtputf8 of [false, true])
      for (const before of ['', 'x']) {
        const text = textOf(compose([failed('müller@dest.example', { diagnostic: `smtp; 550 ${before}${'\u{1f4ea}'.repeat(1_000)}` })], { envelope: { smtputf8 } }))
        assert.deepEqual([text.includes('\ufffd'), text.match(/\u{1f4ea}/gu)!.length, text.split('\r\n').filter((line) => Buffer.byteLength(line) > 998)], [false, smtputf8 ? 2_000 : 1_000, []])
      }
  })
  it('of 3,000 recipients names 750, each with the first 200 characters of what was said', () => {
    const text = textOf(compose(Array.from({ length: 3_000 }, (_, n) => failed(`user-${n}@dest.example`, { plain: `p${'y'.repeat(300)}`, diagnostic: `smtp; 550 ${'x'.repeat(300)}` }))))
    assert.deepEqual([text.match(/^Final-Recipient: /gm)!.length, /happened to (\d+) more\s+recipients/.exec(text)![1], text.includes('user-749@'), text.includes('user-750@')], [750, '2250', true, false])
    const words = text.replace(/\s/g, '')
    assert.deepEqual([/py+/.exec(words)![0].length, /smtp;550x+/.exec(words)![0].length], [200, 198], 'less 2 blanks')
  })
})

describe('a delivery status notification', () => {
  it('goes to the sender, from the null sender, and nobody is told of its own fate', () => {
    const { envelope, deliveries } = compose([failed('user@dest.example')])!
    assert.deepEqual([envelope.mailFrom, envelope.source, deliveries.length, deliveries[0]!.domain, deliveries[0]!.recipients[0]], [null, 'local', 1, 'shop.example', { mailbox: mailbox('orders@shop.example'), notify: ['NEVER'] }])
  })
  it('is a message of our own, in the class and by the schedule of the one it is about, unless it is given another', () => {
    const { id, envelope, deliveries, headers } = compose([failed('user@dest.example')], { envelope: { class: 'bulk' } })!
    assert.deepEqual([id, envelope.listener, envelope.class, envelope.because, headers.length, deliveries[0]!.schedule.name], ['n1', 'local', 'bulk', `notice about ${testDelivery().message}`, 0, testDelivery().schedule.name])
    const schedule = { ...testDelivery().schedule, name: 'of-notices' }
    assert.equal(compose([failed('user@dest.example')], {}, { ...settings, schedule })!.deliveries[0]!.schedule.name, 'of-notices')
  })
  it('has the header fields of RFC 3464 and RFC 3834', () => {
    const { head } = read(compose([failed('user@dest.example')]))
    for (const field of [/^From: .*<MAILER-DAEMON@mx1\.relay\.example>$/m, /^To: <orders@shop\.example>/m, /^Auto-Submitted: auto-replied/m, /^Date: Tue, 14 Nov 2023 22:16:40 \+0000/m, /^Message-ID: <n1@mx1\.relay\.example>/m, /^Content-Type: multipart\/report; report-type=delivery-status;/m]) assert.match(head.replaceAll('\r', ''), field)
  })
  it('says in its first line, in plain words, what happened to whom', () => {
    const { parts } = read(compose([failed('user@dest.example')]))
    assert.match(parts[0]!.content, /^Your message could not be delivered to user@dest\.example\.\r\nWe will not try again\.\r\n/)
    assert.match(parts[0]!.content, /There is no such address there\.\r\n {2}mx\.dest\.example said: 550 5\.1\.1 no such user/)
  })
  it('puts no words into the mouth of a host that said nothing', () => {
    const { parts } = read(compose([failed('user@dest.example', { diagnostic: 'X-Posthouse; connection lost after the final dot' })]))
    assert.match(parts[0]!.content, /\r\n {2}In detail: connection lost after the final dot\r\n/)
    assert.match(parts[1]!.content, /^Remote-MTA: dns; mx\.dest\.example\r\nDiagnostic-Code: X-Posthouse; connection lost/m)
  })
  it('has an address of 130 characters on 1 line of what a person reads, whatever stands before it', () => {
    const address = `bounce-${'x'.repeat(50)}@${'d'.repeat(60)}.example`
    const { parts } = read(compose([failed(address)]))
    const lines = parts[0]!.content.split('\r\n')
    assert.deepEqual(lines.filter((line) => line.includes('bounce-')), [`${address}.`, `${address}:`], parts[0]!.content)
  })
  it('has nothing in 3 parts that turns the direction of writing: neither of a reply nor of an original recipient', () => {
    const turned = '\u202egpj.exe\u2066'
    for (const smtputf8 of [false, true]) {
      const message = compose([failed('müller@dest.example', { diagnostic: `smtp; 550 ${turned}`, plain: `So ${turned}` }, { orcpt: 'utf-8;\\x{202E}a@x.example' })], { envelope: { smtputf8 } })
      assert.doesNotMatch(textOf(message), /[\u202a-\u202e\u2066-\u2069]/u)
    }
  })
  it('has an original recipient of 240 umlauts in lines of at most 998 octets, each of which it writes with 6', () => {
    const text = textOf(compose([failed('user@dest.example', {}, { orcpt: `utf-8;${'ü'.repeat(240)}@alias.example` })]))
    assert.deepEqual(text.split('\r\n').filter((line) => line.length > 998), [])
    assert.equal(text.replaceAll('\r\n ', '').match(/\\x\{FC\}/g)!.length, 240)
  })
  it('has an original recipient of 300 characters on 1 line, without a blank within: who sends to lists finds the address again by it', () => {
    const address = `bounce-${'x'.repeat(280)}@alias.example`
    for (const smtputf8 of [false, true]) {
      const text = textOf(compose([failed('müller@dest.example', {}, { orcpt: `rfc822;${address}` })], { envelope: { smtputf8 } }))
      assert.ok(text.includes(`Original-Recipient: rfc822; ${address}\r\n`))
    }
  })
  for (const ret of ['FULL', 'HDRS'] as const)
    it(`returns no line over 998 octets, for which the sender's host may refuse it as another refused the message, with RET=${ret}`, () => {
      const long = (header: string, body: string): string[] => {
        const message = compose([failed('user@dest.example')], { original: Buffer.from(`Subject: ${header}\r\nFrom: a@b.example\r\n\r\n${body}\r\n`), envelope: { ret } })
        assert.ok(bytesOf(message).toString('latin1').split('\r\n').every((line) => line.length <= 998))
        assert.ok(textOf(message).includes('From: a@b.example\r\n'))
        return read(message).parts.slice(2).map(({ type, content }) => `${type} ${content.includes('\ufffd') ? 'broken' : 'whole'}`)
      }
      const header = ['text/rfc822-headers whole']
      assert.deepEqual([long('y'.repeat(2_000), 'z'), long('ü'.repeat(1_000), 'z'), long('y', 'z'.repeat(999))], [header, header, header])
      assert.deepEqual(long('y'.repeat(989), 'z'.repeat(998)), ret === 'FULL' ? ['message/rfc822 whole'] : header)
    })
  it('has one block for every recipient', () => {
    const { parts } = read(compose([failed('a@dest.example'), failed('b@dest.example', { status: '5.2.2', remote: 'mx2.dest.example' }, { orcpt: 'rfc822;b+2Bold@dest.example' })], { envelope: { envid: 'Q+3D1' } }))
    const blocks = parts[1]!.content.trimEnd().split('\r\n\r\n')
    assert.equal(parts[1]!.type, 'message/delivery-status')
    assert.match(blocks[0]!, /^Original-Envelope-Id: Q=1\r\nReporting-MTA: dns; mx1\.relay\.example\r\nArrival-Date: Tue, 14 Nov 2023 22:13:20 \+0000/)
    assert.match(blocks[1]!, /^Final-Recipient: rfc822; a@dest\.example\r\nAction: failed\r\nStatus: 5\.1\.1\r\nRemote-MTA: dns; mx\.dest\.example\r\nDiagnostic-Code: smtp; 550 5\.1\.1 no such user\r\nLast-Attempt-Date: /)
    assert.match(blocks[2]!, /^Original-Recipient: rfc822; b\+old@dest\.example\r\nFinal-Recipient: rfc822; b@dest\.example/)
    assert.equal(blocks.length, 3)
  })
  it('has 1 block for the message and 2 for its 2 recipients, and no empty one behind them, which a parser would take for a 3rd', () => {
    const { content } = read(compose([failed('a@dest.example'), failed('b@dest.example')])).parts.find(({ type }) => type === 'message/delivery-status')!
    assert.deepEqual(content.split('\r\n\r\n').map((block) => /^[\w-]+/.exec(block)?.[0]), ['Reporting-MTA', 'Final-Recipient', 'Final-Recipient'])
  })
  for (const [remote, field] of [['192.0.2.7', '[192.0.2.7]'], ['2001:db8::7', '[IPv6:2001:db8::7]'], ['mx.dest.example', 'mx.dest.example']] as const)
    it(`names the host ${remote} as ${field}: of the type dns is a name, or an address literal (RFC 3464 2.3.5)`, () => {
      assert.ok(read(compose([failed('a@dest.example', { remote })])).parts[1]!.content.split('\r\n').includes(`Remote-MTA: dns; ${field}`))
    })
  it('names no last attempt where there were 0', () => {
    const { lastAttemptAt: _, ...neverTried } = failed('a@dest.example', { kind: 'delayed', willRetryUntil: 1_700_000_200_000 })
    const { parts } = read(compose([neverTried]))
    assert.match(parts[1]!.content, /Diagnostic-Code: [^\r]*\r\nWill-Retry-Until: /)
  })
  it('is one for 1,000 recipients', () => {
    const { parts } = read(compose(Array.from({ length: 1000 }, (_, index) => failed(`u${index}@dest.example`))))
    assert.equal(parts[1]!.content.match(/Final-Recipient/g)!.length, 1000)
  })

  const returns: readonly ['FULL' | 'HDRS' | undefined, boolean, Notice['kind'], string][] = [
    ['FULL', true, 'failed', 'message/rfc822'], ['FULL', false, 'failed', 'text/rfc822-headers'], ['FULL', true, 'delayed', 'text/rfc822-headers'],
    ['HDRS', true, 'failed', 'text/rfc822-headers'], [undefined, true, 'failed', 'text/rfc822-headers'],
  ]
  for (const [ret, whole, kind, type] of returns) {
    it(`returns ${type} for ${kind}, RET=${ret ?? 'absent'}, ${whole ? 'the message at hand' : 'only its head at hand'}`, () => {
      const { parts } = read(compose([failed('a@dest.example', { kind })], { whole, envelope: ret === undefined ? {} : { ret } }))
      assert.equal(parts[2]!.type, type)
      assert.equal(parts[2]!.content.includes('the body'), type === 'message/rfc822')
      assert.match(parts[2]!.content, /Subject: hello/)
    })
  }

  const table: readonly [Notice['kind'], Recipient['notify'], boolean][] = [
    ['failed', undefined, true], ['failed', ['NEVER'], false], ['failed', ['FAILURE'], true], ['failed', ['SUCCESS'], false], ['failed', ['DELAY'], false],
    ['delayed', undefined, true], ['delayed', ['NEVER'], false], ['delayed', ['FAILURE'], false], ['delayed', ['DELAY'], true], ['delayed', ['SUCCESS', 'DELAY'], true],
    ['relayed', undefined, false], ['relayed', ['SUCCESS'], true], ['relayed', ['FAILURE'], false], ['relayed', ['NEVER'], false],
  ]
  for (const [kind, notify, told] of table) it(`${kind} with NOTIFY ${notify?.join() ?? 'absent'}: ${told ? 'told' : 'nothing'}`, () => assert.equal(compose([failed('a@dest.example', { kind }, notify ? { notify } : {})]) !== undefined, told))

  it('tells only of those who want it, in one message', () => {
    const { parts } = read(compose([failed('a@dest.example', {}, { notify: ['NEVER'] }), failed('b@dest.example')]))
    assert.doesNotMatch(parts[1]!.content, /a@dest/)
  })
  it('says until when a delayed message is tried, and asks for nothing', () => {
    const { head, parts } = read(compose([failed('a@dest.example', { kind: 'delayed', status: '4.4.1', willRetryUntil: 1_700_400_000_000 })]))
    assert.match(head, /Subject: Your message is delayed/)
    assert.match(parts[0]!.content, /^Your message to a@dest\.example is delayed\.\r\nYou need not do anything: we keep trying\./)
    assert.match(parts[1]!.content, /Action: delayed[\s\S]*Will-Retry-Until: Sun, 19 Nov 2023/)
  })
  it('is not written for the null sender', () => assert.equal(compose([failed('a@dest.example')], { from: null }), undefined))
  it('goes to the postmaster for a failed notice, and then no further', () => {
    const postmaster = { ...settings, postmaster: 'postmaster@relay.example' }
    assert.equal(compose([failed('a@dest.example')], { from: null }, postmaster)!.deliveries[0]!.domain, 'relay.example')
    assert.equal(compose([failed('postmaster@relay.example')], { from: null, to: ['postmaster@relay.example'] }, postmaster), undefined)
    assert.equal(compose([failed('a@dest.example', { kind: 'delayed' })], { from: null }, postmaster), undefined)
    assert.notEqual(compose([failed('a@dest.example', { kind: 'delayed' }), failed('b@dest.example')], { from: null }, postmaster), undefined)
    assert.equal(compose([failed('a@relay.example')], { from: null, to: ['a@relay.example', 'PostMaster@relay.example'] }, postmaster), undefined, '1 of 2 recipients is the postmaster')
    assert.equal(compose([failed('postmaster@relay.example')], { from: null }, { ...settings, postmaster: 'Postmaster@relay.example' }), undefined)
  })
  it('goes to the postmaster where it is 1 of our own that its sender\'s host refused, as it was sent: with NOTIFY=NEVER for the hosts it passes', () => {
    const postmaster = { ...settings, postmaster: 'postmaster@relay.example' }
    const failedNotice = (about: NewMessage): NewMessage | undefined => {
      const [{ recipients }] = about.deliveries as [NewMessage['deliveries'][0]]
      return compose([{ ...failed('x@y.example'), recipient: recipients[0]! }], { from: null, to: recipients, envelope: about.envelope }, postmaster)
    }
    const toPostmaster = failedNotice(compose([failed('a@dest.example')])!)!
    assert.deepEqual(toPostmaster.deliveries[0]!.recipients[0]!.mailbox, mailbox('postmaster@relay.example'))
    assert.match(textOf(toPostmaster), /^Final-Recipient: rfc822; orders@shop\.example\r$/m)
    assert.match(read(toPostmaster).head, /^Subject: A message without a sender could not be delivered\r$/m)
    assert.match(read(toPostmaster).parts[0]!.content, /^A message without a sender \(such as a notice\) could not be delivered to\r\norders@shop\.example\.\r\nWe will not try again, and nobody else is left to tell\.\r\n/)
    assert.equal(failedNotice(toPostmaster), undefined)
    assert.equal(compose([failed('a@dest.example', {}, { notify: ['NEVER'] })], { from: null }, postmaster), undefined, 'of another\'s, whose client said so')
  })
  it('is 7 bits for a message of 7 bits, and 8BITMIME where the original has 8', () => {
    assert.equal(compose([failed('a@dest.example')])!.envelope.body, '7BIT')
    const message = compose([failed('a@dest.example')], { original: Buffer.from('Subject: x\r\n\r\nü\r\n'), envelope: { ret: 'FULL' } })!
    assert.deepEqual([message.envelope.body, message.envelope.smtputf8], ['8BITMIME', false])
  })
  it('says of itself and of each of its 3 parts whether it has 8 bits', () => {
    const encodings = (message: NewMessage | undefined) => [...textOf(message).matchAll(/^Content-Transfer-Encoding: (\S+)\r$/gm)].map(([, encoding]) => encoding)
    assert.match(textOf(compose([failed('a@dest.example')])), /^MIME-Version: 1\.0\r$/m)
    assert.deepEqual(encodings(compose([failed('a@dest.example')])), ['7bit', '7bit', '7bit', '7bit'])
    assert.deepEqual(encodings(compose([failed('a@dest.example', { plain: 'für' })])), ['8bit', '8bit', '7bit', '7bit'])
    assert.deepEqual(encodings(compose([failed('a@dest.example')], { original: Buffer.from('Subject: ü\r\n\r\n') })), ['8bit', '7bit', '7bit', '8bit'])
    assert.deepEqual(encodings(compose([failed('ü@dest.example')], { envelope: { smtputf8: true } })), ['8bit', '8bit', '8bit', '7bit'])
  })
  for (const [what, recipient, envelope, field] of [
    ['ORCPT in UTF-8', { orcpt: 'utf-8;jürgen@alias.example' }, { smtputf8: true }, 'Original-Recipient: utf-8; j\\x{FC}rgen@alias.example'],
    ['ORCPT of octets over 7 bits', { orcpt: 'rfc822;j+C3+BCrgen@alias.example' }, {}, 'Original-Recipient: rfc822; j??rgen@alias.example'],
    ['ENVID of octets over 7 bits', {}, { envid: 'order+C3+BC1' }, 'Original-Envelope-Id: order??1'],
  ] as const)
    it(`has nothing over 7 bits in its status part, which says 7bit, where an address that needs none of it came with an ${what}`, () => {
      const message = compose([failed('user@dest.example', {}, recipient)], { envelope })
      assert.ok(read(message).parts[1]!.content.split('\r\n').includes(field), read(message).parts[1]!.content)
      assert.deepEqual([bytesOf(message).every((byte) => byte < 0x80), message!.envelope.body], [true, '7BIT'])
    })
  it('is a global one (RFC 6533) where an address needs it, and only then', () => {
    const message = compose([failed('müller@dest.example')], { to: ['müller@dest.example'], envelope: { smtputf8: true } })
    const { parts } = read(message)
    assert.deepEqual([message!.envelope.smtputf8, parts[1]!.type, parts[2]!.type], [true, 'message/global-delivery-status', 'message/global-headers'])
    assert.match(parts[1]!.content, /Final-Recipient: utf-8; müller@dest\.example/)
    assert.equal(compose([failed('a@dest.example')], { envelope: { smtputf8: true } })!.envelope.smtputf8, false)
    assert.equal(compose([failed('a@dest.example')], { from: 'jörg@shop.example', envelope: { smtputf8: true } })!.envelope.smtputf8, true)
    assert.equal(compose([failed('a@dest.example')], { original: Buffer.from('Subject: ü\r\n\r\n') })!.envelope.smtputf8, false, 'whose client did not say SMTPUTF8')
  })
  for (const [orcpt, field] of [
    ['utf-8;j\\x{FC}rgen\\x{2B}a@alias.example', 'utf-8; jürgen+a@alias.example'], ['utf-8;\\x{1F600}\\x{10FFFD}@alias.example', 'utf-8; \u{1f600}\u{10fffd}@alias.example'],
    ['utf-8;jürgen@alias.example', 'utf-8; jürgen@alias.example'], ['utf-8;a\\x{0D}\\x{0A}Status:@alias.example', 'utf-8; a Status:@alias.example'], ['rfc822;a\\x{FC}@alias.example', 'rfc822; a\\x{FC}@alias.example'],
  ] as const)
    it(`says ${JSON.stringify(field)} of the original recipient ${JSON.stringify(orcpt)} where it is a global one (RFC 6533 3)`, () => {
      const message = compose([failed('müller@dest.example', {}, { orcpt })], { envelope: { smtputf8: true } })
      assert.ok(read(message).parts[1]!.content.split('\r\n').includes(`Original-Recipient: ${field}`), read(message).parts[1]!.content)
    })
  it('stays one well-formed message whatever the remote, the client or the original said (property)', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 })
    fc.assert(fc.property(text, text, text, fc.uint8Array({ maxLength: 200 }), (said, remote, orcpt, bytes) => {
      const message = compose([failed('a@dest.example', { diagnostic: `smtp; ${said}`, remote, plain: said }, { orcpt: `rfc822;${orcpt}` })], { original: Buffer.concat([Buffer.from('Subject: x\r\n\r\n'), Buffer.from(bytes)]) })
      const { parts } = read(message)
      assert.equal(parts.length, 3)
      const blocks = parts[1]!.content.trimEnd().split('\r\n\r\n')
      assert.equal(blocks.length, 2)
      for (const line of parts[1]!.content.trimEnd().split('\r\n')) assert.match(line, /^([A-Z][A-Za-z-]+: .*| .*|)$/u)
      for (const line of bytesOf(message).toString('latin1').split('\r\n')) assert.ok(Buffer.byteLength(line, 'latin1') <= 998)
    }), { numRuns: 300 })
  })
  it('takes a boundary that the original does not contain', () => {
    assert.equal(read(compose([failed('a@dest.example')], { original: Buffer.from('Subject: =_n1_0 =_n1_1\r\n\r\n'), envelope: { ret: 'FULL' } })).parts.length, 3)
  })
  it('reads xtext', () => assert.equal(fromXtext('a+2Bb+3Dc'), 'a+b=c'))
})

describe('composing for the queue', () => {
  it('tells nobody of 2 failures where 1 original cannot be read, and says that as a bug', () => {
    const lines: unknown[] = []
    const compose = createComposeNotice({ relay: () => testSnapshot().relay, schedule: () => testSnapshot().schedules[0]!, log: { ...silentLog, error: (code) => void lines.push(code) } })
    const given = { notices: [failed('a@dest.example'), failed('b@dest.example')], original: undefined as unknown as Buffer, originalIsWhole: true, id: 'n1', now: 0 }
    assert.equal(compose({ ...given, delivery: testDelivery() }), undefined)
    assert.notEqual(compose({ ...given, original, delivery: testDelivery() }), undefined)
    assert.deepEqual(lines, ['BUG'])
  })
})
