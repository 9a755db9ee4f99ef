// The queue's own parts, several processes of them, against a simulated stream: what model.test.ts and faults.test.ts do things to.
// Invariant: accepted = delivered + told to the sender + deleted by a person + still queued; nothing is removed that was not finished.
import { createMetrics, silentLog, type Log } from '../report/index.ts'
import { createAccept, type Accept } from './accept.ts'
import { ChunkedWriter } from './body-writer.ts'
import { shareEnded } from './compose.ts'
import { usualLimits, type Context, type Limits } from './context.ts'
import { aMessage } from './fixtures.ts'
import { Look } from './look.ts'
import { Owner } from './owner.ts'
import { partsOf } from './packs.ts'
import { decodeBodyStart, decodeDelivery, decodeNote } from './record-wire.ts'
import { createRoom, type Room } from './room.ts'
import { createGate, SimulatedClock, type Gate } from './simulated-clock.ts'
import { noFaults, SimulatedStream, type Chance, type Fault } from './simulated-stream.ts'
import { giveOrders } from './steer.ts'
import type { Stream, StoredRecord } from './stream.ts'
import { countOfRecord, createSubjects, partOf } from './subjects.ts'
import type { BodySource, ComposeNotice, Delivery, GivenOrder, NewBody, Notice, Order, Settlement } from './types.ts'

const subjects = createSubjects('m')
const metrics = createMetrics()
const atOnce = 4 // attempts to one domain

/** What becomes of an attempt. `waits`: deferred for longer than a story lasts; `delayed`: deferred, and its sender is told. */
export type Fate = 'delivered' | 'deferred' | 'waits' | 'delayed' | 'bounced' | 'held' | 'split' | 'hangs'
/** Where the bytes of a mail lie: with its record, beside it, in chunks; or it was broken off in the middle of them. */
export type Size = 'small' | 'shared' | 'chunked' | 'broken-off'

export type WorldOptions = {
  /** Of everything random: latencies, lag and the like; a stream without faults where absent. */
  readonly chance?: Chance
  readonly fateOf: (delivery: Delivery) => Fate
  /** Decides about each call of a process to the stream, in order. */
  readonly faultOf?: (call: string, of: Process) => Fault
  readonly limits?: Partial<Limits>
  /** Whether a process gets other bytes than are there at its first reading of a record. */
  readonly misreads?: () => boolean
}

export class World {
  readonly clock = new SimulatedClock()
  readonly stream: SimulatedStream
  readonly accepted = new Set<string>() // delivery ids of messages answered `stored`
  readonly delivered = new Map<string, number>()
  readonly told = new Map<string, number>()
  readonly deleted = new Set<string>()
  readonly obeyed = new Map<string, Order>() // what a person was last told to be done
  readonly noted = new Set<string>()
  readonly finished = new Set<string>()
  readonly holders = new Map<string, string>() // lane → incarnation of its last epoch
  readonly ended = new Map<string, number>()
  readonly shared = new Map<string, number>()
  readonly faults: string[] = []
  readonly bugs: string[] = []
  readonly options: WorldOptions
  calm = false
  #processes: Process[] = []
  #born = 0

  constructor(options: WorldOptions) {
    this.options = options
    this.stream = new SimulatedStream(this.clock, options.chance)
    this.stream.onStored = (record) => this.#onStored(record)
    this.stream.onPurged = (record) => this.#onPurged(record)
  }
  /** Where the records themselves must never be wrong, whatever the processes believe. */
  #onStored({ subject, payload }: StoredRecord): void {
    const [, kind, lane, incarnation] = subject.split('.')
    if (kind === 'held' && /BODY_/.test(decodeDelivery(payload).head.why ?? '')) this.faults.push(`${subject} is on hold: ${decodeDelivery(payload).head.why}`)
    if (kind === 'epoch') this.holders.set(lane!, (JSON.parse(payload.toString()) as { incarnation: string }).incarnation)
    if (kind === 'done') {
      if (this.holders.get(lane!) !== incarnation) this.faults.push(`${subject} was stored though ${this.holders.get(lane!)} has the lane`)
      const { finished, inAdvance = [] } = decodeNote(payload)
      for (const one of finished) if (this.finished.has(one)) this.faults.push(`${one} was finished twice`)
      for (const one of finished) this.finished.add(one)
      for (const one of [...finished, ...inAdvance.map(({ subject }) => subject)]) this.noted.add(`m.${one}`)
    }
    const [, , body, what, ended] = subject.split('.')
    if (kind === 'body' && what === 'end') this.ended.set(body!, (this.ended.get(body!) ?? 0) + shareEnded(ended!))
    if (kind === 'body' && what === '0') this.shared.set(body!, decodeBodyStart(payload).pointer.shared)
  }
  #onPurged({ subject }: StoredRecord): void {
    const [, kind, third] = subject.split('.')
    if (['ready', 'later', 'held'].includes(kind!) && !deliveriesAt(subject).every((one) => this.noted.has(one))) this.faults.push(`${subject} was removed and is in no note`)
    if (kind === 'body' && (this.ended.get(third!) ?? 0) < (this.shared.get(third!) ?? 0)) this.faults.push(`${subject} was removed while deliveries need it`)
  }

  process(index: number): Process {
    return (this.#processes[index] ??= this.#start())
  }
  #start(): Process {
    return new Process(this, `pod-${this.#born}`, `i${this.#born++}`)
  }
  replace(index: number): void {
    this.#processes[index] = this.#start()
  }
  /** A process of a release that reads no packs lives for so long. */
  hearOlder(forMs: number): void {
    this.stream.view().tell('m.beat.older', olderBeat)
    if (forMs > 1_000) this.clock.after(1_000, () => this.hearOlder(forMs - 1_000))
  }
  /** Faults stop, everything is delivered: what is left then is lost, held, or there for ever. */
  async comeToRest(): Promise<void> {
    this.calm = true
    this.stream.setChance(noFaults)
    for (const index of [0, 1]) this.process(index).gate.resume()
    for (let minutes = 0; minutes < 40 && !this.quiet(); minutes++) await this.clock.pass(60_000)
    for (let looks = 0; looks < 2; looks++) {
      for (const index of [0, 1]) void this.process(index).owner.upkeep()
      await this.clock.pass(200_000)
    }
  }
  quiet(): boolean {
    return this.left('ready').length === 0 && this.left('later').length === 0
  }
  left(kind: string): StoredRecord[] {
    return this.stream.all().filter(({ subject }) => subject.startsWith(`m.${kind}.`))
  }
  missing(): string[] {
    const queued = new Set(['ready', 'later', 'held'].flatMap((kind) => this.left(kind)).flatMap(partsOf).flatMap(({ payload }) => idsOf(payload)))
    return [...this.accepted].filter((id) => !this.delivered.has(id) && !this.told.has(id) && !this.deleted.has(id) && !queued.has(id))
  }
  end(): void {
    for (const { gate } of this.#processes) gate.kill()
  }
}

const olderBeat = Buffer.from(JSON.stringify({ pod: 'older', incarnation: 'older', revision: '', serving: false, lanes: [] }))

const deliveriesAt = (subject: string): string[] => {
  const count = countOfRecord(subject)
  return count === 1 ? [subject] : Array.from({ length: count }, (_, place) => partOf(subject, place))
}

/** Of these domains the MX hosts are known before anything is tried, of the others afterwards. */
const learntFirst = (domain: string): boolean => /[13579]\./.test(domain)

/** A split delivery's parts count as the whole. */
const rootOf = (id: string): string => id.replace(/[ab]+$/, '')
/** A notice that is still queued stands for what it tells. */
const idsOf = (payload: Buffer): string[] => {
  const { head } = decodeDelivery(payload)
  return [rootOf(`${head.message}.${head.n}`), ...(head.envelope.envid?.split(' ') ?? [])]
}

export class Process {
  readonly gate: Gate
  readonly owner: Owner
  readonly incarnation: string
  readonly #world: World
  readonly #accept: Accept
  readonly #context: Context
  readonly #look: Look
  readonly #room: Room
  readonly #known = new Set<string>() // domains whose MX hosts this process has learnt
  readonly #active = new Map<string, number>()
  /** Two domains share their MX hosts. */
  readonly #siteOf = (domain: string): string => (this.#known.has(domain) ? `mx ${domain.replace(/[1-9]/, (digit) => String(Number(digit) >> 1))}` : domain)

  constructor(world: World, pod: string, incarnation: string) {
    this.#world = world
    this.incarnation = incarnation
    this.gate = createGate(world.clock)
    const log: Log = { ...silentLog, error: (code, fields) => void (code === 'BUG' && world.bugs.push(JSON.stringify(fields))) }
    const { clock } = this.gate
    const { faultOf, limits } = world.options
    let ids = 0
    this.#context = { stream: gated(world.stream.view(faultOf && ((call) => faultOf(call, this))), this.gate, (record) => (!world.calm && world.options.misreads?.() === true ? misread(record) : record)), subjects, clock, log, metrics, pod, incarnation, composeNotice, newMessageId: () => `${incarnation}n${ids++}`, siteOf: this.#siteOf, emit: () => {}, limits: { ...usualLimits, inlineBytes: 300, windowCount: 20, unremovedCount: 4, ...limits } }
    this.#room = createRoom(1e7, clock)
    this.#accept = createAccept(this.#context, this.#room, () => undefined, () => true)
    this.#look = new Look(this.#context, { ownerOf: () => undefined })
    this.owner = new Owner(this.#context, { deliverer: { site: this.#siteOf, admit: ({ domain }) => ({ kind: (this.#active.get(domain) ?? 0) < atOnce ? 'now' : 'wait' }), attempt: (delivery, body, signal) => this.#attempt(delivery, body, signal) }, paused: () => false, serverNow: () => clock.now(), revision: () => '', lanesFit: () => true })
    this.owner.own.start()
  }

  /** A client sends it once; it is accepted when that was said. */
  async offer(name: string, domains: readonly string[], size: Size, hold?: string): Promise<void> {
    const id = name === '' ? this.#context.newMessageId() : name
    const body = await this.#body(id, size).catch(() => undefined)
    if (!body) return
    const message = { ...aMessage({ id, domains: [...new Set(domains)], ...(hold !== undefined && { hold }) }), body }
    const { kind } = await this.#accept.accept(message, 30_000)
    if (kind === 'stored') message.deliveries.forEach((_, n) => this.#world.accepted.add(`${message.id}.${n}`))
  }
  async #body(id: string, size: Size): Promise<NewBody | undefined> {
    if (size === 'small' || size === 'shared') return { inline: Buffer.alloc(size === 'shared' ? 400 : 10, 'x') }
    const writer = new ChunkedWriter(this.#context, { room: this.#room, volumeTakesMore: () => true }, id)
    for (let n = 0; n < 2; n++) await writer.write(aChunk)
    if (size === 'broken-off') await writer.abandon()
    return size === 'broken-off' ? undefined : await writer.end()
  }
  async order(given: GivenOrder, id: string): Promise<void> {
    if (given.order === 'delete') this.#world.deleted.add(id) // at once: it may be done though who asked is gone before the answer comes
    const [result] = await giveOrders(this.#context, this.#look, given, [id]).catch(() => [])
    if (result?.done) this.#world.obeyed.set(id, given.order)
  }

  async #attempt(delivery: Delivery, body: BodySource, signal: AbortSignal): Promise<Settlement | 'other-site'> {
    const { domain } = delivery
    if (learntFirst(domain) && !this.#known.has(domain)) {
      await new Promise<void>((resolve) => void this.gate.clock.after(20, resolve))
      this.#known.add(domain)
      return 'other-site'
    }
    this.#active.set(domain, (this.#active.get(domain) ?? 0) + 1)
    const settlement = await this.#outcome(delivery, body, signal)
    this.#active.set(domain, this.#active.get(domain)! - 1)
    this.#known.add(domain)
    return settlement
  }
  async #outcome(delivery: Delivery, body: BodySource, signal: AbortSignal): Promise<Settlement> {
    const world = this.#world
    const fate = world.calm ? 'delivered' : world.options.fateOf(delivery)
    await new Promise<void>((resolve) => void this.gate.clock.after(fate === 'hangs' ? 15_000 : 50, resolve))
    const now = this.gate.clock.now()
    if (signal.aborted) return { notices: [], trace: [], later: { recipients: delivery.recipients, at: 0, delayNoticed: false, last: { at: 0, why: 'aborted' }, countsAsAttempt: false } }
    const settlement = becomes(delivery, (await isWhole(body)) ? fate : 'deferred', now)
    if (settlement) return settlement
    if (delivery.envelope.envid !== undefined) for (const id of delivery.envelope.envid.split(' ')) world.told.set(id, (world.told.get(id) ?? 0) + 1)
    world.delivered.set(rootOf(delivery.id), (world.delivered.get(rootOf(delivery.id)) ?? 0) + 1)
    return { notices: [], trace: [] }
  }
}

/** undefined: it is delivered. */
const becomes = (delivery: Delivery, fate: Fate, now: number): Settlement | undefined => {
  const { recipients, id, attempt, envelope } = delivery
  const at = fate === 'waits' ? now + 100_000 : now + 5_000 + attempt * 3_000
  const later = { recipients, at, delayNoticed: fate === 'delayed', last: { at: 0, why: 'not now' }, countsAsAttempt: true }
  const held = { recipients, why: 'look at it' }
  const notices = (kind: Notice['kind'], plain: string) => recipients.map((recipient) => ({ kind, recipient, status: '5.0.0', plain, lastAttemptAt: 0 }))
  if (fate === 'deferred' || fate === 'waits') return { later, notices: [], trace: [] }
  if (fate === 'held') return { held, notices: [], trace: [] }
  if (fate === 'split') return { later, held, notices: [], trace: [] }
  if (!envelope.mailFrom) return undefined
  if (fate === 'delayed') return { later, notices: notices('delayed', `late-${rootOf(id)}`), trace: [] }
  return fate === 'bounced' ? { notices: notices('failed', rootOf(id)), trace: [] } : undefined
}

const isWhole = async (body: BodySource): Promise<boolean> => {
  try {
    for await (const _ of body.open());
    return true
  } catch {
    return false
  }
}

const aChunk = Buffer.alloc(400_000, 'x')

/** The notice carries what it tells in its ENVID; bounces of people carry their delivery only. */
const composeNotice: ComposeNotice = ({ delivery, notices, id }) => {
  const notice = aMessage({ id, domains: ['sender.example'] })
  const tells = notices.map(({ plain }) => (plain.includes(' ') ? rootOf(delivery.id) : plain)).join(' ')
  return { ...notice, envelope: { ...notice.envelope, mailFrom: null, envid: tells } }
}

const misread = (record: StoredRecord): StoredRecord => (record.subject.startsWith('m.ready.') ? { ...record, payload: record.payload.subarray(0, 60) } : record)

/** Nothing of what a dead process asked ever comes back to it. */
const gated = (stream: Stream, gate: Gate, reading: (record: StoredRecord) => StoredRecord): Stream => {
  const wait = <T>(answer: Promise<T>) => new Promise<T>((resolve) => void answer.then((value) => gate.pass(() => resolve(value))))
  return {
    publish: (record) => wait(stream.publish(record)),
    batch: (records) => wait(stream.batch(records)),
    purge: (filter, below) => wait(stream.purge(filter, below)),
    remove: (seq) => wait(stream.remove(seq)),
    last: (subject, from) => wait(stream.last(subject, from)),
    records: (filter, limit, from) => wait(stream.records(filter, limit, from)),
    subjects: (filter) => wait(stream.subjects(filter)),
    state: () => wait(stream.state()),
    ask: (subject, data, ms) => wait(stream.ask(subject, data, ms)),
    tell: (subject, data) => gate.pass(() => stream.tell(subject, data)),
    hear: (subject, on) => stream.hear(subject, (data, reply) => gate.pass(() => on(data, reply))),
    read: (how) => stream.read({ ...how, onRecord: (record) => gate.pass(() => how.onRecord(reading(record))) }),
  }
}

