import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readAddressList, readHeaderSection } from './header-section.ts'

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
  assert.deepEqual({ ...facts, from: facts.from.length }, { fields: 5, received: 2, hasDate: true, hasMessageId: true, from: 2, fromFields: 1, startsWithHeader: true })
})

test('a text without a header section is seen as such, and an empty one is not', () => {
  assert.equal(readHeaderSection(Buffer.from('hello world\r\n')).startsWithHeader, false)
  assert.equal(readHeaderSection(Buffer.from('hello: world\r\n')).startsWithHeader, true)
  assert.equal(readHeaderSection(Buffer.alloc(0)).startsWithHeader, true)
})

test('5,000 made-up lists never throw, and a 1 MB one takes less than 5 s of work', () => {
  const unit = fc.constantFrom('"', '\\', '<', '>', '(', ')', ',', ';', ':', '@', 'a', 'b.example', ' ')
  fc.assert(fc.property(fc.array(unit, { maxLength: 20 }), (parts) => void readAddressList(parts.join(''))), { numRuns: 5000 })
  const began = process.cpuUsage()
  for (const piece of ['"', '(', '<', 'a@b.example,', '\\', '"\\']) readAddressList(piece.repeat(1_000_000 / piece.length))
  for (const text of [`"${'a'.repeat(1_000_000)}"@b.example`, `"${'\\a'.repeat(500_000)}`, `<${' '.repeat(1_000_000)}>`, `@${'x'.repeat(1_000_000)}`]) readAddressList(text)
  assert.ok(process.cpuUsage(began).user / 1e6 < 5, String(process.cpuUsage(began).user))
})
