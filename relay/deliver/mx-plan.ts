// From what DNS said to the addresses to try, in order (RFC 5321 5.1). Pure: chance is passed in.
// Every row of the DNS truth table is decided here; "failed" can only become `later`.
import { isIP } from 'node:net'
import { normalDomain } from '../snapshot/index.ts'
import type { Answer, MxRecord } from '../dns/index.ts'
import { forbiddenByMx, sameAddress, type AddressRules } from './addresses.ts'
import type { DeferReason, Outcome } from './outcome.ts'

export type HostSeen = { readonly name: string; readonly preference: number; readonly v4: Answer<string>; readonly v6: Answer<string> }
export type MxSeen = { readonly domain: string; readonly mx: Answer<MxRecord>; readonly hosts: readonly HostSeen[]; readonly notes?: readonly string[] }

type Ourselves = { readonly names: readonly string[]; readonly addresses: readonly string[] }
export type PlanRules = AddressRules & { readonly ourselves: Ourselves }

type PlannedHost = { readonly name: string; readonly preference: number; readonly addresses: readonly string[] }
export type MxPlan =
  | { readonly kind: 'hosts'; readonly hosts: readonly PlannedHost[]; readonly notes: readonly string[] }
  | { readonly kind: 'unroutable'; readonly outcome: Extract<Outcome, { kind: 'unroutable' }>; readonly notes: readonly string[] }
  | { readonly kind: 'later'; readonly reason: DeferReason; readonly notes: readonly string[] }

/** More MX hosts than anybody needs; the rest is left out and the trace says so. */
export const mostHosts = 20

export type Wanted =
  | { readonly kind: 'ask'; readonly hosts: readonly { readonly name: string; readonly preference: number }[]; readonly notes: readonly string[] }
  | Extract<MxPlan, { kind: 'unroutable' | 'later' }>

/** Which host names to look up, once the MX answer is there. */
export const hostsToAsk = (domain: string, mx: Answer<MxRecord>): Wanted => {
  switch (mx.kind) {
    case 'nxdomain':
      return unroutable('no-such-domain', '5.1.2', `the domain ${domain} does not exist`)
    case 'failed':
      return dnsLater('4.4.3', `looking up the mail servers of ${domain} failed: ${mx.why}`)
    case 'nodata':
      return { kind: 'ask', hosts: [{ name: domain, preference: 0 }], notes: ['no MX: the address of the domain itself'] }
    case 'records':
      break
  }
  return fromRecords(domain, mx.records)
}

const fromRecords = (domain: string, records: readonly MxRecord[]): Wanted => {
  // RFC 7505: a null MX counts only when it stands alone
  if (records.length === 1 && isNull(records[0]!)) return unroutable('null-mx', '5.1.10', `${domain} says that it takes no mail (null MX)`)
  const notes: string[] = []
  const usable = records.filter((record) => {
    const fault = faultOf(record)
    if (fault) notes.push(fault)
    // RFC 5321 5.1 wants a name; where the address is public it does no harm
    else if (isIP(record.exchange) !== 0) notes.push(`the MX ${record.exchange} is an address and no name: used all the same`)
    return fault === undefined
  })
  const sorted = usable.toSorted((a, b) => a.preference - b.preference)
  if (sorted.length > mostHosts) notes.push(`${sorted.length} MX hosts: only the best ${mostHosts} are considered`)
  if (sorted.length === 0) return dnsLater('4.4.4', `no MX of ${domain} can be used`, notes)
  return { kind: 'ask', hosts: sorted.slice(0, mostHosts).map(({ exchange, preference }) => ({ name: exchange, preference })), notes }
}

const isNull = ({ exchange }: MxRecord): boolean => exchange === '.' || exchange === ''

const faultOf = (record: MxRecord): string | undefined => {
  if (isNull(record)) return 'an MX without a name among others is passed over'
  return isIP(record.exchange) === 0 && normalDomain(record.exchange) === undefined ? `the MX ${JSON.stringify(record.exchange)} is no host name` : undefined
}

/** Hosts with their addresses in the order to try them. */
export const mxPlan = (seen: MxSeen, rules: PlanRules, random: () => number): MxPlan => {
  const wanted = hostsToAsk(seen.domain, seen.mx)
  if (wanted.kind !== 'ask') return wanted
  const notes = [...(seen.notes ?? []), ...wanted.notes]
  const own = seen.hosts.filter((host) => isOurselves(host, rules.ourselves))
  const limit = Math.min(...own.map(({ preference }) => preference))
  const better = seen.hosts.filter(({ preference }) => preference < limit) // all, where we are not in the list
  // RFC 5321 5.1: ourselves in the list; only better ones may be asked, or mail goes round in circles
  if (own.length > 0) notes.push(`we are ${own.map(({ name }) => name).join(', ')} in that list: only better hosts are asked`)
  if (own.length > 0 && better.length === 0) return unroutable('loop', '5.4.6', `the mail servers of ${seen.domain} lead back to ourselves`, notes)
  const hosts = shuffledByPreference(better, random).map((host) => withAddresses(host, rules, notes))
  const usable = hosts.filter(({ addresses }) => addresses.length > 0)
  return usable.length > 0 ? { kind: 'hosts', hosts: usable, notes } : noAddress(seen, better, notes)
}

const noAddress = ({ domain, mx }: MxSeen, hosts: readonly HostSeen[], notes: readonly string[]): MxPlan => {
  const answers = hosts.flatMap(({ v4, v6 }) => [v4, v6])
  const failure = answers.find((answer) => answer.kind === 'failed')
  if (failure?.kind === 'failed') return dnsLater('4.4.3', `looking up the addresses of ${hosts.map(({ name }) => name).join(', ')} failed: ${failure.why}`, notes)
  const found = answers.some(({ kind }) => kind === 'records')
  if (mx.kind === 'nodata' && !found) return unroutable('no-such-domain', '5.1.2', `the domain ${domain} has neither MX nor address`, notes)
  const text = found ? `the mail servers of ${domain} have only addresses that we do not connect to` : `none of the mail servers of ${domain} has an address`
  return dnsLater('4.4.4', text, notes)
}

const isOurselves = ({ name, v4, v6 }: HostSeen, ourselves: Ourselves): boolean => {
  const found = [v4, v6].filter((answer) => answer.kind === 'records')
  return isOurs([name, ...found.flatMap(({ alias }) => alias ?? [])], found.flatMap(({ records }) => records), ourselves)
}

/** A host by one of its names (its own, and that which it is a CNAME for), or by one of its addresses: of a load balancer's those are not always known. */
export const isOurs = (names: readonly string[], addresses: readonly string[], ourselves: Ourselves): boolean =>
  names.some((name) => ourselves.names.includes(name.replace(/\.$/, '').toLowerCase())) || addresses.some((address) => ourselves.addresses.some((own) => sameAddress(own, address)))

const shuffledByPreference = (hosts: readonly HostSeen[], random: () => number): HostSeen[] =>
  hosts.map((host) => ({ host, chance: random() })).sort((a, b) => a.host.preference - b.host.preference || a.chance - b.chance).map(({ host }) => host)

const withAddresses = (host: HostSeen, rules: AddressRules, notes: string[]): PlannedHost => {
  const recordsOf = (answer: Answer<string>): readonly string[] => (answer.kind === 'records' ? answer.records : [])
  const addresses = interleave(recordsOf(host.v6), recordsOf(host.v4)).filter((address) => {
    const why = forbiddenByMx(address, rules)
    if (why) notes.push(`${host.name} [${address}] is ${why}: not tried`)
    return why === undefined
  })
  for (const answer of [host.v4, host.v6]) if (answer.kind === 'failed') notes.push(`${host.name}: ${answer.why}`)
  const aliases = [host.v4, host.v6].flatMap((answer) => (answer.kind === 'records' && answer.alias !== undefined ? [`${host.name} is a CNAME for ${answer.alias}`] : []))
  notes.push(...new Set(aliases)) // both families say the same
  return { name: host.name, preference: host.preference, addresses }
}

/** a1 b1 a2 b2 …, so that a dead family cannot use up the attempt. */
export const interleave = <T>(a: readonly T[], b: readonly T[]): T[] =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, index) => [a[index], b[index]]).flat().filter((item) => item !== undefined)

const unroutable = (why: 'no-such-domain' | 'null-mx' | 'loop', status: string, text: string, notes: readonly string[] = []) =>
  ({ kind: 'unroutable', outcome: { kind: 'unroutable', why, status, text }, notes }) as const

const dnsLater = (status: string, text: string, notes: readonly string[] = []) => ({ kind: 'later', reason: { class: 'DNS', status, text }, notes }) as const
