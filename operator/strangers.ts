// Between the reconcile loop and the probe: what is known of strangers when a plan is made, and whom to try next once it is applied.
import { networkInterfaces } from 'node:os'
import type { MailRelay } from '../crds/index.ts'
import { nodeAddresses, podRanges } from './gather/index.ts'
import type { Memory } from './memory.ts'
import { observe } from './observe.ts'
import { closedFor, doorMark, keyOf, runs, trustMark, type ObservedFleet, type RelayView, type Seen } from './plan/index.ts'
import { waysTo, type Prober, type Target } from './probe/index.ts'
import { made, nodes, pods, type Watched } from './watched.ts'

export type StrangerParts = {
  readonly watched: Watched
  readonly memory: Memory
  readonly prober: Prober
  /** For tests only. */
  readonly believeAll?: boolean
}

/** A process that has just begun asks the pods first: what they know of their routers must not be missing from its first plan. */
export const seenNow = async (relays: readonly MailRelay[], { watched, memory, prober, believeAll }: StrangerParts): Promise<Seen> => {
  const unknown = relays.filter((relay) => !memory.knows(keyOf(relay)))
  await Promise.all(unknown.map(async (relay) => memory.noteGateways(keyOf(relay), await observe({ relay }, watched))))
  memory.keep(new Set(relays.map(keyOf)))
  return {
    relays: Object.fromEntries(relays.map((relay) => [keyOf(relay), { hidden: memory.hidden(keyOf(relay)), strangers: prober.strangers(keyOf(relay)), gateways: memory.gateways(keyOf(relay)) }])),
    ownAddresses: ownAddresses(watched),
    nodeAddresses: nodeAddresses(watched.all(nodes), watched.all(pods)),
    podRanges: podRanges(watched.all(nodes)),
    ...(believeAll === true && { believeAll }),
  }
}

/** Of this process and of those that wait for its lease: who acts next changes nothing. */
const ownAddresses = (watched: Watched): string[] => {
  const operators = watched.all(pods).filter(({ metadata: { labels = {} } }) => labels['app.kubernetes.io/component'] === 'operator')
  const theirs = operators.map(({ status }) => (status as { podIP?: string } | undefined)?.podIP).filter((address) => address !== undefined)
  const ours = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.filter(({ internal }) => !internal).map(({ address }) => address))
  return [...theirs, ...ours]
}

type Recorded = { readonly listeners?: readonly { readonly name: string; readonly closedFor?: string }[] }

/** A listener is to be closed, and the status does not say so yet: it must, before it is done, so that nobody who comes after us opens it. */
export const closesAnew = (view: RelayView, seen: Seen): boolean => {
  const { listeners = [] } = (view.relay.status ?? {}) as Recorded
  return view.listeners.some((listener) => closedFor(view, listener, seen) !== undefined && listeners.find(({ name }) => name === listener.name)?.closedFor === undefined)
}

/** Whom a stranger is to try: a relay by every way where all pods that are ready run this revision, else only straight at one that does. */
export const targetOf = ({ view, revision, observed }: ObservedFleet, watched: Watched): Target => {
  const { relay, listeners, domains } = view
  const ready = observed.pods.filter((pod) => pod.ready)
  const current = ready.filter((pod) => runs(pod, revision))
  const partly = current.length > 0 && current.length < ready.length
  const ways = waysTo(relay, listeners, watched.get(made.service, keyOf(relay)), current)
  const taken = async () => new Set((await observe(view, watched)).pods.flatMap(({ invalid = [] }) => invalid))
  return {
    relay: keyOf(relay),
    revision,
    marks: Object.fromEntries(listeners.map((listener) => [listener.name, trustMark(view, listener)])),
    doors: Object.fromEntries(listeners.map((listener) => [listener.name, doorMark(relay, listener)])),
    ...(partly && { partly }),
    how:
      current.length === 0
        ? undefined
        : { ways: partly ? ways.filter(({ name }) => name === 'straight at a pod') : ways, own: domains.find(({ domain }) => domain.spec.inbound !== undefined)?.domain.spec.domain ?? relay.spec.hostname, taken },
  }
}
