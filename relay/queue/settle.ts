// The only one that acts on settlements: outcomes gather and go out as one fenced atomic batch, one unanswered at a time.
// Writes later, ready, held, body, end and done records; asks removal to remove what is finished.
import { noteDoubleBounce } from '../report/index.ts'
import { readAnswer, type Meaning } from './answers.ts'
import { sleep } from './clock.ts'
import { composeSettle, type ComposedBatch } from './compose.ts'
import { batchBytes, type Context } from './context.ts'
import type { InAdvance, Settled } from './entry.ts'
import { nextBatch } from './gather.ts'
import type { Tenure } from './own.ts'
import type { Removal } from './removal.ts'
import type { NoteRef } from './groups.ts'

/** How it ended for one outcome. */
export type SettledAs = 'stored' | 'lane-lost'
type Waiting = { readonly one: Settled; readonly records: number; readonly bytes: number; readonly done: (as: SettledAs) => void }

/** Records one outcome may need: note, body, later, held, end, and a notice with its body. */
const mostRecordsEach = 6
const settleRecords = 900
/** Askings: a leader may know an id before it has the record. */
const noteMayLag = 10
/** Askings between two lines about a batch that is not taken: about a minute. */
const complainEvery = 60

export class Settle {
  readonly #context: Context
  readonly #removal: Removal
  readonly #lost: (tenure: Tenure, why: string) => void
  readonly #serverNow: () => number
  readonly #onStored: (settled: readonly Settled[], upTo: number) => void
  #waiting: Waiting[] = []
  #sending = false
  #number = 0
  #stopped = false

  constructor(context: Context, parts: { removal: Removal; lost(tenure: Tenure, why: string): void; serverNow(): number; onStored(settled: readonly Settled[], upTo: number): void }) {
    this.#context = context
    this.#removal = parts.removal
    this.#lost = parts.lost
    this.#serverNow = parts.serverNow
    this.#onStored = parts.onStored
  }

  /** Resolves when the outcome is stored, or its lane turns out to be another's. */
  add(one: Settled): Promise<SettledAs> {
    return new Promise((done) => {
      const bytes = 1_500 + (one.entry.inline?.length ?? 0) + (one.original?.bytes.length ?? 0)
      this.#waiting.push({ one, records: mostRecordsEach, bytes, done })
      if (!this.#sending) void this.#send()
    })
  }
  idle(): boolean {
    return !this.#sending && this.#waiting.length === 0
  }
  stop(): void {
    this.#stopped = true
  }

  async #send(): Promise<void> {
    this.#sending = true
    await Promise.resolve() // what ends in the same turn goes together
    while (this.#waiting.length > 0 && !this.#stopped) {
      const batch = this.#waiting.splice(0, nextBatch(this.#waiting, { records: settleRecords, bytes: batchBytes }))
      await this.#settle(batch).catch((error: unknown) => this.#brokeOff(batch, error))
    }
    this.#sending = false
  }

  /** It could not be composed or sent, so nothing is stored. Each by itself, so that one does not take the others along. */
  async #brokeOff(batch: readonly Waiting[], error: unknown): Promise<void> {
    if (batch.length > 1) {
      for (const one of batch) await this.#settle([one]).catch((why: unknown) => this.#brokeOff([one], why))
      return
    }
    this.#context.log.error('BUG', { part: 'settle', delivery: batch[0]!.one.entry.delivery.id, error: String((error as Error).stack) })
    batch[0]!.done('lane-lost') // left as it is on the stream: the next owner tries it again
  }

  /** All lanes at once; refused by a fence: lane by lane, so that only the lanes another pod has are dropped. */
  async #settle(batch: readonly Waiting[]): Promise<void> {
    const live = dropGone(batch)
    if (live.length === 0 || (await this.#store(live))) return
    const lanes = Map.groupBy(live, ({ one }) => one.entry.tenure)
    for (const [tenure, ofLane] of lanes) {
      if (lanes.size > 1 && (await this.#store(ofLane))) continue
      this.#lost(tenure, 'a settle batch was refused by the fence')
      for (const { done } of ofLane) done('lane-lost')
    }
  }

  /** false: refused by a fence, and certainly not stored. */
  async #store(batch: readonly Waiting[]): Promise<boolean> {
    const { subjects, incarnation, siteOf, composeNotice, newMessageId, limits } = this.#context
    const composing = { subjects, incarnation, number: this.#number++, now: this.#serverNow(), siteOf, composeNotice, newMessageId, inlineBytes: limits.inlineBytes }
    const composed = composeSettle(composing, batch.map(({ one }) => one))
    const meaning = await this.#ask(composed)
    if (meaning.kind !== 'stored') return false
    const firstSeq = await this.#firstSequence(composed, meaning)
    this.#noteFinished(composed, firstSeq, batch)
    this.#onStored(batch.map(({ one }) => one), firstSeq + composed.records.length - 1)
    for (const { done } of batch) done('stored')
    this.#noteNotices(composed)
    return true
  }

  /** On both timelines, so that each leads to the other. Counted now and not when composed: a batch may be composed again, or be another process' to write. */
  #noteNotices({ notices }: ComposedBatch): void {
    const { emit, pod, metrics, log } = this.#context
    const at = this.#serverNow()
    for (const { message, kind, double, as } of notices) {
      if (double) noteDoubleBounce({ metrics, log }, message, double, as !== undefined)
      if (!as) continue
      metrics.bounces.inc({ kind })
      emit({ at, message, kind: 'notified', pod, text: `a notice (${kind}) was written as ${as.id}` })
      emit({ at, message: as.id, kind: 'accepted', pod, text: `a notice (${kind}) about ${message}`, from: '', recipients: as.to })
    }
  }

  async #ask({ records, notes }: ComposedBatch): Promise<Meaning> {
    const { stream, clock, log } = this.#context
    for (let [asked, wait] = [1, 50]; !this.#stopped; asked++, wait = Math.min(wait * 2, 1_000)) {
      const meaning = readAnswer(records.length === 1 ? await stream.publish(records[0]!) : await stream.batch(records), { ownAbsent: true, fence: true })
      if (meaning.kind === 'stored-or-fenced') {
        const found = await Promise.all(notes.map(({ subject }) => stream.last(subject, 'leader'))) // a next owner removes those of his lane only
        if (found.some(({ kind }) => kind === 'found')) return { kind: 'stored' }
        if (found.every(({ kind }) => kind === 'missing')) return { kind: 'fenced' }
      } else if (meaning.kind !== 'unknown') return meaning
      if (asked % complainEvery === 0) log.warn('SETTLE_WAITS', { asked, records: records.length, why: meaning.kind === 'unknown' ? meaning.why : 'its notes could not be read' })
      await sleep(clock, wait)
    }
    return { kind: 'unknown', why: 'stopped' }
  }

  /** An answer to a repeated question names no sequence: the notes themselves do. 0: it was stored, and the next owners have tidied them all away. */
  async #firstSequence({ records, notes }: ComposedBatch, meaning: Meaning): Promise<number> {
    if (meaning.kind === 'stored' && meaning.lastSeq !== undefined) return meaning.lastSeq - records.length + 1
    for (let asked = 1; ; asked++) {
      const found = await Promise.all(notes.map(({ subject }) => this.#context.stream.last(subject, 'leader')))
      for (const [place, note] of found.entries()) if (note.kind === 'found') return note.record.seq - place
      if (this.#stopped || (asked > noteMayLag && found.every(({ kind }) => kind === 'missing'))) return 0
      await sleep(this.#context.clock, 200)
    }
  }

  #noteFinished({ notes, records }: ComposedBatch, firstSeq: number, batch: readonly Waiting[]): void {
    const refs = new Map<number, NoteRef>()
    const gone = new Set(batch.filter(({ one }) => one.entry.tenure.state === 'gone').map(({ one }) => one.entry.tenure.lane)) // lost before the answer came: the next owner goes on from the note
    for (const lane of gone) this.#removal.leftBehind(lane)
    for (const { lane, subject } of notes) {
      if (gone.has(lane)) continue
      const note: NoteRef = { subject, upTo: firstSeq + records.length - 1, lane, left: 0 }
      if (!refs.has(lane)) refs.set(lane, note)
      this.#removal.noted(note)
    }
    for (const { one } of batch) {
      const { tenure, subject, seq, sizes } = one.entry
      const note = refs.get(tenure.lane)
      if (!note) continue
      note.left++
      this.#removal.finish({ lane: tenure.lane, subject, seq, sizes, done: () => void note.left-- })
      if (one.inAdvance) this.#keepNote(tenure, note, one.inAdvance)
    }
  }

  /** The note stays while the schedule may still fire; what it put there by then is removed. No longer: the notes of all that is settled after it wait for it. */
  #keepNote({ lane }: Tenure, note: NoteRef, { subject, until, gone }: InAdvance): void {
    note.left++
    const end = () => this.#removal.single(lane, subject, Number.MAX_SAFE_INTEGER - 1, () => note.left--)
    const cancel = this.#context.clock.after(Math.max(0, until - this.#serverNow()), end)
    void gone?.then((is) => {
      if (!is) return
      cancel()
      end()
    })
  }
}

const dropGone = (batch: readonly Waiting[]): Waiting[] =>
  batch.filter(({ one, done }) => {
    const gone = one.entry.tenure.state === 'gone'
    if (gone) done('lane-lost')
    return !gone
  })
