// Memory for mail that is not stored yet: bounded; who finds no room waits, at most for as long as he has patience.
// A quarter of it is for messages that have begun to be stored: if beginners could fill it, each would wait for the others to end.
import type { Clock } from './clock.ts'

export type Stage = 'begins' | 'goes-on'
/** Who has memory here, and is asked each second for what he can do without while others wait for longer than that. */
export type Holder = {
  readonly holds: number
  /** How many bytes he is about to give, beside what he gave. */
  relieve(): number
}
export type Room = {
  take(bytes: number, patienceMs: number, stage?: Stage): Promise<boolean>
  /** Whether `take` would not have to wait. */
  has(bytes: number, stage?: Stage): boolean
  give(bytes: number): void
  used(): number
  enter(holder: Holder): void
  leave(holder: Holder): void
}

const askMs = 1_000

type Place = { readonly bytes: number; readonly since: number; readonly enter: () => void }

export const createRoom = (limit: number, clock: Clock): Room => {
  let used = 0
  const waiting: Readonly<Record<Stage, Place[]>> = { 'goes-on': [], begins: [] }
  const limits: Readonly<Record<Stage, number>> = { 'goes-on': limit, begins: limit * 0.75 }
  const fits = (bytes: number, stage: Stage) => used === 0 || used + bytes <= limits[stage] // something bigger than the room passes alone
  const letIn = () => {
    for (const stage of ['goes-on', 'begins'] as const)
      for (let first = waiting[stage][0]; first && fits(first.bytes, stage); first = waiting[stage][0]) {
        waiting[stage].shift()
        used += first.bytes
        first.enter()
      }
  }
  const wait = (bytes: number, patienceMs: number, line: Place[]) =>
    new Promise<boolean>((resolve) => {
      const place = { bytes, since: clock.monotonic(), enter: () => (cancel(), resolve(true)) }
      const cancel = clock.after(patienceMs, () => {
        line.splice(line.indexOf(place), 1)
        resolve(false)
        letIn()
      })
      line.push(place)
      if (!asking) askLater()
    })
  const holders = new Set<Holder>()
  let asking = false
  const askLater = (): void => {
    asking = waiting.begins.length + waiting['goes-on'].length > 0
    if (asking) clock.after(askMs, askHolders)
  }
  /** A busy relay is full for moments all the time. */
  const isShort = (): boolean => [waiting.begins[0], waiting['goes-on'][0]].some((first) => first !== undefined && clock.monotonic() - first.since >= askMs)
  /** Who holds most first, and no more of them than it takes. */
  const askHolders = (): void => {
    askLater()
    if (!isShort()) return
    const wanted = [...waiting.begins, ...waiting['goes-on']].reduce((sum, { bytes }) => sum + bytes, 0)
    let coming = 0
    for (const holder of [...holders].toSorted((one, other) => other.holds - one.holds)) {
      coming += holder.relieve()
      if (!isShort() || coming >= wanted) return
    }
  }
  const has = (bytes: number, stage: Stage = 'goes-on') => waiting[stage].length === 0 && fits(bytes, stage)
  return {
    has,
    take: (bytes, patienceMs, stage = 'goes-on') => {
      if (!has(bytes, stage)) return wait(bytes, patienceMs, waiting[stage])
      used += bytes
      return Promise.resolve(true)
    },
    give: (bytes) => {
      used -= bytes
      letIn()
    },
    used: () => used,
    enter: (holder) => void holders.add(holder),
    leave: (holder) => void holders.delete(holder),
  }
}
