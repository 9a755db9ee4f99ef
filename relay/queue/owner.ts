// The part of a process that serves lanes: own, next, settle and removal wired together.
import { sleep } from './clock.ts'
import { longSubject } from './compose.ts'
import type { Context } from './context.ts'
import type { Settled } from './entry.ts'
import type { QueueError } from './errors.ts'
import { Next } from './next.ts'
import type { LaneNotes } from './notes.ts'
import { createOwn, type Own, type Tenure } from './own.ts'
import { Removal } from './removal.ts'
import { Settle } from './settle.ts'
import type { StoredRecord } from './stream.ts'
import type { Deliverer } from './types.ts'

export type OwnerParts = { readonly deliverer: Deliverer; paused(): boolean; serverNow(): number; revision(): string }

export class Owner {
  readonly own: Own
  readonly next: Next
  readonly settle: Settle
  readonly removal: Removal
  readonly #context: Context
  #draining = false

  constructor(context: Context, { deliverer, paused, serverNow, revision }: OwnerParts) {
    this.#context = context
    this.removal = new Removal(context)
    this.own = createOwn(
      context,
      {
        onGained: (tenures) => void this.next.gained(tenures),
        onLost: (tenure) => this.#left(tenure),
        finish: (tenure, patienceMs) => this.#finish(tenure, patienceMs),
        readerAlive: (tenure) => this.next.readerAlive(tenure),
      },
      revision,
    )
    this.settle = new Settle(context, { removal: this.removal, lost: (tenure, why) => this.own.lost(tenure, why), serverNow, onStored: (settled) => this.#stored(settled) })
    this.next = new Next(context, {
      deliverer,
      settle: this.settle,
      mayStart: (tenure) => !this.#draining && this.own.mayStart(tenure),
      paused,
      serverNow,
      onFinishedBefore: (tenure, record) => this.#finishedBefore(tenure, record),
      onPassedEpoch: (tenure, notes) => this.#passedEpoch(tenure, notes),
      onUnreadable: (tenure, record, error) => this.#unreadable(tenure, record, error),
    })
  }

  async drain(ms: number): Promise<void> {
    this.#draining = true
    await this.own.releaseAll(ms)
    await this.#removed(2_000)
  }
  stop(): void {
    this.own.stop()
    this.next.stop()
    this.settle.stop()
    this.removal.stop()
  }

  #left(tenure: Tenure): void {
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

  #stored(settled: readonly Settled[]): void {
    for (const { settlement, entry } of settled) {
      for (const event of settlement.trace) this.#context.emit(event)
      if (!settlement.later && !settlement.held && entry.head.body) this.#ended(entry.tenure.lane, entry.head.body.id, entry.head.body.shared)
    }
  }
  #ended(_lane: number, _body: string, _shared: number): void {}

  #finishedBefore(tenure: Tenure, record: StoredRecord): void {
    this.removal.single(tenure.lane, record.subject, record.seq)
  }
  /** Everything the old notes speak of has been seen and is being removed; then they go too. */
  #passedEpoch(tenure: Tenure, notes: LaneNotes): void {
    const { subjects } = this.#context
    for (const old of notes.old) {
      const others = old.finished.filter((subject) => !subject.startsWith('ready.'))
      for (const subject of others) this.removal.single(tenure.lane, longSubject(subjects, subject), old.seq)
      this.removal.single(tenure.lane, old.subject, old.seq)
    }
    notes.forgetFinished()
  }
  #unreadable(_tenure: Tenure, record: StoredRecord, error: QueueError): void {
    this.#context.log.error(error.code === 'RECORD_VERSION' ? 'RECORD_VERSION' : 'RECORD_UNREADABLE', { subject: record.subject, seq: record.seq, error: error.message })
    this.#context.metrics.recordsUnreadable.inc()
  }
}

