// Bookkeeping of what is finished: which purge is due when, and which notes have nothing left to say. Pure.
import { groupOf } from './subjects.ts'

/** One purge; `expected` is the most it may remove. */
export type Purge = { readonly filter: string; readonly below: number; readonly expected: number; readonly lane: number; readonly notes: readonly NoteRef[] }
/** A note and how many of its subjects are still there. */
export type NoteRef = { readonly upTo: number /* last sequence of its batch */; readonly lane: number; left: number }
export type Finished = { readonly lane: number; readonly subject: string; readonly seq: number; readonly groupSize: number; readonly note: NoteRef }

type Group = { readonly size: number; readonly members: Map<number, Finished>; readonly since: number; dissolved: boolean }

export type Groups = {
  /** Marks one subject finished; the purges that are due for that. */
  finish(finished: Finished, now: number): Purge[]
  /** Groups kept open for too long are removed one by one. */
  dissolve(now: number): Purge[]
  /** After a fault nothing of this lane is purged by its prefix any more. */
  distrust(lane: number): void
  forgetLane(lane: number): void
  open(): number
}

const openForMs = 60_000

export const createGroups = (): Groups => {
  const groups = new Map<string, Group>()
  const distrusted = new Set<number>()
  return {
    finish: (finished, now) => {
      const { prefix, index } = groupOf(finished.subject)
      if (finished.groupSize <= 1 || distrusted.has(finished.lane)) return [single(finished)]
      const group = groups.get(prefix) ?? { size: finished.groupSize, members: new Map(), since: now, dissolved: false }
      groups.set(prefix, group)
      const known = group.members.has(index)
      group.members.set(index, finished)
      const complete = group.members.size === group.size
      if (complete) groups.delete(prefix)
      if (group.dissolved) return known ? [] : [single(finished)]
      return complete ? [whole(prefix, group)] : []
    },
    dissolve: (now) => {
      const purges: Purge[] = []
      for (const group of groups.values()) {
        if (group.dissolved || now - group.since < openForMs) continue
        group.dissolved = true
        purges.push(...[...group.members.values()].map(single))
      }
      return purges
    },
    distrust: (lane) => void distrusted.add(lane),
    forgetLane: (lane) => {
      for (const [prefix, { members }] of groups) if (members.values().next().value?.lane === lane) groups.delete(prefix)
    },
    open: () => groups.size,
  }
}

const single = ({ subject, seq, lane, note }: Finished): Purge => ({ filter: subject, below: seq + 1, expected: 1, lane, notes: [note] })

const whole = (prefix: string, { members, size }: Group): Purge => {
  const all = [...members.values()]
  return { filter: `${prefix}.*`, below: Math.max(...all.map(({ seq }) => seq)) + 1, expected: size, lane: all[0]!.lane, notes: all.map(({ note }) => note) }
}
