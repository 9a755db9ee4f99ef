import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { brief, commandLine, mailCommand, rcptCommand, ReplyReader, WireError } from './smtp-wire.ts'

const feed = (...pieces: string[]) => {
  const reader = new ReplyReader({ bytes: 1000, lines: 10 })
  const all = pieces.map((piece) => reader.feed(Buffer.from(piece)))
  return { replies: all.flatMap(({ replies }) => replies), fault: all.find(({ fault }) => fault)?.fault?.fault, reader }
}

describe('commands', () => {
  it('are one line whatever an address holds: CR, LF and NUL are refused (property)', () => {
    const part = fc.string({ unit: 'binary', maxLength: 20 })
    fc.assert(fc.property(part, part, part, part, (local, domain, envid, orcpt) => {
      try {
        const lines = mailCommand({ local, domain }, { envid }) + rcptCommand({ local, domain }, { orcpt, notify: ['FAILURE'] })
        assert.equal(lines.split('\r\n').length, 3)
        assert.doesNotMatch(lines.replace(/\r\n/g, ''), /[\r\n\0]/)
      } catch (error) {
        assert.ok(error instanceof WireError)
      }
    }))
  })
  it('refuse "a@b\\r\\nRCPT TO:<c@d>"', () => assert.throws(() => mailCommand({ local: 'a', domain: 'b>\r\nRCPT TO:<c@d' }, {}), { code: 'SMTP_WIRE_UNSAFE' }))
  it('refuse a blank within a parameter', () => assert.throws(() => mailCommand(null, { envid: 'a b' }), WireError))
  it('write every parameter as its RFC has it', () => {
    assert.equal(mailCommand({ local: 'a b', domain: 'c.example' }, { size: 12, body: '8BITMIME', smtputf8: true, ret: 'HDRS', envid: 'x+2By' }), 'MAIL FROM:<"a b"@c.example> SIZE=12 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x+2By\r\n')
    assert.equal(rcptCommand({ local: 'a', domain: 'c.example' }, { notify: ['SUCCESS', 'FAILURE'], orcpt: 'rfc822;a@c.example' }), 'RCPT TO:<a@c.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@c.example\r\n')
    assert.equal(mailCommand(null, {}), 'MAIL FROM:<>\r\n')
    const to = { local: 'a', domain: 'c.example' }
    assert.deepEqual([rcptCommand(to, {}), rcptCommand(to, { notify: [] }), rcptCommand(to, { notify: ['NEVER'] })], ['', '', ' NOTIFY=NEVER'].map((end) => `RCPT TO:<a@c.example>${end}\r\n`))
  })
  it('has nothing over 7 bits in 1 ORCPT in UTF-8 where MAIL did not say SMTPUTF8 (RFC 6533 3)', () => {
    const said = [false, true].map((smtputf8) => rcptCommand({ local: 'a', domain: 'c.example' }, { orcpt: 'utf-8;jürgen@b.example' }, smtputf8))
    assert.deepEqual(said, ['RCPT TO:<a@c.example> ORCPT=utf-8;j\\x{FC}rgen@b.example\r\n', 'RCPT TO:<a@c.example> ORCPT=utf-8;jürgen@b.example\r\n'])
  })
  it('leave an ORCPT in UTF-8 out that is over 500 characters in ASCII, which a host refuses together with its recipient (RFC 3461 4.2)', () => {
    const said = [82, 83].map((umlauts) => rcptCommand({ local: 'a', domain: 'c.example' }, { notify: ['NEVER'], orcpt: `utf-8;${'ü'.repeat(umlauts)}@b` }))
    assert.deepEqual(said, [`RCPT TO:<a@c.example> NOTIFY=NEVER ORCPT=utf-8;${'\\x{FC}'.repeat(82)}@b\r\n`, 'RCPT TO:<a@c.example> NOTIFY=NEVER\r\n'])
  })
  it('refuse a NUL', () => assert.throws(() => commandLine('EHLO a\0b'), WireError))
})

describe('replies', () => {
  it('come whole however they are cut (property)', () => {
    const text = '250-mx.example\r\n250-PIPELINING\r\n250 OK\r\n550 5.1.1 no\r\n354\r\n'
    fc.assert(fc.property(fc.array(fc.nat(text.length), { maxLength: 12 }), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), text.length]
      const { replies } = feed(...at.slice(1).map((end, index) => text.slice(at[index], end)))
      assert.deepEqual(replies.map(({ code, lines }) => [code, lines.length]), [[250, 3], [550, 1], [354, 1]])
    }))
  })
  it('read the enhanced code only where its class is the reply\'s', () => {
    assert.equal(feed('550 5.1.1 no\r\n').replies[0]!.enhanced, '5.1.1')
    assert.equal(feed('550 4.1.1 no\r\n').replies[0]!.enhanced, undefined)
    assert.equal(feed('550 10.1.2.3 is listed\r\n').replies[0]!.enhanced, undefined)
    assert.equal(feed('550-5.7.1 one\r\n550 5.7.1 two\r\n').replies[0]!.enhanced, '5.7.1')
  })
  for (const junk of ['HTTP/1.1 400 Bad Request\r\n', '25 OK\r\n', '199 hm\r\n', '250_OK\r\n', '\r\n', '\n', '2500 OK\r\n', '250-a\r\n251 b\r\n']) it(`${JSON.stringify(junk)} is no reply`, () => assert.equal(feed(junk).fault, 'garbled'))
  it('end at 10 lines of a multi-line reply', () => assert.equal(feed('250-more\r\n'.repeat(10)).fault, 'endless'))
  it('end at 1,000 bytes of one line', () => assert.equal(feed(`250 ${'x'.repeat(2000)}`).fault, 'endless'))
  it('end at 1,000 bytes over several lines', () => assert.equal(feed(...Array.from({ length: 9 }, () => `250-${'x'.repeat(300)}\r\n`)).fault, 'endless'))
  it('may be 1,000 bytes long each, and 64 KiB where nothing else is said; one byte more is endless', () => {
    const reply = (bytes: number) => `250 ${'x'.repeat(bytes - 4)}\r\n`
    assert.deepEqual([feed(reply(1000), reply(1000), reply(1000)).fault, feed(reply(1001)).fault], [undefined, 'endless'])
    const usual = (bytes: number) => new ReplyReader().feed(Buffer.from(reply(bytes))).fault?.fault
    assert.deepEqual([usual(65_536), usual(65_537)], [undefined, 'endless'])
  })
  it('are cut to 200 characters where they are none', () => assert.equal(new ReplyReader().feed(Buffer.from(`HTTP ${'x'.repeat(300)}\r\n`)).fault!.text.length, 200))
  it('may end in a bare LF', () => assert.deepEqual(feed('250 OK\n').replies[0]!.lines, ['250 OK']))
  it('have nothing that turns the direction of writing in a log or a timeline, and keep 1 word in Hebrew', () => assert.deepEqual(feed('550 \u202egpj.exe\u2066 \u05dc\u05d0\r\n').replies[0]!.lines, ['550 ?gpj.exe? \u05dc\u05d0']))
  it('have no control characters that could break a log line', () => assert.deepEqual(feed('550 a\tb\x1b[31m\rc\r\n').replies[0]!.lines, ['550 a b?[31m?c']))
  it('are told with 512 characters of a line, the last of them whole', () => assert.deepEqual(['x', 'xy'].map((before) => brief({ code: 550, lines: [`550 ${before}${'\u{1f4ea}'.repeat(300)}`] }).lines[0]!.slice(-2)), ['\u{1f4ea}', '\u{1f4ea}']))
  it('keep UTF-8 as it is', () => assert.deepEqual(feed('550 5.1.1 Müller gibt es nicht\r\n').replies[0]!.lines, ['550 5.1.1 Müller gibt es nicht']))
  it('know when half a reply is left', () => assert.deepEqual(['250 OK\r\n250-half\r\n', '250 OK\r\n25', '250 OK\r\n'].map((text) => feed(text).reader.isMidReply), [true, true, false]))
})
