// Turns messages into the records of one atomic batch: deliveries by lane, in packs, and shared bodies beside them. Pure.
import { createHash } from 'node:crypto'
import type { SiteOf } from './context.ts'
import { laneOf } from './lanes.ts'
import { mostParts, packBytes } from './packs.ts'
import { alone, emptyPackBytes, encodeBodyStart, encodeDelivery, encodePack, inPackBytes, withSizes } from './record-wire.ts'
import type { BodyPointer, DeliveryHead, Sizes } from './record.ts'
import type { NewRecord } from './stream.ts'
import { deliveryToken, type MailClass, type Subjects } from './subjects.ts'
import type { NewMessage } from './types.ts'

/** A message with its place: which lane each delivery has, and where its bytes go. */
export type Placed = {
  readonly deliveries: readonly { readonly lane: number; readonly head: DeliveryHead; readonly inline: readonly Buffer[]; readonly hold?: string }[]
  readonly body?: { readonly pointer: BodyPointer; readonly first: readonly Buffer[] }
  readonly records: number
  readonly bytes: number // about what it takes in a batch
}

export const place = (message: NewMessage, siteOf: SiteOf, inlineBytes: number): Placed => {
  const { body, first, bytes } = placeBody(message, inlineBytes)
  const deliveries = message.deliveries.map((delivery, index) => ({
    lane: laneOf(siteOf(delivery.domain, message.envelope)),
    head: firstHead(message, index, bytes, body?.pointer),
    inline: body ? [] : first,
    ...(delivery.hold !== undefined && { hold: delivery.hold }),
  }))
  const firstBytes = first.reduce((sum, piece) => sum + piece.length, 0)
  const copies = body ? 1 : deliveries.length
  return { deliveries, ...(body && { body }), records: deliveries.length + (body ? 1 : 0), bytes: firstBytes * copies + deliveries.length * 700 }
}

const placeBody = ({ id, headers, body, deliveries }: NewMessage, inlineBytes: number) => {
  if ('chunked' in body) {
    const { id: bodyId, chunks, bytes, sha256, head } = body.chunked
    const pointer = { id: bodyId, chunks, bytes: headers.length + bytes, sha256, hashedFrom: headers.length, shared: deliveries.length }
    return { body: { pointer, first: [headers, head] }, first: [headers, head], bytes: pointer.bytes }
  }
  const first = [headers, body.inline]
  const bytes = headers.length + body.inline.length
  if (deliveries.length === 1 || bytes * deliveries.length <= inlineBytes) return { body: undefined, first, bytes }
  const sha256 = createHash('sha256').update(body.inline).digest('hex')
  return { body: { pointer: { id, chunks: 0, bytes, sha256, hashedFrom: headers.length, shared: deliveries.length }, first }, first, bytes }
}

const firstHead = ({ id, envelope, deliveries }: NewMessage, index: number, bytes: number, body: BodyPointer | undefined): DeliveryHead => {
  const { domain, recipients, schedule, hold } = deliveries[index]!
  return { message: id, n: String(index), envelope, domain, recipients, schedule, attempt: 1, turn: 0, bytes, delayNoticed: false, ...(body && { body }), ...(hold !== undefined && { why: hold }) }
}

/** The records of a group; the same group and messages give the same records, so that it can be asked again. */
export const composeGroup = (subjects: Subjects, group: string, messages: readonly Placed[], packing: boolean): NewRecord[] => {
  const ready = messages.flatMap(({ deliveries }) => deliveries.filter(({ hold }) => hold === undefined).map(({ lane, head, inline }) => ({ lane, mailClass: head.envelope.class, part: encodeDelivery(alone, head, inline) })))
  const packs = [...Map.groupBy(ready, ({ lane }) => lane).values()].flatMap((ofLane) => inPacks(ofLane, packing))
  const shares = Map.groupBy(packs, ([first, second]) => (second ? `${first!.lane}` : `${first!.lane} ${first!.mailClass}`)) // by what their subjects begin with
  const readyRecords = [...shares.values()].flatMap((share) => share.map((pack, n) => readyRecord(subjects, group, n, pack, { group: share.length, batch: packs.length })))
  return [...readyRecords, ...messages.flatMap((message) => [...heldRecords(subjects, message), ...bodyRecord(subjects, message)])]
}

type ToGo = { readonly lane: number; readonly mailClass: MailClass; readonly part: Buffer }

const readyRecord = (subjects: Subjects, group: string, n: number, pack: readonly ToGo[], sizes: Sizes): NewRecord => {
  const { lane, mailClass } = pack[0]!
  const parts = pack.map(({ part }) => withSizes(part, sizes))
  if (parts.length > 1) return { subject: subjects.pack(lane, group, n, parts.length), payload: encodePack(parts) }
  return { subject: subjects.ready(lane, mailClass, group, n), payload: parts[0]! }
}

/** As many to a record as it may hold, by their very bytes: a server refuses what is larger than it takes. One each where somebody reads no packs. */
const inPacks = (ofLane: readonly ToGo[], packing: boolean): ToGo[][] => {
  const packs: ToGo[][] = []
  let bytes = Infinity
  for (const one of ofLane) {
    const more = inPackBytes(one.part)
    const last = packs.at(-1)
    if (packing && last && last.length < mostParts && bytes + more <= packBytes) {
      last.push(one)
      bytes += more
    } else {
      packs.push([one])
      bytes = emptyPackBytes + more
    }
  }
  return packs
}

const heldRecords = (subjects: Subjects, { deliveries }: Placed): NewRecord[] =>
  deliveries
    .filter(({ hold }) => hold !== undefined)
    .map(({ lane, head, inline }) => ({ subject: subjects.held(lane, head.domain, deliveryToken(head.message, head.n), head.turn), payload: encodeDelivery(alone, head, inline) }))

const bodyRecord = (subjects: Subjects, { body }: Placed): NewRecord[] => (body ? [{ subject: subjects.body(body.pointer.id, 0), payload: encodeBodyStart(body) }] : [])
