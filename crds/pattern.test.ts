import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matchesDomain, matchesMailbox } from '../relay/snapshot/index.ts'
import { addressPatternForm, coversAddress, coversDomain, domainPatternForm } from './pattern.ts'

test('4 forms of address patterns are taken, and 12 that look like one are not', () => {
  for (const good of ['*', '*@example.org', '*.example.org', 'orders@example.org', 'a+b@example.org', 'jörg@bücher.example', '*@localhost']) assert.match(good, addressPatternForm)
  for (const bad of ['', '@example.org', 'a@', 'a@@b', 'a b@c.d', '<a@b.c>', 'a@*.example.org', '*x@example.org', '**', '*.', 'a@b..c', '"a b"@c.d', 'a@b.c\n']) assert.doesNotMatch(bad, addressPatternForm)
})

test('3 forms of domain patterns are taken, and what looks like one is not', () => {
  for (const good of ['*', 'example.org', '*.example.org', '_dmarc.example.org', 'xn--bcher-kva.example']) assert.match(good, domainPatternForm)
  for (const bad of ['', '.example.org', 'example.org.', '*example.org', '*.*.org', 'a@b', '-a.org', '[192.0.2.1]', 'a..b']) assert.doesNotMatch(bad, domainPatternForm)
})

const label = fc.constantFrom('a', 'b', 'c')
const domain = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
const domainPattern = fc.oneof(fc.constant('*'), domain, domain.map((name) => `*.${name}`))
const local = fc.constantFrom('x', 'y', 'postmaster', 'Postmaster')
const addressPattern = fc.oneof(fc.constant('*'), domain.map((name) => `*.${name}`), domain.map((name) => `*@${name}`), fc.tuple(local, domain).map(([user, name]) => `${user}@${name}`))

test('whatever an inner domain pattern matches, every outer one that covers it matches too', () => {
  fc.assert(fc.property(domainPattern, domainPattern, domain, (outer, inner, name) => !coversDomain(outer, inner) || !matchesDomain(inner, name) || matchesDomain(outer, name)), { numRuns: 5000 })
})

test('whatever an inner address pattern matches, every outer one that covers it matches too', () => {
  const covered = (outer: string, inner: string, user: string, name: string) =>
    !coversAddress(outer, inner) || !matchesMailbox(inner, { local: user, domain: name }) || matchesMailbox(outer, { local: user, domain: name })
  fc.assert(fc.property(addressPattern, addressPattern, local, domain, covered), { numRuns: 5000 })
})

test('covering is not always no: 6 pairs that do, 6 that do not', () => {
  const pairs: readonly (readonly [string, string, boolean])[] = [
    ['*', '*.a.b', true],
    ['*@a.b', 'x@a.b', true],
    ['*.b', '*@a.b', true],
    ['*.b', '*.a.b', true],
    ['x@a.b', 'x@a.b', true],
    ['postmaster@a.b', 'Postmaster@a.b', true],
    ['*.b', '*@b', false],
    ['*@b', '*@a.b', false],
    ['x@a.b', '*@a.b', false],
    ['*@a.b', '*', false],
    ['*.a.b', '*.b', false],
    ['*.b', '*@cb', false],
  ]
  for (const [outer, inner, expected] of pairs) assert.equal(coversAddress(outer, inner), expected, `${outer} over ${inner}`)
})
