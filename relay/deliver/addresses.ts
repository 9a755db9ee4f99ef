// Which addresses a name may lead us to. Pure. An MX record must not reach into our own networks (no SSRF by MX);
// what a route or deliverTo names may be private.
import ipaddr from 'ipaddr.js' // address parsing and ranges, MIT

export type AddressRules = {
  readonly blocked: readonly string[] // CIDR: pod and Service ranges
  readonly allowLoopback: boolean
}

/** Why this address is not connected to, or undefined. For addresses that DNS gave for a stranger's name. */
export const forbiddenByMx = (address: string, { blocked, allowLoopback }: AddressRules): string | undefined => {
  const parsed = bare(address)
  if (parsed === undefined) return 'no address'
  const range = parsed.range()
  if (range === 'loopback' && allowLoopback) return undefined
  if (range !== 'unicast') return `a ${rangeWords[range] ?? range} address`
  return blocked.some((cidr) => isInside(parsed, cidr)) ? 'an address of our own cluster' : undefined
}

/** For deliverTo of a namespace that may not name private hosts: the same, but its own Services pass, metadata addresses never. */
export const forbiddenByDeliverTo = (address: string, host: string, namespace: string, rules: AddressRules): string | undefined => {
  const range = bare(address)?.range()
  const isOwnService = new RegExp(`^[^.]+\\.${namespace.replaceAll('.', '\\.')}\\.svc(\\.|$)`).test(host)
  if (isOwnService && range !== 'linkLocal' && range !== 'loopback' && range !== undefined) return undefined
  return forbiddenByMx(address, rules)
}

const rangeWords: Readonly<Record<string, string>> = { linkLocal: 'link-local', uniqueLocal: 'private', carrierGradeNat: 'carrier-internal' }

type Address = ReturnType<typeof ipaddr.parse>

/** IPv4 within IPv6 is judged as the IPv4 it reaches. */
const bare = (address: string): Address | undefined => {
  if (!ipaddr.isValid(address)) return undefined
  const parsed = ipaddr.process(address)
  if (parsed.kind() !== 'ipv6' || parsed.range() !== 'rfc6052') return parsed
  return ipaddr.fromByteArray(parsed.toByteArray().slice(12)) // NAT64 (RFC 6052)
}

const isInside = (address: Address, cidr: string): boolean => {
  if (!ipaddr.isValidCIDR(cidr)) return false
  const [base, bits] = ipaddr.parseCIDR(cidr)
  return base.kind() === address.kind() && address.match(base, bits)
}

/** One spelling per address, to compare with our own. */
export const sameAddress = (a: string, b: string): boolean =>
  ipaddr.isValid(a) && ipaddr.isValid(b) && ipaddr.process(a).toNormalizedString() === ipaddr.process(b).toNormalizedString()
