// How many deliveries lie in the whole queue, by state: counts of records, asked for at most every 15 s and only while somebody wants them.
// Reads only.
import type { Clock } from './clock.ts'
import type { JetStream } from './jetstream.ts'
import type { Subjects } from './subjects.ts'
import type { QueueTotals } from './types.ts'

const freshMs = 15_000
const usefulMs = 180_000 // a scrape shows what the one before it asked for
const kinds = ['ready', 'later', 'held'] as const

/** Records are what is counted: one that has ended counts until it is removed, a moment later. */
export const createTotals = (stream: Pick<JetStream, 'count' | 'records'>, subjects: Subjects, clock: Pick<Clock, 'monotonic'>): (() => QueueTotals | undefined) => {
  let known: { readonly totals: QueueTotals; readonly at: number } | undefined
  let askedAt = -Infinity
  const ask = async (): Promise<void> => {
    const [[ready, deferred, held], first] = await Promise.all([Promise.all(kinds.map((kind) => stream.count(subjects.all(kind)))), stream.records(subjects.all('ready'), 1)])
    if (ready === undefined || deferred === undefined || held === undefined || first === undefined) return
    known = { totals: { ready, deferred, held, ...(first[0] && { oldestReadyAt: first[0].at }) }, at: clock.monotonic() }
  }
  const ageOf = (at: number): number => clock.monotonic() - at
  return () => {
    if (ageOf(askedAt) >= freshMs) {
      askedAt = clock.monotonic()
      void ask() // count answers undefined where it fails, it does not throw
    }
    return known && ageOf(known.at) <= usefulMs ? known.totals : undefined
  }
}
