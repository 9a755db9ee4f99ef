// Says when a message is stored: offers gather while one or two batches are on their way, each batch one sync for all.
// Writes ready, held and body records; removes nothing.
import { randomBytes } from 'node:crypto'
import { readAnswer } from './answers.ts'
import { sleep } from './clock.ts'
import { batchRecords, type Context } from './context.ts'
import { apart, mayFly, nextBatch } from './gather.ts'
import { composeGroup, place, type Placed } from './group.ts'
import type { Room } from './room.ts'
import type { NewRecord } from './stream.ts'
import type { Accepted, NewMessage } from './types.ts'

type Offer = Placed & { readonly deadline: number; readonly answer: (accepted: Accepted) => void }

export type Accept = {
  accept(message: NewMessage, patienceMs?: number): Promise<Accepted>
  /** Stored or given up: nothing waits any more. */
  idle(): boolean
}

const usualPatienceMs = 20_000

/** `refusal`: why nothing may be accepted just now. `mayPack`: every live process can read packs. */
export const createAccept = (context: Context, room: Room, refusal: () => Accepted | undefined, mayPack: () => boolean): Accept => {
  const waiting: Offer[] = []
  let inFlight = 0

  const pump = () => {
    while (mayFly(inFlight, waiting.length)) {
      inFlight++
      const packing = mayPack()
      const offers = waiting.splice(0, nextBatch(waiting))
      void Promise.all((packing ? apart(offers) : [offers]).map((some) => fly(context, some, packing))).finally(() => {
        inFlight--
        pump()
      })
    }
  }
  const offer = (placed: Placed, patienceMs: number) =>
    new Promise<Accepted>((resolve) => {
      const cancel = context.clock.after(patienceMs, () => resolve({ kind: 'unknown', why: 'the queue did not say in time that it is stored' }))
      const answer = (accepted: Accepted) => (cancel(), resolve(accepted))
      waiting.push({ ...placed, deadline: context.clock.monotonic() + patienceMs, answer })
      pump()
    })

  return {
    idle: () => inFlight === 0 && waiting.length === 0,
    accept: async (message, patienceMs = usualPatienceMs) => {
      const refused = refusal()
      if (refused) return refused
      const placed = placeSafely(context, message)
      if (!placed) return { kind: 'unknown', why: 'an internal error' }
      if (placed.records > batchRecords) return { kind: 'refused', why: 'too-many-domains' }
      if (placed.deliveries.some(isTooBig)) return { kind: 'refused', why: 'too-many-recipients' }
      if (!(await room.take(placed.bytes, patienceMs))) return { kind: 'refused', why: 'memory' }
      try {
        return await offer(placed, patienceMs)
      } finally {
        room.give(placed.bytes)
      }
    },
  }
}

/** A server takes records of 1 MiB, and what is tried later says why, too. Of few recipients the lines of SMTP are a bound. */
const mostRecordBytes = 900_000
const fewRecipients = 100
const isTooBig = ({ head, inline }: Placed['deliveries'][number]): boolean =>
  head.recipients.length > fewRecipients && Buffer.byteLength(JSON.stringify(head)) + inline.reduce((sum, piece) => sum + piece.length, 0) > mostRecordBytes

const placeSafely = (context: Context, message: NewMessage): Placed | undefined => {
  try {
    if (message.deliveries.length === 0) throw new TypeError('a message without deliveries')
    return place(message, context.siteOf, context.limits.inlineBytes)
  } catch (error) {
    context.log.error('BUG', { part: 'accept', message: message.id, error: String((error as Error).stack) })
    return undefined
  }
}

/** Asks until it is stored, or until nobody waits for the answer any more. */
const fly = async (context: Context, offers: readonly Offer[], packing: boolean): Promise<void> => {
  try {
    const records = groupRecords(context, offers, packing)
    const lastDeadline = Math.max(...offers.map(({ deadline }) => deadline))
    for (let wait = 50; ; wait = Math.min(wait * 2, 1_000)) {
      const raw = records.length === 1 ? await context.stream.publish(records[0]!) : await context.stream.batch(records)
      const meaning = readAnswer(raw, { ownAbsent: true, fence: false })
      if (meaning.kind === 'stored') return tell(offers, { kind: 'stored' })
      const why = meaning.kind === 'unknown' ? meaning.why : meaning.kind
      if (context.clock.monotonic() + wait >= lastDeadline) return tell(offers, { kind: 'unknown', why })
      await sleep(context.clock, wait)
    }
  } catch (error) {
    context.log.error('BUG', { part: 'accept', error: String((error as Error).stack) })
    tell(offers, { kind: 'unknown', why: 'an internal error' })
  }
}

/** The first record carries what makes asking again harmless. */
const groupRecords = ({ subjects }: Context, offers: readonly Offer[], packing: boolean): NewRecord[] => {
  const group = randomBytes(9).toString('hex')
  const [first, ...others] = composeGroup(subjects, group, offers, packing)
  return [{ ...first!, id: group, expect: { last: 0 } }, ...others]
}

const tell = (offers: readonly Offer[], accepted: Accepted): void => {
  for (const { answer } of offers) answer(accepted)
}
