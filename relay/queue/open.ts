// Opens the queue of one process: connects in the background, checks that the promise can be kept, and wires the parts.
import { randomBytes } from 'node:crypto'
import type { Log, Metrics } from '../report/index.ts'
import { createAccept } from './accept.ts'
import { ChunkedWriter } from './body-writer.ts'
import { systemClock } from './clock.ts'
import { usualLimits, type Context, type Limits } from './context.ts'
import { checkDurable, makeStream, traceConfig, type DurableOptions } from './durable.ts'
import { openJetStream, type JetStreamOptions } from './jetstream.ts'
import { newMessageId } from './lanes.ts'
import { Look } from './look.ts'
import { Owner } from './owner.ts'
import { createRoom } from './room.ts'
import { giveOrders } from './steer.ts'
import { createSubjects } from './subjects.ts'
import { TraceStream } from './trace-stream.ts'
import type { Accepted, ComposeNotice, Deliverer, DurableAccept, Queue } from './types.ts'

export type QueueOptions = {
  readonly servers: readonly string[]
  /** Where `jsz?config=1` says whether the servers sync before they answer; absent: not durable, unless trusted. */
  readonly monitorUrls?: readonly string[]
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
  readonly credentials?: NonNullable<JetStreamOptions['credentials']>
  readonly tls?: NonNullable<JetStreamOptions['tls']>
}

const lookEveryMs = 1_000
const fullAt = 0.8
const skewMs = 2_000
const usualTrace = { days: 7, bytes: 1_073_741_824 }

/** Resolves at once; while the servers are away the queue answers `unknown` and goes on trying. */
export const openQueue = async (options: QueueOptions): Promise<Queue> => {
  const stream = openJetStream(options)
  const clock = systemClock
  let deliverer: Deliverer | undefined
  let owner: Owner | undefined
  let paused = false
  let durable: DurableAccept | undefined
  let outage: number | undefined = clock.now()
  let bytes = 0
  let offset = 0
  let stopped = false
  let traceMade = false
  const context: Context = {
    stream,
    subjects: createSubjects(options.name),
    clock,
    log: options.log,
    metrics: options.metrics,
    pod: options.pod,
    incarnation: randomBytes(8).toString('hex'),
    composeNotice: options.composeNotice,
    newMessageId: () => newMessageId(clock.now() + offset),
    siteOf: (domain) => deliverer?.site(domain) ?? domain,
    emit: (event) => traces.emit(event),
    limits: { ...usualLimits, ...options.limits },
  }
  const traces = new TraceStream({ stream: stream.sibling(`${options.name}_trace`), name: options.name, clock, log: options.log, metrics: options.metrics })
  const looking = new Look(context, { ownerOf: (lane) => (owner?.own.tenureOf(lane) ? options.pod : owner?.own.heartbeat.others().find(({ lanes }) => lanes.includes(lane))?.pod) })
  const refusal = (): Accepted | undefined => {
    if (!durable) return { kind: 'unknown', why: 'the queue does not answer' }
    if (!durable.ok) return { kind: 'refused', why: 'not-durable' }
    return bytes > options.bytesLimit * fullAt ? { kind: 'refused', why: 'full' } : undefined
  }
  const room = createRoom(context.limits.unstoredBytes, clock)
  const accept = createAccept(context, room, refusal)
  const look = async (): Promise<void> => {
    durable ??= await checkDurable(stream, options satisfies DurableOptions)
    if (durable && !traceMade) traceMade = (await makeStream(stream, traceConfig(options.name, options.replicas, usualTrace))) !== undefined
    const before = clock.now()
    const state = await stream.state()
    const after = clock.now()
    outage = state && durable ? undefined : (outage ?? before)
    if (state) bytes = state.bytes
    if (state && after - before < 1_000) offset = state.at - (before + after) / 2
    owner?.own.setSkewed(Math.abs(offset) > skewMs)
  }
  const keepLooking = async (): Promise<void> => {
    while (!stopped) {
      await look().catch((error: unknown) => options.log.error('BUG', { part: 'queue', error: String((error as Error).stack) }))
      await new Promise((resolve) => setTimeout(resolve, durable ? lookEveryMs : 100).unref())
    }
  }
  void keepLooking()

  return {
    newMessageId: context.newMessageId,
    newBody: (messageId) => new ChunkedWriter(context, room, messageId),
    accept: accept.accept,
    start: (given) => {
      deliverer = given
      owner = new Owner(context, { deliverer: given, paused: () => paused, serverNow: () => clock.now() + offset, revision: options.revision })
      owner.own.start()
      return Promise.resolve()
    },
    drain: async (ms) => {
      await owner?.drain(ms)
      await traces.flush()
    },
    close: async () => {
      stopped = true
      owner?.stop()
      await stream.close()
    },
    setPaused: (now) => {
      paused = now
    },
    summary: () => looking.summary(),
    list: (filter) => looking.list(filter),
    show: (id) => looking.show(id),
    order: (order, ids) => giveOrders(context, looking, order, ids),
    trace: (message) => traces.of(message),
    latest: () => traces.latest(),
    emit: (event) => context.emit(event),
    durable: () => durable ?? { ok: false, reason: 'Unreachable', text: 'the queue has not answered yet' },
    outageSince: () => outage,
    peers: () => [{ pod: options.pod, revision: options.revision() }, ...(owner?.own.heartbeat.others() ?? []).map(({ pod, revision }) => ({ pod, revision }))],
    counts: () => ({ ready: owner?.next.counts().ready ?? 0, inFlight: owner?.next.counts().inFlight ?? 0, lanesOwned: owner?.own.lanes().length ?? 0, bytes }),
  }
}
