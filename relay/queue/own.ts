// Takes, keeps and lets go of lanes: the lease with its TTL says who is alive, the epoch's sequence is the fence of
// everything its owner settles. Writes own and epoch; removes leases and older epochs, with a sequence.
import { readAnswer } from './answers.ts'
import { lanesToHandOver, lanesToTake, type Claim, type Lease, type Scene } from './claim.ts'
import type { Context } from './context.ts'
import { createHeartbeat, type Heartbeat } from './heartbeat.ts'
import { laneCount } from './lanes.ts'
import type { NewRecord, StoredRecord } from './stream.ts'
import type { Clock } from './clock.ts'

/** One time of owning one lane. */
export type Tenure = { readonly lane: number; readonly epoch: number; readonly takenAt: number; state: 'kept' | 'leaving' | 'gone' }
type Kept = Tenure & { lease: number; lastGood: number; lastGoodAt: number } // monotonic, and ms since the epoch

export type OwnEvents = {
  onGained(tenures: readonly Tenure[]): void
  onLost(tenure: Tenure, why: string): void
  /** Resolves when nothing of the lane is in flight any more. */
  finish(tenure: Tenure, patienceMs: number): Promise<void>
  readerAlive(tenure: Tenure): boolean
  /** A delivery lies in the lane that this release looks for it in. */
  lanesFit(): boolean
}

const leaseSeconds = 10
const strayMs = 3 * leaseSeconds * 1_000 // older than that it has expired, whatever a server says; more than that ahead it is of a clock that was set back
const renewEveryMs = 3_000
const startWithinMs = 6_000
const tickMs = 400
const helloMs = 300
const handOverPatienceMs = 60_000

/** When a renewal that may come true was asked for. */
const onBothClocks = (clock: Clock): Pick<Kept, 'lastGood' | 'lastGoodAt'> => ({ lastGood: clock.monotonic(), lastGoodAt: clock.now() })

export class Own {
  readonly heartbeat: Heartbeat
  readonly #context: Context
  readonly #events: OwnEvents
  readonly #kept = new Map<number, Kept>()
  readonly #had = new Map<number, number>() // lane → the epoch under which we had it last
  readonly #freeSince = new Map<number, number>()
  readonly #avoid = new Map<number, number>()
  #serving = false
  #skewed = false
  #stopped = false
  #busy = false
  #lastRenewal = -Infinity
  #startedAt = 0
  #cancelTick = () => {}

  constructor(context: Context, events: OwnEvents, revision: () => string) {
    this.#context = context
    this.#events = events
    const ours = () => ({ serving: this.#serving && !this.#skewed, lanes: this.lanes(), lapsed: this.#lapsed().map(({ lane }) => lane), revision: revision() })
    this.heartbeat = createHeartbeat(context, ours, () => void this.#tick())
  }

  start(): void {
    this.#serving = true
    this.#startedAt = this.#context.clock.monotonic()
    this.heartbeat.beat()
    void this.#tick()
  }
  /** A delivery may be started: the lease was renewed lately enough that nobody else can have the lane. */
  mayStart(tenure: Tenure): boolean {
    const { clock } = this.#context
    const { state, lastGood, lastGoodAt } = tenure as Kept
    return state === 'kept' && Math.max(clock.monotonic() - lastGood, clock.now() - lastGoodAt) < startWithinMs // of a machine that slept, only the second clock went on
  }
  tenureOf(lane: number): Tenure | undefined {
    return this.#kept.get(lane)
  }
  lanes(): number[] {
    return [...this.#kept.keys()]
  }
  lost(tenure: Tenure, why: string): void {
    if (tenure.state === 'gone') return
    this.#forget(tenure)
    this.#context.log.warn('LANE_LOST', { lane: tenure.lane, why })
    this.#events.onLost(tenure, why)
  }
  /** Gives a lane back because this process cannot serve it, and leaves it to others for a while. */
  async passOn(tenure: Tenure, forMs: number): Promise<void> {
    this.#avoid.set(tenure.lane, this.#context.clock.monotonic() + forMs)
    if (tenure.state === 'kept') await this.#release([tenure as Kept], 5_000)
  }
  async releaseAll(patienceMs: number): Promise<void> {
    this.#serving = false
    await this.#release([...this.#kept.values()], patienceMs)
    this.heartbeat.beat()
  }
  setSkewed(skewed: boolean, byMs: number): void {
    if (skewed && !this.#skewed) {
      this.#context.log.error('CLOCK_SKEW', { byMs })
      void this.#release([...this.#kept.values()], 5_000)
    }
    this.#skewed = skewed
  }
  stop(): void {
    this.#stopped = true
    this.#cancelTick()
    this.heartbeat.stop()
  }

  #lapsed(): Kept[] {
    const oldest = this.#context.clock.monotonic() - leaseSeconds * 1_000
    return [...this.#kept.values()].filter(({ lastGood }) => lastGood < oldest)
  }

  #claimedByOthers(): Set<number> {
    const serving = this.heartbeat.others().filter((other) => other.serving)
    return new Set(serving.flatMap(({ lanes, lapsed = [] }) => lanes.filter((lane) => !lapsed.includes(lane))))
  }

  async #tick(): Promise<void> {
    if (this.#busy || this.#stopped) return
    this.#busy = true
    this.#cancelTick()
    await this.#look().catch((error: unknown) => this.#context.log.error('BUG', { part: 'own', error: String((error as Error).stack) }))
    this.#busy = false
    if (!this.#stopped) this.#cancelTick = this.#context.clock.after(tickMs, () => void this.#tick())
  }

  async #look(): Promise<void> {
    const now = this.#context.clock.monotonic()
    if (now - this.#lastRenewal >= renewEveryMs) {
      this.#lastRenewal = now
      await this.#renew([...this.#kept.values()].filter((tenure) => this.#events.readerAlive(tenure)))
    }
    const claimed = this.#claimedByOthers()
    for (const tenure of this.#lapsed()) if (claimed.has(tenure.lane)) await this.#findOut(tenure)
    if (!this.#mayTake() || now - this.#startedAt < helloMs) return
    const scene = await this.#scene()
    if (!scene || !this.#mayTake()) return
    void this.#release(lanesToHandOver(scene).map((lane) => this.#kept.get(lane)!).filter(({ state }) => state === 'kept'), handOverPatienceMs)
    await this.#take(lanesToTake(scene))
  }
  #mayTake(): boolean {
    return this.#serving && !this.#skewed && !this.#stopped && this.#events.lanesFit()
  }

  #lease(lane: number, expect: number): NewRecord {
    return { subject: this.#context.subjects.own(lane), payload: this.#name(), expect: { last: expect }, ttlSeconds: leaseSeconds }
  }
  /** A lease that lapsed is taken up again only while nobody has taken the lane since: who takes it writes its epoch. */
  #again({ lane, lease, epoch }: Kept): NewRecord {
    const record = this.#lease(lane, lease)
    return lease === 0 ? { ...record, expect: { last: epoch, of: this.#context.subjects.epoch(lane) } } : record
  }
  #name(): Buffer {
    return Buffer.from(JSON.stringify({ pod: this.#context.pod, incarnation: this.#context.incarnation } satisfies Name))
  }

  async #renew(tenures: readonly Kept[]): Promise<void> {
    if (tenures.length === 0) return
    const { stream, clock } = this.#context
    const begun = onBothClocks(clock)
    const records = tenures.map((tenure) => this.#again(tenure))
    const meaning = readAnswer(records.length === 1 ? await stream.publish(records[0]!) : await stream.batch(records), { ownAbsent: false, fence: true })
    if (meaning.kind === 'stored' && meaning.lastSeq !== undefined) {
      const first = meaning.lastSeq - tenures.length + 1
      tenures.forEach((tenure, index) => Object.assign(tenure, { lease: first + index, ...begun }))
    } else if (meaning.kind === 'fenced') for (const tenure of tenures) await (tenures.length === 1 ? this.#findOut(tenure) : this.#renew([tenure]))
  }
  /** Our lease is not as we left it: it lapsed and nobody used that, an answer was lost, or another pod has the lane. */
  async #findOut(tenure: Kept): Promise<void> {
    const { stream, subjects, incarnation } = this.#context
    const [lease, epoch] = await Promise.all([stream.last(subjects.own(tenure.lane), 'leader'), stream.last(subjects.epoch(tenure.lane), 'leader')])
    if (lease.kind === 'unknown' || epoch.kind === 'unknown') return
    if (epoch.kind === 'missing' || epoch.record.seq !== tenure.epoch) return this.lost(tenure, 'another process has taken the lane')
    if (lease.kind === 'found' && (await this.#withoutStrays([lease.record])).length === 0) return // looked at again in a moment
    if (lease.kind === 'found' && nameIn(lease.record.payload)?.incarnation !== incarnation) return this.lost(tenure, 'the lease names another process')
    tenure.lease = lease.kind === 'missing' ? 0 : lease.record.seq // the next renewal takes it up again
    this.#lastRenewal = -Infinity
  }

  /** undefined: the servers do not answer. Leases are read only where the heartbeats leave a lane without an owner. */
  async #scene(): Promise<Scene | undefined> {
    const { stream, subjects, clock, pod, incarnation } = this.#context
    const others = this.heartbeat.others()
    const claimed = this.#claimedByOthers()
    const open = Array.from({ length: laneCount }, (_, lane) => lane).filter((lane) => !this.#kept.has(lane) && !claimed.has(lane))
    const records = open.length === 0 ? [] : await stream.records(subjects.owns, 100_000)
    if (!records) return undefined
    const leases = new Map<number, Lease>([...claimed].map((lane) => [lane, { pod: '', mine: false, seq: 0 }]))
    for (const { subject, payload, seq } of await this.#withoutStrays(records)) {
      const name = nameIn(payload)
      leases.set(subjects.lane(subject), { pod: name?.pod ?? '', mine: name?.incarnation === incarnation, seq })
    }
    this.#watchFree(open.filter((lane) => !leases.has(lane)), clock.monotonic())
    return { pod, now: clock.monotonic(), others, ours: this.#kept, leases, freeSince: this.#freeSince, startedAt: this.#startedAt, avoid: this.#avoid }
  }
  /** Killed servers were seen to have leases again that had been removed, and some of those never expire; and those from before the servers' clock was set back last for hours: their lanes would be nobody's. */
  async #withoutStrays(leases: readonly StoredRecord[]): Promise<readonly StoredRecord[]> {
    const { stream, clock } = this.#context
    const astray = (now: number): StoredRecord[] => leases.filter(({ at }) => Math.abs(now - at) > strayMs)
    const state = astray(clock.now()).length === 0 ? undefined : await stream.state()
    const strays = state === undefined ? [] : astray(state.at) // by the servers' time: ours may have been set
    for (const { subject, seq } of strays) await stream.purge(subject, seq + 1)
    return leases.filter((lease) => !strays.includes(lease))
  }
  #watchFree(free: readonly number[], now: number): void {
    for (const lane of this.#freeSince.keys()) if (!free.includes(lane)) this.#freeSince.delete(lane)
    for (const lane of free) if (!this.#freeSince.has(lane)) this.#freeSince.set(lane, now)
  }

  async #take(claims: readonly Claim[]): Promise<void> {
    for (const claim of claims.filter(({ adopt }) => adopt)) await this.#adopt(claim)
    const fresh = claims.filter(({ adopt }) => !adopt)
    if (fresh.length === 0) return
    const { stream, subjects, clock } = this.#context
    const begun = onBothClocks(clock)
    const records = fresh.flatMap(({ lane, expect }) => [this.#lease(lane, expect), { subject: subjects.epoch(lane), payload: this.#name() }])
    const meaning = readAnswer(await stream.batch(records), { ownAbsent: false, fence: true })
    if (meaning.kind === 'fenced' && fresh.length > 1) for (const claim of fresh) await this.#take([claim])
    if (meaning.kind !== 'stored' || meaning.lastSeq === undefined) return // unknown: what is ours is adopted at the next look
    const first = meaning.lastSeq - records.length + 1
    this.#gained(fresh.map(({ lane }, index) => ({ lane, lease: first + 2 * index, epoch: first + 2 * index + 1, takenAt: clock.monotonic(), ...begun, state: 'kept' })))
  }
  /** Taken, but the answer was lost. Where we had it already, and it is the letting go that was lost: taken anew, for what we have settled since lies behind the old epoch. */
  async #adopt({ lane, expect }: Claim): Promise<void> {
    const { stream, subjects, clock, incarnation } = this.#context
    const epoch = await stream.last(subjects.epoch(lane), 'leader')
    if (epoch.kind !== 'found' || nameIn(epoch.record.payload)?.incarnation !== incarnation) return
    if (epoch.record.seq === this.#had.get(lane)) return this.#take([{ lane, expect, adopt: false }])
    const begun = onBothClocks(clock)
    const meaning = readAnswer(await stream.publish(this.#lease(lane, expect)), { ownAbsent: false, fence: true })
    if (meaning.kind !== 'stored' || meaning.lastSeq === undefined) return
    this.#gained([{ lane, lease: meaning.lastSeq, epoch: epoch.record.seq, takenAt: clock.monotonic(), ...begun, state: 'kept' }])
  }
  #gained(tenures: readonly Kept[]): void {
    const { stream, subjects, metrics, log } = this.#context
    for (const tenure of tenures) {
      this.#kept.set(tenure.lane, tenure)
      this.#had.set(tenure.lane, tenure.epoch)
      this.#freeSince.delete(tenure.lane)
      void stream.purge(subjects.epoch(tenure.lane), tenure.epoch)
    }
    metrics.queueLanes.set(this.#kept.size)
    log.info('LANE_TAKEN', { lanes: tenures.map(({ lane }) => lane) })
    this.#events.onGained(tenures)
    this.heartbeat.beat()
  }

  /** Lets what is in flight end, then removes the leases: others take the lanes at once. Who leaves waits also for what is being handed over already. */
  async #release(leaving: readonly Kept[], patienceMs: number): Promise<void> {
    const { stream, subjects } = this.#context
    for (const tenure of leaving) tenure.state = 'leaving'
    await Promise.all(
      leaving.map(async (tenure) => {
        await this.#events.finish(tenure, patienceMs)
        if (this.#kept.get(tenure.lane) !== tenure) return
        this.#forget(tenure)
        this.#events.onLost(tenure, 'let go')
        await stream.purge(subjects.own(tenure.lane), tenure.lease + 1)
      }),
    )
    if (leaving.length > 0 && !this.#stopped) this.heartbeat.beat()
  }
  #forget(tenure: Tenure): void {
    tenure.state = 'gone'
    if (this.#kept.get(tenure.lane) === tenure) this.#kept.delete(tenure.lane)
    this.#context.metrics.queueLanes.set(this.#kept.size)
  }
}

type Name = { readonly pod: string; readonly incarnation: string }

const nameIn = (payload: Buffer): Name | undefined => {
  try {
    return JSON.parse(payload.toString()) as Name
  } catch {
    return undefined
  }
}
