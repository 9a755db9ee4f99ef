// Looks at the stream every second: does it answer, does it keep the promise, how full is it, what time do the servers have.
// Decides whether anything may be accepted now.
import type { Log, Metrics } from '../report/index.ts'
import { fullAt } from './capacity.ts'
import type { Clock } from './clock.ts'
import { checkDurable, makeStream, traceConfig, traceName, type DurableOptions } from './durable.ts'
import type { JetStream } from './jetstream.ts'
import type { Accepted, DurableAccept, Outage, QueueSize } from './types.ts'

type Options = DurableOptions & {
  readonly bytesLimit: number
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly trace?: { readonly days: number; readonly bytes: number }
  onOffset(offsetMs: number, skewed: boolean): void
}

const lookEveryMs = 1_000
const firstLooksMs = 100
const checkAgainMs = 30_000
const anewAfterMs = 10_000 // longer than an election
const roomAt = 0.75 // mail that comes and goes at the mark is no news each time
const skewMs = 2_000
const unstoredMs = 10_000 // longer than an election
const noAnswer = 'no server answers for the queue: they are away, or have turned JetStream off, as one does that cannot write' // and then says so on its /healthz alone
const noStore = 'the servers answer, and store nothing: look at their volumes, and at /healthz of each'
const quickMs = 1_000 // an answer that took longer says too little of the time
/** How long timelines are kept. */
export const traceDays = 7
/** On a small volume a tenth of it: the server reserves the bytes, or refuses the stream. */
const usualTrace = (volume: number) => ({ days: traceDays, bytes: Math.min(1_073_741_824, Math.floor(volume / 10)) })

export class Watch {
  readonly #stream: JetStream
  readonly #options: Options
  #size: QueueSize
  #durable: DurableAccept | undefined
  #lanesFit = false // before it was seen
  #checkedAt = -Infinity
  #traceMade = false
  #made: { readonly at: string; readonly wasKnown: boolean } | undefined // the stream, by us, until it is known whether that was a loss
  #outage: Outage | undefined // its start by the monotonic clock: the other may be set meanwhile
  #droppedAt = -Infinity
  #bytes = 0
  #writtenThen = 0 // sent when the bytes were asked for; what was sent since is not in them
  #acknowledged = 0
  #full = false
  #saysFull = false
  #offset = 0 // of the servers' clock from ours
  #servers: { readonly at: number; readonly seen: number } | undefined // what their clock said, and when by the monotonic one
  #stopped = false
  #cancel = () => {}

  constructor(stream: JetStream, options: Options) {
    this.#stream = stream
    this.#options = options
    this.#size = options
    this.#outage = { since: options.clock.monotonic(), why: noAnswer }
    void this.#keepLooking()
  }

  /** More copies are made at the next look. */
  resize({ replicas, bytesLimit }: QueueSize): void {
    if (replicas !== this.#size.replicas) {
      this.#checkedAt = -Infinity
      this.#traceMade = false
    }
    this.#size = { replicas, bytesLimit }
  }
  refusal(): Accepted | undefined {
    if (!this.#durable) return { kind: 'unknown', why: 'the queue does not answer' }
    if (!this.#durable.ok) return { kind: 'refused', why: 'not-durable' }
    return this.#isFull() ? { kind: 'refused', why: 'full' } : undefined
  }
  durable(): DurableAccept {
    return this.#durable ?? { ok: false, reason: 'Unreachable', text: 'the queue has not answered yet' }
  }
  outage(): Outage | undefined {
    const { clock } = this.#options
    return this.#outage && { ...this.#outage, since: Math.round(clock.now() - (clock.monotonic() - this.#outage.since)) }
  }
  /** Seen to: a release with another number of them would look for each delivery elsewhere. */
  lanesFit(): boolean {
    return this.#lanesFit
  }
  /** At the mark itself; what is told to people is `isFull`, which mail that comes and goes does not change each time. */
  takesMore(): boolean {
    return !this.#isFull()
  }
  isFull(): boolean {
    return this.#saysFull
  }
  bytes(): number {
    return this.#bytes
  }
  /** The servers' time, on which schedules fire. It goes on by the monotonic clock: when ours is set, the mail of a minute must not be days old until the next look. */
  serverNow(): number {
    const { clock } = this.#options
    return Math.round(this.#servers ? this.#servers.at + clock.monotonic() - this.#servers.seen : clock.now())
  }
  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  async #keepLooking(): Promise<void> {
    await this.#look().catch((error: unknown) => this.#options.log.error('BUG', { part: 'watch', error: String((error as Error).stack) }))
    if (!this.#stopped) this.#cancel = this.#options.clock.after(this.#durable ? lookEveryMs : firstLooksMs, () => void this.#keepLooking())
  }

  async #look(): Promise<void> {
    const { clock, metrics, onOffset } = this.#options
    const begun = clock.monotonic()
    const answers = await this.#check()
    const before = clock.monotonic()
    const written = this.#stream.written()
    const state = answers ? await this.#stream.state() : undefined
    const after = clock.monotonic()
    if (this.#stopped) return
    const answered = this.#durable !== undefined && (this.#hasStored() || state !== undefined)
    this.#found(answered ? this.#storesNothing(after) : { since: begun, why: noAnswer })
    this.#connectAnew(after)
    metrics.queueUp.set(this.#outage === undefined && this.#durable?.ok === true ? 1 : 0)
    if (!state) return
    this.#measure(state.bytes, written)
    if (after - before < quickMs) this.#compare(state.at, (before + after) / 2)
    onOffset(this.#offset, this.#isSkewed())
  }
  /** A time of theirs that ours does not bear out may be one that was set for a moment: what is in flight is judged by what was known. */
  #compare(at: number, seen: number): void {
    const { clock } = this.#options
    this.#offset = at - (clock.now() - (clock.monotonic() - seen))
    if (!this.#servers || !this.#isSkewed()) this.#servers = { at, seen }
  }
  #isSkewed(): boolean {
    return Math.abs(this.#offset) > skewMs
  }

  /** Once at the start; again from time to time: settings can change while we run, and what was wrong can be put right. False: it was asked, and nobody answered. */
  async #check(): Promise<boolean> {
    const { clock, log, name, trace = usualTrace(this.#size.bytesLimit) } = this.#options
    const { replicas } = this.#size
    const now = clock.monotonic()
    if (this.#durable && now - this.#checkedAt < (this.#durable.ok ? checkAgainMs : lookEveryMs)) return true
    const found = await checkDurable(this.#stream, { ...this.#options, replicas, onMade: (at) => (this.#made = { at, wasKnown: this.#durable !== undefined }), onLanes: (fit) => (this.#lanesFit = fit) })
    await this.#tellLoss()
    if (!found) return false
    if (found.reason === 'SyncUnknown' && this.#durable?.ok) return true // seen before; a monitor that is away changes nothing
    if (!found.ok && this.#durable?.reason !== found.reason) log.error('QUEUE_NOT_DURABLE', { reason: found.reason, why: found.text })
    this.#durable = found
    this.#checkedAt = now
    if (!this.#traceMade) this.#traceMade = (await makeStream(this.#stream, traceConfig(name, replicas, trace)))?.config !== undefined
    return true
  }

  async #tellLoss(): Promise<void> {
    if (!this.#made) return
    const isLoss = this.#made.wasKnown || (await this.#tookMailBefore(this.#made.at))
    if (isLoss === undefined) return // asked again at the next check
    this.#made = undefined
    if (isLoss) this.#lost()
  }
  /** Who begins after the loss has not known the stream. The timelines tell whether mail was ever taken: that they are there says nothing, for they are made also where the queue is refused. */
  async #tookMailBefore(made: string): Promise<boolean | undefined> {
    const trace = await this.#stream.api(`STREAM.INFO.${traceName(this.#options.name)}`)
    const { last_seq: last = 0, first_ts: first = '' } = (trace?.state ?? {}) as { readonly last_seq?: number; readonly first_ts?: string }
    if (!trace || (trace.error && trace.error.code !== 404)) return undefined
    return last > 0 && !(Date.parse(first) >= Date.parse(made))
  }

  /** Nothing else shows it: an empty queue looks like a quiet one. */
  #lost(): void {
    this.#options.log.error('QUEUE_LOST', { stream: this.#options.name })
    this.#options.metrics.queueLost.inc()
  }

  /** Since the look before: a question can be lost, or wait for a new leader, while mail is stored all the same. */
  #hasStored(): boolean {
    const before = this.#acknowledged
    this.#acknowledged = this.#stream.acknowledged()
    return this.#acknowledged > before
  }

  /** A server whose volume is full, or broken, goes on answering questions. Leases are renewed every few seconds: who has lanes always asks for something to be stored. */
  #storesNothing(now: number): Outage | undefined {
    const since = this.#stream.unstoredSince()
    return since === undefined || now - since < unstoredMs ? undefined : { since, why: noStore }
  }

  #found(outage: Outage | undefined): void {
    const { log } = this.#options
    const before = this.#outage
    this.#outage = outage && { since: before?.since ?? outage.since, why: outage.why }
    if (outage && outage.why !== before?.why) log.error('QUEUE_UNREACHABLE', { why: outage.why })
    if (before && !outage) log.info('QUEUE_BACK')
  }

  /** Our server may be the one that the others have lost, and the queue goes on with those; or it hangs, with a connection that nobody closes. */
  #connectAnew(now: number): void {
    if (this.#outage === undefined || now - Math.max(this.#outage.since, this.#droppedAt) < anewAfterMs) return
    this.#droppedAt = now
    this.#stream.reconnect()
  }

  #measure(bytes: number, writtenThen: number): void {
    this.#bytes = bytes
    this.#writtenThen = writtenThen
    this.#options.metrics.queueBytes.set(bytes)
    this.#isFull()
  }
  /** Between two looks a fast client could fill the rest: what we have sent since counts as if it were stored. */
  #isFull(): boolean {
    const { log } = this.#options
    const { bytesLimit } = this.#size
    const bytes = this.#bytes + this.#stream.written() - this.#writtenThen
    const full = bytes >= bytesLimit * fullAt
    if (full && !this.#full) log.warn('QUEUE_FULL', { bytes, limit: bytesLimit })
    this.#full = full
    this.#saysFull = full || (this.#saysFull && bytes >= bytesLimit * roomAt)
    return full
  }
}
