// Opens the queue of one process: connects in the background, checks that the promise can be kept, and wires the parts.
import { randomBytes } from 'node:crypto'
import type { Log, Metrics } from '../report/index.ts'
import { createAccept, type Accept } from './accept.ts'
import { ChunkedWriter } from './body-writer.ts'
import { systemClock } from './clock.ts'
import { usualLimits, type Context, type Limits } from './context.ts'
import { openJetStream, type JetStream, type JetStreamOptions } from './jetstream.ts'
import { newMessageId } from './lanes.ts'
import { Look } from './look.ts'
import { Owner } from './owner.ts'
import { remainsOf } from './remains.ts'
import { createRoom, type Room } from './room.ts'
import { askWhy, giveOrders } from './steer.ts'
import { createSubjects } from './subjects.ts'
import { createServers } from './servers.ts'
import { createTotals, totalsOf } from './totals.ts'
import { TraceStream } from './trace-stream.ts'
import type { BodyWriter, ComposeNotice, Deliverer, GivenOrder, OrderResult, Queue, QueueEntry, QueueFilter, QueueSize, TraceEvent } from './types.ts'
import { Watch } from './watch.ts'

export type QueueOptions = {
  readonly servers: readonly string[]
  /** Where `jsz?config=1` says whether the servers sync before they answer; absent: not durable, unless trusted. */
  readonly monitorUrls?: readonly string[] | undefined
  readonly trustSync?: boolean
  readonly name: string
  readonly replicas: 1 | 3 | 5
  readonly bytesLimit: number
  readonly pod: string
  revision(): string
  readonly log: Log
  readonly metrics: Metrics
  readonly composeNotice: ComposeNotice
  readonly limits?: Partial<Limits>
  readonly secrets?: NonNullable<JetStreamOptions['secrets']>
  /** How much the trace stream keeps. */
  readonly trace?: { readonly days: number; readonly bytes: number }
}

/** Resolves at once; while the servers are away the queue answers `unknown` and goes on trying. */
export const openQueue = async (options: QueueOptions): Promise<Queue> => new ProcessQueue(options)

class ProcessQueue implements Queue {
  readonly #options: QueueOptions
  readonly #stream: JetStream
  readonly #context: Context
  readonly #room: Room
  readonly #accept: Accept
  readonly #traces: TraceStream
  readonly #look: Look
  readonly #watch: Watch
  readonly totals: Queue['totals']
  readonly servers: Queue['servers']
  #deliverer: Deliverer | undefined
  #owner: Owner | undefined
  #paused = false

  constructor(options: QueueOptions) {
    this.#options = options
    const { name, log, metrics, pod } = options
    this.#stream = openJetStream({ ...options, clientName: `posthouse ${pod}` })
    this.#context = this.#makeContext()
    this.#traces = new TraceStream({ stream: this.#stream.sibling(`${name}_trace`), name, clock: systemClock, log, metrics })
    this.#room = createRoom(this.#context.limits.unstoredBytes, systemClock)
    this.#watch = new Watch(this.#stream, { ...options, clock: systemClock, onOffset: (offset, skewed) => this.#owner?.own.setSkewed(skewed, offset) })
    this.#accept = createAccept(this.#context, this.#room, () => this.#watch.refusal(), () => this.#mayPack())
    this.totals = createTotals(this.#stream, this.#context.subjects, systemClock)
    this.servers = createServers({ stream: this.#stream, name, monitorUrls: options.monitorUrls ?? [], clock: systemClock })
    this.#look = new Look(this.#context, { ownerOf: (lane) => this.#ownerOf(lane) })
  }
  #makeContext(): Context {
    const { name, log, metrics, pod, composeNotice, limits } = this.#options
    return {
      stream: this.#stream,
      subjects: createSubjects(name),
      clock: systemClock,
      log,
      metrics,
      pod,
      incarnation: randomBytes(8).toString('hex'),
      composeNotice,
      newMessageId: () => this.newMessageId(),
      siteOf: (domain, envelope) => this.#deliverer?.site(domain, envelope) ?? domain,
      emit: (event) => this.#traces.emit(event),
      limits: { ...usualLimits, ...limits },
    }
  }
  #ownerOf(lane: number): string | undefined {
    if (this.#owner?.own.tenureOf(lane)) return this.#options.pod
    return this.#owner?.own.heartbeat.others().find(({ lanes }) => lanes.includes(lane))?.pod
  }

  /** Not while processes of an older release live beside us: what they cannot read would wait for the last of them to go. */
  #mayPack(): boolean {
    return this.#owner?.own.heartbeat.mayPack() === true
  }

  newMessageId(): string {
    return newMessageId(this.#watch.serverNow())
  }
  newBody(messageId: string): BodyWriter {
    return new ChunkedWriter(this.#context, { room: this.#room, volumeTakesMore: () => this.#watch.takesMore() }, messageId)
  }
  accept: Queue['accept'] = (message, patienceMs) => this.#accept.accept(message, patienceMs)

  start(deliverer: Deliverer): Promise<void> {
    this.#deliverer = deliverer
    this.#owner = new Owner(this.#context, { deliverer, paused: () => this.#paused, serverNow: () => this.#watch.serverNow(), revision: this.#options.revision, lanesFit: () => this.#watch.lanesFit() })
    this.#owner.own.start()
    return Promise.resolve()
  }
  async drain(ms: number): Promise<void> {
    await this.#owner?.drain(ms)
    await this.#traces.flush()
  }
  async close(): Promise<void> {
    this.#watch.stop()
    this.#owner?.stop()
    await Promise.race([this.#traces.flush(), new Promise((resolve) => setTimeout(resolve, 1_000))])
    await this.#stream.close()
  }
  resize(size: QueueSize): void {
    this.#watch.resize(size)
  }
  setPaused(paused: boolean): void {
    this.#paused = paused
  }

  summary: Queue['summary'] = (options) => this.#look.summary(options)
  list: Queue['list'] = (filter: QueueFilter) => this.#look.list(filter)
  show: Queue['show'] = (id) => this.#look.show(id)
  order(given: GivenOrder, ids: readonly string[]): Promise<OrderResult[]> {
    return giveOrders(this.#context, this.#look, given, ids)
  }
  whyWaiting(entry: QueueEntry): Promise<readonly string[]> {
    return askWhy(this.#context, entry)
  }
  trace(message: string): Promise<TraceEvent[]> {
    return this.#traces.of(message)
  }
  latest(): Promise<string | undefined> {
    return this.#traces.latest()
  }
  find: Queue['find'] = (question) => this.#traces.find(question)
  emit(event: TraceEvent): void {
    this.#traces.emit(event)
  }
  now(): number {
    return this.#watch.serverNow()
  }
  durable: Queue['durable'] = () => this.#watch.durable()
  isFull: Queue['isFull'] = () => this.#watch.isFull()
  outage: Queue['outage'] = () => this.#watch.outage()
  peers: Queue['peers'] = () => {
    const others = this.#owner?.own.heartbeat.others() ?? []
    const lanes = this.#owner?.own.lanes().length ?? 0
    return [{ pod: this.#options.pod, revision: this.#options.revision(), lanes }, ...others.map(({ pod, revision, lanes: theirs }) => ({ pod, revision, lanes: theirs.length }))]
  }
  count: Queue['count'] = () => totalsOf(this.#stream, this.#context.subjects)
  remains: Queue['remains'] = async () => {
    const idle = this.#accept.idle()
    const remains = await remainsOf(this.#stream, this.#context.subjects)
    return remains && { ...remains, empty: remains.empty && idle && this.#accept.idle() }
  }
  counts: Queue['counts'] = () => ({ ...(this.#owner?.next.counts() ?? { ready: 0, inFlight: 0 }), lanesOwned: this.#owner?.own.lanes().length ?? 0, bytes: this.#watch.bytes() })
}
