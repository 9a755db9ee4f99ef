// Reads the path of MAIL and RCPT (RFC 5321 4.1.2): what counts is the final mailbox. Pure.
import { literalOf, normalDomain, onItsOwn, type Mailbox } from '../snapshot/index.ts'

export type ParsedPath =
  | { readonly kind: 'path'; readonly mailbox: Mailbox | null; readonly needsUtf8: boolean; readonly rest: string }
  | { readonly kind: 'bare-postmaster'; readonly rest: string } // <postmaster> without a domain (RFC 5321 4.1.1.3)
  | { readonly kind: 'fault'; readonly why: string }

const fault = (why: string): ParsedPath => ({ kind: 'fault', why })

/** Reads one path off the front: with angle brackets as the RFC has it, without them as people type it. */
export const parsePath = (text: string): ParsedPath => {
  const trimmed = text.trimStart()
  const angle = trimmed.startsWith('<')
  const inner = angle ? trimmed.slice(1) : trimmed
  if (inner === '') return fault('there is none')
  if (angle && inner.startsWith('>')) return withRest({ mailbox: null, needsUtf8: false }, inner.slice(1))
  const start = angle ? skipRoute(inner) : 0
  if (start === undefined) return fault('the source route does not end')
  const local = readLocal(inner, start)
  if (typeof local === 'string') return fault(local)
  if (inner[local.end] !== '@') return withoutDomain(inner, local, angle)
  return readRest(inner, local, angle)
}

type Local = { readonly value: string; readonly end: number; readonly start: number }

const readRest = (inner: string, local: Local, angle: boolean): ParsedPath => {
  const end = domainEnd(inner, local.end + 1)
  const domain = readDomain(inner.slice(local.end + 1, end))
  if (domain === undefined) return fault('the part after @ is no domain')
  if (angle && inner[end] !== '>') return fault('> is missing')
  if (Buffer.byteLength(inner.slice(local.start, end)) > 254) return fault('longer than 254 octets') // RFC 5321 4.5.3.1.3, with < and >
  const needsUtf8 = /[^\x00-\x7f]/.test(inner.slice(local.start, end))
  return withRest({ mailbox: { local: local.value, domain }, needsUtf8 }, inner.slice(angle ? end + 1 : end))
}

const withRest = (path: { mailbox: Mailbox | null; needsUtf8: boolean }, rest: string): ParsedPath =>
  rest === '' || rest.startsWith(' ') ? { kind: 'path', ...path, rest: rest.trim() } : fault('something stands behind it')

const withoutDomain = (inner: string, { value, end }: Local, angle: boolean): ParsedPath => {
  const closed = !angle || inner[end] === '>'
  const rest = inner.slice(angle ? end + 1 : end)
  if (value.toLowerCase() !== 'postmaster' || !closed) return fault('it has no @domain')
  return rest === '' || rest.startsWith(' ') ? { kind: 'bare-postmaster', rest: rest.trim() } : fault('something stands behind it')
}

/** RFC 5321 appendix C: a source route is read over and ignored. Returns where the mailbox starts. */
const skipRoute = (inner: string): number | undefined => {
  if (!inner.startsWith('@')) return 0
  const route = /^@[^\s,:@<>"]+(?:,@[^\s,:@<>"]+)*:/.exec(inner)
  return route?.[0].length
}

const readLocal = (text: string, start: number): Local | string =>
  text[start] === '"' ? readQuoted(text, start) : readDotString(text, start)

const readDotString = (text: string, start: number): Local | string => {
  const value = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u00a0-\u{10ffff}-]+/u.exec(text.slice(start))?.[0] ?? ''
  if (value === '') return 'the part before @ is missing or holds a character that needs quotes'
  if (value.startsWith('.') || value.endsWith('.') || value.includes('..')) return 'dots at an end or in a row need quotes'
  return unsafe.test(value) ? 'it holds an invisible character' : { value, start, end: start + value.length }
}

// zero-width space, word joiner, byte order mark, line separators, what turns the direction of writing: never part of an address, good only for deceit
const unsafe = /[\u200b\u2028\u2029\u202a-\u202e\u2060\u2066-\u2069\ufeff]/u

const readQuoted = (text: string, start: number): Local | string => {
  const quoted = /^"((?:[^"\\\x00-\x1f\x7f-\x9f]|\\[\x20-\x7e])*)"/u.exec(text.slice(start))
  if (!quoted) return 'the quoted part does not end or holds a control character'
  const value = quoted[1]!.replace(/\\(.)/g, '$1')
  if (value === '') return 'the quoted part is empty'
  return unsafe.test(value) ? 'it holds an invisible character' : { value, start, end: start + quoted[0].length }
}

const domainEnd = (text: string, from: number): number => {
  const found = text.slice(from).search(/[\s>]/)
  return found < 0 ? text.length : from + found
}

const domains = new Map<string, string | undefined>()

/** normalDomain, remembered: a busy relay reads the same few thousand names over and over. */
export const domainOf = (text: string): string | undefined => {
  if (domains.has(text)) return domains.get(text)
  const domain = normalDomain(text)
  if (text.length > longestKept) return domain
  if (domains.size >= 8192) domains.clear()
  domains.set(onItsOwn(text), domain)
  return domain
}

const longestKept = 255

const readDomain = (text: string): string | undefined => (text.startsWith('[') ? literalOf(text) : /[:_]/.test(text) ? undefined : domainOf(text))
