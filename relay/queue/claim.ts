// Which free lanes this pod should take now, and which of its own it should hand over. Pure.
import { laneCount, ranking } from './lanes.ts'

export type Lease = { readonly pod: string; readonly mine: boolean; readonly seq: number }

/** What a pod sees when it decides. Times are monotonic ms. */
export type Scene = {
  readonly pod: string
  readonly now: number
  readonly others: readonly { readonly pod: string; readonly serving: boolean; readonly lanes: readonly number[]; readonly firstSeen: number }[]
  readonly ours: ReadonlyMap<number, { readonly takenAt: number }>
  readonly leases: ReadonlyMap<number, Lease> // those that exist
  readonly freeSince: ReadonlyMap<number, number>
  readonly startedAt: number
  readonly avoid: ReadonlyMap<number, number> // lanes passed on, until when
}

const tenureMs = 30_000
const graceMs = 6_000
const stepMs = 2_000 // the next in rank waits this much longer
const settledMs = 10_000 // how long a pod must have been seen before lanes are handed to it
const namesakeMs = 3_000

export type Claim = { readonly lane: number; readonly expect: number; readonly adopt: boolean }

export const lanesToTake = (scene: Scene): Claim[] => {
  const claims: Claim[] = []
  for (let lane = 0; lane < laneCount; lane++) {
    if (scene.ours.has(lane) || (scene.avoid.get(lane) ?? 0) > scene.now) continue
    const lease = scene.leases.get(lane)
    if (lease?.mine) claims.push({ lane, expect: lease.seq, adopt: true }) // taken, but the answer was lost
    else if (lease && isDeadNamesake(scene, lease.pod)) claims.push({ lane, expect: lease.seq, adopt: false })
    else if (!lease && scene.now - (scene.freeSince.get(lane) ?? scene.now) >= patience(scene, lane)) claims.push({ lane, expect: 0, adopt: false })
  }
  return claims
}

/** The process that had our name before us and says nothing: there is no need to wait for its lease. */
const isDeadNamesake = ({ pod, others, now, startedAt }: Scene, owner: string): boolean =>
  owner === pod && now - startedAt >= namesakeMs && !others.some((other) => other.pod === pod)

const patience = ({ pod, others }: Scene, lane: number): number => {
  const serving = others.filter((other) => other.serving)
  const rank = ranking(lane, [pod, ...serving.map((other) => other.pod)]).indexOf(pod)
  const stillClaimed = others.some((other) => other.lanes.includes(lane))
  return rank * stepMs + (stillClaimed ? graceMs : 0)
}

/** Lanes whose tenure is over and whose home is another pod that has been there for a while. */
export const lanesToHandOver = ({ pod, now, others, ours }: Scene): number[] => {
  const settled = others.filter((other) => other.serving && now - other.firstSeen >= settledMs).map((other) => other.pod)
  return [...ours].filter(([lane, { takenAt }]) => now - takenAt >= tenureMs && ranking(lane, [pod, ...settled])[0] !== pod).map(([lane]) => lane)
}
