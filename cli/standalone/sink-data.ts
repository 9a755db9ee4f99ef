// The bytes after 354, strictly: only CR LF . CR LF ends them, and every bare CR, bare LF and NUL is noted. Pure.
const end = Buffer.from('\r\n.\r\n')

export class DataReader {
  readonly #keep: boolean
  readonly #pieces: Buffer[] = []
  #tail = Buffer.from('\r\n') // as if a line had just ended: a message may be a lone dot
  bytes = 0

  constructor(keep: boolean) {
    this.#keep = keep
  }

  /** What follows the message; undefined while it goes on. */
  feed(chunk: Buffer): Buffer | undefined {
    const both = Buffer.concat([this.#tail, chunk])
    const at = both.indexOf(end)
    const before = this.#tail.length
    this.#take(at < 0 ? chunk : chunk.subarray(0, Math.max(0, at + end.length - before)))
    if (at >= 0) return chunk.subarray(Math.max(0, at + end.length - before))
    this.#tail = both.subarray(Math.max(0, both.length - end.length + 1))
    return undefined
  }

  #take(piece: Buffer): void {
    this.bytes += piece.length
    if (this.#keep) this.#pieces.push(piece)
  }

  /** As it was before dot-stuffing, without the final dot. */
  message(): Buffer {
    if (!this.#keep) return Buffer.alloc(0)
    const wire = Buffer.concat(this.#pieces)
    return undot(wire.subarray(0, Math.max(0, wire.length - 3)))
  }

  faults(eightBitDeclared: boolean): string[] {
    const wire = Buffer.concat(this.#pieces).toString('latin1')
    const checks: readonly [boolean, string][] = [
      [/[^\r]\n|^\n/.test(wire), 'bare LF'],
      [/\r(?!\n)/.test(wire), 'bare CR'],
      [wire.includes('\0'), 'NUL'],
      [!eightBitDeclared && /[\x80-\xff]/.test(wire), '8-bit bytes, not declared'],
    ]
    return checks.filter(([found]) => found).map(([, name]) => name)
  }
}

const undot = (wire: Buffer): Buffer => {
  if (wire[0] !== 0x2e && wire.indexOf('\r\n.') < 0) return wire
  return Buffer.from(wire.toString('latin1').replace(/(^|\r\n)\./g, '$1'), 'latin1')
}
