import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Stuffer } from './dot-stuff.ts'

const stuff = (...pieces: (string | Buffer)[]): string => {
  const stuffer = new Stuffer()
  return Buffer.concat([...pieces.map((piece) => stuffer.piece(Buffer.from(piece as string))), stuffer.end()]).toString('latin1')
}
/** The strictest reader: only CR LF . CR LF ends; gives the messages it sees. */
const readStrictly = (wire: string): string => {
  const all = `\r\n${wire}`
  const end = all.indexOf('\r\n.\r\n')
  assert.equal(end + 5, all.length, 'the message ends once, at its end')
  return all.slice(2, end + 2).replace(/(^|\r\n)\./g, '$1')
}
/** The most gullible reader: takes any look-alike of an end. */
const lookAlikes = /(?:\r\n|\r|\n|^)\.(?:\r|\n)/g

describe('dot-stuffing', () => {
  it('doubles a dot that begins a line, and no other', () => assert.equal(stuff('.a\r\nb.c\r\n..\r\n'), '..a\r\nb.c\r\n...\r\n.\r\n'))
  it('ends a last line that has no end', () => assert.equal(stuff('a'), 'a\r\n.\r\n'))
  it('sends an empty message as a lone dot', () => assert.equal(stuff(''), '.\r\n'))
  it('gives the very same bytes back where nothing must change', () => {
    const bytes = Buffer.from('a\r\nb\r\n')
    assert.equal(new Stuffer().piece(bytes), bytes)
  })
  for (const [what, bytes] of Object.entries({ 'LF.LF': 'a\n.\nb', 'LF.CRLF': 'a\n.\r\nb', 'CRLF.LF': 'a\r\n.\nb', 'CR.CR': 'a\r.\rb', 'CR.CRLF': 'a\r.\r\nb', 'CRLF.CR': 'a\r\n.\rb', 'CR.LF': 'a\r.\nb', 'LF.CR': 'a\n.\rb', 'NUL before the dot': 'a\r\n\0.\r\nb', 'NUL behind it': 'a\r\n.\0\r\nb' })) {
    it(`lets no ${what} out`, () => assert.equal([...stuff(bytes).matchAll(lookAlikes)].length, 1))
  }
  it('a message in CRLF lines arrives as it was, however it is cut (property)', () => {
    const line = fc.stringMatching(/^[.a \xe4]{0,6}$/)
    fc.assert(fc.property(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(60), { maxLength: 8 }), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((one) => `${one}\r\n`).join(''), 'latin1')
      const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length]
      const wire = stuff(...at.slice(1).map((end, index) => bytes.subarray(at[index], end)))
      assert.equal(readStrictly(wire), bytes.toString('latin1'))
    }), { numRuns: 1000 })
  })
  it('any bytes leave as exactly one message, to strict and gullible readers alike, and none of them is lost but NUL (property)', () => {
    const byte = fc.constantFrom('\r', '\n', '.', 'a', '\0', '\r\n')
    fc.assert(fc.property(fc.array(byte, { maxLength: 30 }), fc.array(fc.nat(30), { maxLength: 6 }), (bytes, cuts) => {
      const text = bytes.join('')
      const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length]
      const wire = stuff(...at.slice(1).map((end, index) => text.slice(at[index], end)))
      const lines = text.replace(/\r\n|\r|\n/g, '\r\n').replaceAll('\0', '')
      assert.equal(readStrictly(wire), lines === '' || lines.endsWith('\r\n') ? lines : `${lines}\r\n`)
      assert.doesNotMatch(wire, /\0|\r(?!\n)|(?<!\r)\n/)
      assert.equal([...wire.matchAll(lookAlikes)].length, 1)
    }), { numRuns: 3000 })
  })
})
