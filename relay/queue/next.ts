// From a lane gained to deliveries started: reads the lane's notes up to our own epoch record, then its deliveries in
// stream order into a bounded window, and starts them in turn. Writes nothing itself.
import { countEnded, logBounced } from '../report/index.ts'
import { bodyOf, originalOf } from './bodies.ts'
import type { Context } from './context.ts'
import { entryOf, homeOf, type Entry, type InAdvance } from './entry.ts'
import { QueueError } from './errors.ts'
import { Jams, keepPerSite, tooMany } from './jams.ts'
import { laneCount } from './lanes.ts'
import { onHoldForLost } from './lost-body.ts'
import { mostParts, partsExpected, partsOf, recordsFor } from './packs.ts'
import { readLaneNotes, type LaneNotes } from './notes.ts'
import type { Tenure } from './own.ts'
import type { Settle } from './settle.ts'
import type { Reader, StoredRecord } from './stream.ts'
import { shortSubject } from './compose.ts'
import { handedOver, internalError, itsTurn, putOff, unpacked } from './put-off.ts'
import { recordOf } from './subjects.ts'
import { Taken } from './taken.ts'
import { Turns } from './turns.ts'
import type { Delivery, Deliverer, Settlement } from './types.ts'

export type NextParts = {
  readonly deliverer: Deliverer
  readonly settle: Settle
  mayStart(tenure: Tenure): boolean
  paused(): boolean
  /** What is finished is not removed as fast as it comes: no more is read for a while. */
  isBehind(): boolean
  serverNow(): number
  /** A process lives that cannot read packs. */
  unpacks(): boolean
  /** A record that was finished before we had the lane. */
  onFinishedBefore(tenure: Tenure, record: StoredRecord): void
  /** A second record of an attempt that we have taken. */
  onFiredTwice(tenure: Tenure, record: StoredRecord): void
  /** Everything written before our epoch has been seen. */
  onPassedEpoch(tenure: Tenure, notes: LaneNotes): void
  onUnknownNotes(tenure: Tenure): void
  /** The stream has not what we have read of it. */
  onOlder(tenure: Tenure): void
  onUnreadable(tenure: Tenure, record: StoredRecord, error: QueueError): void
}

type Lane = { readonly tenure: Tenure; readonly notes: LaneNotes; readonly taken: Taken; readonly abort: AbortController; passedEpoch: boolean; inFlight: number; reader?: Shared }
type Shared = { readonly reader: Reader; lanes: number; asked: number } // asked: records asked for and not come yet

const blockMs = 100
const tickMs = 100
const stuckMs = 2_000
const slowest = 20 // a full window of which less than this part leaves within stuckMs is of no use to other sites
const claimedForMs = 3_600_000 // longer than its removal can take

const notesPatienceMs = 60_000 // who cannot read what was finished before serves nothing, and must not keep the lane

export class Next {
  readonly #context: Context
  readonly #parts: NextParts
  readonly #lanes = new Map<number, Lane>()
  readonly #turns = new Turns()
  readonly #readers = new Set<Shared>()
  readonly #flying = new Map<string, number>() // ids of deliveries, and since when
  readonly #claimed = new Map<string, () => void>() // with what ends its time
  readonly #undecided = new Map<string, Promise<void>>()
  #inFlight = 0
  #held = { count: 0, bytes: 0 } // in the window: waiting, in flight, or being settled
  #pumping = false
  readonly #jams = new Jams()
  #perRecord = mostParts // so many deliveries the next record may bring, by those that came lately
  #left = 0 // entries that have left the window
  #full = { since: 0, left: 0 } // since when it is full, and what had left by then
  #stopped = false
  #cancel = () => {}

  constructor(context: Context, parts: NextParts) {
    this.#context = context
    this.#parts = parts
    this.#tick()
  }

  async gained(tenures: readonly Tenure[]): Promise<void> {
    const notes = await readLaneNotes(this.#context, tenures)
    for (const tenure of tenures) if (tenure.state === 'kept' && !notes.has(tenure.lane)) this.#parts.onUnknownNotes(tenure)
    const lanes = tenures.filter(({ state, lane }) => state !== 'gone' && notes.has(lane)).map((tenure) => ({ tenure, notes: notes.get(tenure.lane)!, taken: new Taken(), abort: new AbortController(), passedEpoch: false, inFlight: 0 }))
    if (lanes.length === 0 || this.#stopped) return
    for (const lane of lanes) this.#lanes.set(lane.tenure.lane, lane)
    this.#read(lanes)
  }
  lost(tenure: Tenure): void {
    const lane = this.#lanes.get(tenure.lane)
    if (lane?.tenure !== tenure) return
    this.#lanes.delete(tenure.lane)
    lane.abort.abort(new Error('the lane was lost'))
    for (const entry of this.#turns.remove((entry) => entry.tenure === tenure)) this.#leave(entry)
    if (lane.reader && --lane.reader.lanes === 0) {
      lane.reader.reader.stop()
      this.#readers.delete(lane.reader)
    }
  }
  /** Nothing of the lane is in flight; what only waits is left to the next owner. */
  quiet(tenure: Tenure): boolean {
    const lane = this.#lanes.get(tenure.lane)
    return lane?.tenure !== tenure || lane.inFlight === 0
  }
  abort(tenure: Tenure): void {
    const lane = this.#lanes.get(tenure.lane)
    if (lane?.tenure === tenure) lane.abort.abort(new Error('the time to drain is over'))
  }
  readerAlive(tenure: Tenure): boolean {
    const lane = this.#lanes.get(tenure.lane)
    return lane?.reader?.reader.alive() ?? this.#context.clock.monotonic() - tenure.takenAt < notesPatienceMs
  }
  /** Takes a waiting entry out of the window, for a person's order. */
  takeOut(delivery: string): Entry | 'in-flight' | undefined {
    const [entry] = this.#turns.remove(({ delivery: { id } }) => id === delivery)
    return entry ?? (this.#flying.has(delivery) ? 'in-flight' : undefined)
  }
  /** Being tried, put off or settled. */
  inHandSince(delivery: string): number | undefined {
    return this.#flying.get(delivery)
  }
  /** A waiting or held record may be acted on once, by whoever comes first: false when it was, or when its lane's notes are not read yet. */
  claim(tenure: Tenure, subject: string, seq: number): boolean {
    const lane = this.#lanes.get(tenure.lane)
    if (lane?.tenure !== tenure || this.#claimed.has(subject) || lane.notes.isFinished(shortSubject(this.#context.subjects, subject), seq)) return false
    this.#claimed.set(subject, this.#context.clock.after(claimedForMs, () => this.#claimed.delete(subject)))
    return true
  }
  /** Nothing came of it. */
  unclaim(subject: string): void {
    this.#claimed.get(subject)?.()
    this.#claimed.delete(subject)
  }
  forgetExpected(tenure: Tenure, now: number): void {
    this.#lanes.get(tenure.lane)?.notes.forgetExpected(now)
  }
  leave(entry: Entry): void {
    this.#leave(entry)
  }
  /** A schedule that may fire while the order that ends it is being stored: what comes then waits for the answer. */
  expect(tenure: Tenure, subject: string, until: number, stored: Promise<boolean>): void {
    const notes = this.#lanes.get(tenure.lane)?.notes
    const decided = stored.then((is) => {
      if (is) notes?.expect(subject, until)
      this.#undecided.delete(subject)
    })
    this.#undecided.set(subject, decided)
  }
  counts(): { ready: number; inFlight: number } {
    return { ready: this.#turns.size, inFlight: this.#inFlight }
  }
  stop(): void {
    this.#stopped = true
    this.#cancel()
    for (const { reader } of this.#readers) reader.stop()
    for (const { abort } of this.#lanes.values()) abort.abort(new Error('the queue is closed'))
  }
  notesOf(lane: number): LaneNotes | undefined {
    return this.#lanes.get(lane)?.notes
  }

  #read(lanes: Lane[]): void {
    const { stream, subjects } = this.#context
    const filters = lanes.length === laneCount ? [subjects.all('ready'), subjects.all('epoch')] : lanes.flatMap(({ tenure: { lane } }) => [subjects.readyOf(lane), subjects.epoch(lane)])
    const onRecord = (record: StoredRecord) => {
      shared.asked--
      this.#onRecord(record, byLane.get(subjects.lane(record.subject)))
    }
    const shared: Shared = { lanes: lanes.length, asked: 0, reader: stream.read({ filters, from: 1, isUnique: (subject) => this.#isReady(subject), onRecord, onOlder: () => lanes.forEach(({ tenure }) => this.#parts.onOlder(tenure)) }) }
    const byLane = new Map(lanes.map((lane) => [lane.tenure.lane, lane]))
    for (const lane of lanes) lane.reader = shared
    this.#readers.add(shared)
    this.#fill()
  }

  #isReady(subject: string): boolean {
    return subject.startsWith(`${this.#context.subjects.relay}.ready.`)
  }

  /** Lets as many records come as the window has room for: an equal share to each reader, whatever another has asked for and not got. */
  #fill(): void {
    if (this.#parts.isBehind()) return // asked again at the next tick
    const { windowCount, windowBytes } = this.#context.limits
    const average = Math.max(4_096, this.#held.count > 0 ? this.#held.bytes / this.#held.count : 0)
    const room = Math.min(windowCount - this.#held.count, Math.floor((windowBytes - this.#held.bytes) / average))
    if (room < 1) return
    const share = recordsFor(room / this.#readers.size, this.#perRecord)
    for (const shared of this.#readers) {
      const more = share - shared.asked
      if (more < 1) continue
      shared.asked += more
      shared.reader.want(more)
    }
  }

  #onRecord(record: StoredRecord, lane: Lane | undefined): void {
    if (!lane || this.#lanes.get(lane.tenure.lane) !== lane) return this.#fill()
    if (!lane.passedEpoch && record.seq >= lane.tenure.epoch) {
      lane.passedEpoch = true
      this.#parts.onPassedEpoch(lane.tenure, lane.notes)
    }
    if (!this.#isReady(record.subject)) return this.#fill()
    const parts = this.#partsOf(lane, record)
    if (parts.length === 0) return this.#fill()
    this.#perRecord = partsExpected(this.#perRecord, parts.length)
    for (const part of parts) {
      const short = shortSubject(this.#context.subjects, part.subject)
      const undecided = this.#undecided.get(short)
      if (undecided) void undecided.then(() => this.#take(lane, part, short))
      else this.#take(lane, part, short)
    }
  }
  /** None: it is finished as a whole, or cannot be taken apart. */
  #partsOf(lane: Lane, record: StoredRecord): readonly StoredRecord[] {
    try {
      return lane.notes.isFinished(shortSubject(this.#context.subjects, record.subject), record.seq) ? [record] : partsOf(record)
    } catch (error) {
      this.#parts.onUnreadable(lane.tenure, record, error as QueueError)
      return []
    }
  }

  #take(lane: Lane, record: StoredRecord, short: string): void {
    if (this.#lanes.get(lane.tenure.lane) !== lane) return this.#fill()
    if (lane.notes.isFinished(short, record.seq)) {
      this.#parts.onFinishedBefore(lane.tenure, record)
      return this.#fill()
    }
    const entry = this.#entryOf(lane.tenure, record)
    const isSecond = entry !== undefined && entry.head.turn > 0 && !lane.taken.take(record.subject)
    if (isSecond) this.#parts.onFiredTwice(lane.tenure, record)
    if (entry && !isSecond) this.offer(entry)
    else this.#fill()
  }
  #siteOf({ head }: Entry): string {
    return this.#parts.deliverer.site(head.domain, head.envelope)
  }
  offer(entry: Entry): void {
    if (this.#lanes.get(entry.tenure.lane)?.tenure !== entry.tenure) return
    this.#held.count++
    this.#held.bytes += entry.inline?.length ?? 0
    const site = this.#siteOf(entry)
    if (this.#isTooMany(site, entry)) return this.#putOff(site, entry)
    this.#turns.push(site, entry)
    this.#pump()
  }

  #entryOf(tenure: Tenure, record: StoredRecord): Entry | undefined {
    try {
      return entryOf(tenure, record)
    } catch (error) {
      this.#parts.onUnreadable(tenure, record, error as QueueError)
      return undefined
    }
  }

  #leave({ tenure, subject, inline }: Entry, isOfferedAgain = false): void {
    const lane = this.#lanes.get(tenure.lane)
    if (lane?.tenure === tenure && !isOfferedAgain) lane.taken.leave(subject, this.#context.clock.monotonic())
    this.#left++
    this.#held.count--
    this.#held.bytes -= inline?.length ?? 0
    this.#fill()
  }

  #tick(): void {
    this.#fill()
    this.#run()
    this.#relieve()
    this.#unpack()
    this.#cancel = this.#context.clock.after(tickMs, () => this.#tick())
  }
  /** Many ends in one turn make one look. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    queueMicrotask(() => {
      this.#pumping = false
      this.#run()
    })
  }
  #run(): void {
    if (this.#stopped || this.#parts.paused()) return
    const { clock, limits } = this.#context
    this.#turns.run(clock.monotonic(), blockMs, () => this.#turns.size > 0 && this.#inFlight < limits.windowCount, (site, entry) => this.#offer(site, entry))
  }

  /** A window full of deliveries that hardly move is of no use to the others: most of them wait as later records. */
  #relieve(): void {
    const { windowCount, windowBytes } = this.#context.limits
    const full = this.#held.count >= windowCount * 0.95 || this.#held.bytes >= windowBytes * 0.95
    const now = this.#context.clock.monotonic()
    if (!full || this.#parts.paused()) this.#full = { since: now, left: this.#left }
    if (now - this.#full.since < stuckMs) return
    const moves = (this.#left - this.#full.left) * slowest >= this.#held.count
    this.#full = { since: now, left: this.#left }
    if (moves) return
    const many = tooMany(this.#turns.waiting())
    for (const [entry, site] of many) if (!this.#jams.has(site, this.#parts.serverNow())) this.#jam(site, entry)
    for (const entry of this.#turns.remove((entry) => many.has(entry) && this.#parts.mayStart(entry.tenure))) this.#putOff(many.get(entry)!, entry)
  }
  /** Also in a lane that we are leaving: who gets it next may be unable to read what was in packs, and then forgets what of them is finished. */
  #unpack(): void {
    if (!this.#parts.unpacks()) return
    for (const entry of this.#turns.remove((entry) => isInPack(entry) && entry.tenure.state !== 'gone')) {
      const lane = this.#lanes.get(entry.tenure.lane)
      if (lane) void this.#fly(lane, '', entry, () => Promise.resolve(unpacked(entry.delivery, this.#parts.serverNow())))
    }
  }
  #jam(site: string, { delivery }: Entry): void {
    const admitted = this.#parts.deliverer.admit(delivery)
    this.#jams.begin(site, this.#parts.serverNow(), admitted.kind === 'wait' ? admitted.paceMs : undefined)
  }
  /** While a site is jammed, more of its mail does not even wait here. */
  #isTooMany(site: string, { tenure, head }: Entry): boolean {
    return this.#jams.has(site, this.#parts.serverNow()) && this.#turns.waitingFor(site, head.envelope) >= keepPerSite && this.#lanes.has(tenure.lane) && this.#parts.mayStart(tenure) && !this.#parts.paused()
  }
  #putOff(site: string, entry: Entry): void {
    const lane = this.#lanes.get(entry.tenure.lane)
    const now = this.#parts.serverNow()
    const at = this.#jams.slot(site, entry.head.envelope.sender ?? '', now)
    if (!lane) return this.#leave(entry)
    const settlement = putOff(entry.delivery, at, itsTurn, now, this.#context.pod)
    if (settlement.later === undefined) this.#accountGivenUp(entry.delivery, now)
    void this.#fly(lane, '', entry, () => Promise.resolve(settlement))
  }
  #accountGivenUp(delivery: Delivery, now: number): void {
    const { metrics, log } = this.#context
    countEnded(metrics, delivery, 'expired', delivery.recipients.length, now)
    logBounced(log, delivery, `expired: ${itsTurn.why}`, delivery.recipients.map(({ mailbox }) => mailbox))
  }

  #offer(site: string, entry: Entry): 'taken' | 'wait' {
    const lane = this.#lanes.get(entry.tenure.lane)
    if (!lane || !this.#parts.mayStart(entry.tenure)) return 'wait'
    const home = homeOf(entry, this.#siteOf(entry))
    if (home !== undefined && !this.#lanes.has(home)) {
      void this.#fly(lane, site, entry, () => Promise.resolve(handedOver(entry.delivery, home, this.#context.clock.now())))
      return 'taken'
    }
    if (this.#parts.deliverer.admit(entry.delivery).kind === 'wait') return 'wait'
    void this.#fly(lane, site, entry, () => this.#attempt(lane, entry))
    return 'taken'
  }

  async #fly(lane: Lane, site: string, entry: Entry, work: () => Promise<Settlement | 'other-site' | undefined>): Promise<void> {
    const { metrics } = this.#context
    lane.inFlight++
    metrics.inFlight.set(++this.#inFlight)
    this.#flying.set(entry.delivery.id, this.#context.clock.now())
    let isOfferedAgain = false
    try {
      const settlement = await work()
      this.#turns.unblock(site)
      isOfferedAgain = settlement === 'other-site'
      if (settlement === 'other-site') this.offer(entry)
      else if (settlement && (entry.tenure.state === 'gone' || (await this.settle(entry, settlement)) === 'lane-lost')) this.#traceLost(settlement)
    } catch (error) {
      this.#context.log.error('BUG', { part: 'next', delivery: entry.delivery.id, error: String((error as Error).stack) }) // its record stays: the next owner tries it again
    } finally {
      lane.inFlight--
      metrics.inFlight.set(--this.#inFlight)
      this.#flying.delete(entry.delivery.id)
      this.#leave(entry, isOfferedAgain)
      this.#pump()
    }
  }

  /** It has happened all the same: who got a mail twice finds both times. */
  #traceLost({ trace }: Settlement): void {
    for (const event of trace) this.#context.emit({ ...event, kind: event.kind === 'delivered' ? 'delivered' : 'attempt', text: `${event.text}; its lane was lost before this was stored: it is tried again` })
  }

  /** undefined: aborted, nothing is known of it; the record stays for the next owner. */
  async #attempt(lane: Lane, entry: Entry): Promise<Settlement | 'other-site' | undefined> {
    const body = bodyOf(this.#context, { body: entry.head.body, inline: entry.inline })
    const settlement = await this.#parts.deliverer.attempt(entry.delivery, body, lane.abort.signal).catch((error: unknown) => {
      this.#context.log.error('BUG', { part: 'deliver', delivery: entry.delivery.id, error: String((error as Error).stack) })
      return undefined
    })
    if (settlement === 'other-site') return settlement
    const fault = body.fault()
    if (fault && (!settlement || settlement.later || settlement.held)) return onHoldForLost(this.#context, { delivery: entry.delivery, settlement, fault, at: this.#parts.serverNow() })
    if (settlement) return settlement
    const now = this.#parts.serverNow()
    return lane.abort.signal.aborted ? undefined : putOff(entry.delivery, now + 60_000, internalError, now, this.#context.pod)
  }

  async settle(entry: Entry, settlement: Settlement, inAdvance?: InAdvance): Promise<'stored' | 'lane-lost'> {
    const source = bodyOf(this.#context, { body: entry.head.body, inline: entry.inline })
    const needed = settlement.notices.length > 0
    const home = settlement.later && homeOf(entry, this.#siteOf(entry))
    const original = needed ? await originalOf(source, { whole: entry.head.envelope.ret === 'FULL' || entry.head.envelope.ret === undefined, bytes: entry.head.bytes }) : undefined
    return this.#parts.settle.add({ entry, settlement: home === undefined ? settlement : { ...settlement, handOver: { lane: home } }, ...(original && { original }), ...(inAdvance && { inAdvance }) })
  }
}

const isInPack = ({ subject }: Entry): boolean => recordOf(subject).parts > 1
