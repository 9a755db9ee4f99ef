// From one MailRelay in force, with all that attaches to it, to its snapshot. Pure.
import { waitOf, type MailRelay } from '../../../crds/index.ts'
import type { SnapshotInput } from '../../../relay/snapshot/index.ts'
import { keyOf, titleOf } from '../input.ts'
import type { RelayView } from '../view.ts'
import { publicRanges } from '../own-addresses.ts'
import { queueBytesOf } from '../volumes.ts'
import type { World } from '../world.ts'
import { certificatesOf } from './certificates.ts'
import { domainsOf } from './domains.ts'
import { listenersOf } from './listeners.ts'
import { nodeAddressesOf } from './node-addresses.ts'
import { policiesOf } from './policies.ts'
import { present } from './present.ts'
import { routesOf } from './routes.ts'
import { builtIn, schedulesOf } from './schedules.ts'
import { sendersOf } from './senders.ts'
import { tokensOf } from './tokens.ts'

export const snapshotOf = (view: RelayView, world: World): SnapshotInput => {
  const certificates = certificatesOf(view, world)
  const tokens = tokensOf(view, world)
  return {
    version: 1,
    relay: { ...relayOf(view, world), nodeAddresses: nodeAddressesOf(view, world.input.seen), ...present({ tokens }) },
    listeners: listenersOf(view, new Set(certificates.map(({ name }) => name)), tokens !== undefined, world.input.seen),
    senders: sendersOf(view, world),
    domains: domainsOf(view, world),
    policies: policiesOf(view, world),
    routes: routesOf(view, world),
    schedules: schedulesOf(view, world),
    certificates,
  }
}

const relayOf = ({ relay, listeners }: RelayView, world: World): SnapshotInput['relay'] => {
  const { spec, metadata } = relay
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    manifest: titleOf(relay),
    hostname: spec.hostname,
    queue: `${metadata.namespace}_${metadata.name}`, // neither half can hold an underscore
    queueReplicas: serversOf((spec.queue.managed ?? spec.queue.external)?.replicas),
    queueBytes: queueBytesOf(relay, world.input.volumes?.get(keyOf(relay))),
    paused: spec.paused,
    drainSeconds: waitOf(spec.drain.timeout),
    retrySchedule: spec.retryScheduleName ?? builtIn.name,
    resolver: { nameservers: [...(spec.resolver.nameservers ?? [])], dnssec: spec.resolver.dnssec },
    ownNames: serviceNamesOf(relay, world.input.clusterDomain),
    // mail servers deliver to port 25: an MX that points to another port of ours is nobody
    ownAddresses: listeners.some(({ port }) => port === 25) ? [...(world.input.serviceAddresses?.get(keyOf(relay)) ?? [])] : [],
    blockedRanges: publicRanges(world.input.seen?.podRanges ?? []),
    ...present({ postmaster: spec.postmaster, closing: metadata.deletionTimestamp === undefined ? undefined : true }),
  }
}

const serversOf = (replicas: number | undefined): 1 | 3 | 5 => (replicas === 1 || replicas === 5 ? replicas : 3)

/** Names of the Service in front of the relay. */
export const serviceNamesOf = ({ metadata: { name, namespace } }: MailRelay, clusterDomain: string): string[] => [
  `${name}.${namespace}.svc`,
  `${name}.${namespace}.svc.${clusterDomain}`,
]
