import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { printReply } from './reply-wire.ts'

test('codes stand on every line of a reply, and the last line ends it', () => {
  assert.equal(printReply({ code: 250, enhanced: '', text: 'mx.test' }, ['PIPELINING', 'SIZE 5']), '250-mx.test\r\n250-PIPELINING\r\n250 SIZE 5\r\n')
  assert.equal(printReply({ code: 550, enhanced: '5.7.1', text: 'no' }, ['really']), '550-5.7.1 no\r\n550 5.7.1 really\r\n')
})

test('no words of anybody can split a reply, reach beyond ASCII, or make a line longer than 512 octets (2,000 texts)', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '\r', '\n', '\0', '\u0085', 'ü', '😀', ' ', '\x1b'), maxLength: 700 })
  fc.assert(fc.property(text, (text) => {
    const printed = printReply({ code: 550, enhanced: '5.7.1', text })
    assert.match(printed, /^550 5\.7\.1 [\x20-\x7e]*\r\n$/)
    assert.ok(printed.length <= 512)
  }), { numRuns: 2000 })
})
