// How many deliveries lie in the whole queue, by state: counts of records. Reads only.
import type { Clock } from './clock.ts'
import { createGlance } from './glance.ts'
import type { JetStream } from './jetstream.ts'
import type { Subjects } from './subjects.ts'
import type { QueueTotals } from './types.ts'

const kinds = ['ready', 'later', 'held'] as const

/** Records are what is counted: one that has ended counts until it is removed, a moment later. */
export const createTotals = (stream: Pick<JetStream, 'count' | 'records'>, subjects: Subjects, clock: Pick<Clock, 'monotonic'>): (() => QueueTotals | undefined) => {
  const ask = async (): Promise<QueueTotals | undefined> => {
    const [[ready, deferred, held], first] = await Promise.all([Promise.all(kinds.map((kind) => stream.count(subjects.all(kind)))), stream.records(subjects.all('ready'), 1)])
    if (ready === undefined || deferred === undefined || held === undefined || first === undefined) return undefined
    return { ready, deferred, held, ...(first[0] && { oldestReadyAt: first[0].at }) }
  }
  return createGlance(ask, clock)
}
