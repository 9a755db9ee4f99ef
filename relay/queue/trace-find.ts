// Finds messages in the trace by address, the newest first: a page at a time from its end, and within bounds, so that a question never
// costs the relay its work. What became of each is read forward from where it was accepted. Reads only.
import { setImmediate as breathe } from 'node:timers/promises'
import { unreachable } from './errors.ts'
import type { Stream, StoredRecord } from './stream.ts'
import type { Became, TracedMessage, TraceEvent, TraceFound, TraceQuestion } from './types.ts'

/** Of one question: bytes read, and its time. */
export type FindBounds = { readonly bytes: number; readonly ms: number }
export const usualBounds: FindBounds = { bytes: 64_000_000, ms: 10_000 }

type Where = { readonly stream: Pick<Stream, 'records' | 'last'>; readonly all: string; subjectOf(message: string): string }
type Seen = { readonly event: TraceEvent; readonly seq: number }

const leastPage = 32 // records, each of at most 700,000 bytes
const mostPage = 512 // of a quiet relay, where a record is one line
const pageBytes = 1_000_000
const lateMs = 60_000 // lines gather before they are stored
const othersAhead = 1_000 // records: another process may have stored what became of it before this one stored that it was accepted

export const findTraced = async (where: Where, question: TraceQuestion, bounds = usualBounds): Promise<TraceFound> => {
  const purse = createPurse(bounds)
  const fits = fitting(question)
  const seen: Seen[] = []
  const known = new Set<string>() // a line may be stored twice (trace-stream.ts)
  let reached: number | undefined
  let complete = false
  let page = leastPage
  for (let before = await endOf(where, question.until); ; ) {
    if (seen.length >= question.limit || purse.empty()) break
    const records = await pageBefore(where, before, page)
    for (const record of records.toReversed()) {
      purse.take(record)
      for (const event of linesWith(record, fits.clues).filter((one) => fits.event(one) && !known.has(one.message))) {
        known.add(event.message)
        seen.push({ event, seq: record.seq })
      }
      await breathe()
    }
    const first = records[0]
    complete = first === undefined || first.seq === 1 || first.seq > before - page || first.at < question.since - lateMs
    if (complete || first === undefined) break
    reached = first.at
    before = first.seq
    page = nextPage(page, records)
  }
  const enough = seen.length >= question.limit
  const newest = seen.toSorted((a, b) => b.event.at - a.event.at)
  const messages: TracedMessage[] = []
  for (const one of newest.slice(0, question.limit)) messages.push(await tracedOf(where, one, purse))
  return { messages, more: newest.length > question.limit || (enough && !complete), ...(!complete && !enough && reached !== undefined && { reached }) }
}

const createPurse = ({ bytes, ms }: FindBounds) => {
  const end = performance.now() + ms
  let left = bytes
  return { take: ({ payload }: StoredRecord) => void (left -= payload.length), empty: () => left <= 0 || performance.now() > end }
}
type Purse = ReturnType<typeof createPurse>

/** The sequence behind the last record to look at: found by halving, for a sequence has a time. */
const endOf = async ({ stream, all }: Where, until: number | undefined): Promise<number> => {
  const last = await stream.last(all, 'leader')
  if (last.kind === 'unknown') throw unreachable()
  if (last.kind === 'missing') return 1
  if (until === undefined) return last.record.seq + 1
  let [low, high] = [1, last.record.seq + 1]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [record] = await answered(stream.records(all, 1, middle))
    if (record !== undefined && record.at <= until + lateMs) low = Math.min(record.seq, high - 1) + 1
    else high = middle
  }
  return low
}

/** Twice as many where they were small. */
const nextPage = (page: number, records: readonly StoredRecord[]): number =>
  records.reduce((sum, { payload }) => sum + payload.length, 0) > pageBytes ? leastPage : Math.min(mostPage, page * 2)

const pageBefore = async ({ stream, all }: Where, before: number, page: number): Promise<StoredRecord[]> =>
  before <= 1 ? [] : (await answered(stream.records(all, page, Math.max(1, before - page)))).filter(({ seq }) => seq < before)

const answered = async (asked: Promise<StoredRecord[] | undefined>): Promise<StoredRecord[]> => {
  const records = await asked
  if (records === undefined) throw unreachable()
  return records
}

/** `clues`: what a line holds wherever it fits; most lines need not be parsed. Upper and lower case are not told apart: people seldom know. */
const fitting = ({ to, from, since, until = Infinity }: TraceQuestion) => {
  const wanted = { to: to?.toLowerCase(), from: from?.toLowerCase() }
  const address = wanted.to ?? wanted.from ?? ''
  const domain = address.slice(address.lastIndexOf('@') + 1)
  const event = (one: TraceEvent): boolean =>
    one.kind === 'accepted' && one.at >= since && one.at <= until &&
    (wanted.from === undefined || one.from?.toLowerCase() === wanted.from) &&
    (wanted.to === undefined || (one.recipients ?? []).some((recipient) => recipient.toLowerCase() === wanted.to))
  return { clues: ['"kind":"accepted"', domain.startsWith('[') ? '' : domain], event } // a literal holds capitals
}

const linesWith = ({ payload }: StoredRecord, clues: readonly string[]): TraceEvent[] =>
  clues.every((clue) => payload.includes(clue)) ? payload.toString().split('\n').filter((line) => clues.every((clue) => line.includes(clue))).flatMap(parsed) : []

/** One line of a record; none where it is empty or was cut. */
export const parsed = (line: string): TraceEvent[] => {
  try {
    return line === '' ? [] : [JSON.parse(line) as TraceEvent]
  } catch {
    return []
  }
}

const tracedOf = async (where: Where, seen: Seen, purse: Purse): Promise<TracedMessage> => {
  const { at, message, from, recipients = [] } = seen.event
  const became = await becameOf(where, seen, purse)
  return { at, message, recipients, ...(from !== undefined && { from }), ...(became !== undefined && { became }) }
}

const stateAfter: Readonly<Partial<Record<TraceEvent['kind'], keyof Became>>> = { delivered: 'delivered', deferred: 'deferred', bounced: 'bounced', held: 'held', released: 'waiting', deleted: 'deleted', dropped: 'dropped' }
const isOver = (state: keyof Became): boolean => !['waiting', 'deferred', 'held'].includes(state)

/** How many recipients came to what; undefined: the bounds were reached before. */
const becameOf = async ({ stream, subjectOf }: Where, { event: { message, recipients = [] }, seq }: Seen, purse: Purse): Promise<Became | undefined> => {
  const states = new Map<string, keyof Became>(recipients.map((recipient) => [recipient, 'waiting']))
  for (let from = Math.max(1, seq - othersAhead); ; ) {
    if (purse.empty()) return undefined
    const records = await answered(stream.records(subjectOf(message), leastPage, from))
    for (const record of records) {
      purse.take(record)
      for (const { kind, message: of, recipients: ended = [] } of linesWith(record, [message])) {
        const state = of === message ? stateAfter[kind] : undefined
        if (state !== undefined) for (const recipient of ended) states.set(recipient, state)
      }
      await breathe()
    }
    const ends = [...states.values()]
    if (records.length < leastPage || (records.at(-1)!.seq > seq && ends.length > 0 && ends.every(isOver))) return counted(ends)
    from = records.at(-1)!.seq + 1
  }
}

const counted = (states: readonly (keyof Became)[]): Became => {
  const counts: { -readonly [state in keyof Became]: number } = {}
  for (const state of states) counts[state] = (counts[state] ?? 0) + 1
  return counts
}
