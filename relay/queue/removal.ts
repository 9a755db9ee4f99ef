// Removes what is finished: purges of whole accept batches or groups, bounded by a sequence, and single records by theirs, late or
// twice at will; then the notes about them. The only file that removes deliveries.
import type { Context } from './context.ts'
import { createGroups, type Finished, type NoteRef, type Purge } from './groups.ts'
import { createPacks } from './packs.ts'
import { countOfRecord } from './subjects.ts'

const atOnce = 4
const tickMs = 1_000
const againMs = 1_000
const turnsByLane = 10

/** Deliveries, bodies and notes: what there are very many of. */
const isOne = /^[^.]+\.(ready|body|done)\.[^*>]+$/
/** Notes that may wait for those before them. */
const mostNotes = 1_000

type Job = { readonly filter: string; readonly below: number; readonly expected: number; readonly lanes: readonly number[]; readonly done: () => unknown; readonly isSecond?: true }

export class Removal {
  readonly #context: Context
  readonly #groups = createGroups()
  readonly #packs = createPacks()
  readonly #jobs: Job[] = []
  #notes: NoteRef[] = [] // in the order they were written
  #left = new Set<number>() // lanes that went while notes of ours still had something to say there
  #turn = 0
  #running = 0
  #again = 0 // unanswered, asked again in a second
  #stopped = false
  #cancel = () => {}

  constructor(context: Context) {
    this.#context = context
    this.#tick()
  }

  noted(note: NoteRef): void {
    this.#notes.push(note)
  }
  finish(finished: Finished): void {
    const record = this.#packs.finish(finished)
    if (record) this.#purgeAll(this.#groups.finish(record, this.#context.clock.monotonic()))
  }
  /** Removes one record by name; nothing else depends on it. */
  single(lane: number, subject: string, seq: number, done: () => void = () => {}): void {
    this.#add({ filter: subject, below: seq + 1, expected: 1, lanes: [lane], done })
  }
  /** Removes the second record of a subject, and not the first, which may not be finished yet. */
  second(lane: number, subject: string, seq: number): void {
    this.#add({ filter: subject, below: seq + 1, expected: 1, lanes: [lane], done: () => {}, isSecond: true })
  }
  /** Removes everything a filter matches: a body with all its chunks. */
  all(filter: string, below: number, done: () => unknown = () => {}): void {
    this.#add({ filter, below, expected: Infinity, lanes: [], done })
  }
  /** Its notes stay: the next owner reads them and goes on where we stopped. */
  forgetLane(lane: number): void {
    this.#purgeAll(this.#groups.forgetLane(lane))
    this.#packs.forgetLane(lane)
    if (this.#notes.some((note) => note.lane === lane && note.left > 0)) this.leftBehind(lane)
    this.#notes = this.#notes.filter((note) => note.lane !== lane)
  }
  /** A lane went, and a note of ours still has something to say there. */
  leftBehind(lane: number): void {
    this.#left.add(lane)
  }
  /** The lane came back, and nothing is left there of what we noted before. */
  tidied(lane: number): void {
    this.#left.delete(lane)
  }
  idle(): boolean {
    return this.#jobs.length === 0 && this.#running === 0 && this.#again === 0 && this.#groups.open() === 0
  }
  /** So much is finished and still there that no more should be begun: what waits here takes memory, and each new owner reads it all. */
  isBehind(): boolean {
    return this.#jobs.length + this.#again >= this.#context.limits.unremovedCount
  }
  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #purgeAll(purges: readonly Purge[]): void {
    for (const { done, ...purge } of purges) this.#add({ ...purge, done: () => done.forEach((tell) => tell()) })
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
    const isAlone = isOne.test(job.filter) && countOfRecord(job.filter) === 1 // a pack stands for many, and to look at it would be to read it
    const removed = await (isAlone ? this.#removeOne(job) : stream.purge(job.filter, job.below))
    if (removed === undefined) {
      this.#again++
      clock.after(againMs, () => {
        this.#again--
        this.#add(job)
      })
      return
    }
    if (removed > job.expected) {
      for (const lane of job.lanes) this.#groups.distrust(lane)
      metrics.purgeFaults.inc()
      log.error('PURGE_FAULT', { filter: job.filter, below: job.below, expected: job.expected, removed })
    }
    job.done()
  }

  /** Not by a purge: after each of those the server counts what lies before every reader, which takes it milliseconds while very many deliveries are due. */
  async #removeOne({ filter, below, isSecond }: Job): Promise<number | undefined> {
    const { stream } = this.#context
    const near = await stream.last(filter, 'any')
    const found = near.kind === 'found' && (!isSecond || near.record.seq === below - 1) ? near : await stream.last(filter, 'leader') // what lies at its sequence is looked at first: servers that lost power can have given it anew
    if (found.kind === 'missing') return 0
    if (found.kind === 'unknown') return undefined
    if (isSecond && found.record.seq !== below - 1) return found.record.seq < below ? 0 : undefined // a third hides it, and goes first
    if (found.record.seq >= below) return stream.purge(filter, below) // the second of its subject (taken.ts) hides it
    return (await stream.remove(found.record.seq)) ? 1 : undefined
  }

  #tick(): void {
    this.#purgeAll(this.#groups.dissolve(this.#context.clock.monotonic()))
    this.#removeNotes()
    if (this.#notes.length > mostNotes) this.#removeNotesBehind()
    this.#cancel = this.#context.clock.after(tickMs, () => this.#tick())
  }
  /** A delivery that takes its time keeps the notes of all that were in its pack, and those keep what is behind them: each of these that has nothing left to say goes by itself. */
  #removeNotesBehind(): void {
    for (const { lane, subject, upTo, left } of this.#notes) if (left === 0) this.single(lane, subject, upTo)
    this.#notes = this.#notes.filter(({ left }) => left > 0)
  }
  /** The oldest notes that have nothing left to say go together, those of one settle batch at once; lane by lane, and not at every turn, when some of ours must stay. */
  #removeNotes(): void {
    const firstKept = this.#notes.find(({ left }) => left > 0)?.upTo ?? Infinity
    const keep = this.#notes.findIndex(({ upTo }) => upTo >= firstKept)
    const count = keep === -1 ? this.#notes.length : keep
    const byLane = this.#left.size > 0
    if (count === 0 || (byLane && ++this.#turn % turnsByLane !== 0)) return
    const gone = this.#notes.splice(0, count)
    const { subjects, incarnation } = this.#context
    if (!byLane) return this.all(subjects.notesByAll(incarnation), gone.at(-1)!.upTo + 1)
    for (const [lane, end] of new Map(gone.map((note) => [note.lane, note.upTo]))) if (!this.#left.has(lane)) this.all(subjects.notesBy(lane, incarnation), end + 1)
    for (const { lane, subject, upTo } of gone) if (this.#left.has(lane)) this.single(lane, subject, upTo) // it came back, and what is still needed of before lies below
  }
}
