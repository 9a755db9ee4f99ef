// Remembers what happened to each message, in a stream of its own, without anybody waiting for it: a lost line is counted
// and never costs mail. Lines gather for a moment and go as one record per bucket, so that their cost does not grow with the load.
import { sleep } from './clock.ts'
import { fnv1a, timeOfMessageId } from './lanes.ts'
import type { Log, Metrics } from '../report/index.ts'
import type { Clock } from './clock.ts'
import type { Stream } from './stream.ts'
import { findTraced, parsed } from './trace-find.ts'
import type { TraceEvent, TraceFound, TraceQuestion } from './types.ts'

const buckets = 64
const gatherMs = 500
const mostLines = 20_000
const mostBytes = 700_000 // of one record

export type TraceOptions = { readonly stream: Stream; readonly name: string; readonly clock: Clock; readonly log: Log; readonly metrics: Metrics }

export class TraceStream {
  readonly #options: TraceOptions
  #lines = new Map<number, TraceEvent[]>()
  #count = 0
  #flushing: Promise<void> | undefined
  #planned: (() => void) | undefined

  constructor(options: TraceOptions) {
    this.#options = options
  }

  emit(event: TraceEvent): void {
    if (this.#count >= mostLines) return this.#lost(1, 'too many are waiting')
    const bucket = bucketOf(event.message)
    const lines = this.#lines.get(bucket)
    if (lines) lines.push(event)
    else this.#lines.set(bucket, [event])
    this.#count++
    this.#planned ??= this.#options.clock.after(gatherMs, () => void this.flush())
  }

  /** The message of the newest line; undefined before the first. */
  async latest(): Promise<string | undefined> {
    await this.flush()
    const found = await this.#options.stream.last(`${this.#options.name}_trace.>`, 'leader')
    return found.kind === 'found' ? linesOf(found.record.payload).sort((a, b) => a.at - b.at).at(-1)?.message : undefined
  }

  async flush(): Promise<void> {
    while (this.#flushing) await this.#flushing
    this.#planned?.()
    this.#planned = undefined
    const lines = this.#lines
    this.#lines = new Map()
    this.#count = 0
    if (lines.size === 0) return
    this.#flushing = this.#store(lines).catch((error: unknown) => this.#lost(countOf(lines), String(error)))
    await this.#flushing
    this.#flushing = undefined
  }

  /** Every line of one message, oldest first, also those that other processes have stored. */
  async of(message: string): Promise<TraceEvent[]> {
    await this.flush()
    const { stream } = this.#options
    const found: TraceEvent[] = []
    const earliest = timeOfMessageId(message) ?? 0
    for (let from = 1; ; ) {
      const records = await stream.records(this.#subject(bucketOf(message)), 500, from)
      if (!records || records.length === 0) return once(found).sort(inOrder)
      for (const { payload, at } of records) if (at >= earliest - 60_000) found.push(...linesOf(payload).filter((event) => event.message === message))
      from = records.at(-1)!.seq + 1
    }
  }

  /** Messages by their addresses, also those that other processes have stored. */
  async find(question: TraceQuestion): Promise<TraceFound> {
    await this.flush()
    const { stream, name } = this.#options
    return findTraced({ stream, all: `${name}_trace.>`, subjectOf: (message) => this.#subject(bucketOf(message)) }, question)
  }

  async #store(lines: Map<number, TraceEvent[]>): Promise<void> {
    const records = [...lines].flatMap(([bucket, events]) => payloads(events).map((payload) => ({ subject: this.#subject(bucket), payload })))
    for (let tries = 0; tries < 3; tries++) {
      const answer = records.length === 1 ? await this.#options.stream.publish(records[0]!) : await this.#options.stream.batch(records)
      if (answer.kind === 'ack') return
      await sleep(this.#options.clock, 300)
    }
    this.#lost(countOf(lines), 'the stream did not take them')
  }
  #lost(count: number, why: string): void {
    this.#options.metrics.traceLost.inc(count)
    this.#options.log.warn('TRACE_LOST', { count, why })
  }
  #subject(bucket: number): string {
    return `${this.#options.name}_trace.${bucket}`
  }
}

/** Another process may try it before the one that took it hears that it is stored. */
const inOrder = (a: TraceEvent, b: TraceEvent): number => Number(b.kind === 'accepted') - Number(a.kind === 'accepted') || a.at - b.at

const countOf = (lines: ReadonlyMap<number, readonly TraceEvent[]>): number => [...lines.values()].reduce((sum, { length }) => sum + length, 0)
const bucketOf = (message: string): number => fnv1a(message) % buckets

/** What the servers stored, and said so in vain, was given to them again. */
const once = (events: readonly TraceEvent[]): TraceEvent[] => [...new Map(events.map((event) => [JSON.stringify(event), event])).values()]

/** One line of JSON per event; cut before a record gets too big. */
const payloads = (events: readonly TraceEvent[]): Buffer[] => {
  const out: string[] = ['']
  let bytes = 0
  for (const event of events) {
    const line = `${JSON.stringify(event)}\n`
    const more = Buffer.byteLength(line)
    if (bytes > 0 && bytes + more > mostBytes) {
      out.push('')
      bytes = 0
    }
    out[out.length - 1] += line
    bytes += more
  }
  return out.map((lines) => Buffer.from(lines))
}

const linesOf = (payload: Buffer): TraceEvent[] => payload.toString().split('\n').flatMap(parsed)
