// How many deliveries lie in the whole queue, by state. Reads only.
import type { Clock } from './clock.ts'
import { longSubject } from './compose.ts'
import { createGlance } from './glance.ts'
import type { JetStream } from './jetstream.ts'
import { finishedIn } from './notes.ts'
import { countOfRecord, recordOf, type Subjects } from './subjects.ts'
import type { QueueTotals } from './types.ts'

type Asked = Pick<JetStream, 'count' | 'records' | 'subjects'>

export const createTotals = (stream: Asked, subjects: Subjects, clock: Pick<Clock, 'monotonic'>): (() => QueueTotals | undefined) => createGlance(() => totalsOf(stream, subjects), clock)

/** undefined: the servers do not answer. */
export const countDeliveries = async (stream: Asked, subjects: Subjects): Promise<Pick<QueueTotals, 'ready' | 'deferred' | 'held'> | undefined> => {
  const [ready, deferred, held, packs] = await Promise.all([stream.count(subjects.all('ready')), stream.count(subjects.all('later')), stream.count(subjects.all('held')), stream.subjects(subjects.packs)])
  if (ready === undefined || deferred === undefined || held === undefined || packs === undefined) return undefined
  const ended = await endedIn(packs, stream, subjects)
  const inPacks = [...packs.keys()].reduce((sum, subject) => sum + countOfRecord(subject) - 1, 0)
  return ended === undefined ? undefined : { ready: Math.max(0, ready + inPacks - ended), deferred, held }
}

/** Deliveries of packs that are kept by others in them, which may take an hour. */
const endedIn = async (packs: ReadonlyMap<string, number>, stream: Asked, subjects: Subjects): Promise<number | undefined> => {
  const notes = packs.size === 0 ? [] : await stream.records(subjects.all('done'), mostNotes)
  const named = notes?.flatMap(finishedIn).map((short) => longSubject(subjects, short))
  return named && new Set(named.filter((subject) => packs.has(recordOf(subject).record))).size
}
const mostNotes = 2_000 // of more, what the others name counts as ready until it is removed

/** What has ended counts until its record is removed, a moment later; in a pack until it is noted. */
export const totalsOf = async (stream: Asked, subjects: Subjects): Promise<QueueTotals | undefined> => {
  const [counts, first] = await Promise.all([countDeliveries(stream, subjects), stream.records(subjects.all('ready'), 1)])
  return counts && first && { ...counts, ...(first[0] && { oldestReadyAt: first[0].at }) }
}
