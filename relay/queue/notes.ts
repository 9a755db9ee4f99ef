// What earlier owners of a lane have finished: read whole, up to our own epoch record, before anything is acted on.
// The fence guarantees that every note of theirs lies before it, whatever replica it is read from.
import type { Context } from './context.ts'
import { laneCount } from './lanes.ts'
import type { Tenure } from './own.ts'
import { decodeNote } from './record-wire.ts'
import type { StoredRecord } from './stream.ts'

export type OldNote = { readonly subject: string; readonly seq: number; readonly finished: readonly string[]; readonly until: number }

export class LaneNotes {
  readonly #finished = new Map<string, number>() // subject → sequence of its note
  readonly #inAdvance = new Map<string, number>() // subject → until when it may still come
  readonly old: OldNote[] = []

  add(record: StoredRecord): void {
    const { finished, inAdvance = [] } = decodeNote(record.payload)
    for (const subject of finished) this.#finished.set(subject, record.seq)
    for (const { subject, until } of inAdvance) this.expect(subject, until)
    this.old.push({ subject: record.subject, seq: record.seq, finished, until: Math.max(0, ...inAdvance.map(({ until }) => until)) })
  }
  /** Finished in advance: a schedule that may fire all the same. */
  expect(subject: string, until: number): void {
    this.#inAdvance.set(subject, until)
  }
  isFinished(subject: string, seq: number): boolean {
    return (this.#finished.get(subject) ?? 0) > seq || this.#inAdvance.has(subject)
  }
  /** For who removes them: they are not kept here. */
  takeOld(): readonly OldNote[] {
    return this.old.splice(0)
  }
  /** Our cursor is past all the ready records they speak of. */
  forgetReady(): void {
    for (const subject of this.#finished.keys()) if (subject.startsWith('ready.')) this.#finished.delete(subject)
  }
  forgetExpected(now: number): void {
    for (const [subject, until] of this.#inAdvance) if (until < now) this.#inAdvance.delete(subject)
  }
}

/** The subjects, without the relay's token, that a note says are finished, or will be when they come; none where it cannot be read. */
export const finishedIn = ({ payload }: StoredRecord): string[] => {
  try {
    const { finished, inAdvance = [] } = decodeNote(payload)
    return [...finished, ...inAdvance.map(({ subject }) => subject)]
  } catch {
    return []
  }
}

/** The notes of each lane that is still ours when they are read; a lane with a note that cannot be read is left out: what is finished there is not known. */
export const readLaneNotes = ({ stream, subjects, clock, log, metrics }: Context, tenures: readonly Tenure[]): Promise<Map<number, LaneNotes>> =>
  new Promise((resolve) => {
    const open = new Map(tenures.map((tenure) => [tenure.lane, tenure]))
    const notes = new Map(tenures.map(({ lane }) => [lane, new LaneNotes()]))
    const all = tenures.length === laneCount
    const filters = all ? [subjects.all('done'), subjects.all('epoch')] : tenures.flatMap(({ lane }) => [subjects.notesOf(lane), subjects.epoch(lane)])
    const finish = () => {
      cancel()
      reader.stop()
      resolve(notes)
    }
    const onRecord = (record: StoredRecord) => {
      reader.want(1)
      const lane = subjects.lane(record.subject)
      const tenure = open.get(lane)
      if (!tenure) return
      if (record.seq >= tenure.epoch) open.delete(lane)
      else if (record.subject.startsWith(`${subjects.relay}.done.`)) addNote(lane, record)
      if (open.size === 0) finish()
    }
    const addNote = (lane: number, record: StoredRecord) => {
      try {
        notes.get(lane)!.add(record)
      } catch (error) {
        metrics.recordsUnreadable.inc()
        log.error('RECORD_VERSION', { subject: record.subject, seq: record.seq, error: (error as Error).message })
        open.delete(lane)
        notes.delete(lane)
      }
    }
    const look = () => {
      for (const { lane, state } of open.values())
        if (state === 'gone') {
          open.delete(lane)
          notes.delete(lane)
        }
      if (open.size === 0) finish()
      else cancel = clock.after(1_000, look)
    }
    let cancel = clock.after(1_000, look)
    const onOlder = () => {
      for (const lane of open.keys()) notes.delete(lane)
      finish()
    }
    const reader = stream.read({ filters, from: 1, onRecord, onOlder })
    reader.want(500)
  })
