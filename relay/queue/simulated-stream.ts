// A stream in memory that keeps to what JetStream promises and no more: for the model test. One contract test holds it and the
// real server together. Faults (lost questions, lost answers, late application, refusals, lag, late schedules) come from outside.
import type { Clock } from './clock.ts'
import type { Found, NewRecord, RawAnswer, Reader, Stream, StoredRecord } from './stream.ts'

/** What happens to one request. Only `none` is answered truthfully. */
export type Fault = { readonly kind: 'none' | 'question-lost' | 'answer-lost' | 'refused' } | { readonly kind: 'late'; readonly ms: number }
export type Chance = {
  fault(): Fault
  latencyMs(): number
  /** How much later than due a schedule fires. */
  lateMs(): number
  /** How far a replica that is asked lags behind the leader. */
  lagMs(): number
}
export const noFaults: Chance = { fault: () => ({ kind: 'none' }), latencyMs: () => 1, lateMs: () => 5, lagMs: () => 0 }

const duplicateWindowMs = 120_000
const armedBeforeMs = 1_000 // a purge this shortly before its time does not stop a schedule any more

type Kept = StoredRecord & { readonly visibleAt: number; readonly expiresAt: number; readonly schedule?: { readonly at: number; readonly target: string } }

export class SimulatedStream {
  readonly #clock: Clock
  #chance: Chance
  #seq = 0
  #records = new Map<number, Kept>() // by number, the oldest first
  // the same once more, for questions that would else look at every record
  #onSubject = new Map<string, Set<Kept>>()
  #mortal = new Set<Kept>()
  #ids = new Map<string, number>() // message id → when
  #readers = new Set<() => void>()
  #listeners = new Map<string, Set<(data: Buffer, reply: (data: Buffer) => void) => void>>()
  /** Told of every record stored and every record removed. */
  onStored: (record: StoredRecord) => void = () => {}
  onPurged: (record: StoredRecord) => void = () => {}

  constructor(clock: Clock, chance: Chance = noFaults) {
    this.#clock = clock
    this.#chance = chance
  }
  setChance(chance: Chance): void {
    this.#chance = chance
  }
  all(): StoredRecord[] {
    this.#expire()
    return [...this.#records.values()]
  }

  /** The stream as one process sees it; `faultOf` may decide about each of its calls. */
  view(faultOf: (call: string) => Fault = () => this.#chance.fault()): Stream {
    const change = async (call: string, act: () => number): Promise<number | undefined> => {
      let removed = 0
      const answer = await this.#ask(faultOf(call), () => {
        removed = act()
        return { kind: 'ack', seq: 0, duplicate: false }
      })
      return answer.kind === 'ack' ? removed : undefined
    }
    return {
      publish: (record) => this.#ask(faultOf(`publish ${record.subject}`), () => this.#write([record])),
      batch: (records) => this.#ask(faultOf(`batch ${records[0]?.subject}`), () => this.#write(records)),
      purge: (filter, below) => change(`purge ${filter}`, () => this.#purge(filter, below)),
      remove: async (seq) => (await change(`remove ${seq}`, () => Number(this.#remove(seq)))) === 1,
      read: (how) => (faultOf(`read ${how.filters[0]}`), this.#read(how)),
      last: (subject, from) => this.#look<Found>(faultOf(`last ${subject}`), (now) => this.#last(subject, from === 'any' ? now - this.#chance.lagMs() : now), { kind: 'unknown', why: 'time-out' }),
      records: (filter, limit, from = 1) => this.#look(faultOf(`records ${filter}`), (now) => this.#matching(filter, now - this.#chance.lagMs()).filter(({ seq }) => seq >= from).slice(0, limit), undefined),
      subjects: (filter) => this.#look(faultOf(`subjects ${filter}`), () => countBySubject(this.#matching(filter)), undefined),
      state: () => this.#look(faultOf('state'), (now) => ({ bytes: 0, messages: this.#records.size, lastSeq: this.#seq, at: now }), undefined),
      tell: (subject, data) => this.#tell(subject, data, () => {}),
      hear: (subject, on) => this.#hear(subject, on),
      ask: (subject, data, ms) => this.#question(faultOf(`ask ${subject}`), subject, data, ms),
    }
  }

  #ask(fault: Fault, act: () => RawAnswer): Promise<RawAnswer> {
    return new Promise((resolve) => {
      const answerAfter = (ms: number, answer: () => RawAnswer) => void this.#clock.after(ms, () => resolve(answer()))
      if (fault.kind === 'refused') answerAfter(this.#chance.latencyMs(), () => ({ kind: 'error', code: 10164, text: 'wrong last sequence' }))
      else if (fault.kind === 'none') answerAfter(this.#chance.latencyMs(), act)
      else {
        if (fault.kind === 'answer-lost') this.#clock.after(this.#chance.latencyMs(), act)
        if (fault.kind === 'late') this.#clock.after(fault.ms, act)
        answerAfter(4_000, () => ({ kind: 'silence', text: 'time-out' }))
      }
    })
  }
  /** What could not be seen is `nothing`: at once, or when the time is over. */
  #look<T>({ kind }: Fault, see: (now: number) => T, nothing: T): Promise<T> {
    return new Promise((resolve) => {
      if (kind === 'none') this.#clock.after(this.#chance.latencyMs(), () => (this.#expire(), resolve(see(this.#clock.now()))))
      else this.#clock.after(kind === 'refused' ? this.#chance.latencyMs() : 4_000, () => resolve(nothing))
    })
  }
  #question({ kind }: Fault, subject: string, data: Buffer, ms: number): ReturnType<Stream['ask']> {
    return new Promise((resolve) => {
      const isHeard = kind !== 'question-lost' && this.#tell(subject, data, kind === 'none' ? resolve : () => {})
      if (!isHeard && kind !== 'question-lost') resolve('nobody')
      else this.#clock.after(ms, () => resolve('silence'))
    })
  }

  /** All or nothing, as a batch of one is. */
  #write(records: readonly NewRecord[]): RawAnswer {
    this.#expire()
    const now = this.#clock.now()
    const isAgain = records.some(({ id }) => id !== undefined && now - (this.#ids.get(id) ?? -Infinity) < duplicateWindowMs)
    const conflict = records.map((record) => this.#conflict(record)).find((found) => found !== undefined)
    if (records.length === 1 && records[0]!.expect?.of !== undefined && conflict) return conflict // a single server looks at the fence first
    if (isAgain) return records.length === 1 ? { kind: 'ack', seq: 0, duplicate: true } : { kind: 'error', code: 10201, text: 'duplicate' }
    if (conflict) return conflict
    for (const record of records) this.#append(record, now)
    return { kind: 'ack', seq: this.#seq, duplicate: false }
  }

  #conflict({ expect, subject }: NewRecord): RawAnswer | undefined {
    const last = expect ? (this.#newest(expect.of ?? subject)?.seq ?? 0) : 0
    return expect && last !== expect.last ? { kind: 'error', code: 10071, text: `wrong last sequence: ${last}` } : undefined
  }

  #append({ subject, payload, id, ttlSeconds, schedule }: NewRecord, now: number): void {
    if (id !== undefined) this.#ids.set(id, now)
    const expiresAt = ttlSeconds === undefined ? Infinity : now + ttlSeconds * 1_000
    const record: Kept = { subject, payload, seq: ++this.#seq, at: now, visibleAt: now, expiresAt, ...(schedule && { schedule }) }
    this.#keep(record)
    this.onStored(record)
    if (schedule) this.#arm(record, schedule)
    for (const wake of this.#readers) wake()
  }

  #keep(record: Kept): void {
    this.#records.set(record.seq, record)
    if (record.expiresAt < Infinity) this.#mortal.add(record)
    const beside = this.#onSubject.get(record.subject)
    if (beside) beside.add(record)
    else this.#onSubject.set(record.subject, new Set([record]))
  }
  #forget(record: Kept): void {
    this.#records.delete(record.seq)
    this.#mortal.delete(record)
    const beside = this.#onSubject.get(record.subject)
    beside?.delete(record)
    if (beside?.size === 0) this.#onSubject.delete(record.subject)
  }

  /** Fires once, even if it was purged within the last second; what lies on its subject then goes. */
  #arm(record: Kept, { at, target }: { at: number; target: string }): void {
    const due = Math.max(0, at - this.#clock.now())
    this.#clock.after(Math.max(0, due - armedBeforeMs), () => {
      if (!this.#records.has(record.seq)) return
      this.#clock.after(Math.min(due, armedBeforeMs) + this.#chance.lateMs(), () => {
        for (const beside of this.#onSubject.get(record.subject) ?? []) this.#forget(beside)
        this.#append({ subject: target, payload: record.payload }, this.#clock.now())
      })
    })
  }

  #purge(filter: string, below: number): number {
    this.#expire()
    const gone = this.#matching(filter).filter(({ seq }) => seq < below)
    for (const record of gone) this.#forget(record)
    for (const record of gone) this.onPurged(record)
    return gone.length
  }

  #remove(seq: number): boolean {
    const record = this.#records.get(seq)
    if (record === undefined) return false
    this.#forget(record)
    this.onPurged(record)
    return true
  }

  #read({ filters, from, onRecord }: Parameters<Stream['read']>[0]): Reader {
    let next = from
    let wanted = 0
    let stopped = false
    let planned = false
    const wants = filters.map(testFor)
    const step = () => {
      planned = false
      if (stopped || wanted === 0) return
      const now = this.#clock.now() - this.#chance.lagMs()
      const { seen, record } = this.#after(next, now, wants)
      next = seen + 1
      if (!record) return void (this.#lastSeqAhead(next) && plan(50))
      wanted--
      onRecord(record)
      plan(0)
    }
    const plan = (ms: number) => {
      if (planned || stopped) return
      planned = true
      this.#clock.after(ms, step)
    }
    const wake = () => plan(this.#chance.latencyMs())
    this.#readers.add(wake)
    return {
      want: (count) => {
        wanted += count
        wake()
      },
      alive: () => true,
      stop: () => {
        stopped = true
        this.#readers.delete(wake)
      },
    }
  }
  /** `seen`: up to where nothing else is to be found later. */
  #after(from: number, asOf: number, wants: readonly Test[]): { readonly seen: number; readonly record?: Kept } {
    let seen = from - 1
    if (from > this.#seq) return { seen }
    for (const record of this.#records.values()) {
      if (record.seq < from) continue
      if (record.visibleAt > asOf) break
      seen = record.seq
      if (wants.some((test) => test(record.subject))) return { seen, record }
    }
    return { seen }
  }
  #lastSeqAhead(next: number): boolean {
    return this.#seq >= next && this.#chance.lagMs !== noFaults.lagMs
  }

  #expire(): void {
    const now = this.#clock.now()
    for (const record of this.#mortal) if (record.expiresAt <= now) this.#forget(record)
  }
  #newest(subject: string): Kept | undefined {
    let newest: Kept | undefined
    for (const record of this.#onSubject.get(subject) ?? []) newest = record
    return newest
  }
  #last(subject: string, asOf: number): Found {
    const record = this.#newest(subject)
    return record && record.visibleAt <= asOf ? { kind: 'found', record } : { kind: 'missing' }
  }
  #matching(filter: string, asOf = Infinity): Kept[] {
    const isOne = !/[*>]/.test(filter)
    const test = testFor(filter)
    return [...(isOne ? (this.#onSubject.get(filter) ?? []) : this.#records.values())].filter(({ subject, visibleAt }) => visibleAt <= asOf && test(subject))
  }

  #hear(subject: string, on: (data: Buffer, reply: (data: Buffer) => void) => void): () => void {
    const listeners = this.#listeners.get(subject) ?? new Set()
    this.#listeners.set(subject, listeners)
    listeners.add(on)
    return () => void listeners.delete(on)
  }
  #tell(subject: string, data: Buffer, reply: (data: Buffer) => void): boolean {
    const hearing = [...this.#listeners].filter(([filter]) => testFor(filter)(subject)).flatMap(([, listeners]) => [...listeners])
    for (const on of hearing) this.#clock.after(this.#chance.latencyMs(), () => on(data, reply))
    return hearing.length > 0
  }
}

/** Subject filters as NATS has them. */
type Test = (subject: string) => boolean
const testFor = (filter: string): Test => {
  const known = tests.get(filter)
  if (known) return known
  const test = testOf(filter)
  tests.set(filter, test)
  return test
}
const tests = new Map<string, Test>()
const testOf = (filter: string): Test => {
  if (!filter.includes('*')) return filter.endsWith('.>') ? (subject) => subject.startsWith(filter.slice(0, -1)) : (subject) => subject === filter
  const tokens = filter.split('.').map((token) => (token === '*' ? '[^.]+' : token === '>' ? '.+' : token.replace(/[[\]=/$+?^(){}|\\]/g, '\\$&')))
  const pattern = new RegExp(`^${tokens.join('\\.')}$`)
  const start = filter.slice(0, filter.indexOf('*')) // most subjects differ from it, and that is seen sooner
  return (subject) => subject.startsWith(start) && pattern.test(subject)
}

const countBySubject = (records: readonly StoredRecord[]): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const { subject } of records) counts.set(subject, (counts.get(subject) ?? 0) + 1)
  return counts
}
