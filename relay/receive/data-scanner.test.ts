import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DataScanner } from './data-scanner.ts'

type Seen = { text: string; used: number; ended: boolean; bare: string | undefined }

/** Feeds the bytes cut at the given places. */
const scan = (bytes: string, cuts: readonly number[] = [], mode: 'Refuse' | 'Normalise' = 'Refuse'): Seen => {
  const scanner = new DataScanner(mode)
  const whole = Buffer.from(bytes, 'latin1')
  const places = [0, ...cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length]
  const seen: Seen = { text: '', used: 0, ended: false, bare: undefined }
  for (let index = 1; index < places.length && !seen.ended; index++) {
    const { pieces, used, ended } = scanner.take(whole.subarray(places[index - 1], places[index]))
    seen.text += Buffer.concat(pieces).toString('latin1')
    seen.used += used
    seen.ended = ended
  }
  return { ...seen, bare: scanner.bare }
}

const everySplit = (bytes: string): number[][] => [
  [], Array.from({ length: bytes.length }, (_, index) => index), // whole, and octet by octet
  ...Array.from({ length: bytes.length }, (_, index) => [index]),
]

test('ends at CR LF . CR LF and hands on the lines before it, wherever the bytes are split', () => {
  const bytes = 'a: b\r\n\r\nline\r\n.\r\nQUIT\r\n'
  for (const cuts of everySplit(bytes)) {
    const seen = scan(bytes, cuts)
    assert.deepEqual(seen, { text: 'a: b\r\n\r\nline\r\n', used: bytes.indexOf('QUIT'), ended: true, bare: undefined }, String(cuts))
  }
})

test('takes one leading dot off a line, and an empty message for empty', () => {
  for (const [bytes, text] of [['.\r\n', ''], ['..\r\n.\r\n', '.\r\n'], ['...\r\n.\r\n', '..\r\n'], ['.a\r\n.\r\n', 'a\r\n'], ['a\r\n..b\r\n.\r\n', 'a\r\n.b\r\n'], ['\r\n.\r\n', '\r\n']] as const) {
    for (const cuts of everySplit(bytes)) {
      const seen = scan(bytes, cuts)
      assert.deepEqual([seen.text, seen.ended, seen.used, seen.bare], [text, true, bytes.length, undefined], `${JSON.stringify(bytes)} ${cuts.join()}`)
    }
  }
})

// facts of CVE-2023-51764, -51765, -51766: what some servers take for the end of DATA, and the dot between
export const lookAlikes: readonly (readonly [string, string])[] = [
  ['LF . LF', '\n.\n'], ['CR . CR', '\r.\r'], ['CR . LF', '\r.\n'], ['LF . CR', '\n.\r'], ['LF . CRLF', '\n.\r\n'], ['CRLF . LF', '\r\n.\n'],
  ['CR . CRLF', '\r.\r\n'], ['CRLF . CR', '\r\n.\r'], ['NUL before the dot', '\r\n\0.\r\n'], ['NUL behind the dot', '\r\n.\0\r\n'], ['CR CR LF', '\r\r\n.\r\r\n'],
  ['LF CR', '\n\r.\n\r'], ['CR NUL LF', '\r\0\n.\r\0\n'],
]

for (const [name, bytes] of lookAlikes) {
  test(`the look-alike ${name} ends nothing and is named, wherever it is split`, () => {
    const whole = `text${bytes}MAIL FROM:<smuggled@x.example>\r\n.\r\nQUIT\r\n`
    for (const cuts of everySplit(whole)) {
      const seen = scan(whole, cuts)
      assert.notEqual(seen.bare, undefined)
      assert.equal(whole.slice(seen.used), 'QUIT\r\n', `${JSON.stringify(whole)} ${cuts.join()}`)
    }
  })
}

test('normalises a bare LF to CR LF and a bare CR to a space, and still ends only at CR LF . CR LF', () => {
  for (const cuts of everySplit('a\nb\rc\n.\r\nd\r\n.\r\n')) {
    assert.deepEqual(scan('a\nb\rc\n.\r\nd\r\n.\r\n', cuts, 'Normalise'), { text: 'a\r\nb c\r\n.\r\nd\r\n', used: 15, ended: true, bare: undefined }, String(cuts))
  }
})

test('never normalises a NUL away', () => {
  assert.equal(scan('a\0b\r\n.\r\n', [], 'Normalise').bare, 'NUL')
})

test('does not blame a message for a NUL that follows its end', () => {
  assert.equal(scan('a\r\n.\r\n\0').bare, undefined)
})

// a second opinion, one octet at a time and nothing clever
const reference = (bytes: string): Seen => {
  let line = ''
  let text = ''
  let bare: string | undefined
  for (let at = 0; at < bytes.length; at++) {
    const two = bytes.slice(at, at + 2)
    if (two === '\r\n') {
      if (line === '.') return { text, used: at + 2, ended: true, bare }
      text += `${line.startsWith('.') ? line.slice(1) : line}\r\n`
      line = ''
      at += 1
      continue
    }
    const octet = bytes[at]!
    if (octet === '\0' || octet === '\n' || (octet === '\r' && at + 1 < bytes.length)) bare ??= 'some'
    line += octet
  }
  return { text, used: bytes.length, ended: false, bare }
}

test('agrees with an octet by octet reading on 5,000 made-up messages and splits', () => {
  const octets = fc.array(fc.constantFrom('\r\n', '\r\n', '.', '..', 'a', 'bc', '\r', '\n', '\0', '\r\n.\r\n'), { maxLength: 30 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(octets, fc.array(fc.nat({ max: 60 }), { maxLength: 6 }), (bytes, cuts) => {
      const expected = reference(bytes)
      const seen = scan(bytes, cuts)
      assert.equal(seen.used, expected.used)
      assert.equal(seen.ended, expected.ended)
      if (expected.ended) assert.equal(seen.bare === undefined, expected.bare === undefined)
      if (expected.ended && expected.bare === undefined) assert.equal(seen.text, expected.text)
    }),
    { numRuns: 5000 },
  )
})

test('what is normalised holds no octet out of place, for 2,000 made-up messages', () => {
  const octets = fc.array(fc.constantFrom('\r\n', '.', 'a', '\r', '\n', '\n.\n', '\r.\r'), { maxLength: 30 }).map((parts) => `${parts.join('')}\r\n.\r\n`)
  fc.assert(
    fc.property(octets, fc.array(fc.nat({ max: 60 }), { maxLength: 6 }), (bytes, cuts) => {
      const { text } = scan(bytes, cuts, 'Normalise')
      assert.doesNotMatch(text, /\r(?!\n)|(?<!\r)\n/)
    }),
    { numRuns: 2000 },
  )
})

test('1 MB of bare CRs in 64 KB chunks costs no square of its size', () => {
  const scanner = new DataScanner('Refuse')
  const began = process.cpuUsage()
  for (let index = 0; index < 16; index++) scanner.take(Buffer.alloc(65_536, 13))
  assert.ok(process.cpuUsage(began).user / 1e6 < 5)
  assert.equal(scanner.bare, 'CR')
})
