// Housekeeping that nobody waits for: bodies whose deliveries have all ended, chunks that never became a message,
// schedules that came due and did not fire. Removes only what is proven to be over.
import type { Context } from './context.ts'
import { shareEnded } from './compose.ts'
import { entryOf, type Settled } from './entry.ts'
import type { QueueError } from './errors.ts'
import type { Tenure } from './own.ts'
import { decodeBodyStart } from './record-wire.ts'
import type { BodyPointer } from './record.ts'
import type { Removal } from './removal.ts'
import { deliveryToken } from './subjects.ts'
import type { StoredRecord } from './stream.ts'

const overdueMs = 60_000
export const mayFireForMs = 120_000

/** Purges a body when every delivery that shares it has ended, and the ends with it: they are younger, so that a crash in the middle leaves them. */
export const removeEnded = async ({ stream, subjects }: Context, removal: Removal, { id, shared, chunks }: Pick<BodyPointer, 'id' | 'shared' | 'chunks'>, n: string, upTo: number): Promise<void> => {
  const isAlone = shareEnded(n) >= shared
  if (isAlone && chunks === 0) return removal.all(subjects.body(id, 0), upTo + 1, () => removal.all(subjects.end(id, n), upTo + 1)) // the most, and by name
  if (isAlone) return removal.all(subjects.bodyOf(id), upTo + 1)
  const ends = await stream.subjects(subjects.endsOf(id))
  if (!ends || sharesIn(ends.keys()) < shared) return
  const state = await stream.state() // an end that was seen may be younger than our own
  removal.all(subjects.bodyOf(id), (state?.lastSeq ?? upTo) + 1)
}

const sharesIn = (ends: Iterable<string>): number => [...ends].reduce((sum, subject) => sum + shareEnded(subject.slice(subject.lastIndexOf('.') + 1)), 0)

/** Ends whose body was not removed because a process died in between. */
export const sweepEnds = async (context: Context, removal: Removal): Promise<void> => {
  const { stream, subjects } = context
  const [ends, oldEnds, state] = [await stream.subjects(subjects.ends), await stream.subjects(subjects.oldEnds), await stream.state()]
  if (!ends || !oldEnds || !state) return
  const old = new Set([...oldEnds.keys()].map(bodyId))
  for (const [body, ofBody] of Map.groupBy([...ends.keys(), ...oldEnds.keys()], bodyId)) {
    if (removal.isBehind()) return // the rest is found the next time
    const start = await stream.last(subjects.body(body, 0), 'leader')
    const isOver = start.kind === 'missing' || (start.kind === 'found' && sharesIn(ofBody) >= sharedBy(start.record))
    if (isOver) removal.all(subjects.bodyOf(body), state.lastSeq + 1, () => old.has(body) && removal.all(subjects.oldEndsOf(body), state.lastSeq + 1))
  }
}

/** What this release cannot read it leaves alone. */
const sharedBy = ({ payload }: StoredRecord): number => {
  try {
    return decodeBodyStart(payload).pointer.shared
  } catch {
    return Infinity
  }
}

/** Chunks of half bodies: old enough, and their chunk 0 the leader does not have. */
export const sweepChunks = async ({ stream, subjects, log, limits }: Context, serverNow: number): Promise<number> => {
  // of all bodies only those in chunks: the first is there, or where its storing failed the second that was on its way beside it
  const [first, second] = [await stream.subjects(subjects.bodiesWith(1)), await stream.subjects(subjects.bodiesWith(2))]
  if (!first || !second) return 0
  let swept = 0
  for (const id of new Set([...first.keys(), ...second.keys()].map(bodyId))) {
    if ((await stream.last(subjects.body(id, 0), 'leader')).kind !== 'missing') continue
    const names = [...((await stream.subjects(subjects.bodyOf(id)))?.keys() ?? [])]
    const newest = await newestOf(stream, names)
    if (!newest || serverNow - newest.at < limits.halfBodyMs || (await stream.last(subjects.body(id, 0), 'leader')).kind !== 'missing') continue
    if ((await stream.purge(subjects.bodyOf(id), newest.seq + 1)) !== undefined) swept++
    log.info('SWEPT', { body: id, chunks: names.length })
  }
  return swept
}

const bodyId = (subject: string): string => subject.split('.')[2]!

/** undefined: one of them could not be asked for. */
const newestOf = async (stream: Context['stream'], names: readonly string[]): Promise<StoredRecord | undefined> => {
  let newest: StoredRecord | undefined
  for (const name of names) {
    const found = await stream.last(name, 'leader')
    if (found.kind === 'unknown') return undefined
    if (found.kind === 'found' && found.record.seq > (newest?.seq ?? 0)) newest = found.record
  }
  return newest
}

const toldOf = new WeakMap<Tenure, number>()

/** What waits and cannot be read is told once by each owner of its lane, not at every look: it stays as it is until its schedule fires. */
const tellOnce = (log: Context['log'], tenure: Tenure, { subject, seq }: StoredRecord, error: Error): void => {
  if (seq <= (toldOf.get(tenure) ?? 0)) return
  toldOf.set(tenure, seq)
  log.error((error as QueueError).code === 'RECORD_VERSION' ? 'RECORD_VERSION' : 'RECORD_UNREADABLE', { subject, seq, error: error.message })
}

/** Waiting deliveries of a lane whose time has long come: each as a new attempt, due at once. */
export const overdueOf = async ({ stream, subjects, log }: Context, tenure: Tenure, serverNow: number): Promise<Settled[]> => {
  const overdue: Settled[] = []
  const filter = `${subjects.relay}.later.${tenure.lane}.>`
  for (let from = 1; tenure.state === 'kept'; ) {
    const records = await stream.records(filter, 1_000, from)
    if (!records || records.length === 0) break
    for (const record of records) {
      try {
        const entry = entryOf(tenure, record)
        if ((entry.head.nextAt ?? Infinity) < serverNow - overdueMs) overdue.push(moved(subjects, entry, serverNow))
      } catch (error) {
        tellOnce(log, tenure, record, error as Error)
      }
    }
    from = records.at(-1)!.seq + 1
  }
  return overdue
}

const moved = (subjects: Context['subjects'], entry: Settled['entry'], serverNow: number): Settled => {
  const { delivery } = entry
  const last = delivery.last ?? { at: serverNow, why: 'its schedule did not fire' }
  return {
    entry,
    settlement: { later: { recipients: delivery.recipients, at: 0, delayNoticed: delivery.delayNoticed, last, countsAsAttempt: false }, notices: [], trace: [] },
    inAdvance: { subject: targetOf(subjects, entry), until: serverNow + mayFireForMs },
  }
}

/** The ready subject on which a waiting delivery's schedule puts it. */
export const targetOf = (subjects: Context['subjects'], { head, tenure }: Settled['entry']): string =>
  subjects.ready(tenure.lane, head.envelope.class, deliveryToken(head.message, head.n), head.turn)
