// Message bytes as DATA wants them (RFC 5321 4.5.2): dots doubled, lines ended by CRLF, exactly one end. Pure.
// A bare CR or LF never leaves: whatever was accepted goes out as one message and not as two (outbound smuggling).

const dot = 0x2e
const cr = 0x0d
const lf = 0x0a
const nul = 0x00

/** Fed piece by piece; keeps only whether a line has just begun and whether a CR waits for its LF. */
export class Stuffer {
  #lineStart = true
  #heldCr = false

  /** The bytes to send for this piece. */
  piece(bytes: Buffer): Buffer {
    if (bytes.length === 0) return bytes
    if (this.#heldCr || !isPlain(bytes, this.#lineStart)) return this.#rewrite(bytes)
    this.#lineStart = bytes.at(-1) === lf
    return bytes
  }

  /** What ends the message, the final dot with it. */
  end(): Buffer {
    return Buffer.from(this.#lineStart && !this.#heldCr ? '.\r\n' : '\r\n.\r\n')
  }

  #rewrite(bytes: Buffer): Buffer {
    const out = Buffer.allocUnsafe(bytes.length + mostAdded(bytes) + 2)
    let at = 0
    for (const byte of bytes) {
      if (this.#heldCr || byte === lf) {
        out[at++] = cr // CR LF, a bare CR and a bare LF all end the line, as CR LF
        out[at++] = lf
        this.#lineStart = true
        this.#heldCr = byte === cr
        if (byte === lf || this.#heldCr) continue
      }
      this.#heldCr = byte === cr
      if (this.#heldCr || byte === nul) continue // RFC 5321 4.1.1.4 has no NUL, and some hosts end the message there
      if (byte === dot && this.#lineStart) out[at++] = dot
      out[at++] = byte
      this.#lineStart = false
    }
    return out.subarray(0, at)
  }
}

/** Each dot, CR and LF brings at most one octet with it: twice the room for every piece would be most of a relay's memory. */
const mostAdded = (bytes: Buffer): number => {
  let count = 0
  for (const byte of bytes) if (byte === dot || byte === cr || byte === lf) count++
  return count
}

/** The common case: nothing to change. One search for what is to be changed is four times as quick as a look at every octet. */
const isPlain = (bytes: Buffer, startsLine: boolean): boolean => !(startsLine && bytes[0] === dot) && !unplain.test(bytes.toString('latin1'))
const unplain = /\r(?!\n)|(?<!\r)\n|\0|\n\./
