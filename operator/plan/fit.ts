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
  const { domains, senders, policies, routes, ...rest } = snapshot
  const tooBig: { object: AnyManifest; violation: Violation }[] = []
  let used = bytesOf(rest)
  for (const object of byAge(objectsOf(view))) {
    const bytes = sizes.get(titleOf(object)) ?? 0
    const violation = faultOf(bytes, used, room)
    if (violation) tooBig.push({ object, violation })
    else used += bytes
  }
  const out = new Set(tooBig.map(({ object }) => titleOf(object)))
  const stays = <T extends { readonly manifest: string }>(entries: readonly T[] = []): T[] => entries.filter(({ manifest }) => !out.has(manifest))
  return { snapshot: { ...rest, domains: stays(domains), senders: stays(senders), policies: stays(policies), routes: stays(routes) }, tooBig }
}

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value)) + 1

const objectsOf = ({ domains, senders, policies, routes }: RelayView): AnyManifest[] => [
  ...domains.map(({ domain }) => domain),
  ...senders.map(({ sender }) => sender),
  ...policies.map(({ policy }) => policy),
  ...routes,
]

const faultOf = (bytes: number, used: number, { whole, part }: Room): Violation | undefined => {
  if (bytes > part) return { reason: 'SnapshotTooBig', message: `takes ${bytes} bytes of the relay's snapshot; one object has at most ${part}` }
  return used + bytes > whole ? { reason: 'SnapshotTooBig', message: `with it the relay's snapshot would pass ${whole} bytes; older objects go first` } : undefined
}
