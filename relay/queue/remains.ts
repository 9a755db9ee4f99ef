// What is left in the whole queue, for who wants to take the queue away: counts, and whether it is certain that there is nothing. Reads only.
import type { JetStream } from './jetstream.ts'
import type { Subjects } from './subjects.ts'
import { countDeliveries } from './totals.ts'
import type { QueueRemains } from './types.ts'

const kinds = ['ready', 'later', 'held'] as const

/** undefined: the servers do not answer. A count comes from any server and may lag, so of nothing the leader is asked too. */
export const remainsOf = async (stream: Pick<JetStream, 'count' | 'last' | 'records' | 'state' | 'subjects'>, subjects: Subjects): Promise<QueueRemains | undefined> => {
  const before = await stream.state()
  const counts = await countDeliveries(stream, subjects)
  if (before === undefined || counts === undefined) return undefined
  if (counts.ready + counts.deferred + counts.held > 0) return { ...counts, empty: false }
  const found = await Promise.all(kinds.map((kind) => stream.last(subjects.all(kind), 'leader')))
  const after = await stream.state()
  // a delivery that moves from one kind to another while we look writes a record
  return { ...counts, empty: found.every(({ kind }) => kind === 'missing') && after?.lastSeq === before.lastSeq }
}
