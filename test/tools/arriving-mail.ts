// The bytes behind DATA as a sink gets them: where the mail ends, its faults, its hash; kept only where that is wanted. Touches nothing.
import { createHash, type Hash } from 'node:crypto'

export type Wanted = { readonly keep: boolean; readonly hash: boolean }

/** Only CRLF.CRLF ends a mail; everything that others might take for it is noted as a fault. */
export class ArrivingMail {
  readonly faults = new Set<string>()
  readonly #kept: Buffer[] | undefined
  readonly #hash: Hash | undefined
  #line: Buffer = Buffer.alloc(0) // has not ended yet
  #afterCrlf = true
  #inBody = false

  constructor({ keep, hash }: Wanted) {
    if (keep) this.#kept = []
    if (hash) this.#hash = createHash('sha256')
  }

  /** What follows the mail; undefined while it goes on. */
  take(piece: Buffer): Buffer | undefined {
    const whole = Buffer.concat([this.#line, piece])
    const end = endIn(whole, this.#afterCrlf)
    const cut = end ?? whole.lastIndexOf('\n') + 1
    if (cut > 0) this.#lines(whole.subarray(0, cut))
    this.#line = whole.subarray(cut)
    return end === undefined ? undefined : whole.subarray(end + finalDot.length)
  }

  /** Dots undone, without the final one; empty where it was not to be kept. */
  get data(): Buffer {
    return Buffer.concat(this.#kept ?? [])
  }

  /** SHA-256 of what follows the header. To be asked once. */
  bodyHash(): string | undefined {
    return this.#hash?.digest('hex')
  }

  #lines(stuffed: Buffer): void {
    this.#afterCrlf = stuffed.at(-2) === 13
    const text = stuffed.toString('latin1')
    if (/(^|[^\r])\n|\r([^\n]|$)/.test(text)) this.faults.add('bare CR or LF in a mail')
    if (text.includes('\0')) this.faults.add('NUL in a mail')
    if (this.#kept === undefined && this.#hash === undefined) return
    const lines = Buffer.from(text.replace(/(^|\n)\./g, '$1'), 'latin1')
    this.#kept?.push(lines)
    this.#hash?.update(this.#bodyIn(lines))
  }

  #bodyIn(lines: Buffer): Buffer {
    if (this.#inBody) return lines
    const at = emptyLineIn(lines)
    this.#inBody = at !== undefined
    return lines.subarray(at === undefined ? lines.length : at + 2)
  }
}

const finalDot = '.\r\n'

const endIn = (bytes: Buffer, atLineStart: boolean): number | undefined => {
  if (atLineStart && bytes.toString('latin1', 0, finalDot.length) === finalDot) return 0
  const at = bytes.indexOf(`\r\n${finalDot}`)
  return at < 0 ? undefined : at + 2
}

const emptyLineIn = (lines: Buffer): number | undefined => {
  if (lines.toString('latin1', 0, 2) === '\r\n') return 0
  const at = lines.indexOf('\r\n\r\n')
  return at < 0 ? undefined : at + 2
}
