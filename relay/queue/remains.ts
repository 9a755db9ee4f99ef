// What is left in the whole queue, for who wants to take the queue away: counts, and whether it is certain that there is nothing. Reads only.
import type { JetStream } from './jetstream.ts'
import type { Subjects } from './subjects.ts'
import type { QueueRemains } from './types.ts'

const kinds = ['ready', 'later', 'held'] as const

/** undefined: the servers do not answer. A count comes from any server and may lag, so of nothing the leader is asked too. */
export const remainsOf = async (stream: Pick<JetStream, 'count' | 'last' | 'state'>, subjects: Subjects): Promise<QueueRemains | undefined> => {
  const before = await stream.state()
  const [ready, deferred, held] = await Promise.all(kinds.map((kind) => stream.count(subjects.all(kind))))
  if (before === undefined || ready === undefined || deferred === undefined || held === undefined) return undefined
  const counts = { ready, deferred, held }
  if (ready + deferred + held > 0) return { ...counts, empty: false }
  const found = await Promise.all(kinds.map((kind) => stream.last(subjects.all(kind), 'leader')))
  const after = await stream.state()
  // a delivery that moves from one kind to another while we look writes a record
  return { ...counts, empty: found.every(({ kind }) => kind === 'missing') && after?.lastSeq === before.lastSeq }
}
