// oxlint-disable no-underscore-dangle -- the library's members are spelt so
// From bytes to command lines and pieces of DATA, in place of the library's parser: bounded lines, strict ends, back-pressure.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'
import { DataScanner, type BareOctet } from './data-scanner.ts'

/** What the session does with what arrives; a promise holds the client back until it resolves. */
export type WireHooks = {
  line(line: Buffer): Promise<void> | void
  lineTooLong(start: Buffer): Promise<void> | void
  data(piece: Buffer): Promise<void> | void
  bareOctet(octet: BareOctet): void
  dataEnd(): Promise<void>
  early(): void
  /** The client sends no more, and all that it sent is dealt with. */
  end(): void
  /** Replies written between the two go out in one packet (RFC 2920 3.2). */
  gather(): void
  release(): void
}

const LF = 10
const CR = 13
const fewPieces = 8
const linesPerTurn = 100 // a packet of commands must not keep the others waiting

export class Wire extends SMTPStream {
  /** Until the greeting is out, whatever arrives is an early talker's. */
  open = false
  readonly #hooks: WireHooks
  readonly #longest: number
  #partial: Buffer[] = []
  #partialBytes = 0
  #skipping = false
  #rest: Buffer = Buffer.alloc(0)
  #scanner: DataScanner | undefined

  constructor(hooks: WireHooks, longestLine: number) {
    super()
    this.#hooks = hooks
    this.#longest = longestLine
  }

  startData(bareNewlines: 'Refuse' | 'Normalise'): void {
    this.#scanner = new DataScanner(bareNewlines)
  }

  get inData(): boolean {
    return this.#scanner !== undefined
  }

  override _write(chunk: Buffer, _encoding: unknown, next: (error?: Error | null) => void): void {
    if (this.isClosed) return next()
    if (!this.open) {
      this.#hooks.early()
      return next()
    }
    try {
      const work = this.#take(chunk)
      if (work) work.then(() => next(), next)
      else next()
    } catch (error) {
      next(error as Error)
    }
  }

  /** A line that the connection's end cut short is no command. */
  override _flushData(): void {
    if (!this.isClosed) this.#hooks.end()
  }

  /** Nothing is waited for that is there: a command costs no promise. */
  #take(chunk: Buffer): Promise<void> | void {
    this.#rest = chunk
    this.#hooks.gather()
    for (let lines = 1; this.#rest.length > 0 && !this.isClosed; lines++) {
      const work = this.#scanner ? this.#takeData(this.#scanner) : this.#takeLine()
      if (work ?? lines === linesPerTurn) return this.#goOnAfter(work ?? nextTurn())
    }
    this.#hooks.release()
  }

  /** While we wait, what is already said goes out. */
  async #goOnAfter(work: Promise<unknown>): Promise<void> {
    this.#hooks.release()
    await work
    await this.#take(this.#rest)
  }

  #takeData(scanner: DataScanner): Promise<void> | void {
    const { pieces, used, ended } = scanner.take(this.#rest)
    this.#rest = this.#rest.subarray(used)
    if (scanner.bare) this.#hooks.bareOctet(scanner.bare)
    // a piece for each line that begins with a dot would let a small mail cost as much as a thousand; a copy of every chunk would be garbage
    return this.#givePieces(pieces.length <= fewPieces ? pieces : [Buffer.concat(pieces)], 0, ended)
  }

  #givePieces(pieces: readonly Buffer[], from: number, ended: boolean): Promise<void> | void {
    for (let at = from; at < pieces.length; at++) {
      const work = this.#hooks.data(pieces[at]!)
      if (work) return work.then(() => this.#givePieces(pieces, at + 1, ended))
    }
    if (!ended) return
    this.#scanner = undefined
    return this.#hooks.dataEnd()
  }

  #takeLine(): Promise<void> | void {
    const chunk = this.#rest
    const end = chunk.indexOf(LF)
    this.#rest = chunk.subarray(end < 0 ? chunk.length : end + 1)
    if (end < 0) return this.#keep(chunk)
    const whole = this.#partial.length === 0 ? chunk.subarray(0, end) : Buffer.concat([...this.#partial, chunk.subarray(0, end)])
    const line = whole.at(-1) === CR ? whole.subarray(0, -1) : whole
    const skipped = this.#skipping
    this.#forget()
    if (skipped) return
    return line.length > this.#longest ? this.#hooks.lineTooLong(line) : this.#hooks.line(line)
  }

  /** An endless line costs its sender a reply and us nothing: past the limit it is read over. */
  #keep(chunk: Buffer): Promise<void> | void {
    if (this.#skipping) return
    this.#partial.push(chunk)
    this.#partialBytes += chunk.length
    if (this.#partial.length > 64) this.#partial = [Buffer.concat(this.#partial)] // byte by byte must not cost a buffer each
    if (this.#partialBytes <= this.#longest + 1) return // its CR is not counted
    const start = Buffer.concat(this.#partial)
    this.#forget()
    this.#skipping = true
    return this.#hooks.lineTooLong(start)
  }

  #forget(): void {
    this.#partial = []
    this.#partialBytes = 0
    this.#skipping = false
  }
}
