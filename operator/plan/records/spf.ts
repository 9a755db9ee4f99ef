// Whether an SPF record lets a host send (RFC 7208), whichever way it says so: a, mx, ip4, ip6, include, redirect. Pure.
// What depends on one message (macros, exists) or may not be used any more (ptr) is not evaluated: then nobody can tell.
import { anyHolds, prefixesIn } from '../../../relay/snapshot/index.ts'
import { addressesOf, mostOfText, type Fact, type Look } from './facts.ts'
import { areTerms } from './spf-syntax.ts'

/** A host with one of its addresses; without any where DNS knows none. */
export type Subject = { readonly host: string; readonly address?: string }
export type SpfResult = 'pass' | 'no' | 'none' | 'error' | 'unclear' | 'failed' | 'unasked'

type Check = { readonly subject: Subject; readonly look: Look; readonly budget: { lookups: number } }
type Match = boolean | 'error' | 'unclear' | 'failed' | 'unasked'

const mostLookups = 10 // RFC 7208 4.6.4

export const spfRecordsIn = (fact: Fact): string[] => (fact.kind === 'records' ? fact.values.filter((text) => /^v=spf1( |$)/i.test(text)) : [])

export const checkSpf = (domain: string, subject: Subject, look: Look): SpfResult => checkDomain(domain, { subject, look, budget: { lookups: 0 } })

const checkDomain = (domain: string, check: Check): SpfResult => {
  const fact = check.look('TXT', domain)
  if (fact === undefined) return 'unasked'
  if (fact.kind === 'failed') return 'failed'
  const records = spfRecordsIn(fact)
  if (records.length !== 1) return records.length === 0 ? 'none' : 'error' // RFC 7208 4.5
  if (records[0]!.length >= mostOfText) return 'error' // ten of 64 KB take seconds, for each domain and each look
  const terms = records[0]!.split(/ +/).slice(1).filter((term) => term !== '')
  return areTerms(terms) ? checkTerms(terms, domain, check) : 'error'
}

/** The first mechanism that matches decides (RFC 7208 4.6.2); one that nobody can tell decides only if it would not have let the host pass anyway. */
const checkTerms = (terms: readonly string[], domain: string, check: Check): SpfResult => {
  let unclear = false
  for (const term of terms) {
    const found = /^([-+~?]?)([a-z][a-z0-9]*)(?:[:/](.*))?$/i.exec(term)
    if (!found) continue // a modifier, name=value
    const [, qualifier = '', name = '', rest] = found
    const match = matches(name.toLowerCase(), term.slice(qualifier.length + name.length), rest ?? '', domain, check)
    const passes = qualifier === '' || qualifier === '+'
    if (match === true) return passes ? 'pass' : unclear ? 'unclear' : 'no'
    if (match === 'unclear') unclear = true
    else if (match !== false) return match
  }
  const redirect = terms.find((term) => /^redirect=/i.test(term))?.slice('redirect='.length)
  const result = redirect === undefined ? 'no' : redirected(redirect, check)
  return unclear && result !== 'pass' ? 'unclear' : result
}

const redirected = (target: string, check: Check): SpfResult => {
  if (target.includes('%')) return 'unclear'
  const result = counted(check) ? checkDomain(target, check) : 'error'
  return result === 'none' ? 'error' : result // RFC 7208 6.1
}

/** `tail`: what follows the name, its : or / included. */
const matches = (name: string, tail: string, rest: string, domain: string, check: Check): Match => {
  if (name === 'all') return true
  if (tail.includes('%')) return 'unclear'
  switch (name) {
    case 'ip4':
    case 'ip6':
      return isIn(rest, check.subject)
    case 'a':
      return counted(check) ? hostMatches(targetOf(tail, domain), check) : 'error'
    case 'mx':
      return counted(check) ? mxMatches(targetOf(tail, domain), check) : 'error'
    case 'include':
      return counted(check) ? included(checkDomain(rest, check)) : 'error'
    case 'exists':
    case 'ptr':
      return counted(check) ? 'unclear' : 'error'
    default:
      return 'error'
  }
}

/** RFC 7208 5.2. */
const included = (result: SpfResult): Match => (result === 'pass' ? true : result === 'no' ? false : result === 'none' ? 'error' : result)

const counted = ({ budget }: Check): boolean => ++budget.lookups <= mostLookups

type Target = { readonly host: string; readonly lengths: readonly [ip4: string, ip6: string] }

/** ":host/24//64": host and prefix lengths are optional (RFC 7208 5.6). */
const targetOf = (tail: string, domain: string): Target => {
  const [, host, ip4 = '32', ip6 = '128'] = /^(?::(.*?))?(?:\/(\d+))?(?:\/\/(\d+))?$/.exec(tail) ?? []
  return { host: host ?? domain, lengths: [ip4, ip6] }
}

const isIn = (range: string, { address }: Subject): boolean => address !== undefined && anyHolds(prefixesIn([range]), address)

const hostMatches = ({ host, lengths }: Target, { subject, look }: Check): Match => {
  if (sameHost(host, subject.host)) return true
  if (subject.address === undefined) return false
  const found = addressesOf(host, look)
  if (found === undefined) return 'unasked'
  if (found.kind === 'failed') return 'failed'
  return found.addresses.some((address) => isIn(`${address}/${address.includes(':') ? lengths[1] : lengths[0]}`, subject))
}

const mxMatches = ({ host, lengths }: Target, check: Check): Match => {
  const fact = check.look('MX', host)
  if (fact === undefined) return 'unasked'
  if (fact.kind === 'failed') return 'failed'
  const exchanges = exchangesIn(fact)
  if (exchanges.length > 10) return 'error' // RFC 7208 4.6.4
  const results = exchanges.map((exchange) => hostMatches({ host: exchange, lengths }, check))
  return results.includes(true) ? true : (results.find((result) => result !== false) ?? false)
}

/** Hosts of "10 mx.example". */
export const exchangesIn = (fact: Fact): string[] => (fact.kind === 'records' ? fact.values.map((value) => value.slice(value.indexOf(' ') + 1)) : [])

export const sameHost = (a: string, b: string): boolean => a.replace(/\.$/, '').toLowerCase() === b.replace(/\.$/, '').toLowerCase()
