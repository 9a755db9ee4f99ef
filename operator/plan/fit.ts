// Whether a snapshot fits the Secrets it travels in. Pure.
//   1. what alone is too big is left out   2. while the rest is too big, the newest object of the namespace that takes most
//   3. what then fits all the same comes back, the oldest first: a namespace that takes no more than its share of the room never gives way for another
import type { AnyManifest } from '../../crds/index.ts'
import { maxPartBytes, maxSnapshotBytes, type SnapshotInput } from '../../relay/snapshot/index.ts'
import type { Violation } from './condition.ts'
import { titleOf } from './input.ts'
import type { RelayView } from './view.ts'
import { byAge } from './by-age.ts'

export type Fitted = { readonly snapshot: SnapshotInput; readonly tooBig: readonly { readonly object: AnyManifest; readonly violation: Violation }[] }

export type Room = { readonly whole: number; readonly part: number }
const roomOfSecrets: Room = { whole: maxSnapshotBytes, part: maxPartBytes - 64 }

const sections = ['domains', 'senders', 'policies', 'routes'] as const

export const fit = (snapshot: SnapshotInput, view: RelayView, room: Room = roomOfSecrets): Fitted => {
  const sizes = new Map(sections.flatMap((section) => (snapshot[section] ?? []).map((entry) => [entry.manifest, bytesOf(entry)] as const)))
  const sizeOf = (object: AnyManifest): number => sizes.get(titleOf(object)) ?? 0
  const { domains, senders, policies, routes, certificates = [], ...rest } = snapshot
  const named = certificatesNamed(snapshot)
  const ofObjects = new Set([...named.values()].flat())
  const isOfListener = ({ name }: { readonly name: string }): boolean => !ofObjects.has(name) || snapshot.listeners.some(({ tls }) => tls?.certificate === name)
  const shared = certificates.filter(isOfListener)
  const certificateSizes = new Map(certificates.map((one) => [one.name, bytesOf(one)]))
  const needOf = (object: AnyManifest): Need => ({ object, bytes: sizeOf(object), certificates: named.get(titleOf(object)) ?? [] })
  const tooLarge = objectsOf(view).filter((object) => sizeOf(object) > room.part)
  const wanted = inOrder(view, objectsOf(view).filter((object) => !tooLarge.includes(object))).map(needOf)
  const { kept, left } = share(wanted, new Set(shared.map(({ name }) => name)), certificateSizes, room.whole - bytesOf(rest) - bytesOf(shared))
  const tooBig = [...tooLarge.map((object) => ({ object, violation: aloneTooBig(sizeOf(object), room) })), ...left.map(({ object }) => ({ object, violation: togetherTooBig(object.metadata.namespace, room) }))]
  const out = new Set(tooBig.map(({ object }) => titleOf(object)))
  const stays = <T extends { readonly manifest: string }>(entries: readonly T[] = []): T[] => entries.filter(({ manifest }) => !out.has(manifest))
  return { snapshot: { ...rest, domains: stays(domains), senders: stays(senders), policies: stays(policies), routes: stays(routes), certificates: certificates.filter(({ name }) => kept.has(name)) }, tooBig }
}

/** What an object needs of the room: itself and the certificates that it names, which others of its namespace may name too. */
type Need = { readonly object: AnyManifest; readonly bytes: number; readonly certificates: readonly string[] }

/** By age; the policies of the relay's own namespace before all, for they say what it may not do. */
const inOrder = ({ relay }: RelayView, objects: readonly AnyManifest[]): AnyManifest[] => {
  const isOwnPolicy = ({ kind, metadata }: AnyManifest): boolean => kind === 'RelayPolicy' && metadata.namespace === relay.metadata.namespace
  const sorted = byAge(objects)
  return [...sorted.filter(isOwnPolicy), ...sorted.filter((object) => !isOwnPolicy(object))]
}

/** Names of the certificates that stay, and the objects that do not. */
const share = (wanted: readonly Need[], certificates: ReadonlySet<string>, sizes: ReadonlyMap<string, number>, room: number): { readonly kept: ReadonlySet<string>; readonly left: readonly Need[] } => {
  const kept = new Set(certificates)
  const takeIn = ({ certificates: own, bytes }: Need): Taken => {
    const shown = [...new Set(own)].filter((name) => !kept.has(name) && sizes.has(name))
    for (const name of shown) kept.add(name)
    return { shown, bytes: bytes + shown.reduce((sum, name) => sum + sizes.get(name)!, 0) }
  }
  const namespaces = new Map<string, OfNamespace>()
  let used = 0
  for (const need of wanted) {
    const { namespace } = need.object.metadata
    const own = namespaces.get(namespace) ?? { used: 0, taken: [] }
    const taken = takeIn(need)
    own.taken.push({ need, ...taken })
    own.used += taken.bytes
    used += taken.bytes
    namespaces.set(namespace, own)
  }
  const left: Need[] = []
  const dropNewest = (own: OfNamespace): void => {
    const { need, shown, bytes } = own.taken.pop()!
    for (const name of shown) kept.delete(name)
    own.used -= bytes
    used -= bytes
    left.push(need)
  }
  while (used > room) {
    const [largest] = [...namespaces.values()].filter(({ taken }) => taken.length > 0).toSorted((a, b) => b.used - a.used)
    if (largest === undefined) break
    dropNewest(largest)
  }
  const stillLeft = left.toReversed().filter((need) => {
    const taken = takeIn(need)
    const fits = used + taken.bytes <= room
    if (fits) used += taken.bytes
    else for (const name of taken.shown) kept.delete(name)
    return !fits
  })
  return { kept, left: stillLeft }
}
type Taken = { readonly shown: readonly string[]; readonly bytes: number }
type OfNamespace = { used: number; readonly taken: (Taken & { readonly need: Need })[] }

/** By object: the certificates that it shows to hosts, and those it believes. Who names one first has to find the room for it. */
const certificatesNamed = ({ domains = [], routes = [] }: SnapshotInput): ReadonlyMap<string, readonly string[]> => {
  const hops = [...domains.map(({ manifest, inbound }) => [manifest, inbound?.hosts ?? []] as const), ...routes.map(({ manifest, nextHops }) => [manifest, nextHops] as const)]
  return new Map(hops.map(([manifest, hosts]) => [manifest, hosts.flatMap(({ tls }) => [tls?.clientCertificate ?? [], tls?.authority ?? []].flat())]))
}

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value)) + 1

const objectsOf = ({ domains, senders, policies, routes }: RelayView): AnyManifest[] => [
  ...domains.map(({ domain }) => domain),
  ...senders.map(({ sender }) => sender),
  ...policies.map(({ policy }) => policy),
  ...routes,
]

const aloneTooBig = (bytes: number, { part }: Room): Violation => ({ reason: 'SnapshotTooBig', message: `takes ${bytes} bytes of the relay's snapshot; one object has at most ${part}` })

const togetherTooBig = (namespace: string, { whole }: Room): Violation => ({
  reason: 'SnapshotTooBig',
  message: `with it the relay's snapshot would pass ${whole} bytes; the namespace that takes most of them gives way first, its newest objects before others, and this one is of namespace ${namespace}`,
})
