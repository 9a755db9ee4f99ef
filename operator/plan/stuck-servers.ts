// Which server of a queue waits for itself, so that only a new start helps, and no probe of a kubelet sees it; and whether its pod may go now. Pure.
import type { ObservedPod } from './conditions/index.ts'

/** `starts`: of its container, which may begin anew in the same pod. `ready`: its kubelet got the whole health of it, which one that waits for itself never tells. */
export type ServerPod = { readonly name: string; readonly uid: string; readonly starts: number; readonly ready: boolean }
/** Those that are not on their way out. `wanted`: how many there are to be. `isUpdating`: its StatefulSet is about to start some anew by itself. */
export type QueueServers = { readonly pods: readonly ServerPod[]; readonly wanted: number; readonly isUpdating: boolean }
type Said = Pick<ObservedPod, 'servers' | 'durable' | 'ready'>

/** `forMs`: how long it has been said. `last`: when. `missed`: looks since then without a word. */
type Known = { readonly forMs: number; readonly last: number; readonly missed: number }
type Restarts = { readonly times: number; readonly at: number }
/** By start of a server, and by name. */
export type Stuck = { readonly since: ReadonlyMap<string, Known>; readonly restarts: ReadonlyMap<string, Restarts> }
export const nothingStuck: Stuck = { since: new Map(), restarts: new Map() }

/** `stuckMs`: how long it was said to be stuck. `times`: how often its pod was deleted before. */
export type Restart = { readonly pod: ServerPod; readonly stuckMs: number; readonly times: number }

const stuckMs = 180_000
const longestMs = 16 * stuckMs
const stepMs = 60_000 // what one look can add: a clock that is set, or an operator that stood still, is no server that did
const gapMs = 60_000 // one look without a word is no news
const forgetMs = 7_200_000 // longer than the longest

/** `now` in ms, by a clock that may be set. */
export const judgeServers = ({ pods, wanted, isUpdating }: QueueServers, relayPods: readonly Said[], before: Stuck, now: number): { readonly stuck: Stuck; readonly restart?: Restart } => {
  if (wanted < 2) return { stuck: nothingStuck } // its liveness probe sees it
  const since = new Map(pods.flatMap((pod) => {
    const known = knownOf(pod, relayPods, before.since.get(startOf(pod)), now)
    return known === undefined ? [] : [[startOf(pod), known] as const]
  }))
  const restarts = new Map([...before.restarts].filter(([, { at }]) => now - at < forgetMs))
  const due = pods.flatMap((pod) => {
    const { forMs = 0, missed = 1 } = since.get(startOf(pod)) ?? {}
    const times = restarts.get(pod.name)?.times ?? 0
    const isDue = missed === 0 && forMs >= waitMs(times) && (isOutOfUse(relayPods) || (!isUpdating && othersAreWell(pod, pods, wanted, relayPods)))
    return isDue ? [{ pod, stuckMs: forMs, times }] : []
  })
  const [restart] = due.toSorted((a, b) => a.times - b.times)
  return { stuck: { since, restarts }, ...(restart && { restart }) }
}

/** All others are forgotten: the next may follow when it was seen stuck as long again. Itself has longer each time: what a start does not mend, starts do not mend, and one that is only slow gets to its end. */
export const restarted = ({ restarts }: Stuck, { pod, times }: Restart, now: number): Stuck => ({ since: new Map(), restarts: new Map([...restarts, [pod.name, { times: times + 1, at: now }]]) })

const waitMs = (times: number): number => Math.min(stuckMs * 2 ** times, longestMs)
const startOf = ({ uid, starts }: ServerPod): string => `${uid} ${starts}`

const knownOf = ({ name, ready }: ServerPod, relayPods: readonly Said[], before: Known | undefined, now: number): Known | undefined => {
  const said = relayPods.flatMap(({ servers = [] }) => servers.filter((one) => one.name === name))
  if (ready || said.some(({ up }) => up)) return undefined // who has an answer knows better than who has none
  const known = before !== undefined && before.missed > 1 && now - before.last > gapMs ? undefined : before
  if (!said.some(({ stuck }) => stuck)) return known && { ...known, last: Math.min(known.last, now), missed: known.missed + 1 }
  return { forMs: known === undefined ? 0 : known.forMs + Math.min(Math.max(now - known.last, 0), stepMs), last: now, missed: 0 }
}

/** No relay has its mail kept by it now, so that there is nothing to lose. A full queue is in use, and so is that of a relay pod which is ready and does not answer us. */
const isOutOfUse = (relayPods: readonly Said[]): boolean => !relayPods.some(({ durable, ready }) => (durable === undefined ? ready : durable.ok || durable.reason === 'QueueFull'))

/** As a disruption budget of one would have it: whoever is away, starts or catches up is waited for. For the first 40 s only the relays miss one whose node has died. */
const othersAreWell = ({ name }: ServerPod, pods: readonly ServerPod[], wanted: number, relayPods: readonly Said[]): boolean => {
  const isSeen = (other: string): boolean => relayPods.some(({ servers = [] }) => servers.some((one) => one.name === other && one.up))
  return pods.filter((one) => one.name !== name && one.ready && isSeen(one.name)).length >= wanted - 1
}
