// How wide the addresses of Allow rules may be, one by one and all together, so that a relay for some never becomes one for all. Pure.
import { countAddresses, isBounded, isPrivate, parsePrefix, type Prefix } from '../../../relay/snapshot/index.ts'

const nat64 = 0x64_ff9bn << 96n // 64:ff9b::/96 holds the whole of IPv4 (RFC 6052)

/** What the range stands for: a NAT64 range counts as the IPv4 range inside it. */
const meantBy = (source: string): Prefix | undefined => {
  const prefix = parsePrefix(source)
  if (prefix === undefined || prefix.family === 4 || prefix.bits < 96 || prefix.first >> 32n !== nat64 >> 32n) return prefix
  return { family: 4, bits: prefix.bits - 96, first: prefix.first & 0xffff_ffffn, last: prefix.last & 0xffff_ffffn }
}

/** Why this range is too wide to be trusted; undefined where it is not. */
export const widthFault = (source: string): string | undefined => {
  const prefix = meantBy(source)
  if (prefix === undefined) return `${source} is no address range`
  if (isBounded(prefix)) return undefined
  const kind = isPrivate(prefix) ? 'private' : 'public'
  const widest = prefix.family === 4 ? { private: 8, public: 24 }[kind] : { private: 32, public: 48 }[kind]
  return `${source} is wider than /${widest}, the widest ${kind} IPv${prefix.family} range that may be trusted`
}

/** Together the rules of one relay may trust as many public addresses as one IPv4 /16 and one IPv6 /32 hold. */
export const mostPublic = { 4: 2n ** 16n, 6: 2n ** 96n } as const

/** Whether these ranges together trust more of the Internet than that. Addresses named twice count once. */
export const trustTooMany = (sources: readonly string[]): boolean => {
  const prefixes = sources.flatMap((source) => meantBy(source) ?? []).filter((prefix) => !isPrivate(prefix))
  return ([4, 6] as const).some((family) => countAddresses(prefixes, family) > mostPublic[family])
}
