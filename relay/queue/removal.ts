// Removes what is finished: purges of whole groups, bounded by a sequence, late or twice at will; then the notes about them.
// The only file that removes deliveries.
import type { Context } from './context.ts'
import { createGroups, type Finished, type NoteRef, type Purge } from './groups.ts'

const atOnce = 4
const sweepNotesMs = 2_000
const againMs = 1_000

type Job = { readonly filter: string; readonly below: number; readonly expected: number; readonly lane: number; readonly done: () => void }

export class Removal {
  readonly #context: Context
  readonly #groups = createGroups()
  readonly #jobs: Job[] = []
  readonly #notes = new Map<number, NoteRef[]>() // per lane, in the order they were written
  #running = 0
  #stopped = false
  #cancel = () => {}

  constructor(context: Context) {
    this.#context = context
    this.#tick()
  }

  /** A note was stored; `left` of its subjects are to be removed. */
  noted(note: NoteRef): void {
    const notes = this.#notes.get(note.lane) ?? []
    this.#notes.set(note.lane, notes)
    notes.push(note)
  }
  finish(finished: Finished): void {
    this.#purgeAll(this.#groups.finish(finished, this.#context.clock.monotonic()))
  }
  /** Removes one record by name; nothing else depends on it. */
  single(lane: number, subject: string, seq: number, done: () => void = () => {}): void {
    this.#add({ filter: subject, below: seq + 1, expected: 1, lane, done })
  }
  /** Removes everything below a prefix: a body with all its chunks. */
  prefix(lane: number, filter: string, below: number, done: () => void = () => {}): void {
    this.#add({ filter, below, expected: Infinity, lane, done })
  }
  forgetLane(lane: number): void {
    this.#groups.forgetLane(lane)
    this.#notes.delete(lane)
  }
  idle(): boolean {
    return this.#jobs.length === 0 && this.#running === 0
  }
  backlog(): number {
    return this.#jobs.length + this.#running
  }
  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #purgeAll(purges: readonly Purge[]): void {
    for (const { notes, ...purge } of purges)
      this.#add({ ...purge, done: () => {
        for (const note of notes) note.left--
      } })
  }
  #add(job: Job): void {
    this.#jobs.push(job)
    this.#run()
  }
  #run(): void {
    while (this.#running < atOnce && this.#jobs.length > 0 && !this.#stopped) {
      this.#running++
      void this.#purge(this.#jobs.shift()!).finally(() => {
        this.#running--
        this.#run()
      })
    }
  }
  async #purge(job: Job): Promise<void> {
    const { stream, clock, log, metrics } = this.#context
    const removed = await stream.purge(job.filter, job.below)
    if (removed === undefined) return void clock.after(againMs, () => this.#add(job))
    if (removed > job.expected) {
      this.#groups.distrust(job.lane)
      metrics.purgeFaults.inc()
      log.error('PURGE_FAULT', { filter: job.filter, below: job.below, expected: job.expected, removed })
    }
    job.done()
  }

  #tick(): void {
    this.#purgeAll(this.#groups.dissolve(this.#context.clock.monotonic()))
    for (const [lane, notes] of this.#notes) this.#removeNotes(lane, notes)
    this.#cancel = this.#context.clock.after(sweepNotesMs, () => this.#tick())
  }
  /** The oldest notes that have nothing left to say go in one purge. */
  #removeNotes(lane: number, notes: NoteRef[]): void {
    const keep = notes.findIndex(({ left }) => left > 0)
    const gone = notes.splice(0, keep === -1 ? notes.length : keep)
    const last = gone.at(-1)
    if (notes.length === 0) this.#notes.delete(lane)
    if (last) this.prefix(lane, this.#context.subjects.notesBy(lane, this.#context.incarnation), last.upTo + 1)
  }
}
