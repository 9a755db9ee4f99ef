// The bytes of a record: [version][size of its group][size of its accept batch][length of the head][head as JSON][bytes of the body];
// of a pack: [its version], then for each delivery [length][such a record]. Pure.
import { QueueError } from './errors.ts'
import type { BodyPointer, BodyStart, DeliveryHead, DeliveryRecord, Sizes } from './record.ts'

const version = 1
/** The newest format that this release writes and reads. */
export const packVersion = 2
export const alone: Sizes = { group: 1, batch: 1 }
const prefixBytes = 9

/** Of a delivery that was just encoded, before it is known what it goes with. */
export const withSizes = (payload: Buffer, sizes: Sizes): Buffer => {
  payload.writeUInt16BE(sizes.group, 1)
  payload.writeUInt16BE(sizes.batch, 3)
  return payload
}

export const encodeDelivery = (sizes: Sizes, head: DeliveryHead, inline: readonly Buffer[] = []): Buffer => frame(sizes, JSON.stringify(head), inline)

export const decodeDelivery = (payload: Buffer): DeliveryRecord => {
  const { sizes, head, rest } = unframe(payload)
  const found = head as DeliveryHead
  const isThere = (part: unknown): boolean => typeof part === 'object' && part !== null
  const sound = typeof found.message === 'string' && typeof found.n === 'string' && typeof found.domain === 'string' && typeof found.turn === 'number' && Array.isArray(found.recipients) && isThere(found.schedule) && isThere(found.envelope) && typeof found.envelope.class === 'string'
  if (!sound) throw new QueueError('RECORD_UNREADABLE', 'the head of the record is not that of a delivery')
  return { sizes, head: found, inline: rest }
}

export const encodeBodyStart = ({ pointer, first }: { pointer: BodyPointer; first: readonly Buffer[] }): Buffer => frame(alone, JSON.stringify(pointer), first)

export const decodeBodyStart = (payload: Buffer): BodyStart => {
  const { head, rest } = unframe(payload)
  return { pointer: head as BodyPointer, first: rest }
}

/** A note: subjects (without the relay's token) that are finished; those finished in advance with the time until which they may still appear. */
export type Note = { readonly finished: readonly string[]; readonly inAdvance?: readonly { readonly subject: string; readonly until: number }[] }
export const encodeNote = (note: Note): Buffer => frame(alone, JSON.stringify(note), [])
export const decodeNote = (payload: Buffer): Note => {
  const { head } = unframe(payload)
  if (!Array.isArray((head as Note).finished)) throw new QueueError('RECORD_UNREADABLE', 'the record is no note')
  return head as Note
}

export const emptyPackBytes = 1
export const inPackBytes = ({ length }: Buffer): number => 4 + length
/** Several deliveries in one record (packs.ts), each spelled as it would be alone. */
export const encodePack = (parts: readonly Buffer[]): Buffer => {
  const pack = Buffer.allocUnsafe(parts.reduce((sum, part) => sum + inPackBytes(part), emptyPackBytes))
  let at = pack.writeUInt8(packVersion, 0)
  for (const part of parts) {
    at = pack.writeUInt32BE(part.length, at)
    at += part.copy(pack, at)
  }
  return pack
}
export const isPack = (payload: Buffer): boolean => payload[0] === packVersion

/** Copies: a slice would keep the whole pack in memory for as long as one of its deliveries waits. */
export const decodePack = (pack: Buffer): Buffer[] => {
  const parts: Buffer[] = []
  for (let at = 1; at < pack.length; ) {
    const end = pack.length - at < 4 ? Infinity : at + 4 + pack.readUInt32BE(at)
    if (end > pack.length) throw new QueueError('RECORD_UNREADABLE', 'the record is cut short')
    parts.push(Buffer.from(pack.subarray(at + 4, end)))
    at = end
  }
  return parts
}

const frame = (sizes: Sizes, head: string, rest: readonly Buffer[]): Buffer => {
  const headBytes = Buffer.byteLength(head)
  const total = rest.reduce((sum, piece) => sum + piece.length, prefixBytes + headBytes)
  const payload = Buffer.allocUnsafe(total)
  payload.writeUInt8(version, 0)
  withSizes(payload, sizes)
  payload.writeUInt32BE(headBytes, 5)
  payload.write(head, prefixBytes)
  let at = prefixBytes + headBytes
  for (const piece of rest) at += piece.copy(payload, at)
  return payload
}

const unframe = (payload: Buffer): { sizes: Sizes; head: unknown; rest: Buffer } => {
  if (payload.length < 1) throw new QueueError('RECORD_UNREADABLE', 'the record is empty')
  if (payload.readUInt8(0) !== version) throw new QueueError('RECORD_VERSION', `the record has format ${payload.readUInt8(0)}, this release knows ${version} and ${packVersion}`)
  const end = payload.length < prefixBytes ? Infinity : prefixBytes + payload.readUInt32BE(5)
  if (end > payload.length) throw new QueueError('RECORD_UNREADABLE', 'the record is cut short')
  try {
    const head: unknown = JSON.parse(payload.toString('utf8', prefixBytes, end))
    if (typeof head !== 'object' || head === null) throw new TypeError('no object')
    return { sizes: { group: payload.readUInt16BE(1), batch: payload.readUInt16BE(3) }, head, rest: payload.subarray(end) }
  } catch (error) {
    throw new QueueError('RECORD_UNREADABLE', `the head of the record is not JSON: ${(error as Error).message}`)
  }
}
