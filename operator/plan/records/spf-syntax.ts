// Whether the words of an SPF record are words (RFC 7208 12): one that is none, anywhere, and the record counts for nothing (4.6). Pure; linear in its length, which strangers choose.
import { isIPv4, isIPv6 } from 'node:net'

export const areTerms = (terms: readonly string[]): boolean =>
  terms.every(isTerm) && ['redirect', 'exp'].every((name) => terms.filter((term) => term.toLowerCase().startsWith(`${name}=`)).length < 2) // RFC 7208 6

const isTerm = (term: string): boolean => {
  const [, modifier, value = ''] = /^([a-z][a-z0-9._-]*)=(.*)$/is.exec(term) ?? []
  if (modifier !== undefined) return /^(redirect|exp)$/i.test(modifier) ? isDomainSpec(value) : isMacroString(value)
  const [, name = '', tail = ''] = /^[-+~?]?([a-z0-9]+)(.*)$/is.exec(term) ?? []
  return mechanisms.get(name.toLowerCase())?.(tail) ?? false
}

const named = (tail: string): boolean => tail.startsWith(':') && isDomainSpec(tail.slice(1))
const maybeNamed = (tail: string): boolean => tail === '' || named(tail)
const withLengths = (tail: string): boolean => {
  const lengths = /(?:\/(?:\d|[12]\d|3[0-2]))?(?:\/\/(?:\d|[1-9]\d|1[01]\d|12[0-8]))?$/.exec(tail.slice(-8))![0]
  return maybeNamed(tail.slice(0, tail.length - lengths.length))
}
const range = (form: RegExp, isAddress: (text: string) => boolean) => (tail: string): boolean => {
  const [, address] = form.exec(tail) ?? []
  return address !== undefined && isAddress(address)
}

const mechanisms: ReadonlyMap<string, (tail: string) => boolean> = new Map([
  ['all', (tail: string) => tail === ''],
  ['include', named],
  ['exists', named],
  ['ptr', maybeNamed],
  ['a', withLengths],
  ['mx', withLengths],
  ['ip4', range(/^:([0-9.]+)(?:\/(?:\d|[12]\d|3[0-2]))?$/, isIPv4)],
  ['ip6', range(/^:([0-9a-f:.]+)(?:\/(?:\d|[1-9]\d|1[01]\d|12[0-8]))?$/i, isIPv6)],
])

const expansion = '%\\{[slodiphcrtv]\\d{0,3}r?[-.+,/_=]*\\}'
const macroString = new RegExp(`^(?:[!-$&-~]|${expansion}|%[%_-])*$`, 'i') // RFC 7208 7.1
const endsInMacro = new RegExp(`${expansion}$`, 'i')
const topLabel = /^(?:[a-z0-9]*[a-z][a-z0-9]*|[a-z0-9]+-[a-z0-9-]*[a-z0-9])$/i

const isMacroString = (text: string): boolean => macroString.test(text)

/** It ends in a label that a top-level domain could be, below which it is, or in a macro. */
const isDomainSpec = (text: string): boolean => {
  if (!isMacroString(text)) return false
  const bare = text.replace(/\.$/, '')
  const dot = bare.lastIndexOf('.')
  return (dot >= 0 && topLabel.test(bare.slice(dot + 1))) || endsInMacro.test(text.slice(-40))
}
