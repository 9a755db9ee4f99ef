// Which addresses a name may lead us to. Pure. An MX record must not reach into our own networks (no SSRF by MX);
// what a route or deliverTo names may be private.
import ipaddr from 'ipaddr.js' // address parsing and ranges, MIT
import { metadataAddresses } from '../snapshot/index.ts'

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
  if (metadataAddresses.includes(parsed.toString())) return metadata // some are public
  if (range !== 'unicast') return `a ${rangeWords[range] ?? range} address`
  return blocked.some((cidr) => isInside(parsed, cidr)) ? 'an address of our own cluster' : undefined
}

/** What no manifest may name either: metadata services of machines, link-local and multicast addresses, none at all. */
export const forbiddenToAll = (address: string): string | undefined => {
  const parsed = bare(address)
  if (parsed === undefined) return 'no address'
  if (metadataAddresses.includes(parsed.toString())) return metadata
  const range = parsed.range()
  return neverNamed.has(range) ? `a ${rangeWords[range] ?? range} address` : undefined
}
const metadata = 'the address of a metadata service'
const neverNamed: ReadonlySet<string> = new Set(['linkLocal', 'multicast', 'unspecified', 'broadcast'])

/** A tenant, and which of the names that end so are Services of the cluster: svc, svc.cluster.local. */
export type Tenant = { readonly namespace: string; readonly services: readonly string[] }

/** For deliverTo outside the relay's namespace: as for an MX, but its own Services pass. `alias`: what the host is a CNAME for; a Service may be one too. */
export const forbiddenByDeliverTo = (address: string, { host, alias }: { readonly host: string; readonly alias?: string | undefined }, tenant: Tenant, rules: AddressRules): string | undefined => {
  const isOwn = isServiceOf(host, tenant) && (alias === undefined || isServiceOf(alias, tenant))
  if (isOwn && bare(address)?.range() !== 'loopback') return forbiddenToAll(address)
  return forbiddenByMx(address, rules)
}

/** A Service, or a pod behind one: all that is left of .namespace.svc. */
const isServiceOf = (host: string, { namespace, services }: Tenant): boolean => services.some((end) => host.toLowerCase().replace(/\.$/, '').endsWith(`.${namespace}.${end}`))

const rangeWords: Readonly<Record<string, string>> = { linkLocal: 'link-local', uniqueLocal: 'private', carrierGradeNat: 'carrier-internal' }

type Address = ReturnType<typeof ipaddr.parse>

/** IPv4 within IPv6 is judged as the IPv4 it reaches. */
const bare = (address: string): Address | undefined => {
  if (!ipaddr.isValid(address)) return undefined
  const parsed = ipaddr.process(address)
  if (parsed.kind() !== 'ipv6' || !(parsed.range() === 'rfc6052' || isCompatible(parsed))) return parsed
  return ipaddr.fromByteArray(parsed.toByteArray().slice(12)) // NAT64 (RFC 6052)
}

/** ::127.0.0.1, an IPv4 address with 96 zeros before it (RFC 4291 2.5.5.1), which some systems still tunnel to; not :: and ::1. */
const isCompatible = (address: Address): boolean => {
  const bytes = address.toByteArray()
  return bytes.slice(0, 12).every((byte) => byte === 0) && bytes.slice(12, 14).some((byte) => byte !== 0)
}

const isInside = (address: Address, cidr: string): boolean => {
  if (!ipaddr.isValidCIDR(cidr)) return false
  const [base, bits] = ipaddr.parseCIDR(cidr)
  return base.kind() === address.kind() && address.match(base, bits)
}

/** One spelling per address, to compare with our own. */
export const sameAddress = (a: string, b: string): boolean =>
  ipaddr.isValid(a) && ipaddr.isValid(b) && ipaddr.process(a).toNormalizedString() === ipaddr.process(b).toNormalizedString()
