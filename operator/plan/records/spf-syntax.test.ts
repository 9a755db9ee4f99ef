// Words of the RFC 7208 test suite (openspf), and of records as people write them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { areTerms } from './spf-syntax.ts'

const areWords = (record: string): boolean => areTerms(record.split(' ').filter((term) => term !== ''))

test('28 records of which every word is one', () => {
  const good = [
    '', '-all', '~ALL', 'a', 'a/24', 'a//64', 'a/0//0', 'a:foo.example/24//128', 'a:foo:bar/baz.example.com', 'a:1.2.example.com.', 'A:MAIL.EXAMPLE.COM', 'mx mx/26 mx:a.example//1', 'ptr', 'ptr:a.example',
    'ip4:1.2.3.4', 'ip4:1.2.3.4/0', 'ip4:1.2.3.4/32', 'ip6:::1.1.1.1/0', 'ip6:2001:db8::/128', 'include:_spf.a.example ?include:b.xn--zckzah', 'exists:%{i}._spf.%{d2}', 'exists:%{l1r+-}._x.%{d}',
    'redirect=_spf.example.com', 'redirect=%{d}', 'exp=e.example.com -all', 'moo= x.y-z_9=%{s}%%%_ op=', '-all foo=a:b/c', 'a:e.a-b',
  ]
  assert.deepEqual(good.filter((record) => !areWords(record)), [])
  assert.equal(good.length, 28)
})

test('45 records with one word that is none', () => {
  const bad = [
    'ip4:1.2.3.4 -all moo', 'moo.cow/far_out=man:dog/cat', 'moo.cow:far_out=man:dog/cat', 'redirect:t2.example.com', 'a:foo-bar', '-all.', '-all:foobar', '-all/8', 'a/33', 'a//129', 'a/24/64', 'a/032', 'a:example.com:8080',
    'a:foo.example.com\0', 'a:111.222.33.44', 'a:abc.123', 'a:example.-com', 'a:museum', 'a:museum.', 'a:', 'mx:', 'mx/33', 'include', 'include:', 'include:a.example/24', 'exists', 'ptr:', 'ptr/0', 'ip4', 'ip4:1.2.3.4/33', 'ip4:1.2.3.4/032',
    'ip4:1.2.3.4:8080', 'ip4:1.2.3', 'ip4:1.2.3.4//32', 'ip6', 'ip6:::1.1.1.1/129', 'ip6::CAFE::BABE', 'redirect=-all', 'redirect=', 'redirect=a.example redirect=a.example', '1up=foo', '=all', '-all foo=%abc', '-all\u00a0', 'constructor',
  ]
  assert.deepEqual(bad.filter(areWords), [])
  assert.equal(bad.length, 45)
})

test('a record of 4,096 dots, digits or macros is judged in an instant: nothing is read twice', () => {
  const long = ['a:' + '.'.repeat(4_090), 'ip6:' + '1:'.repeat(2_045), 'a:' + '/0'.repeat(2_045), 'a:' + 'a-'.repeat(2_045), 'exists:' + '%{d}'.repeat(1_020) + '!', 'x=' + '%{d--}'.repeat(680) + '%']
  const start = performance.now()
  for (const record of long) areWords(record)
  assert.ok(performance.now() - start < 20_000)
})
