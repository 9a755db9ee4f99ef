// Finds the end of DATA and undoes dot-stuffing, and names every octet that another server might take for a line end.
// Only CR LF . CR LF ends a message (RFC 5321 4.1.1.4, 2.3.8). Pure but for its own state, which survives any split of the bytes.

export type BareOctet = 'CR' | 'LF' | 'NUL'
export type Scanned = { readonly pieces: readonly Buffer[]; readonly used: number; readonly ended: boolean }

const CR = 13
const LF = 10
const DOT = 46
const crlf = Buffer.from('\r\n')
const space = Buffer.from(' ')
const dot = Buffer.from('.')

// where in a line the next octet stands; what was read and not yet passed on follows from it
type Place = 'start' | 'dot' | 'dot-cr' | 'text' | 'cr'

// where a run of whole lines ends: at a bare CR or LF, or behind a line's end when what follows needs a look, or is not there yet
const edge = /\r(?!\n)|(?<!\r)\n|\n(?=[.\r\n]|$)/g

export class DataScanner {
  /** The first octet out of place; from then on nothing is passed on unless newlines are normalised. */
  bare: BareOctet | undefined
  #place: Place = 'start'
  readonly #normalise: boolean

  constructor(bareNewlines: 'Refuse' | 'Normalise') {
    this.#normalise = bareNewlines === 'Normalise'
  }

  /** Takes bytes up to the end of the message; `used` says how many. */
  take(chunk: Buffer): Scanned {
    const pieces: Buffer[] = []
    const text = chunk.toString('latin1')
    let at = 0
    let ended = false
    while (at < chunk.length && !ended) {
      ended = this.#place === 'dot-cr' && chunk[at] === LF
      if (this.#place === 'text') at = this.#text(chunk, text, at, pieces)
      else at += ended ? 1 : this.#edge(chunk[at]!, pieces)
    }
    if (chunk.subarray(0, at).includes(0)) this.bare ??= 'NUL'
    return { pieces, used: at, ended }
  }

  /** Runs through whole lines; stops before what the edge must look at. One search in the text of the chunk: one for each line cost as much as a write to the client. */
  #text(chunk: Buffer, text: string, from: number, pieces: Buffer[]): number {
    edge.lastIndex = from
    const at = edge.exec(text)?.index ?? chunk.length
    const endsLine = at > from && chunk[at] === LF && chunk[at - 1] === CR
    this.#emit(pieces, chunk, from, endsLine ? at + 1 : at)
    if (at === chunk.length) return at
    if (chunk[at] === LF && !endsLine) return this.#stray('LF', at + 1, pieces)
    this.#place = endsLine ? 'start' : 'cr'
    return at + 1
  }

  /** One octet at an edge: a line's first ones, or what follows a CR. Returns how many were used up. */
  #edge(octet: number, pieces: Buffer[]): 0 | 1 {
    switch (this.#place) {
      case 'start':
        if (octet === DOT) return this.#go('dot')
        if (octet === CR) return this.#go('cr')
        this.#place = 'text'
        return 0
      case 'dot': // the dot goes, whatever follows but CR (RFC 5321 4.5.2)
        if (octet === CR) return this.#go('dot-cr')
        if (octet === DOT) this.#push(pieces, dot)
        this.#place = 'text'
        return octet === DOT ? 1 : 0
      case 'cr':
        if (octet !== LF) return this.#strayCr(pieces)
        this.#push(pieces, crlf)
        return this.#go('start')
      case 'dot-cr':
        return this.#strayCr(pieces)
      case 'text':
        break
    }
    return 0
  }

  #go(place: Place): 1 {
    this.#place = place
    return 1
  }

  #strayCr(pieces: Buffer[]): 0 {
    this.#stray('CR', 0, pieces)
    return 0
  }

  /** A bare LF becomes a line end and a bare CR a space where normalised; neither may ever stand before an end of DATA. */
  #stray(octet: 'CR' | 'LF', next: number, pieces: Buffer[]): number {
    if (!this.#normalise) this.bare ??= octet
    this.#push(pieces, octet === 'LF' ? crlf : space)
    this.#place = 'text'
    return next
  }

  #emit(pieces: Buffer[], chunk: Buffer, from: number, to: number): void {
    if (to > from) this.#push(pieces, chunk.subarray(from, to))
  }

  #push(pieces: Buffer[], piece: Buffer): void {
    if (this.bare === undefined) pieces.push(piece)
  }
}
