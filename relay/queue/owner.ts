// The part of a process that serves lanes: own, next, settle and removal wired together.
import { sleep } from './clock.ts'
import { longSubject, shortSubject } from './compose.ts'
import type { Context } from './context.ts'
import { entryOf, type Entry, type Settled } from './entry.ts'
import type { QueueError } from './errors.ts'
import { Next } from './next.ts'
import type { LaneNotes, OldNote } from './notes.ts'
import { Own, type Tenure } from './own.ts'
import { namesIn, partsOf } from './packs.ts'
import { alone } from './record-wire.ts'
import { asDelivery, unreadableHead } from './record.ts'
import { Removal } from './removal.ts'
import { Settle } from './settle.ts'
import { Steer } from './steer.ts'
import type { StoredRecord } from './stream.ts'
import { recordOf } from './subjects.ts'
import type { Deliverer } from './types.ts'
import { overdueOf, removeEnded, sweepChunks, sweepEnds } from './upkeep.ts'

const passOnMs = 60_000
const passOnAgainMs = 600_000
const askAgainMs = 1_000

export type OwnerParts = { readonly deliverer: Deliverer; paused(): boolean; serverNow(): number; revision(): string; lanesFit(): boolean }

export class Owner {
  readonly own: Own
  readonly next: Next
  readonly settle: Settle
  readonly removal: Removal
  readonly steer: Steer
  readonly #context: Context
  readonly #serverNow: () => number
  readonly #goneBefore = new WeakMap<Tenure, Promise<void>[]>() // removals of what earlier owners have finished
  readonly #passedOn = new Map<number, number>() // lane → when
  #draining = false
  #stopped = false
  #cancelUpkeep = () => {}

  constructor(context: Context, { deliverer, paused, serverNow, revision, lanesFit }: OwnerParts) {
    this.#context = context
    this.#serverNow = serverNow
    this.removal = new Removal(context)
    this.own = new Own(
      context,
      {
        onGained: (tenures) => {
          this.steer.serve(tenures)
          for (const tenure of tenures) this.#goneBefore.set(tenure, [])
          void this.next.gained(tenures)
        },
        onLost: (tenure) => this.#left(tenure),
        finish: (tenure, patienceMs) => this.#finish(tenure, patienceMs),
        readerAlive: (tenure) => this.next.readerAlive(tenure),
        lanesFit,
      },
      revision,
    )
    this.settle = new Settle(context, { removal: this.removal, lost: (tenure, why) => this.own.lost(tenure, why), serverNow, onStored: (settled, upTo) => this.#stored(settled, upTo) })
    this.next = new Next(context, {
      deliverer,
      settle: this.settle,
      mayStart: (tenure) => !this.#draining && this.own.mayStart(tenure),
      paused,
      serverNow,
      isBehind: () => this.removal.isBehind(),
      unpacks: () => this.own.heartbeat.hearsOlder(),
      onFinishedBefore: (tenure, record) => this.#finishedBefore(tenure, record),
      onFiredTwice: ({ lane }, { subject, seq }) => this.removal.second(lane, subject, seq),
      onPassedEpoch: (tenure, notes) => void this.#passedEpoch(tenure, notes),
      onUnknownNotes: (tenure) => void this.own.passOn(tenure, passOnMs),
      onOlder: (tenure) => this.own.lost(tenure, 'the servers have an older state of the stream, as from a backup: the lane is read anew'),
      onUnreadable: (tenure, record, error) => this.#unreadable(tenure, record, error),
    })
    this.steer = new Steer(context, { own: this.own, next: this.next, deliverer, paused, serverNow })
    this.#keep()
  }

  async drain(ms: number): Promise<void> {
    this.#draining = true
    await this.own.releaseAll(ms)
    await this.#removed(2_000)
  }
  stop(): void {
    this.#stopped = true
    this.#cancelUpkeep()
    this.own.stop()
    this.next.stop()
    this.settle.stop()
    this.removal.stop()
  }

  #left(tenure: Tenure): void {
    this.steer.leave(tenure)
    this.next.lost(tenure)
    this.removal.forgetLane(tenure.lane)
  }
  /** Waits for what is in flight; past the patience it is aborted and gets a moment to say so. */
  async #finish(tenure: Tenure, patienceMs: number): Promise<void> {
    const { clock } = this.#context
    const deadline = clock.monotonic() + patienceMs
    const quiet = async (until: number) => {
      while (!this.next.quiet(tenure) && tenure.state !== 'gone' && clock.monotonic() < until) await sleep(clock, 20)
    }
    await quiet(deadline)
    this.next.abort(tenure)
    await quiet(clock.monotonic() + 1_000)
  }
  /** What is left is removed by the next owner, who reads our notes. */
  async #removed(ms: number): Promise<void> {
    const { clock } = this.#context
    const deadline = clock.monotonic() + ms
    while (!this.removal.idle() && clock.monotonic() < deadline) await sleep(clock, 20)
  }

  #stored(settled: readonly Settled[], upTo: number): void {
    for (const { settlement, entry } of settled) {
      for (const event of settlement.trace) this.#context.emit(event)
      const body = entry.head.body
      if (body && !settlement.later && !settlement.held) void removeEnded(this.#context, this.removal, body, entry.head.n, upTo)
    }
  }

  /** Housekeeping: the owner of lane 0 sweeps for all; everybody looks after schedules of his own lanes. By the servers' own time: a clock of ours that was just set would make old what is still coming in. */
  #keep(): void {
    this.#cancelUpkeep = this.#context.clock.after(this.#context.limits.upkeepEveryMs, () => {
      void this.upkeep()
        .catch((error: unknown) => this.#context.log.error('BUG', { part: 'upkeep', error: String((error as Error).stack) }))
        .then(() => this.#stopped || this.#keep())
    })
  }
  async upkeep(): Promise<void> {
    const now = (await this.#context.stream.state())?.at
    if (now === undefined) return
    if (this.own.tenureOf(0)) {
      await sweepEnds(this.#context, this.removal)
      await sweepChunks(this.#context, now)
    }
    for (const lane of this.own.lanes()) {
      const tenure = this.own.tenureOf(lane)
      if (!tenure) continue
      this.next.forgetExpected(tenure, now)
      for (const one of await overdueOf(this.#context, tenure, now)) await this.#makeDue(tenure, one)
    }
  }
  /** What comes of its schedule waits from now on; what has come before, while the list was being read, the leader does not have any more. */
  async #makeDue(tenure: Tenure, one: Settled): Promise<void> {
    const { metrics, subjects } = this.#context
    const { entry, inAdvance } = one
    if (!this.next.claim(tenure, entry.subject, entry.seq)) return
    const waits = this.#stillWaits(entry)
    const stored = waits.then(async (still) => still && (await this.settle.add(one)) === 'stored')
    this.next.expect(tenure, shortSubject(subjects, inAdvance!.subject), inAdvance!.until, stored)
    void stored.then((is) => (is ? metrics.overdue.inc() : this.next.unclaim(entry.subject)))
    await waits
  }
  async #stillWaits({ subject, seq }: Entry): Promise<boolean> {
    const found = await this.#context.stream.last(subject, 'leader')
    return found.kind === 'found' && found.record.seq === seq
  }

  #finishedBefore(tenure: Tenure, { subject, seq }: StoredRecord): void {
    const gone = new Promise<void>((done) => this.removal.finish({ lane: tenure.lane, subject, seq, sizes: alone, done }))
    this.#goneBefore.get(tenure)?.push(gone)
  }
  #gone(lane: number, subject: string, seq: number): Promise<void> {
    return new Promise((done) => this.removal.single(lane, subject, seq, done))
  }
  /** Everything the old notes speak of has been seen and is being removed; when it is gone they go too. */
  async #passedEpoch(tenure: Tenure, notes: LaneNotes): Promise<void> {
    const { lane } = tenure
    const old = notes.takeOld()
    const waiting = old.flatMap(({ finished, seq }) => finished.filter((subject) => !subject.startsWith('ready.')).map((subject) => this.#gone(lane, longSubject(this.#context.subjects, subject), seq)))
    notes.forgetReady()
    await Promise.all([...(this.#goneBefore.get(tenure) ?? []), ...waiting])
    this.#goneBefore.delete(tenure)
    await Promise.all(old.map((one) => this.#oldNoteGone(tenure, one)))
    if (tenure.state !== 'gone') this.removal.tidied(lane)
  }
  /** It stays while a schedule that it speaks of may still fire. */
  async #oldNoteGone(tenure: Tenure, { until, subject, seq }: OldNote): Promise<void> {
    const left = until - this.#serverNow()
    if (left > 0) await sleep(this.#context.clock, left)
    if (tenure.state !== 'gone') await this.#gone(tenure.lane, subject, seq)
  }
  #unreadable(tenure: Tenure, record: StoredRecord, error: QueueError): void {
    const { log, metrics } = this.#context
    const finished = this.#finishedIn(tenure, record)
    if (error.code === 'RECORD_VERSION') {
      metrics.recordsUnreadable.inc()
      log.error('RECORD_VERSION', { subject: record.subject, seq: record.seq, error: error.message })
      if (this.#mayPassOn(tenure.lane)) void this.own.passOn(tenure, passOnMs)
      return // nobody to pass it to: it is left alone, and the rest of the lane goes on
    }
    void this.#readAgain(tenure, record, finished)
  }
  /** What earlier owners have finished of a pack: known now, and no more when the lane's notes have been read. The notes stay for as long as it does. */
  #finishedIn(tenure: Tenure, record: StoredRecord): ReadonlySet<string> {
    const notes = this.next.notesOf(tenure.lane)
    const finished = namesIn(record).filter((subject) => notes?.isFinished(shortSubject(this.#context.subjects, subject), record.seq))
    for (const subject of finished) this.#finishedBefore(tenure, { ...record, subject })
    return new Set(finished)
  }
  /** What comes back so soon the others could not read either. */
  #mayPassOn(lane: number): boolean {
    const now = this.#context.clock.monotonic()
    if (now - (this.#passedOn.get(lane) ?? -Infinity) < passOnAgainMs || !this.own.heartbeat.others().some(({ serving }) => serving)) return false
    this.#passedOn.set(lane, now)
    return true
  }
  /** A second reading, of the leader's copy; what fails then is put on hold with its bytes. */
  async #readAgain(tenure: Tenure, record: StoredRecord, finished: ReadonlySet<string>): Promise<void> {
    const { stream, clock } = this.#context
    const { record: subject } = recordOf(record.subject)
    const isPart = record.subject !== subject
    let again = await stream.last(subject, 'leader')
    for (; again.kind === 'unknown' && tenure.state !== 'gone'; again = await stream.last(subject, 'leader')) await sleep(clock, askAgainMs)
    if (again.kind !== 'found') return
    let parts: readonly StoredRecord[]
    try {
      parts = partsOf(again.record)
    } catch (error) {
      return this.#setAside(tenure, isPart ? record : again.record, error as Error) // the others of its pack are not to go on hold with it
    }
    for (const part of parts) if (!finished.has(part.subject) && (!isPart || part.subject === record.subject)) this.#offerAgain(tenure, part)
  }
  #offerAgain(tenure: Tenure, part: StoredRecord): void {
    try {
      this.next.offer(entryOf(tenure, part))
    } catch (error) {
      void this.#setAside(tenure, part, error as Error)
    }
  }
  async #setAside(tenure: Tenure, record: StoredRecord, error: Error): Promise<void> {
    const { log, metrics } = this.#context
    log.error('RECORD_UNREADABLE', { subject: record.subject, seq: record.seq, error: error.message })
    if ((await this.settle.add(asUnreadable(tenure, record, error))) === 'stored') metrics.recordsUnreadable.inc() // else the next owner does it
  }
}

/** On hold with its bytes as they are. */
const asUnreadable = (tenure: Tenure, record: StoredRecord, error: Error): Settled => {
  const why = `RECORD_UNREADABLE: it could not be understood: ${error.message}`
  const head = unreadableHead(record, why)
  const entry = { tenure, subject: record.subject, seq: record.seq, at: record.at, sizes: alone, head, inline: record.payload, delivery: asDelivery(head, record.at, tenure.lane) }
  return { entry, settlement: { held: { recipients: [], why }, notices: [], trace: [] } }
}
