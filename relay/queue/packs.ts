// Packs: records that hold several deliveries, so that mail that was accepted together is one write and one sync. How they are taken apart, and when one is finished. Pure.
// A delivery in a pack has a subject of its own, the pack's and its place: notes name that one, and all but reading and removing takes it for a record.
import { QueueError } from './errors.ts'
import type { Finished } from './groups.ts'
import { alone, decodePack, isPack } from './record-wire.ts'
import type { StoredRecord } from './stream.ts'
import { countOfRecord, partOf, recordOf } from './subjects.ts'

/** What a pack holds at most: who asks for one record may get so much, and a server takes 1 MiB. */
export const mostParts = 64
export const packBytes = 256_000

/** The deliveries of a ready record, each as a record. Throws QueueError. */
export const partsOf = (record: StoredRecord): readonly StoredRecord[] => {
  if (!isPack(record.payload)) return [record]
  const parts = decodePack(record.payload)
  if (parts.length !== countOfRecord(record.subject)) throw new QueueError('RECORD_UNREADABLE', `the record holds ${parts.length} deliveries, its subject says ${countOfRecord(record.subject)}`)
  return parts.map((payload, place) => ({ ...record, subject: partOf(record.subject, place), payload }))
}

/** The names of the deliveries in a pack, also of one that cannot be taken apart; none of any other record. */
export const namesIn = ({ subject }: StoredRecord): readonly string[] => {
  const count = countOfRecord(subject)
  return count > 1 && count <= mostParts ? Array.from({ length: count }, (_, place) => partOf(subject, place)) : []
}

/** How many deliveries the next record is taken to bring, when the last one brought `came`: as many as those that came lately. */
export const partsExpected = (before: number, came: number): number => Math.max(came, fewestParts, before - forgottenEach)
const fewestParts = 16
const forgottenEach = 0.25

/** How many records a reader may ask for that has room for so many deliveries. */
export const recordsFor = (room: number, expected: number): number => {
  const singles = expected > fewestParts ? 0 : Math.min(room, fewestEach)
  return Math.max(1, Math.floor(Math.max(room / expected, singles)))
}
const fewestEach = 16 // while records bring one delivery each: an answer takes as long for one as for many

export type Packs = {
  /** The record that is finished with this delivery, if it is. */
  finish(one: Finished): Finished | undefined
  forgetLane(lane: number): void
}

export const createPacks = (): Packs => {
  const open = new Map<string, Map<string, Finished>>()
  return {
    finish: (one) => {
      const { record, parts } = recordOf(one.subject)
      if (parts === 1) return asAWhole(open, one)
      const ended = open.get(record) ?? new Map<string, Finished>()
      open.set(record, ended.set(one.subject, one))
      if (ended.size < parts) return undefined
      open.delete(record)
      const all = [...ended.values()]
      const sizes = all.some(({ sizes }) => sizes === alone) ? alone : one.sizes // of what earlier owners have finished no group is known
      return { ...one, subject: record, sizes, done: () => all.forEach(({ done }) => done()) }
    },
    forgetLane: (lane) => {
      for (const [record, ended] of open) if ([...ended.values()].some((one) => one.lane === lane)) open.delete(record)
    },
  }
}

/** A pack that could not be taken apart is finished by its own name, and with it what of it was finished by theirs. */
const asAWhole = (open: Map<string, Map<string, Finished>>, one: Finished): Finished => {
  const before = open.get(one.subject)
  if (!before) return one
  open.delete(one.subject)
  return { ...one, done: () => [one, ...before.values()].forEach(({ done }) => done()) }
}
