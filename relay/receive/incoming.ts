// One message while its DATA comes: feeds the body writer, watches size, header section and octets, and says at the end what is wrong with it.
import { isAscii } from 'node:buffer'
import { reply, type Reply } from '../decide/index.ts'
import { HeaderReader, type HeaderFacts, type Listener } from '../snapshot/index.ts'
import type { BareOctet } from './data-scanner.ts'
import type { BodySink } from './state.ts'

const emptyLine = Buffer.from('\r\n\r\n')

export type IncomingLimits = { readonly bytes: number; readonly bytesManifest: string; readonly listener: Listener['limits'] }

export class Incoming {
  bytes = 0
  eightBit = false
  /** Who ends lines with LF or CR alone ends the message so too. */
  mayNeverEnd = false
  #fault: Reply | undefined
  #head = new HeaderReader()
  #headBytes = 0
  #headTail = Buffer.from('\r\n') // so that an empty first line is found
  #headOpen = true
  readonly #body: BodySink
  readonly #limits: IncomingLimits

  constructor(body: BodySink, limits: IncomingLimits) {
    this.#body = body
    this.#limits = limits
  }

  /** Whatever is refused is still read to its end, but kept no longer. */
  piece(piece: Buffer): Promise<void> | void {
    if (this.#fault) return
    this.bytes += piece.length
    if (this.bytes > this.#limits.bytes) return this.refuse(reply('too-big', { limit: this.#limits.bytes, manifest: this.#limits.bytesManifest }))
    if (!this.eightBit && !isAscii(piece)) this.eightBit = true
    if (this.#headOpen) this.#watchHead(piece)
    if (this.#fault) return
    return this.#body.write(piece).catch((error: unknown) => this.refuse(storageReply(error)))
  }

  bare(octet: BareOctet): Promise<void> | void {
    if (octet !== 'NUL') this.mayNeverEnd = true
    return this.refuse(octet === 'NUL' ? reply('nul') : reply('bare-newline', { what: octet === 'CR' ? 'carriage return' : 'line feed' }))
  }

  /** The first fault is the one that is told. */
  refuse(fault: Reply): Promise<void> | void {
    if (this.#fault) return
    this.#fault = fault
    this.#head = new HeaderReader()
    return this.#body.abandon().catch(() => {}) // what stays is swept
  }

  get fault(): Reply | undefined {
    return this.#fault
  }

  #watchHead(piece: Buffer): void {
    const end = this.#headEnd(piece)
    const kept = end === undefined ? piece : piece.subarray(0, end)
    this.#head.take(kept)
    this.#headBytes += kept.length
    this.#headTail = Buffer.concat([this.#headTail, piece.subarray(-3)]).subarray(-3)
    if (end !== undefined) this.#headOpen = false
    const limit = this.#limits.listener.headerBytes
    if (this.#headBytes > limit) void this.refuse(reply('bad-header', { why: `longer than ${limit} octets` }))
  }

  /** Where in this piece the header section ends: before the empty line, which pieces may split. */
  #headEnd(piece: Buffer): number | undefined {
    const across = Buffer.concat([this.#headTail, piece.subarray(0, 3)]).indexOf(emptyLine)
    if (across >= 0) return Math.max(0, across + 2 - this.#headTail.length)
    const inside = piece.indexOf(emptyLine)
    return inside < 0 ? undefined : inside + 2
  }

  /** What the header section says; faults of number are noted. */
  header(): HeaderFacts {
    const facts = this.#head.facts()
    const { headers, received } = this.#limits.listener
    if (facts.received > received) void this.refuse(reply('loop', { limit: received })) // RFC 5321 6.3
    else if (facts.fields > headers) void this.refuse(reply('bad-header', { why: `more than ${headers} fields` }))
    else if (facts.fromIsTooLong) void this.refuse(reply('bad-header', { why: 'From is too long' }))
    return facts
  }
}

/** To a client whose body could not be kept. */
export const storageReply = (error: unknown): Reply => {
  const { code, message } = error as { code?: unknown; message?: string }
  if (code === 'QUEUE_FULL') return reply('queue-full')
  return code === 'MEMORY_SHORT' ? reply('too-much-at-once') : reply('not-stored', { why: message ?? 'the queue refused' })
}
