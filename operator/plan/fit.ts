// Whether a snapshot fits the Secrets it travels in; what would make it too big is left out, the oldest objects stay. Pure.
import type { AnyManifest } from '../../crds/index.ts'
import { maxPartBytes, maxSnapshotBytes, type SnapshotInput } from '../../relay/snapshot/index.ts'
import type { Violation } from './condition.ts'
import { titleOf } from './input.ts'
import type { RelayView } from './view.ts'
import { byAge } from './policies/policy.ts'

export type Fitted = { readonly snapshot: SnapshotInput; readonly tooBig: readonly { readonly object: AnyManifest; readonly violation: Violation }[] }

export type Room = { readonly whole: number; readonly part: number }
const roomOfSecrets: Room = { whole: maxSnapshotBytes, part: maxPartBytes - 64 }

const sections = ['domains', 'senders', 'policies', 'routes'] as const

export const fit = (snapshot: SnapshotInput, view: RelayView, room: Room = roomOfSecrets): Fitted => {
  const sizes = new Map(sections.flatMap((section) => (snapshot[section] ?? []).map((entry) => [entry.manifest, bytesOf(entry)] as const)))
  const { domains, senders, policies, routes, certificates = [], ...rest } = snapshot
  const named = certificatesNamed(snapshot)
  const ofObjects = new Set([...named.values()].flat())
  const isOfListener = ({ name }: { readonly name: string }): boolean => !ofObjects.has(name) || snapshot.listeners.some(({ tls }) => tls?.certificate === name)
  const inside = new Set(certificates.filter(isOfListener).map(({ name }) => name))
  const tooBig: { object: AnyManifest; violation: Violation }[] = []
  let used = bytesOf(rest) + bytesOf(certificates.filter(isOfListener))
  for (const object of byAge(objectsOf(view))) {
    const shown = certificates.filter(({ name }) => !inside.has(name) && named.get(titleOf(object))?.includes(name) === true)
    const bytes = sizes.get(titleOf(object)) ?? 0
    const together = bytes + shown.reduce((sum, one) => sum + bytesOf(one), 0)
    const violation = faultOf(bytes, together, used, room)
    if (violation) tooBig.push({ object, violation })
    else {
      used += together
      for (const { name } of shown) inside.add(name)
    }
  }
  const out = new Set(tooBig.map(({ object }) => titleOf(object)))
  const stays = <T extends { readonly manifest: string }>(entries: readonly T[] = []): T[] => entries.filter(({ manifest }) => !out.has(manifest))
  return { snapshot: { ...rest, domains: stays(domains), senders: stays(senders), policies: stays(policies), routes: stays(routes), certificates: certificates.filter(({ name }) => inside.has(name)) }, tooBig }
}

/** By object: the certificates that it shows to hosts. Who names one first has to find the room for it. */
const certificatesNamed = ({ domains = [], routes = [] }: SnapshotInput): ReadonlyMap<string, readonly string[]> => {
  const hops = [...domains.map(({ manifest, inbound }) => [manifest, inbound?.hosts ?? []] as const), ...routes.map(({ manifest, nextHops }) => [manifest, nextHops] as const)]
  return new Map(hops.map(([manifest, hosts]) => [manifest, hosts.flatMap(({ tls }) => tls?.clientCertificate ?? [])]))
}

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value)) + 1

const objectsOf = ({ domains, senders, policies, routes }: RelayView): AnyManifest[] => [
  ...domains.map(({ domain }) => domain),
  ...senders.map(({ sender }) => sender),
  ...policies.map(({ policy }) => policy),
  ...routes,
]

const faultOf = (bytes: number, together: number, used: number, { whole, part }: Room): Violation | undefined => {
  if (bytes > part) return { reason: 'SnapshotTooBig', message: `takes ${bytes} bytes of the relay's snapshot; one object has at most ${part}` }
  return used + together > whole ? { reason: 'SnapshotTooBig', message: `with it the relay's snapshot would pass ${whole} bytes; older objects go first` } : undefined
}
