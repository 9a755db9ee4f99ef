// Which server of a queue waits for itself, so that only a new start helps, and no probe of a kubelet sees it. Pure.
import type { ObservedPod } from './conditions/index.ts'

/** By the uid of a server's pod: since when it is said to be stuck, and when it was last said. */
export type StuckSince = ReadonlyMap<string, { readonly since: number; readonly last: number }>
export type ServerPod = { readonly name: string; readonly uid: string }

const stuckMs = 180_000
const gapMs = 60_000 // longer than between two runs: one look without a word is no news

/** `now` in ms. Of one that is to start anew all others are forgotten: the next may follow when it was seen stuck as long again. */
export const judgeServers = (servers: readonly ServerPod[], relayPods: readonly Pick<ObservedPod, 'servers'>[], before: StuckSince, now: number): { readonly stuck: StuckSince; readonly restart?: ServerPod } => {
  const stuck = new Map(servers.flatMap(({ name, uid }) => {
    const said = relayPods.flatMap(({ servers: seen = [] }) => seen.filter((one) => one.name === name))
    const earlier = before.get(uid)
    const isFresh = earlier !== undefined && now - earlier.last <= gapMs
    if (said.some(({ up }) => up)) return [] // who has an answer knows better than who has none
    if (said.some((one) => one.stuck)) return [[uid, { since: isFresh ? earlier.since : now, last: now }] as const]
    return isFresh ? [[uid, earlier] as const] : []
  }))
  const isLongStuck = ({ uid }: ServerPod): boolean => stuck.get(uid)?.last === now && now - stuck.get(uid)!.since >= stuckMs
  const restart = servers.find(isLongStuck)
  return restart === undefined ? { stuck } : { stuck: new Map(), restart }
}
