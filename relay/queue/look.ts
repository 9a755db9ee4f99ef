// Questions about the queue, answered by subject filter: counts from subjects alone, details from the few records shown.
// Reads only.
import { originalOf, bodyOf } from './bodies.ts'
import type { Context } from './context.ts'
import { shortSubject } from './compose.ts'
import { laneCount } from './lanes.ts'
import { partsOf } from './packs.ts'
import { finishedIn } from './notes.ts'
import { decodeDelivery } from './record-wire.ts'
import { asDelivery, isUnderstood, unreadableHead, type DeliveryHead } from './record.ts'
import type { StoredRecord } from './stream.ts'
import { decodeToken, encodeToken, splitDeliveryToken } from './subjects.ts'
import { unreachable } from './errors.ts'
import { printMailbox } from '../snapshot/index.ts'
import type { DomainSummary, QueueEntry, QueueFilter } from './types.ts'

type State = QueueEntry['state']
export type Sighting = { readonly state: State; readonly record: StoredRecord; readonly head: DeliveryHead; readonly inline: Buffer; readonly lane: number }
export type LookParts = { /** The pod that serves a lane, by the heartbeats. */ ownerOf(lane: number): string | undefined }

type Kind = 'later' | 'held'
const kinds = [['deferred', 'later'], ['held', 'held']] as const
const usualLimit = 100
const fewIds = 20
const page = 500
const readyPage = 100 // they bring their bytes with them, and 64 may come in one

export class Look {
  readonly #context: Context
  readonly #parts: LookParts

  constructor(context: Context, parts: LookParts) {
    this.#context = context
    this.#parts = parts
  }

  /** Deferred and held by their subjects; ready ones have no domain there and are read. */
  async summary({ withoutReady = false } = {}): Promise<DomainSummary[]> {
    const { subjects } = this.#context
    const finished = await this.#finished()
    const byToken = new Map<string, { ready: number; deferred: number; held: number }>() // read once per domain, not per delivery
    const count = (token: string, state: State) => {
      const found = byToken.get(token) ?? { ready: 0, deferred: 0, held: 0 }
      byToken.set(token, found)
      found[state]++
    }
    for (const [state, kind] of kinds)
      for await (const some of this.#waiting(kind)) for (const subject of some) if (!finished.has(shortSubject(subjects, subject))) count(domainTokenOf(subject), state)
    if (!withoutReady) for await (const { head } of this.#sightings('ready', subjects.all('ready'), finished)) count(encodeToken(head.domain), 'ready')
    return [...byToken].map(([token, counts]) => ({ domain: decodeToken(token), ...counts })).sort((a, b) => total(b) - total(a) || (a.domain < b.domain ? -1 : 1))
  }

  /** What moves on while it is listed is met in two states: the later one counts. */
  async list(filter: QueueFilter): Promise<QueueEntry[]> {
    const entries = new Map<string, QueueEntry>()
    for await (const sighting of this.#matching(filter)) {
      const entry = this.#entry(sighting)
      entries.set(entry.id, entry)
      if (entries.size >= (filter.limit ?? usualLimit)) break
    }
    return [...entries.values()]
  }

  /** A message's id stands for its first delivery that is still there. */
  async show(id: string): Promise<{ entry: QueueEntry; headers: string } | undefined> {
    const sighting = await this.find(id)
    if (!sighting) return undefined
    const { head, inline } = sighting
    const { bytes } = await originalOf(bodyOf(this.#context, { body: head.body, inline }), { whole: false, bytes: head.bytes })
    return { entry: this.#entry(sighting), headers: bytes.toString('latin1') }
  }

  /** Where a delivery is now. */
  async find(id: string): Promise<Sighting | undefined> {
    const [message = '', n] = id.split('.')
    for (const [state, kind] of kinds) {
      const [subject] = await this.#subjects(this.#context.subjects.ofDelivery(kind, message, n ?? '0')) // by name: at once, however many wait
      if (subject !== undefined) for await (const sighting of this.#sightings(state, subject, await this.#finished())) return sighting
    }
    for await (const sighting of this.#matching({ message })) if (n === undefined || sighting.head.n === n) return sighting
    return undefined
  }

  /** A few are asked for by name; for many, one listing. */
  async locate(ids: readonly string[]): Promise<Map<string, { lane: number; state: State; subject: string }>> {
    const { subjects } = this.#context
    const finished = await this.#finished()
    const wanted = new Set(ids)
    const places = new Map<string, { lane: number; state: State; subject: string }>()
    for (const [state, kind] of kinds)
      for await (const some of ids.length <= fewIds ? this.#named(kind, ids) : this.#waiting(kind))
        for (const subject of some) {
          const { message, n } = splitDeliveryToken(subject.split('.')[4] ?? '')
          if (wanted.has(`${message}.${n}`) && !finished.has(shortSubject(subjects, subject))) places.set(`${message}.${n}`, { lane: subjects.lane(subject), state, subject })
        }
    if (places.size < wanted.size)
      for await (const { head, lane, record } of this.#sightings('ready', subjects.all('ready'), finished)) {
        const id = `${head.message}.${head.n}`
        if (wanted.has(id)) places.set(id, { lane, state: 'ready', subject: record.subject })
      }
    return places
  }

  async *#matching({ message, domain, sender, state }: QueueFilter): AsyncGenerator<Sighting> {
    const { subjects } = this.#context
    const finished = await this.#finished()
    const isFrom = ({ recipients, envelope: { sender: by, mailFrom } }: DeliveryHead) =>
      sender === undefined || sender === by || (sender === '<>' ? mailFrom === null && isUnderstood({ recipients }) : mailFrom !== null && sender === printMailbox(mailFrom)) // who sent what cannot be read is not known
    const fits = ({ head }: Sighting) => (message === undefined || head.message === message) && (domain === undefined || head.domain === domain) && isFrom(head)
    for (const [is, kind] of [['ready', 'ready'], ...kinds] as const) {
      if (state !== undefined && state !== is) continue
      const filter = kind === 'ready' ? subjects.all(kind) : byDomain(subjects.all(kind), domain)
      const sightings = message === undefined || kind === 'ready' ? this.#sightings(is, filter, finished) : this.#ofMessage(is, kind, message, finished)
      for await (const sighting of sightings) if (fits(sighting)) yield sighting
    }
  }

  /** A message's name is in the subjects: nothing else is read. */
  async *#ofMessage(state: State, kind: Kind, message: string, finished: ReadonlySet<string>): AsyncGenerator<Sighting> {
    const isOfMessage = (subject: string) => splitDeliveryToken(subject.split('.')[4] ?? '').message === message
    for await (const some of this.#waiting(kind)) for (const subject of some.filter(isOfMessage)) yield* this.#sightings(state, subject, finished)
  }

  async *#sightings(state: State, filter: string, finished: ReadonlySet<string>): AsyncGenerator<Sighting> {
    const { stream, subjects } = this.#context
    const most = state === 'ready' ? readyPage : page
    for (let from = 1; ; ) {
      const records = await stream.records(filter, most, from)
      if (!records) throw unreachable()
      for (const record of records)
        for (const part of partsSafely(record)) if (!finished.has(shortSubject(subjects, part.subject))) yield sightingOf(state, part, subjects.lane(part.subject))
      if (records.length < most) return
      from = records.at(-1)!.seq + 1
    }
  }

  /** Named in a note and not removed yet: it is over. */
  async #finished(): Promise<Set<string>> {
    const notes = await this.#context.stream.records(this.#context.subjects.all('done'), 100_000)
    if (!notes) throw unreachable()
    return new Set(notes.flatMap(finishedIn))
  }
  /** Lane by lane: a million of them at once would be too much to hold. */
  async *#waiting(kind: Kind): AsyncGenerator<readonly string[]> {
    for (let lane = 0; lane < laneCount; lane++) yield await this.#subjects(this.#context.subjects.inLane(kind, lane))
  }
  async *#named(kind: Kind, ids: readonly string[]): AsyncGenerator<readonly string[]> {
    for (const id of ids) {
      const [message = '', n = ''] = id.split('.')
      yield await this.#subjects(this.#context.subjects.ofDelivery(kind, message, n))
    }
  }
  async #subjects(filter: string): Promise<string[]> {
    const found = await this.#context.stream.subjects(filter)
    if (!found) throw unreachable()
    return [...found.keys()]
  }

  #entry({ state, head, record, lane }: Sighting): QueueEntry {
    const owner = this.#parts.ownerOf(lane)
    const { id, message, domain, schedule, attempt, arrivedAt, bytes, last } = asDelivery(head, record.at, lane)
    return {
      id, message, state, domain, lane, attempt, arrivedAt, bytes,
      mailFrom: head.envelope.mailFrom === null ? '' : printMailbox(head.envelope.mailFrom),
      recipients: head.recipients.map(({ mailbox }) => printMailbox(mailbox)),
      ...(head.envelope.sender !== undefined && { sender: head.envelope.sender }),
      ...(state === 'deferred' && head.nextAt !== undefined && { nextAt: head.nextAt }),
      ...(isUnderstood(head) && { schedule: schedule.manifest }),
      ...((head.why ?? last?.why) !== undefined && { why: head.why ?? last!.why }),
      ...(last?.said !== undefined && { said: last.said }),
      ...(last?.host !== undefined && { host: last.host }),
      ...(owner !== undefined && { owner }),
    }
  }
}

const total = ({ ready, deferred, held }: DomainSummary): number => ready + deferred + held
const domainTokenOf = (subject: string): string => subject.split('.')[3] ?? ''
const byDomain = (all: string, domain: string | undefined): string => (domain === undefined ? all : all.replace(/>$/, `*.${encodeToken(domain)}.>`))

const partsSafely = (record: StoredRecord): readonly StoredRecord[] => {
  try {
    return partsOf(record)
  } catch {
    return [record]
  }
}

const sightingOf = (state: State, record: StoredRecord, lane: number): Sighting => {
  try {
    const { head, inline } = decodeDelivery(record.payload)
    return { state, record, head, inline, lane }
  } catch (error) {
    const head = { ...unreadableHead(record, (error as Error).message), ...(state !== 'ready' && namedIn(record.subject)) }
    return { state, record, head, inline: record.payload, lane }
  }
}

/** Whoever waits is named by its subject, also where its record cannot be read: it is listed under the name by which it is found. */
const namedIn = (subject: string): Pick<DeliveryHead, 'message' | 'n' | 'domain'> => {
  const { message, n } = splitDeliveryToken(subject.split('.')[4] ?? '')
  return { message: decodeToken(message), n: decodeToken(n), domain: decodeToken(domainTokenOf(subject)) }
}
