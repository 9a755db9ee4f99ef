// Bookkeeping of what is finished: which purge is due when, and which notes have nothing left to say. Pure.
import type { Sizes } from './record.ts'
import { groupOf } from './subjects.ts'

/** One purge; `expected` is the most it may remove. `done`: what is to be told when it is. */
export type Purge = { readonly filter: string; readonly below: number; readonly expected: number; readonly lanes: readonly number[]; readonly done: readonly (() => void)[] }
/** The notes of one lane in one settle batch, and how many of the subjects they name are still there. */
export type NoteRef = { readonly subject: string; readonly upTo: number /* last sequence of its batch */; readonly lane: number; left: number }
export type Finished = { readonly lane: number; readonly subject: string; readonly seq: number; readonly sizes: Sizes; /** It is removed. */ readonly done: () => void }

/** The records of an accept batch that are in one lane and of one class, or packs. */
type Group = { readonly lane: number; readonly size: number; readonly members: Map<number, Finished>; dissolved: boolean }
/** All of one accept batch that this process has finished. */
type Batch = { readonly name: string; readonly size: number; readonly since: number; readonly groups: Map<string, Group>; done: number }

export type Groups = {
  /** Marks one subject finished; the purges that are due for that. */
  finish(finished: Finished, now: number): Purge[]
  /** Batches that stay open: whole groups go by themselves soon, groups kept open by a slow delivery are removed one by one later. */
  dissolve(now: number): Purge[]
  /** After a fault nothing of this lane is purged by a prefix any more. */
  distrust(lane: number): void
  /** What is finished there and waited to go with others: by itself, for the next owner may not know its format. */
  forgetLane(lane: number): Purge[]
  open(): number
}

const batchOpenForMs = 2_000
const groupOpenForMs = 60_000
const rememberedForMs = 2 * groupOpenForMs

export const createGroups = (): Groups => {
  const batches = new Map<string, Batch>()
  const distrusted = new Set<number>()
  const finish = (finished: Finished, now: number): Purge[] => {
    const { prefix, index } = groupOf(finished.subject)
    if (finished.sizes.batch <= 1 || distrusted.has(finished.lane)) return [single(finished)]
    const batch = batchOf(batches, prefix, finished, now)
    const group = groupIn(batch, prefix, finished)
    if (group.members.has(index)) return []
    group.members.set(index, finished)
    batch.done++
    if (batch.done >= batch.size || isOver(batch)) batches.delete(batch.name)
    const own = group.dissolved ? [single(finished)] : []
    if (batch.done < batch.size) return own
    const trusted = [...batch.groups.values()].every(({ lane, dissolved }) => !dissolved && !distrusted.has(lane))
    return trusted ? [wholeBatch(batch)] : [...own, ...[...batch.groups].flatMap(([prefix, group]) => rest(prefix, group, distrusted))]
  }
  return {
    finish,
    dissolve: (now) =>
      [...batches.values()].flatMap((batch) => {
        const purges = dissolveBatch(batch, now, distrusted)
        if (isOver(batch) || isForgotten(batch, now)) batches.delete(batch.name)
        return purges
      }),
    distrust: (lane) => void distrusted.add(lane),
    forgetLane: (lane) => {
      const purges: Purge[] = []
      for (const batch of batches.values()) {
        for (const [prefix, group] of batch.groups)
          if (group.lane === lane) {
            if (!group.dissolved) purges.push(...[...group.members.values()].map(single))
            batch.groups.delete(prefix)
            batch.done = -Infinity // the rest of it is another's: only whole groups go from here
          }
        if (batch.groups.size === 0) batches.delete(batch.name)
      }
      return purges
    },
    open: () => batches.size,
  }
}

const batchOf = (batches: Map<string, Batch>, prefix: string, { sizes }: Finished, now: number): Batch => {
  const name = prefix.slice(prefix.lastIndexOf('.') + 1)
  const batch = batches.get(name) ?? { name, size: sizes.batch, since: now, groups: new Map<string, Group>(), done: 0 }
  batches.set(name, batch)
  return batch
}
const groupIn = (batch: Batch, prefix: string, { lane, sizes }: Finished): Group => {
  const group = batch.groups.get(prefix) ?? { lane, size: sizes.group, members: new Map<number, Finished>(), dissolved: false }
  batch.groups.set(prefix, group)
  return group
}

/** Nothing of it that this process has is still to be removed; the rest is in lanes of others. */
const isOver = ({ groups }: Batch): boolean => [...groups.values()].every(({ dissolved, members, size }) => dissolved && members.size === size)

/** What an earlier owner has finished of it never comes to us: it would be remembered for ever. What does come later goes by itself. */
const isForgotten = ({ groups, since }: Batch, now: number): boolean => now - since >= rememberedForMs && [...groups.values()].every(({ dissolved }) => dissolved)

const dissolveBatch = (batch: Batch, now: number, distrusted: ReadonlySet<number>): Purge[] => {
  if (now - batch.since < batchOpenForMs) return []
  return [...batch.groups].flatMap(([prefix, group]) => {
    const complete = group.members.size === group.size
    if (group.dissolved || (!complete && now - batch.since < groupOpenForMs)) return []
    const purges = rest(prefix, group, distrusted)
    group.dissolved = true
    return purges
  })
}

const rest = (prefix: string, group: Group, distrusted: ReadonlySet<number>): Purge[] => {
  if (group.dissolved) return []
  const members = [...group.members.values()]
  if (group.members.size < group.size || distrusted.has(group.lane)) return members.map(single)
  return [together(`${prefix}.>`, members)]
}

const single = (finished: Finished): Purge => together(finished.subject, [finished])

/** relay.ready.<any lane>.<any class>.<batch>.<all> */
const wholeBatch = (batch: Batch): Purge => {
  const members = [...batch.groups.values()].flatMap((group) => [...group.members.values()])
  const [relay, kind] = members[0]!.subject.split('.')
  return together(`${relay}.${kind}.*.*.${batch.name}.>`, members)
}

const together = (filter: string, members: readonly Finished[]): Purge => ({
  filter,
  below: Math.max(...members.map(({ seq }) => seq)) + 1,
  expected: members.length,
  lanes: [...new Set(members.map(({ lane }) => lane))],
  done: members.map(({ done }) => done),
})
