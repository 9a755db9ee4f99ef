// Who needs a Secret that may not be read stays at a MailRelay as the snapshot before has it, so that everybody else goes on. What the MailRelay admits by now counts all the same. Pure.
import type { DeliveryRoute } from '../../crds/index.ts'
import { normalDomain, type Snapshot, type SnapshotInput } from '../../relay/snapshot/index.ts'
import { keyOf, titleOf } from './input.ts'
import { listenersForDomain } from './policies/domain.ts'
import type { AttachedDomain, RelayView } from './view.ts'
import { relayKeysOf, type World } from './world.ts'

export type Kept = { readonly snapshot: SnapshotInput; readonly view: RelayView }
type Domain = Snapshot['domains'][number]

/** `titles`: of those who need one; `before`: what the pods of the relay were given last. */
export const asBefore = ({ snapshot, view }: Kept, titles: ReadonlySet<string>, before: Snapshot, world: World): Kept => {
  const entryOf = <T extends { readonly manifest: string }>(entries: readonly T[], title: string): T | undefined => (titles.has(title) ? entries.find(({ manifest }) => manifest === title) : undefined)
  const { domains = [], senders = [], routes = [], certificates = [], schedules } = snapshot
  const domainOf = (title: string, domain: string): Domain | undefined => {
    const entry = entryOf(before.domains, title)
    return entry?.domain === domain ? entry : undefined // one that was made anew under the same name may be for another domain
  }
  const keptDomains = domainsAsBefore(view, domains, domainOf, world)
  const keptRoutes = world.input.declared.routes.flatMap((route) => routeAsBefore(route, view, entryOf(before.routes, titleOf(route)), world))
  const named = new Set([...keptDomains.flatMap(({ entry }) => entry.inbound?.hosts ?? []), ...keptRoutes.flatMap(({ entry }) => entry.nextHops)].flatMap(({ tls }) => [tls.clientCertificate, tls.authority]))
  const isAbsent = ({ name }: { readonly name: string }, there: readonly { readonly name: string }[]): boolean => !there.some((one) => one.name === name)
  return {
    snapshot: {
      ...snapshot,
      // its keys alone could not be had
      domains: [...domains.map((one) => ({ ...one, dkim: domainOf(one.manifest, one.domain)?.dkim ?? one.dkim })), ...keptDomains.map(({ entry }) => entry)],
      senders: senders.map((one) => ({ ...one, auth: one.auth ?? (one.serviceAccount === undefined ? entryOf(before.senders, one.manifest)?.auth : undefined) })), // who is a ServiceAccount by now has no password any more
      routes: [...routes, ...keptRoutes.map(({ entry }) => entry)],
      certificates: [...certificates, ...before.certificates.filter((one) => named.has(one.name) && isAbsent(one, certificates))],
      schedules: [...schedules, ...before.schedules.filter((one) => keptRoutes.some(({ entry }) => entry.retrySchedule === one.name) && isAbsent(one, schedules))],
    },
    view: { ...view, domains: [...view.domains, ...keptDomains.map(({ attached }) => attached)], routes: [...view.routes, ...keptRoutes.map(({ route }) => route)] },
  }
}

/** Of those that are not planned: where a listener admits the domain by now, and nobody else has it. */
const domainsAsBefore = ({ relay, listeners: open }: RelayView, planned: readonly { readonly manifest: string; readonly domain: string }[], entryOf: (title: string, domain: string) => Domain | undefined, world: World): { readonly entry: Domain; readonly attached: AttachedDomain }[] =>
  world.input.declared.domains.flatMap((domain) => {
    const entry = entryOf(titleOf(domain), normalDomain(domain.spec.domain) ?? domain.spec.domain)
    if (entry === undefined || planned.some((one) => one.manifest === entry.manifest || one.domain === entry.domain)) return []
    if (!relayKeysOf(domain, world).includes(keyOf(relay))) return []
    const listeners = listenersForDomain({ domain, relay, world }).filter((name) => open.some((one) => one.name === name))
    return listeners.length === 0 ? [] : [{ entry: { ...entry, listeners }, attached: { domain, listeners } }]
  })

const routeAsBefore = (route: DeliveryRoute, view: RelayView, entry: Snapshot['routes'][number] | undefined, world: World): { readonly entry: Snapshot['routes'][number]; readonly route: DeliveryRoute }[] =>
  entry === undefined || view.routes.includes(route) || !relayKeysOf(route, world).includes(keyOf(view.relay)) ? [] : [{ entry, route }]
