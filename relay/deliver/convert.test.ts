import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { wholeContent, type Content } from './content.ts'
import { converted, survey } from './convert.ts'
import { encodeLine } from './quoted-printable.ts'

/** A decoder of its own, after RFC 2045 6.7, to compare with. */
const decode = (text: string): Buffer => Buffer.from(text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))), 'latin1')

const inPieces = (bytes: Buffer, size: number): Content => ({
  ...wholeContent(bytes),
  async *open() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  },
})
const convert = async (text: string | Buffer, size = 10_000): Promise<string> => {
  const content = inPieces(Buffer.from(text as string), size)
  const found = await survey(content)
  if (found.kind === 'unsafe') return `unsafe: ${found.why}`
  const pieces: Buffer[] = []
  for await (const piece of converted(content, found.parts).open()) pieces.push(piece)
  return Buffer.concat(pieces).toString('latin1')
}
const lines = (...all: string[]): string => all.join('\r\n')

describe('quoted-printable', () => {
  it('decodes to what went in, in lines of at most 76 characters of 7 bits (property)', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isEnd) => {
      const line = Buffer.from(bytes)
      const text = encodeLine(line, isEnd)
      assert.deepEqual(decode(text), line)
      for (const one of text.split('\r\n')) assert.match(one, /^[\x20-\x7e\t]{0,76}$/)
      if (isEnd) assert.doesNotMatch(text, /[ \t]$/)
      assert.doesNotMatch(text, /[ \t]\r\n/)
    }), { numRuns: 1000 })
  })
})

describe('8-bit mail for a 7-bit host', () => {
  it('encodes a text part and says so once', async () => {
    assert.equal(await convert(lines('MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', 'content-transfer-encoding: 8bit', 'Subject: x', '', 'Grüße', '')),
      lines('MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', 'Subject: x', 'Content-Transfer-Encoding: quoted-printable', '', 'Gr=C3=BC=C3=9Fe', ''))
  })
  it('makes MIME of a message that was none (RFC 1428)', async () => {
    assert.equal(await convert(lines('Subject: x', '', 'Grüße')), lines('Subject: x', 'MIME-Version: 1.0', 'Content-Type: text/plain; charset=unknown-8bit', 'Content-Transfer-Encoding: quoted-printable', '', 'Gr=C3=BC=C3=9Fe=', ''))
  })
  const multipart = (encoding: string, ...parts: string[]): string => lines('MIME-Version: 1.0', 'Content-Type: multipart/mixed;', ' boundary="=_b 1"', `Content-Transfer-Encoding: ${encoding}`, '', 'preamble', ...parts.map((part) => `--=_b 1\r\n${part}`), '--=_b 1--', 'epilogue', '')
  it('touches only the parts that need it', async () => {
    const result = await convert(multipart('8bit', lines('Content-Type: text/plain', '', 'plain =3D stays'), lines('Content-Type: text/html; charset=utf-8', 'Content-Transfer-Encoding: 8bit', '', '<p>ü</p>'), lines('Content-Transfer-Encoding: base64', '', 'AAAA')))
    assert.match(result, /boundary="=_b 1"\r\nContent-Transfer-Encoding: 7bit\r\n\r\npreamble/)
    assert.match(result, /plain =3D stays\r\n--=_b 1\r\nContent-Type: text\/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=BC<\/p>\r\n--=_b 1\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--=_b 1--\r\nepilogue/)
    assert.doesNotMatch(result, /[\x80-\xff]/)
  })
  it('keeps the last of 2 header lines of a part that ends without an empty line', async () => {
    const inner = lines('--o', 'Content-Type: multipart/mixed; boundary=i', 'Content-Transfer-Encoding: 8bit', '')
    const text = await convert(lines('Content-Type: multipart/mixed; boundary=o', '', `${inner}--o`, '', 'ü', '--o--', ''))
    assert.ok(text.includes(lines('--o', 'Content-Type: multipart/mixed; boundary=i', 'Content-Transfer-Encoding: 7bit', '', '--o')), text)
  })
  it('goes into a message within the message', async () => {
    const inner = lines('Content-Type: message/rfc822', 'Content-Transfer-Encoding: 8bit', '', 'Subject: inner', 'Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: 8bit', '', 'ä')
    const result = await convert(multipart('8bit', inner))
    assert.match(result, /Content-Type: message\/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: inner\r\nContent-Type: text\/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n--/)
  })
  it('encodes the text within each of 2 messages of a digest, whose parts are messages where they name no type (RFC 2046 5.1.5), and the text behind it', async () => {
    const inner = (text: string): string => lines('', 'Subject: one', 'Content-Transfer-Encoding: 8bit', '', text, '')
    const digest = lines('Content-Type: multipart/digest; boundary=d', '', '--d', `${inner('ü')}--d`, `${inner('seven')}--d--`)
    const text = await convert(multipart('8bit', digest, lines('', 'ä', '')))
    assert.ok(text.includes(lines('--d', '', 'Subject: one', 'Content-Transfer-Encoding: quoted-printable', '', '=C3=BC', '--d')), text)
    assert.ok(text.includes(lines('', 'Subject: one', 'Content-Transfer-Encoding: 8bit', '', 'seven', '--d--')), text)
    assert.ok(text.includes(lines('Content-Transfer-Encoding: quoted-printable', '', '=C3=A4', '')), text)
  })
  it('leaves a message of 7 bits as it is', async () => {
    const text = multipart('7bit', lines('', 'hello'))
    assert.equal(await convert(text), text)
  })
  const unsafe: readonly [string, string][] = [
    ['a signed part', lines('Content-Type: multipart/signed; boundary=b', '', '--b', '', 'ü', '--b--', '')],
    ['a part within a signed part', lines('Content-Type: multipart/signed; boundary=s', '', '--s', 'Content-Type: multipart/mixed; boundary=m', '', '--m', '', 'ü', '--m--', '--s--', '')],
    ['8 bits in a part labelled base64', lines('Content-Transfer-Encoding: base64', '', 'ü')],
    ['8 bits in the header of a part', multipart('8bit', lines('Content-Disposition: attachment; filename=ü.txt', '', 'x'))],
    ['8 bits in the preamble', multipart('8bit').replace('preamble', 'ü')],
    ['a multipart without a boundary', lines('Content-Type: multipart/mixed', '', 'ü')],
    ['a fragment of a message', lines('Content-Type: message/partial; id=1', '', 'ü')],
  ]
  for (const [what, text] of unsafe) it(`refuses ${what}`, async () => assert.match(await convert(text), /^unsafe: /))
  it('may convert a part after a signed one that has 7 bits', async () => {
    const signed = lines('Content-Type: multipart/signed; boundary=s', '', '--s', '', 'seven', '--s--')
    assert.match(await convert(multipart('8bit', signed, lines('', 'ü'))), /=C3=BC/)
  })
  it('gives the same result however the message is cut (property)', async () => {
    const text = Buffer.from(multipart('8bit', lines('Content-Type: text/plain; charset=utf-8', '', 'ü'.repeat(100), '.', 'x '), lines('', 'seven')))
    const whole = await convert(text)
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 90 }), async (size) => assert.equal(await convert(text, size), whole)), { numRuns: 40 })
  })
  it('never loses a byte of the body (property)', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      const body = Buffer.from(Buffer.from(bytes).toString('latin1').replace(/\r?\n|\r/g, '\r\n'), 'latin1')
      const result = await convert(Buffer.concat([Buffer.from('MIME-Version: 1.0\r\nContent-Type: text/plain; charset=latin1\r\n\r\n'), body, Buffer.from('\xe4\r\n', 'latin1')]))
      const text = result.slice(result.indexOf('\r\n\r\n') + 4)
      assert.deepEqual(decode(text), Buffer.concat([body, Buffer.from('\xe4\r\n', 'latin1')]))
    }), { numRuns: 300 })
  })
  it('holds a line of 5 MB without a break in pieces', async () => {
    const body = Buffer.alloc(5_000_000, 0xe4)
    const content = inPieces(Buffer.concat([Buffer.from('MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n'), body]), 65_536)
    const found = await survey(content)
    let most = 0
    let bytes = 0
    for await (const piece of converted(content, found.kind === 'convertible' ? found.parts : new Set()).open()) {
      most = Math.max(most, piece.length)
      bytes += piece.length
    }
    assert.ok(most < 1_000_000 && bytes > 15_000_000)
  })
})
