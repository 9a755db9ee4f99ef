// Addresses and prefixes: which prefix holds an address, which prefixes are bounded, and what many of them cover together. Pure.
import { isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js' // parses addresses the way the field does, MIT, no dependencies

/** An address as a number; an IPv4-mapped IPv6 address is its IPv4 address. */
export type Address = { readonly family: 4 | 6; readonly value: bigint }
/** All addresses from `first` to `last`, both included. */
export type Prefix = { readonly family: 4 | 6; readonly bits: number; readonly first: bigint; readonly last: bigint }

const width = { 4: 32, 6: 128 } as const
const mapped = 0xffffn << 32n // ::ffff:0:0/96

/** undefined where the text is no plain IP address (no zone, no octal, no short forms). */
export const parseAddress = (text: string): Address | undefined => {
  const bare = text.replace(/%.*$/, '')
  if (isIPv4(bare)) return { family: 4, value: toNumber(ipaddr.IPv4.parse(bare).octets, 8n) }
  if (!isIPv6(bare)) return undefined
  const value = toNumber(parseIpv6(bare).parts, 16n)
  return value >> 32n === mapped >> 32n ? { family: 4, value: value & 0xffff_ffffn } : { family: 6, value }
}

/** ipaddr.js takes ::1.2.3.4 for ::ffff:1.2.3.4, which is another address. */
const parseIpv6 = (text: string): ipaddr.IPv6 => ipaddr.IPv6.parse(text.replace(/^::(?=\d+\.)/, '::0:'))

const toNumber = (parts: readonly number[], bits: bigint): bigint => parts.reduce((sum, part) => (sum << bits) | BigInt(part), 0n)

/** `10.0.0.0/8`, `2001:db8::/48`, or one address; host bits are cut off. undefined where it is none. */
export const parsePrefix = (text: string): Prefix | undefined => {
  const [, host = '', length] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const address = parseAddress(host)
  if (address === undefined) return undefined
  const written = isIPv4(host) ? 32 : 128
  const given = length === undefined ? written : Number(length)
  const bits = given - (written - width[address.family]) // a mapped /120 is a /24
  return given > written || bits < 0 ? undefined : prefixOf(address, bits)
}

const prefixOf = ({ family, value }: Address, bits: number): Prefix => {
  const free = BigInt(width[family] - bits)
  const first = (value >> free) << free
  return { family, bits, first, last: first + (1n << free) - 1n }
}

export const holds = (prefix: Prefix, address: Address): boolean =>
  prefix.family === address.family && prefix.first <= address.value && address.value <= prefix.last

/** Of several texts those that are prefixes. */
export const prefixesIn = (texts: readonly string[]): Prefix[] => texts.flatMap((text) => parsePrefix(text) ?? [])

/** Whether one of them holds this address; false where the text is none. */
export const anyHolds = (prefixes: readonly Prefix[], text: string): boolean => {
  const address = parseAddress(text)
  return address !== undefined && prefixes.some((prefix) => holds(prefix, address))
}

/** As text that parseAddress reads; IPv6 without any shortening. */
export const printAddress = ({ family, value }: Address): string =>
  family === 4
    ? [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
    : Array.from({ length: 8 }, (_, group) => ((value >> BigInt(112 - 16 * group)) & 0xffffn).toString(16)).join(':')

/** The one spelling of an IPv6 address that RFC 5952 recommends; undefined where the text is none. */
export const shortIpv6 = (text: string): string | undefined => (isIPv6(text) ? parseIpv6(text).toRFC5952String() : undefined)

/** Whether every address of one prefix is one of the other; false where either is none. */
export const isWithin = (inner: string, outer: string): boolean => {
  const [narrow, wide] = [parsePrefix(inner), parsePrefix(outer)]
  return narrow !== undefined && wide !== undefined && narrow.family === wide.family && wide.first <= narrow.first && narrow.last <= wide.last
}

const known = (texts: readonly string[]): Prefix[] => texts.map((text) => parsePrefix(text)!)

/** Where machines of clouds are told their secrets; those that are not link-local. */
export const metadataAddresses: readonly string[] = ['fd00:ec2::254', 'fd20:ce::254', '100.100.100.200', '168.63.129.16']

/** Not routed on the public Internet: RFC 1918, RFC 6598, loopback, link-local, RFC 4193. */
export const privateRanges: readonly Prefix[] = known([
  '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '::1/128', 'fc00::/7', 'fe80::/10',
])

export const isPrivate = (prefix: Prefix): boolean =>
  privateRanges.some(({ family, first, last }) => family === prefix.family && first <= prefix.first && prefix.last <= last)

/** Small enough to name somebody: IPv4 /8 private and /24 public, IPv6 /32 private and /48 public, or longer. */
export const isBounded = (prefix: Prefix): boolean => {
  if (prefix.family === 4) return prefix.bits >= (isPrivate(prefix) ? 8 : 24)
  return prefix.bits >= (isPrivate(prefix) ? 32 : 48)
}

/** The same addresses as few ranges without overlap, in order; one family. */
const union = (prefixes: readonly Prefix[]): { first: bigint; last: bigint }[] => {
  const ranges: { first: bigint; last: bigint }[] = []
  for (const { first, last } of [...prefixes].sort((a, b) => (a.first < b.first ? -1 : 1))) {
    const before = ranges.at(-1)
    if (before === undefined || first > before.last + 1n) ranges.push({ first, last })
    else if (last > before.last) before.last = last
  }
  return ranges
}

/** How many addresses of a family the prefixes hold together, each counted once. */
export const countAddresses = (prefixes: readonly Prefix[], family: 4 | 6): bigint =>
  union(prefixes.filter((prefix) => prefix.family === family)).reduce((sum, { first, last }) => sum + last - first + 1n, 0n)

// what a stranger may have: IPv4 without private, "this network" and class D and E; IPv6 global unicast (RFC 4291 2.4)
const strangers = {
  4: [{ first: 0x0100_0000n, last: 0xdfff_ffffn }],
  6: [{ first: 0x2000n << 112n, last: (0x4000n << 112n) - 1n }],
}

/** True where the prefixes together hold half or more of the addresses a stranger may have, in either family: 0.0.0.0/1 and 128.0.0.0/1 do. */
export const makeTheWorld = (prefixes: readonly Prefix[]): boolean => ([4, 6] as const).some((family) => {
  const held = union(prefixes.filter((prefix) => prefix.family === family && !isPrivate(prefix)))
  const theirs = strangers[family].reduce((sum, { first, last }) => sum + last - first + 1n, 0n)
  return strangers[family].reduce((sum, range) => sum + overlap(held, range), 0n) * 2n >= theirs
})

const overlap = (ranges: readonly { first: bigint; last: bigint }[], { first, last }: { first: bigint; last: bigint }): bigint =>
  ranges.reduce((sum, range) => {
    const from = range.first > first ? range.first : first
    const to = range.last < last ? range.last : last
    return to >= from ? sum + to - from + 1n : sum
  }, 0n)
