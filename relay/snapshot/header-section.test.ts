import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { heapMegabytes } from '../../test/tools/heap.ts'
import { HeaderReader, readAddressList, readHeaderSection } from './header-section.ts'

const addresses = (text: string): string[] => readAddressList(text).map((one) => (typeof one === 'string' ? `? ${one}` : `${one.local}@${one.domain}`))

const lists: readonly (readonly [string, readonly string[]])[] = [
  [' a@b.example', ['a@b.example']],
  [' Orders <a@b.example>', ['a@b.example']],
  [' "Last, First" <a@b.example>, c@D.example (a comment, with comma)', ['a@b.example', 'c@d.example']],
  [' (a (nested) comment) <a@b.example>', ['a@b.example']],
  [' team: a@b.example, c@d.example;', ['a@b.example', 'c@d.example']],
  [' <@x.example:a@b.example>', ['a@b.example']],
  [' "a b"@b.example', ['a b@b.example']],
  [' =?utf-8?q?B=C3=B6b?= <a@b.example>', ['a@b.example']],
  [' undisclosed:;', []],
  ['', []],
  // what two readers could take for two people is nobody's address
  [' ceo@victim.example me@mine.example', ['? ceo@victim.example me@mine.example']],
  [' <ceo@victim.example> <me@mine.example>', ['? ceo@victim.example me@mine.example']],
  [' <ceo@victim.example@mine.example>', ['? ceo@victim.example@mine.example']],
  [' ceo@victim.example <me@mine.example>', ['me@mine.example']], // a display name, however it looks
  [' ceo@victim.example: me@mine.example;', ['? ceo@victim.example: me@mine.example;']], // nor is a group's name, which must have no @ (RFC 5322 3.4)
  [' me@mine.example, ceo@victim.example: <me@mine.example>;', ['? me@mine.example, ceo@victim.example: <me@mine.example>;']],
  [' "team@mine.example": me@mine.example;', ['me@mine.example']],
  [' ceo@victim.example, me@mine.example', ['ceo@victim.example', 'me@mine.example']],
  [' <>', ['? <>']],
  [' (") <ceo@victim.example> (") <me@mine.example>', ['? ceo@victim.example me@mine.example']], // a quote in a comment quotes nothing (RFC 5322 3.2.2)
  [' (\\") <me@mine.example>', ['me@mine.example']],
  [' (a \\) b) <me@mine.example>', ['me@mine.example']],
  [' (CEO <ceo@victim.example>', ['? (CEO <ceo@victim.example>']], // a comment without an end hides what others may read
  [' me@mine.example, (CEO <ceo@victim.example>', ['? me@mine.example, (CEO <ceo@victim.example>']],
  [' "me@mine.example', ['? "me@mine.example']],
  [' nobody', ['? nobody']],
]
for (const [text, expected] of lists) test(`From:${text} names ${JSON.stringify(expected)}`, () => assert.deepEqual(addresses(text), expected))

test('counts fields, Received and From, however they are folded and spelt', () => {
  const facts = readHeaderSection(Buffer.from('received: a\r\n\tb\r\nReceived : c\r\nFROM: a@b.example,\r\n c@d.example\r\nDate: x\r\nMessage-Id: y\r\n'))
  assert.deepEqual({ ...facts, from: facts.from.length }, { fields: 5, received: 2, hasDate: true, hasMessageId: true, from: 2, fromFields: 1, start: 'header' })
})

test('what the first line is: a field or none, a text, or the line before a mail in a file of mails, which has a whole date, in 11 sections', () => {
  const sections = ['hello: world\r\n', '', '\r\nFrom: a@b.example\r\n', 'hello world\r\n', 'From now on we are friends\r\n', ' From a@b.example\r\n', 'From a@b.example Mon Nov 30 02:23:29 2026\r\n', '>From a@b.example Mon Nov 30 02:23:29 2026\r\n', 'From - Mon, 30 Nov 2026 02:23:29 +0000\r\n', 'From Paris Sat and Sun there are flights\r\n', 'From Paris Sat 30 Nov: one flight\r\n']
  assert.deepEqual(sections.map((text) => readHeaderSection(Buffer.from(text)).start), ['header', 'header', 'header', 'text', 'text', 'text', 'mbox-line', 'mbox-line', 'mbox-line', 'text', 'text'])
})

test('behind a first line of text nothing is a field, behind the line of a file of mails 3 are', () => {
  const fields = 'From: a@b.example\r\nDate: x\r\nMessage-ID: y\r\n'
  const { start: _, ...none } = readHeaderSection(Buffer.from(`hello world\r\n${fields}`))
  assert.deepEqual(none, { fields: 0, received: 0, hasDate: false, hasMessageId: false, from: [], fromFields: 0 })
  const { fields: number, ...rest } = readHeaderSection(Buffer.from(`From a@b.example Mon Nov 30 02:23:29 2026\r\n${fields}`))
  assert.deepEqual([number, rest], [4, { received: 0, hasDate: true, hasMessageId: true, from: [{ local: 'a', domain: 'b.example' }], fromFields: 1, start: 'mbox-line' }])
})

test('5,000 made-up lists never throw, and a 1 MB one takes less than 5 s of work', () => {
  const unit = fc.constantFrom('"', '\\', '<', '>', '(', ')', ',', ';', ':', '@', 'a', 'b.example', ' ')
  fc.assert(fc.property(fc.array(unit, { maxLength: 20 }), (parts) => void readAddressList(parts.join(''))), { numRuns: 5000 })
  const began = process.cpuUsage()
  for (const piece of ['"', '(', '<', 'a@b.example,', '\\', '"\\']) readAddressList(piece.repeat(1_000_000 / piece.length))
  for (const text of [`"${'a'.repeat(1_000_000)}"@b.example`, `"${'\\a'.repeat(500_000)}`, `<${' '.repeat(1_000_000)}>`, `@${'x'.repeat(1_000_000)}`]) readAddressList(text)
  assert.ok(process.cpuUsage(began).user / 1e6 < 5, String(process.cpuUsage(began).user))
})

test('a section that comes in pieces is read as it is whole, 300 times, with fields of up to 200,000 octets', () => {
  const long = (part: string) => fc.integer({ min: 0, max: 200_000 }).map((bytes) => part.repeat(bytes / part.length))
  const field = fc.oneof(
    fc.constantFrom('From: a@b.example, c@d.example\r\n', 'from\r\n : a@b.example\r\n', 'Received: x\r\n\tby y\r\n', 'Date: x\r\n', 'Message-ID: x\r\n', 'no field\r\n', ' \r\n'),
    fc.tuple(fc.constantFrom('To: ', 'received:', 'text ', 'x', 'Subject \t'), fc.oneof(long('\r\n From: x@y.example'), long('x'), long(' '), long('\r\n\t'), long(' y'))).map(([name, text]) => `${name}${text}:\r\n`),
  )
  fc.assert(
    fc.property(fc.array(field, { maxLength: 6 }), fc.integer({ min: 1, max: 70_000 }), (fields, size) => {
      const section = Buffer.from(fields.join(''))
      const reader = new HeaderReader()
      const step = Math.max(size, Math.ceil(section.length / 2000))
      for (let at = 0; at < section.length; at += step) reader.take(section.subarray(at, at + step))
      const { from, ...facts } = readHeaderSection(section)
      const read = reader.facts()
      assert.deepEqual({ ...read, from: undefined }, { ...facts, from: undefined, fromIsTooLong: false })
      if (facts.fromFields < 2) assert.deepEqual(read.from, from)
    }),
    { numRuns: 300 },
  )
})

test('of 1 MB in one field, or in 10,000, no more than 200,000 octets are held; a From of 1 MB is too long', () => {
  for (const text of [`X: ${'y'.repeat(1_000_000)}`, `X: ${'y\r\n '.repeat(250_000)}`, 'X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n'.repeat(10_000), `From${' '.repeat(1_000_000)}`]) {
    const reader = new HeaderReader()
    for (let at = 0; at < text.length; at += 1_000) reader.take(Buffer.from(text.slice(at, at + 1_000)))
    assert.ok(reader.held <= 200_000, `${reader.held} octets`)
    assert.equal(reader.facts().fromIsTooLong, text.startsWith('From'))
  }
})

test('of 1,000 messages whose From has 60,000 octets in front of the domain less than 20 MB stay: their domains are remembered, and not what stood before them', () => {
  const read = (domain: string): unknown => readHeaderSection(Buffer.from(`From: ${'x'.repeat(60_000)}@${domain}\r\n\r\n`)).from
  read('warm-up-of-the-reader.example')
  const before = heapMegabytes()
  const grown = Array.from({ length: 1_000 }, (_, n) => (read(`host-number-${n}.example`), n % 250 === 249 ? heapMegabytes() - before : 0))
  assert.ok(Math.max(...grown) < 20, `${Math.max(...grown)} MB`)
})
