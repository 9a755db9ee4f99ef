// The next hops of a delivery, in order, and the addresses behind each: asks DNS, decides nothing that mx-plan.ts or route.ts can.
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Answer, Resolver } from '../dns/index.ts'
import type { NextHopHost, Smarthost, Snapshot, TlsPolicy } from '../snapshot/index.ts'
import { forbiddenByDeliverTo, forbiddenToAll } from './addresses.ts'
import { hostsToAsk, interleave, isOurs, mxPlan, type HostSeen, type MxPlan, type PlanRules } from './mx-plan.ts'
import type { Way } from './route.ts'
import type { Target } from './session.ts'
import type { Settings } from './settings.ts'

export type Hop =
  | { readonly kind: 'mx'; readonly tls: TlsPolicy }
  | { readonly kind: 'host'; readonly host: NextHopHost | Smarthost; readonly namespaceBound?: string } // namespaceBound: may name no private host but its own Services

/** By preference; among equals by weight and chance. */
export const hopsOf = (way: Way, random: () => number): Hop[] => {
  if (way.kind === 'mx') return [{ kind: 'mx', tls: { mode: 'Opportunistic' } }]
  if (way.kind === 'hosts') {
    const { inbound, namespace } = way.hosted
    const bound = inbound.privateHostsAllowed ? {} : { namespaceBound: namespace }
    return inOrder(inbound.hosts, random).map((host) => ({ kind: 'host', host, ...bound }))
  }
  return inOrder(way.route.nextHops, random).map((hop) => (hop.kind === 'mx' ? { kind: 'mx', tls: hop.tls } : { kind: 'host', host: hop }))
}

/** Weighted chance: the smallest of -ln(u)/w comes first (exponential clocks). */
const inOrder = <T extends { readonly preference: number; readonly weight?: number }>(hops: readonly T[], random: () => number): T[] =>
  hops
    .map((hop) => ({ hop, clock: -Math.log(1 - random()) / (hop.weight ?? 1) }))
    .sort((a, b) => a.hop.preference - b.hop.preference || a.clock - b.clock)
    .map(({ hop }) => hop)

export type Found =
  | { readonly kind: 'targets'; readonly targets: readonly Target[]; readonly notes: readonly string[] }
  | Extract<MxPlan, { kind: 'unroutable' | 'later' }>

/** `machine`: the machine's own name servers, where ours are others. */
export type Finding = { readonly snapshot: Snapshot; readonly resolver: Resolver; readonly machine: Resolver; readonly settings: Settings; readonly random: () => number }

export const findTargets = (hop: Hop, domain: string, finding: Finding): Promise<Found> | Found =>
  hop.kind === 'mx' ? findMx(hop, domain, finding) : findNamed(hop, finding)

const findMx = async ({ tls }: Extract<Hop, { kind: 'mx' }>, domain: string, finding: Finding): Promise<Found> => {
  const plan = await planMx(domain, rulesOf(finding), finding)
  if (plan.kind !== 'hosts') return plan
  const targets = plan.hosts.flatMap(({ name, addresses }) =>
    addresses.map((address) => ({ host: name, address, port: finding.settings.mxPort, tls: tls.mode, implicitTls: false, ...certificatesOf(tls, finding.snapshot) })))
  return { kind: 'targets', targets, notes: plan.notes }
}

const rulesOf = ({ snapshot, settings }: Pick<Finding, 'snapshot' | 'settings'>): PlanRules => ({
  blocked: snapshot.relay.blockedRanges,
  allowLoopback: settings.allowLoopback,
  ourselves: { names: [snapshot.relay.hostname, ...snapshot.relay.ownNames], addresses: snapshot.relay.ownAddresses },
})

/** The address in "[192.0.2.1]" (RFC 5321 4.1.3). */
export const literalIn = (domain: string): string | undefined => /^\[(?:IPv6:)?([0-9a-f:.]+)\]$/i.exec(domain)?.[1]

const planMx = async (domain: string, rules: PlanRules, { resolver, random }: Pick<Finding, 'resolver' | 'random'>): Promise<MxPlan> => {
  const literal = literalIn(domain)
  if (literal !== undefined) return mxPlan({ domain, mx: { kind: 'nodata', ttl: 0 }, hosts: [{ name: literal, preference: 0, ...literalAnswers(literal) }] }, rules, random)
  const mx = await resolver.mx(domain)
  const wanted = hostsToAsk(domain, mx)
  if (wanted.kind !== 'ask') return wanted
  const hosts = await allButTheSlow(wanted.hosts.map(({ name, preference }) => ({ name, preference, found: addressesOf(resolver, name) })))
  return mxPlan({ domain, mx, hosts }, rules, random)
}

type Addresses = Pick<HostSeen, 'v4' | 'v6'>
type Looking = { readonly name: string; readonly preference: number; readonly found: Promise<Addresses> }

/** Once a host has an address, the others have a second more: a dead zone of the third MX must not hold mail for the first. */
const graceMs = 1000

const allButTheSlow = async (looking: readonly Looking[]): Promise<HostSeen[]> => {
  const seen = new Map<Looking, Addresses>()
  const all = Promise.all(looking.map(async (one) => void seen.set(one, await one.found)))
  let timer: NodeJS.Timeout | undefined
  const grace = new Promise<void>((resolve) => {
    const onFirst = ({ v4, v6 }: Addresses): void => {
      if (v4.kind === 'records' || v6.kind === 'records') timer ??= setTimeout(resolve, graceMs)
    }
    for (const { found } of looking) found.then(onFirst, resolve)
  })
  await (looking.length === 1 ? all : Promise.race([all, grace]))
  clearTimeout(timer)
  return looking.map((one) => ({ name: one.name, preference: one.preference, ...(seen.get(one) ?? tooSlow) }))
}

const tooSlow: Addresses = { v4: { kind: 'failed', why: 'no answer yet' }, v6: { kind: 'failed', why: 'no answer yet' } }

const addressesOf = async (resolver: Resolver, name: string): Promise<Addresses> => {
  if (isIP(name) !== 0) return literalAnswers(name)
  const [v4, v6] = await Promise.all([resolver.addresses(name, 4), resolver.addresses(name, 6)])
  return { v4, v6 }
}

const literalAnswers = (address: string): Addresses => {
  const found: Answer<string> = { kind: 'records', records: [address], ttl: 3600 }
  const none: Answer<string> = { kind: 'nodata', ttl: 3600 }
  return isIP(address) === 6 ? { v4: none, v6: found } : { v4: found, v6: none }
}

const findNamed = async ({ host: named, namespaceBound }: Extract<Hop, { kind: 'host' }>, finding: Finding): Promise<Found> => {
  const target = { host: named.host, port: named.port, tls: named.tls.mode, implicitTls: 'implicitTls' in named && named.implicitTls, ...certificatesOf(named.tls, finding.snapshot), ...('credentials' in named && named.credentials && { credentials: named.credentials }) }
  const { addresses, alias, failure } = await (namespaceBound === undefined ? namedAddresses : boundAddresses)(named.host, finding)
  const notes: string[] = []
  const usable = addresses.filter((address) => {
    const why = namespaceBound === undefined ? forbiddenToAll(address) : (leadsBack(named, { address, alias }, finding) ?? forbiddenByDeliverTo(address, { host: named.host, alias }, { namespace: namespaceBound, services: serviceEnds(finding.snapshot) }, rulesOf(finding)))
    if (why) notes.push(`${named.host} [${address}] is ${why}: not tried`)
    return why === undefined
  })
  if (usable.length > 0) return { kind: 'targets', targets: usable.map((address) => ({ ...target, address })), notes }
  const text = addresses.length > 0 ? `${named.host} has only addresses that its manifest may not name` : `the next hop ${named.host} has no address${failure ? `: ${failure}` : ''}`
  return { kind: 'later', reason: { class: 'DNS', status: failure ? '4.4.3' : '4.4.4', text, host: named.host }, notes }
}

/** For a tenant: mail that we hand to ourselves would come round a hundred times, and each question for a recipient would ask us again. */
const leadsBack = ({ host, port }: NextHopHost, { address, alias = host }: { readonly address: string; readonly alias?: string | undefined }, finding: Finding): string | undefined =>
  isOurs([host, alias], [address], rulesOf(finding).ourselves) && finding.snapshot.listeners.some((listener) => listener.port === port) ? 'ourselves' : undefined

/** How names of Services end: svc and svc.cluster.local, by the names of our own: name.namespace.svc… */
const serviceEnds = ({ relay: { ownNames } }: Snapshot): string[] => ownNames.map((name) => name.split('.').slice(2).join('.'))

type Named = { readonly addresses: readonly string[]; readonly alias?: string | undefined; readonly failure?: string | undefined }

/** Our own name servers first; then as the machine resolves names, so that /etc/hosts and a cluster's search list count for names a manifest gives. */
const namedAddresses = async (host: string, { resolver }: Finding): Promise<Named> => {
  const isLocalName = isIP(host) === 0 && (!host.includes('.') || host.endsWith('.svc'))
  const ours = isLocalName ? { addresses: [] } : await askedOf(resolver, host)
  if (ours.addresses.length > 0) return ours
  const system = await lookup(host, { all: true }).catch(() => [])
  return { addresses: system.map(({ address }) => address), failure: ours.failure }
}

/** For a tenant: never as the machine resolves names, which does not tell of CNAMEs, and one may lead from a tenant's Service to another's. */
const boundAddresses = async (host: string, { resolver, machine }: Finding): Promise<Named> => {
  const ours = await askedOf(resolver, host)
  if (ours.addresses.length > 0) return ours
  const found = await askedOf(machine, host)
  return found.addresses.length > 0 ? found : ours
}

const askedOf = async (resolver: Resolver, host: string): Promise<Named> => {
  const { v4, v6 } = await addressesOf(resolver, host)
  const addresses = interleave(v6.kind === 'records' ? v6.records : [], v4.kind === 'records' ? v4.records : [])
  const alias = [v4, v6].map((answer) => (answer.kind === 'records' ? answer.alias : undefined)).find((one) => one !== undefined)
  const failed = [v4, v6].find((answer) => answer.kind === 'failed')
  return { addresses, alias, failure: failed?.kind === 'failed' ? failed.why : undefined }
}

const certificatesOf = (tls: TlsPolicy, { certificates }: Snapshot): Pick<Target, 'clientCertificate' | 'authority'> => {
  const clientCertificate = tls.clientCertificate === undefined ? undefined : certificates.find(({ name }) => name === tls.clientCertificate)
  const authority = tls.authority === undefined ? undefined : (certificates.find(({ name }) => name === tls.authority) ?? { name: tls.authority, certificate: '' })
  return { ...(clientCertificate && { clientCertificate }), ...(authority && { authority }) }
}
