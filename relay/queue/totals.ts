// How many deliveries lie in the whole queue, by state: counts of records. Reads only.
import type { Clock } from './clock.ts'
import { createGlance } from './glance.ts'
import type { JetStream } from './jetstream.ts'
import type { Subjects } from './subjects.ts'
import type { QueueTotals } from './types.ts'

const kinds = ['ready', 'later', 'held'] as const

type Asked = Pick<JetStream, 'count' | 'records'>

export const createTotals = (stream: Asked, subjects: Subjects, clock: Pick<Clock, 'monotonic'>): (() => QueueTotals | undefined) => createGlance(() => totalsOf(stream, subjects), clock)

/** Records are what is counted: one that has ended counts until it is removed, a moment later. */
export const totalsOf = async (stream: Asked, subjects: Subjects): Promise<QueueTotals | undefined> => {
  const [[ready, deferred, held], first] = await Promise.all([Promise.all(kinds.map((kind) => stream.count(subjects.all(kind)))), stream.records(subjects.all('ready'), 1)])
  if (ready === undefined || deferred === undefined || held === undefined || first === undefined) return undefined
  return { ready, deferred, held, ...(first[0] && { oldestReadyAt: first[0].at }) }
}
