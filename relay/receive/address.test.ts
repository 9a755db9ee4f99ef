import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { printMailbox } from '../snapshot/index.ts'
import { parsePath } from './address.ts'

const mailboxOf = (text: string): string => {
  const path = parsePath(text)
  if (path.kind === 'fault') return `fault: ${path.why}`
  if (path.kind === 'bare-postmaster') return 'bare postmaster'
  return path.mailbox === null ? '<>' : `${path.mailbox.local}|${path.mailbox.domain}`
}

const good: readonly (readonly [string, string])[] = [
  ['<joe@somespammer.com>', 'joe|somespammer.com'],
  [' joe@somespammer.com', 'joe|somespammer.com'], // by hand
  ['joe@somespammer.com SIZE=5', 'joe|somespammer.com'],
  [' <>', '<>'],
  ['<Joe.Doe+x@Example.COM>', 'Joe.Doe+x|example.com'],
  ['<"a b"@b.example>', 'a b|b.example'],
  ['<"a\\"b"@b.example>', 'a"b|b.example'],
  ['<"victim@other.example"@b.example>', 'victim@other.example|b.example'],
  ['<"a>b"@b.example>', 'a>b|b.example'],
  ['<@x.example,@y.example:a@b.example>', 'a|b.example'], // RFC 5321 appendix C
  ['<user%victim.example@b.example>', 'user%victim.example|b.example'],
  ['<victim.example!user@b.example>', 'victim.example!user|b.example'],
  ['<a@b.example.>', 'a|b.example'],
  ['<a@[192.0.2.1]>', 'a|[192.0.2.1]'],
  ['<a@192.0.2.1>', 'a|192.0.2.1'], // a name that does not exist
  ['<a@[IPv6:2001:DB8::1]>', 'a|[IPv6:2001:db8::1]'],
  ['<a@[IPv6:2001:DB8:0:0:0::0001]>', 'a|[IPv6:2001:db8::1]'], // one destination, however it is spelt (RFC 5952)
  ['<a@[IPv6:::FFFF:192.0.2.1]>', 'a|[IPv6:::ffff:c000:201]'],
  ['<a@[IPv6:::192.0.2.1]>', 'a|[IPv6:::c000:201]'], // an address of 96 zeros and no other (RFC 4291 2.5.5.1)
  ['<üser@exämple.de>', 'üser|xn--exmple-cua.de'],
  ['<a@ｈosted.example>', 'a|hosted.example'], // wide letters are the same name (UTS 46)
  ['<a@hоsted.example>', 'a|xn--hsted-jye.example'], // a Cyrillic о is another one
  ['<postmaster>', 'bare postmaster'],
  ['Postmaster', 'bare postmaster'],
]
for (const [text, expected] of good) test(`reads ${JSON.stringify(text)} as ${expected}`, () => assert.equal(mailboxOf(text), expected))

const bad = [
  '', '<', '<a', '<a@', '<a@>', 'a', '<a>', '<@b.example>', '<a@b.example', '<a b@c.example>', '<a@b.example>x', '<a@b.example>>', '<<a@b.example>>', '<.a@b.example>', '<a.@b.example>', '<a..b@c.example>',
  '<a@b@c.example>', '<a@b.example:25>', '<a@b..example>', '<a@-b.example>', '<a@b.example-.x>', '<a@[1.2.3]>', '<a@[1.2.3.4]:25>', '<a@[IPv6:zz]>', '<a@[256.1.1.1]>', '<"a@b.example>', '<""@b.example>',
  '<"a\u0007b"@c.example>', '<a\u200bb@c.example>', '<a\u202ebmoc@c.example>', '<"a\u2066b"@c.example>', '<@x.example:>', '<@x.example', '<a@b.example,c@d.example>', `<${'a'.repeat(250)}@b.example>`, '<a@b。example>', '<a,b@c.example>', '<a;b@c.example>', '<|touch x@c.example>x', '<a@b/c>', '<a@b\\c>',
  '<a@1234>', '<a@127.1>', '<a@0x7f.0.0.1>', '<a@192.0.2.010>', '<a@１９２.0.2.1>', // what URLs read as an IP address of another spelling
]
for (const text of ['', ' ', '<']) test(`says that there is none in ${JSON.stringify(text)}`, () => assert.equal(mailboxOf(text), 'fault: there is none'))
for (const text of bad) test(`refuses ${JSON.stringify(text.slice(0, 60))}`, () => assert.match(mailboxOf(text), /^fault: /))

test('an address may have 254 octets, and of a letter beyond ASCII each octet counts: 122 ü before 10 of ASCII, and not 123', () => {
  const of = (letters: number) => mailboxOf(`<${'ü'.repeat(letters)}@b.example>`)
  assert.equal(of(122), `${'ü'.repeat(122)}|b.example`)
  assert.equal(of(123), 'fault: longer than 254 octets')
})

test('says what needs SMTPUTF8, and what does not', () => {
  for (const [text, needs] of [['<a@b.example>', false], ['<ä@b.example>', true], ['<a@ä.example>', true]] as const) {
    const path = parsePath(text)
    assert.equal(path.kind === 'path' && path.needsUtf8, needs)
  }
})

test('keeps what follows for the parameters', () => {
  const path = parsePath('<a@b.example>   SIZE=5 BODY=8BITMIME ')
  assert.equal(path.kind === 'path' && path.rest, 'SIZE=5 BODY=8BITMIME')
})

test('2,000 mailboxes come back as they were printed', () => {
  const local = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)), minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(local, (local) => {
      const printed = printMailbox({ local, domain: 'b.example' })
      const path = parsePath(`<${printed}>`)
      assert.deepEqual(path.kind === 'path' && path.mailbox, { local, domain: 'b.example' })
    }),
    { numRuns: 2000 },
  )
})

test('no text makes it throw, and whatever it reads holds no control character (5,000 texts)', () => {
  const unit = fc.constantFrom('<', '>', '@', '"', '\\', '.', ',', ':', '[', ']', 'a', 'b.example', ' ', '\t', '\r', '\n', '\0', '\u0085', '\u2028', 'ü', '😀')
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 14 }).map((parts) => parts.join('')), (text) => {
      const path = parsePath(text)
      // oxlint-disable-next-line no-control-regex
      if (path.kind === 'path' && path.mailbox) assert.doesNotMatch(printMailbox(path.mailbox), /[\u0000-\u001f\u007f-\u009f\u2028]/)
    }),
    { numRuns: 5000 },
  )
})
