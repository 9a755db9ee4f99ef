// Composes one settle batch: what outcomes become in records, with the fence of each lane and a note of what is finished. Pure.
import { createHash } from 'node:crypto'
import { composeGroup, place } from './group.ts'
import type { Entry, Settled } from './entry.ts'
import { alone, encodeBodyStart, encodeDelivery, encodeNote } from './record-wire.ts'
import type { BodyPointer, DeliveryHead } from './record.ts'
import type { NewRecord } from './stream.ts'
import { deliveryToken, type Subjects } from './subjects.ts'
import { printMailbox, type Mailbox } from '../snapshot/index.ts'
import type { SiteOf } from './context.ts'
import type { ComposeNotice, Notice } from './types.ts'

export type Composing = {
  readonly subjects: Subjects
  readonly incarnation: string
  readonly number: number // of this batch within the incarnation
  readonly now: number // servers' time
  readonly siteOf: SiteOf
  readonly composeNotice: ComposeNotice
  readonly newMessageId: () => string
  readonly inlineBytes: number
}
/** `notes`: the first records of the batch. */
export type ComposedBatch = { readonly records: NewRecord[]; readonly notes: readonly { readonly lane: number; readonly subject: string }[]; readonly notices: readonly WrittenNotice[] }
/** `as` absent: nobody is told. `double`: whom a notice, or other mail from nobody, did not reach. */
export type WrittenNotice = { readonly message: string; readonly kind: Notice['kind']; readonly double?: readonly Mailbox[]; readonly as?: { readonly id: string; readonly to: readonly string[] } }

/**
 * The first record is the note that makes asking again harmless; each lane's fence stands on one record.
 * One lane with nothing but its note, as where everything was delivered, is one record with id and fence: it needs no batch, which costs the servers a folder and seven syncs.
 * Asked again when its id is forgotten it is stored twice, and says the same.
 */
export const composeSettle = (composing: Composing, settled: readonly Settled[]): ComposedBatch => {
  const notices = composeNotices(composing, settled)
  const work = [...settled.flatMap((one) => branches(composing, one)), ...notices.records]
  const lanes = [...new Map(settled.map(({ entry }) => [entry.tenure.lane, entry.tenure.epoch]))]
  const notes = lanes.map(([lane]) => noteOf(composing, lane, settled.filter(({ entry }) => entry.tenure.lane === lane)))
  const fences = lanes.map(([lane, epoch]) => ({ last: epoch, of: composing.subjects.epoch(lane) }))
  const [first, ...others] = notes
  const id = `${composing.incarnation}.${composing.number}`
  const told = { notes: notes.map(({ subject }, index) => ({ lane: lanes[index]![0], subject })), notices: notices.written }
  if (lanes.length === 1 && work.length === 0) return { records: [{ ...first!, id, expect: fences[0]! }], ...told }
  // nothing else to carry the first lane's fence: an empty note does
  const empty = { subject: `${first!.subject}f`, payload: encodeNote({ finished: [] }) }
  const carrier = work[0] ?? empty
  const records = [
    { ...first!, id, expect: { last: 0 } },
    ...others.map((note, index) => ({ ...note, expect: fences[index + 1]! })),
    { ...carrier, expect: fences[0]! },
    ...work.slice(1),
  ]
  return { records, ...told, notes: work.length > 0 ? told.notes : [...told.notes, { lane: lanes[0]![0], subject: empty.subject }] }
}

/** The subject without the relay's token. */
export const shortSubject = (subjects: Subjects, subject: string): string => subject.slice(subjects.relay.length + 1)
export const longSubject = (subjects: Subjects, short: string): string => `${subjects.relay}.${short}`

const noteOf = ({ subjects, incarnation, number }: Composing, lane: number, settled: readonly Settled[]): NewRecord => {
  const finished = settled.map(({ entry }) => shortSubject(subjects, entry.subject))
  const inAdvance = settled.flatMap((one) => (one.inAdvance ? [{ subject: shortSubject(subjects, one.inAdvance.subject), until: one.inAdvance.until }] : []))
  return { subject: subjects.note(lane, incarnation, number), payload: encodeNote({ finished, ...(inAdvance.length > 0 && { inAdvance }) }) }
}

/** What one delivery goes on as: waiting, on hold, both (then it is split), or ended. */
const branches = (composing: Composing, { entry, settlement }: Settled): NewRecord[] => {
  const { later, held } = settlement
  const [laterName, heldName] = later && held ? [`${entry.head.n}a`, `${entry.head.n}b`] : [entry.head.n, entry.head.n]
  const common = { ...entry.head, turn: entry.head.turn + 1, arrivedAt: entry.delivery.arrivedAt }
  const records: NewRecord[] = []
  if (later) {
    const counted = later.countsAsAttempt ? 1 : 0
    const head: DeliveryHead = { ...without(common, 'why', 'nextAt'), n: laterName, recipients: later.recipients, attempt: common.attempt + counted, delayNoticed: later.delayNoticed, last: later.last, ...(settlement.handOver && { movedHome: true }) }
    records.push(...waiting(composing, entry, head, later.at, settlement.handOver?.lane ?? entry.tenure.lane))
  }
  if (held) records.push(onHold(composing, entry, { ...without(common, 'nextAt'), n: heldName, recipients: held.recipients, why: held.why }))
  if (!later && !held && entry.head.body) records.push({ subject: composing.subjects.end(entry.head.body.id, entry.head.n), payload: Buffer.alloc(0) })
  return records
}

const without = <K extends keyof DeliveryHead>(head: DeliveryHead, ...keys: K[]): DeliveryHead => {
  const copy: Record<string, unknown> = { ...head }
  for (const key of keys) delete copy[key]
  return copy as DeliveryHead
}

/** Due already: ready at once. Else a schedule with envelope and pointer; the body is written at the first deferral. */
const waiting = ({ subjects, now }: Composing, entry: Entry, head: DeliveryHead, at: number, lane: number): NewRecord[] => {
  const token = deliveryToken(head.message, head.n)
  const target = subjects.ready(lane, head.envelope.class, token, head.turn)
  if (at <= now) return [{ subject: target, payload: encodeDelivery(alone, head, inlineOf(entry)) }]
  const pointer = head.body ?? ownBody(entry, token, shareEnded(head.n))
  const later = { subject: subjects.later(lane, head.domain, token, head.turn), payload: encodeDelivery(alone, { ...head, body: pointer, nextAt: at }), schedule: { at, target } }
  if (head.body) return [later]
  return [later, { subject: subjects.body(pointer.id, 0), payload: encodeBodyStart({ pointer, first: inlineOf(entry) }) }]
}

const onHold = ({ subjects }: Composing, entry: Entry, head: DeliveryHead): NewRecord => ({
  subject: subjects.held(entry.tenure.lane, head.domain, deliveryToken(head.message, head.n), head.turn),
  payload: encodeDelivery(alone, head, inlineOf(entry)),
})

const inlineOf = ({ inline }: Entry): Buffer[] => (inline ? [inline] : [])

/** A body that travelled with its delivery and now gets a place of its own. */
const ownBody = ({ inline = Buffer.alloc(0) }: Entry, token: string, shared: number): BodyPointer => ({ id: token, chunks: 0, bytes: inline.length, sha256: createHash('sha256').update(inline).digest('hex'), hashedFrom: 0, shared })

/** Notices of one message and kind become one message, whatever number of deliveries they come from. */
const composeNotices = (composing: Composing, settled: readonly Settled[]) => {
  const groups = new Map<string, { readonly first: Settled; readonly notices: Notice[] }>()
  for (const one of settled)
    for (const notice of one.settlement.notices) {
      const key = `${one.entry.head.message} ${notice.kind}`
      const group = groups.get(key) ?? { first: one, notices: [] }
      groups.set(key, group)
      group.notices.push(notice)
    }
  const records: NewRecord[] = []
  const written: WrittenNotice[] = []
  for (const { first, notices } of groups.values()) {
    const id = composing.newMessageId()
    const message = composing.composeNotice({ delivery: first.entry.delivery, notices, original: first.original?.bytes ?? Buffer.alloc(0), originalIsWhole: first.original?.whole ?? false, id, now: composing.now })
    const { kind } = notices[0]!
    const isDouble = kind === 'failed' && first.entry.head.envelope.mailFrom === null
    if (message) records.push(...composeGroup(composing.subjects, message.id, [place(message, composing.siteOf, composing.inlineBytes)], false))
    written.push({
      message: first.entry.head.message, kind, ...(isDouble && { double: notices.map(({ recipient }) => recipient.mailbox) }),
      ...(message && { as: { id: message.id, to: message.deliveries.flatMap(({ recipients }) => recipients.map(({ mailbox }) => printMailbox(mailbox))) } }),
    })
  }
  return { records, written }
}

/** Ends of a shared body: a delivery split in two counts as halves, those split again as quarters. */
export const shareEnded = (n: string): number => 2 ** -(n.length - n.replace(/[ab]+$/, '').length)

