// A mailbox as the rest of the relay sees it, and the normal form of a domain. Pure.
import { isIPv4 } from 'node:net'
import { domainToASCII } from 'node:url'
import { shortIpv6 } from './cidr.ts'

/** Local part exactly as given (unquoted where quoting was not needed); domain in lower-case A-labels, or `[1.2.3.4]`. */
export type Mailbox = { readonly local: string; readonly domain: string }

/** Lower-case A-labels without a trailing dot; undefined where the text is no domain name. */
export const normalDomain = (text: string): string | undefined => {
  if (normal.has(text)) return normal.get(text)
  const domain = normalised(text)
  if (normal.size >= mostNormal) normal.clear()
  if (text.length <= longest) normal.set(onItsOwn(text), domain)
  return domain
}
// the same domains come again and again, and asking the URL parser costs as much as all the rest of an address
const normal = new Map<string, string | undefined>()
const mostNormal = 1_000
const longest = 253

/** A part of a string keeps the whole alive: what outlives its line is copied. */
export const onItsOwn = (text: string): string => Buffer.from(text).toString()

const normalised = (text: string): string | undefined => {
  const bare = text.endsWith('.') ? text.slice(0, -1) : text
  if (bare === '' || /[^\p{L}\p{N}\p{M}._-]/u.test(bare)) return undefined
  const ascii = domainToASCII(bare).toLowerCase()
  if (isIPv4(ascii) && ascii !== bare) return undefined // 1234 and 127.1 are addresses in URLs, and another name here
  const labels = ascii.split('.')
  const sound = ascii.length <= 253 && labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))
  return sound ? ascii : undefined
}

const atom = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+)*$/u

/** `local@domain` as it goes on the wire, the local part quoted where it must be (RFC 5321 4.1.2). */
export const printMailbox = ({ local, domain }: Mailbox): string =>
  `${atom.test(local) ? local : `"${local.replace(/["\\]/g, '\\$&')}"`}@${domain}`

/** An address literal (RFC 5321 4.1.3), in one spelling. */
export const literalOf = (text: string): string | undefined => {
  const literal = /^\[(?:IPv6:([0-9A-Fa-f:.]+)|([0-9.]+))\]$/i.exec(text)
  const [, six, four] = literal ?? []
  if (four !== undefined) return isIPv4(four) ? `[${four}]` : undefined
  const spelt = shortIpv6(six ?? '')
  return spelt === undefined ? undefined : `[IPv6:${spelt}]`
}

/** An IP address where a domain could stand (RFC 5321 4.1.3), without a zone. */
export const addressLiteral = (address: string): string => (address.includes(':') ? `[IPv6:${address.replace(/%.*$/, '')}]` : `[${address}]`)

/** An address where only ASCII may stand, as RFC 6533 3 writes it: ü is \\x{FC}. */
export const inSevenBits = (text: string): string => text.replace(/[^\x00-\x7f]/gu, (character) => `\\x{${character.codePointAt(0)!.toString(16).toUpperCase()}}`)

/** The address that such a text stands for. */
export const fromSevenBits = (text: string): string => text.replace(/\\x\{(10[0-9A-F]{4}|[0-9A-F]{2,5})\}/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))

/** Splits `local@domain` that our own code printed, or a manifest holds; undefined where it is none. */
export const splitMailbox = (text: string): Mailbox | undefined => {
  const at = text.lastIndexOf('@')
  if (at < 1) return undefined
  const local = text.slice(0, at)
  const literal = literalOf(text.slice(at + 1)) ?? (/^\[[0-9A-Za-z.:]+\]$/.test(text.slice(at + 1)) ? text.slice(at + 1) : undefined)
  const domain = literal ?? normalDomain(text.slice(at + 1))
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(local)
  return domain === undefined ? undefined : { local: quoted ? quoted[1]!.replace(/\\(.)/g, '$1') : local, domain }
}
