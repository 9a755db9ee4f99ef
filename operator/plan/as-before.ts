// Who needs a Secret that may not be read, or something that is not there, stays at a MailRelay as the snapshot before has it: everybody else goes on, and an invalid manifest changes nothing that runs.
// What the MailRelay admits by now counts all the same. Pure.
import type { DeliveryRoute, KindName, ListenerSpec, MailDomain, MailRelay } from '../../crds/index.ts'
import { normalDomain, type Snapshot, type SnapshotInput } from '../../relay/snapshot/index.ts'
import { violationsOf, type Condition, type Violation } from './condition.ts'
import { keyOf, titleOf, titleOfRef } from './input.ts'
import { listenersForDomain } from './policies/domain.ts'
import { listenersForSender, refuseSender, type SeenSender } from './policies/sender.ts'
import type { AttachedDomain, AttachedSender, RelayView } from './view.ts'
import { relayKeysOf, type World } from './world.ts'

export type Kept = { readonly snapshot: SnapshotInput; readonly view: RelayView }
type Domain = Snapshot['domains'][number]
type Policy = NonNullable<SnapshotInput['policies']>[number]

/** Of the object itself, whatever a MailRelay or a target makes of it. */
const isOwnFault = ({ type, status, relay, section }: Condition): boolean => type === 'Accepted' && status === 'False' && relay === undefined && section === undefined

export const hasOwnFault = (told: readonly Condition[]): boolean => told.some(isOwnFault)

/** Titles of who is refused for a fault of its own: something it names is not there, as a Secret while it is made anew, or a mistake in a change. */
export const withOwnFault = (conditions: readonly Condition[]): string[] => conditions.filter((one) => isOwnFault(one) && staying.has(one.object.kind)).map(({ object }) => titleOfRef(object))
const staying: ReadonlySet<KindName> = new Set<KindName>(['MailDomain', 'RelayPolicy', 'DeliveryRoute'])

/** Says of who stays that it does. */
export const toldToStay = (conditions: readonly Condition[], titles: readonly string[], snapshots: readonly SnapshotInput[]): readonly Condition[] => {
  if (titles.length === 0) return conditions
  const there = new Set(snapshots.flatMap(({ domains = [], policies = [], routes = [] }) => [...domains, ...policies, ...routes].map(({ manifest }) => manifest)))
  const stay = new Set(titles.filter((title) => there.has(title)))
  return conditions.map((one) => (isOwnFault(one) && stay.has(titleOfRef(one.object)) ? { ...one, message: `${one.message}; it stays in force as it was` } : one))
}

type At = { readonly relay: MailRelay; readonly listeners: readonly ListenerSpec[] }

/** The listeners at which a domain with a fault of its own stays, where the snapshot before has it. */
export const listenersAsBefore = (domain: MailDomain, at: At, world: World): string[] => (hadIt(domain, world.input.before?.get(keyOf(at.relay))) ? admitting(domain, at, world) : [])

/** Whether the snapshot before has it, for the same domain. */
export const hadIt = (domain: MailDomain, before: Snapshot | undefined): boolean => {
  const entry = before?.domains.find(({ manifest }) => manifest === titleOf(domain))
  return entry !== undefined && entry.domain === normalDomain(domain.spec.domain)
}

/** Listeners open by now that admit a domain which means their MailRelay. */
const admitting = (domain: MailDomain, { relay, listeners: open }: At, world: World): string[] =>
  relayKeysOf(domain, world).includes(keyOf(relay)) ? listenersForDomain({ domain, relay, world }).filter((name) => open.some((one) => one.name === name)) : []

/** A MailSender that names an address which it may not use stays with those that it had and still may use. */
export const senderAsBefore = (seen: SeenSender, violations: readonly Violation[]): AttachedSender | undefined => {
  const { sender, relay, world } = seen
  if (violations.length === 0 || !violations.every(({ reason }) => reason === 'FromNotAllowed' || reason === 'InvalidName')) return undefined
  const having = (from: readonly string[]): SeenSender => ({ ...seen, sender: { ...sender, spec: { ...sender.spec, from: [...from] } } })
  const had = world.input.before?.get(keyOf(relay))?.senders.find(({ manifest }) => manifest === titleOf(sender))?.from ?? []
  const from = had.filter((pattern) => violationsOf(refuseSender, having([pattern])).length === 0)
  const listeners = listenersForSender(having(from))
  return from.length === 0 || listeners.length === 0 ? undefined : { sender, listeners, from }
}

/** `titles`: of those who need one; `before`: what the pods of the relay were given last. */
export const asBefore = ({ snapshot, view }: Kept, titles: ReadonlySet<string>, before: Snapshot, world: World): Kept => {
  const entryOf = <T extends { readonly manifest: string }>(entries: readonly T[], title: string): T | undefined => (titles.has(title) ? entries.find(({ manifest }) => manifest === title) : undefined)
  const { domains = [], senders = [], policies = [], routes = [], certificates = [], schedules } = snapshot
  const domainOf = (title: string, domain: string): Domain | undefined => {
    const entry = entryOf(before.domains, title)
    return entry?.domain === domain ? entry : undefined // one that was made anew under the same name may be for another domain
  }
  const keptDomains = domainsAsBefore(view, domains, domainOf, world)
  const keptPolicies = world.input.declared.policies.filter((policy) => entryOf(before.policies, titleOf(policy)) !== undefined && !policies.some(({ manifest }) => manifest === titleOf(policy)))
  const keptRoutes = world.input.declared.routes.flatMap((route) => routeAsBefore(route, view, entryOf(before.routes, titleOf(route)), world))
  const named = new Set([...keptDomains.flatMap(({ entry }) => entry.inbound?.hosts ?? []), ...keptRoutes.flatMap(({ entry }) => entry.nextHops)].flatMap(({ tls }) => [tls.clientCertificate, tls.authority]))
  const isAbsent = ({ name }: { readonly name: string }, there: readonly { readonly name: string }[]): boolean => !there.some((one) => one.name === name)
  return {
    snapshot: {
      ...snapshot,
      // its keys alone could not be had
      domains: inOrderOf(before.domains, manifestOf, [...domains.map((one) => ({ ...one, dkim: domainOf(one.manifest, one.domain)?.dkim ?? one.dkim })), ...keptDomains.map(({ entry }) => entry)]),
      senders: senders.map((one) => ({ ...one, auth: one.auth ?? (one.serviceAccount === undefined ? entryOf(before.senders, one.manifest)?.auth : undefined) })), // who is a ServiceAccount by now has no password any more
      policies: policiesAsBefore(policies, (title) => entryOf(before.policies, title), world),
      routes: inOrderOf(before.routes, manifestOf, [...routes, ...keptRoutes.map(({ entry }) => entry)]),
      certificates: inOrderOf(before.certificates, nameOf, [...certificates, ...before.certificates.filter((one) => named.has(one.name) && isAbsent(one, certificates))]),
      schedules: inOrderOf(before.schedules, nameOf, [...schedules, ...before.schedules.filter((one) => keptRoutes.some(({ entry }) => entry.retrySchedule === one.name) && isAbsent(one, schedules))]),
    },
    // with all that takes room
    view: { ...view, domains: [...view.domains, ...keptDomains.map(({ attached }) => attached)], policies: [...view.policies, ...keptPolicies.map((policy) => ({ policy, targets: [] }))], routes: [...view.routes, ...keptRoutes.map(({ route }) => route)] },
  }
}

const manifestOf = ({ manifest }: { readonly manifest: string }): string => manifest
const nameOf = ({ name }: { readonly name: string }): string => name

/** Where nothing has changed the snapshot is the same, and no pod loads it anew. */
const inOrderOf = <Before, Now extends Before>(before: readonly Before[], idOf: (one: Before) => string, now: readonly Now[]): Now[] => {
  const places = new Map(before.map((one, place) => [idOf(one), place]))
  const placeOf = (one: Now): number => places.get(idOf(one)) ?? Infinity
  return now.toSorted((a, b) => (placeOf(a) === placeOf(b) ? 0 : placeOf(a) - placeOf(b)))
}

/** Of those that are not planned: where a listener admits the domain by now, and nobody else has it. */
const domainsAsBefore = (view: RelayView, planned: readonly { readonly manifest: string; readonly domain: string }[], entryOf: (title: string, domain: string) => Domain | undefined, world: World): { readonly entry: Domain; readonly attached: AttachedDomain }[] =>
  world.input.declared.domains.flatMap((domain) => {
    const entry = entryOf(titleOf(domain), normalDomain(domain.spec.domain) ?? domain.spec.domain)
    if (entry === undefined || planned.some((one) => one.manifest === entry.manifest || one.domain === entry.domain)) return []
    const listeners = admitting(domain, view, world)
    return listeners.length === 0 ? [] : [{ entry: { ...entry, listeners }, attached: { domain, listeners } }]
  })

/** In the order in which they are asked. */
const policiesAsBefore = (planned: readonly Policy[], entryOf: (title: string) => Policy | undefined, world: World): Policy[] => {
  const now = new Map(planned.map((one) => [one.manifest, one]))
  return world.input.declared.policies.flatMap((policy) => now.get(titleOf(policy)) ?? entryOf(titleOf(policy)) ?? [])
}

/** What addresses the policies that stay let in: more of them may not make the world. */
export const allowedAsBefore = (titles: ReadonlySet<string>, before: Snapshot | undefined): string[] =>
  (before?.policies ?? []).filter(({ manifest }) => titles.has(manifest)).flatMap(({ rules }) => rules.flatMap(({ action, match }) => (action === 'Allow' ? (match.sources ?? []) : [])))

const routeAsBefore = (route: DeliveryRoute, view: RelayView, entry: Snapshot['routes'][number] | undefined, world: World): { readonly entry: Snapshot['routes'][number]; readonly route: DeliveryRoute }[] =>
  entry === undefined || view.routes.includes(route) || !relayKeysOf(route, world).includes(keyOf(view.relay)) ? [] : [{ entry, route }]
