// How records and answers are spelled for JetStream: headers out, acks and stored records in. Pure.
// Headers are spelled here and not by the client: encoding them is on the way of every message.
import type { Msg } from '@nats-io/transport-node'
import type { NewRecord, RawAnswer, StoredRecord } from './stream.ts'

export type BatchPlace = { readonly id: string; readonly n: number; readonly last: boolean }

/** undefined: no header at all. */
export const encodeHeaders = ({ id, expect, ttlSeconds, schedule }: NewRecord, batch?: BatchPlace): Buffer | undefined => {
  let text = ''
  if (batch) text += `Nats-Batch-Id: ${batch.id}\r\nNats-Batch-Sequence: ${batch.n}\r\n${batch.last ? 'Nats-Batch-Commit: 1\r\n' : ''}`
  if (id !== undefined) text += `Nats-Msg-Id: ${oneLine(id)}\r\n`
  if (expect) text += `Nats-Expected-Last-Subject-Sequence: ${expect.last}\r\n`
  if (expect?.of !== undefined) text += `Nats-Expected-Last-Subject-Sequence-Subject: ${oneLine(expect.of)}\r\n`
  if (ttlSeconds !== undefined) text += `Nats-TTL: ${ttlSeconds}s\r\n`
  if (schedule) text += `Nats-Schedule: @at ${new Date(schedule.at).toISOString()}\r\nNats-Schedule-Target: ${oneLine(schedule.target)}\r\n`
  return text === '' ? undefined : Buffer.from(`NATS/1.0\r\n${text}\r\n`)
}

const oneLine = (text: string): string => {
  if (/[\r\n\0]/.test(text)) throw new TypeError('a header value must be one line')
  return text
}

/** Of the JetStream API: its own fields, or why not. */
export type ApiAnswer = { readonly [key: string]: unknown; readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string } }
type Ack = { readonly seq?: number; readonly duplicate?: boolean; readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string } }

export const decodeAck = (data: Uint8Array): RawAnswer => {
  try {
    const ack = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString()) as Ack
    if (ack.error) return { kind: 'error', code: ack.error.err_code ?? ack.error.code, text: ack.error.description ?? '' }
    if (typeof ack.seq === 'number') return { kind: 'ack', seq: ack.seq, duplicate: ack.duplicate === true }
    return { kind: 'error', code: 0, text: 'the answer has neither a sequence nor an error' }
  } catch {
    return { kind: 'error', code: 0, text: `not an answer: ${Buffer.from(data).toString('latin1').slice(0, 80)}` }
  }
}

/** A record as a consumer hands it over; where it stands is in the reply subject. */
export const decodeDelivered = (message: Msg): { record: StoredRecord; place: number; pending: number } | undefined => {
  const tokens = (message.reply ?? '').split('.')
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || tokens.length < 9) return undefined
  const at = tokens.length >= 11 ? 7 : 5 // with the account's domain in front, or without
  const [seq, place, time, pending] = tokens.slice(at, at + 4)
  const record = { subject: message.subject, seq: Number(seq), at: Math.floor(Number(time) / 1e6), payload: asBuffer(message.data) }
  return { record, place: Number(place), pending: Number(pending) }
}

/** A record as a direct get answers it: where it stands is in headers. */
export const decodeDirect = (message: Msg): StoredRecord | undefined => {
  const headers = message.headers
  const seq = Number(headers?.get('Nats-Sequence') || NaN)
  if (!headers || Number.isNaN(seq)) return undefined
  return { subject: headers.get('Nats-Subject'), seq, at: Date.parse(headers.get('Nats-Time-Stamp')), payload: asBuffer(message.data) }
}

export const asBuffer = (data: Uint8Array): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength)
