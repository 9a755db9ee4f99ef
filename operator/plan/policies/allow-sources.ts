// How wide the addresses of Allow rules may be, one by one and all together, so that a relay for some never becomes one for all. Pure.
import ipaddr from 'ipaddr.js'

type Prefix = { readonly family: 4 | 6; readonly bits: bigint; readonly length: number; readonly isPrivate: boolean }

const size = { 4: 32, 6: 128 } as const
const longestWide = { 4: { private: 8, public: 24 }, 6: { private: 32, public: 48 } } as const

const privateRanges = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '127.0.0.0/8', 'fc00::/7', '::1/128']

/** The range's own bits; a NAT64 or IPv4-mapped range counts as the IPv4 range inside it. */
const parse = (cidr: string): Prefix => {
  const [address, length] = ipaddr.parseCIDR(cidr)
  const family = address.kind() === 'ipv4' ? 4 : 6
  const bits = toBits(address.toByteArray()) & mask(length, size[family])
  const embedded = family === 6 && length >= 96 ? ipv4Within(bits) : undefined
  const plain = embedded === undefined ? { family, bits, length } as const : { family: 4, bits: embedded, length: length - 96 } as const
  return { ...plain, isPrivate: privateOnes.some((range) => contains(range, plain)) }
}

const toBits = (bytes: readonly number[]): bigint => bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
const mask = (length: number, width: number): bigint => ((1n << BigInt(length)) - 1n) << BigInt(width - length)
const ipv4Prefixes = ['::ffff:0:0', '64:ff9b::'].map((prefix) => toBits(ipaddr.parse(prefix).toByteArray()) >> 32n)
const ipv4Within = (bits: bigint): bigint | undefined => (ipv4Prefixes.includes(bits >> 32n) ? bits & 0xffffffffn : undefined)

type Range = Pick<Prefix, 'family' | 'bits' | 'length'>
const contains = (outer: Range, inner: Range): boolean =>
  outer.family === inner.family && outer.length <= inner.length && (inner.bits & mask(outer.length, size[outer.family])) === outer.bits

const privateOnes: readonly Range[] = privateRanges.map((cidr) => {
  const [address, length] = ipaddr.parseCIDR(cidr)
  return { family: address.kind() === 'ipv4' ? 4 : 6, bits: toBits(address.toByteArray()), length }
})

/** Why this range is too wide to be trusted; undefined where it is not. */
export const widthFault = (cidr: string): string | undefined => {
  const prefix = parse(cidr)
  const least = longestWide[prefix.family][prefix.isPrivate ? 'private' : 'public']
  return prefix.length >= least ? undefined : `${cidr} is wider than /${least}, the widest ${prefix.isPrivate ? 'private' : 'public'} IPv${prefix.family} range that may be trusted`
}

/** Together the rules of one relay may trust as many public addresses as one IPv4 /16 and one IPv6 /32 hold. */
export const mostPublic = { ipv4: 2n ** 16n, ipv6: 2n ** 96n } as const

/** Whether these ranges together trust more of the Internet than that. Ranges within others count once. */
export const makeTheWorld = (cidrs: readonly string[]): boolean => {
  const prefixes = cidrs.map(parse).filter(({ isPrivate }) => !isPrivate)
  return unionOf(prefixes, 4) > mostPublic.ipv4 || unionOf(prefixes, 6) > mostPublic.ipv6
}

/** Prefixes either nest or are apart, so the union is the sum of the outermost. */
const unionOf = (prefixes: readonly Prefix[], family: 4 | 6): bigint => {
  const outermost: Prefix[] = []
  for (const prefix of prefixes.filter((one) => one.family === family).sort((a, b) => a.length - b.length)) {
    if (!outermost.some((outer) => contains(outer, prefix))) outermost.push(prefix)
  }
  return outermost.reduce((sum, { length }) => sum + (1n << BigInt(size[family] - length)), 0n)
}
