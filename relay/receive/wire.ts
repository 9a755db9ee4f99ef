// oxlint-disable no-underscore-dangle -- the library's members are spelt so
// From bytes to command lines and pieces of DATA, in place of the library's parser: bounded lines, strict ends, back-pressure.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'
import { DataScanner, type BareOctet } from './data-scanner.ts'

/** What the session does with what arrives; a promise holds the client back until it resolves. */
export type WireHooks = {
  line(line: Buffer): Promise<void> | void
  lineTooLong(): Promise<void> | void
  data(piece: Buffer): Promise<void> | void
  bareOctet(octet: BareOctet): void
  dataEnd(): Promise<void>
  early(): void
  /** Replies written between the two go out in one packet (RFC 2920 3.2). */
  gather(): void
  release(): void
}

const LF = 10
const CR = 13
const linesPerTurn = 100 // a packet of commands must not keep the others waiting

export class Wire extends SMTPStream {
  /** Until the greeting is out, whatever arrives is an early talker's. */
  open = false
  readonly #hooks: WireHooks
  readonly #longest: number
  #partial: Buffer[] = []
  #partialBytes = 0
  #skipping = false
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
    this.#take(chunk).then(() => next(), next)
  }

  /** A line that the connection's end cut short is no command. */
  override _flushData(): void {}

  async #take(chunk: Buffer): Promise<void> {
    let rest = chunk
    let lines = 0
    this.#hooks.gather()
    while (rest.length > 0 && !this.isClosed) {
      rest = this.#scanner ? await this.#takeData(this.#scanner, rest) : await this.#takeLine(rest)
      if (++lines % linesPerTurn === 0) await this.#waitFor(nextTurn())
    }
    this.#hooks.release()
  }

  /** While we wait, what is already said goes out. */
  async #waitFor(work: Promise<unknown> | void): Promise<void> {
    if (work === undefined) return
    this.#hooks.release()
    await work
    this.#hooks.gather()
  }

  async #takeData(scanner: DataScanner, chunk: Buffer): Promise<Buffer> {
    const { pieces, used, ended } = scanner.take(chunk)
    if (scanner.bare) this.#hooks.bareOctet(scanner.bare)
    for (const piece of pieces) await this.#waitFor(this.#hooks.data(piece))
    if (ended) {
      this.#scanner = undefined
      await this.#waitFor(this.#hooks.dataEnd())
    }
    return chunk.subarray(used)
  }

  async #takeLine(chunk: Buffer): Promise<Buffer> {
    const end = chunk.indexOf(LF)
    if (end < 0) {
      await this.#keep(chunk)
      return chunk.subarray(chunk.length)
    }
    const whole = this.#partial.length === 0 ? chunk.subarray(0, end) : Buffer.concat([...this.#partial, chunk.subarray(0, end)])
    const line = whole.at(-1) === CR ? whole.subarray(0, -1) : whole
    const skipped = this.#skipping
    this.#forget()
    if (line.length > this.#longest && !skipped) await this.#waitFor(this.#hooks.lineTooLong())
    else if (!skipped) await this.#waitFor(this.#hooks.line(line))
    return chunk.subarray(end + 1)
  }

  /** An endless line costs its sender a reply and us nothing: past the limit it is read over. */
  async #keep(chunk: Buffer): Promise<void> {
    if (this.#skipping) return
    this.#partial.push(chunk)
    this.#partialBytes += chunk.length
    if (this.#partial.length > 64) this.#partial = [Buffer.concat(this.#partial)] // byte by byte must not cost a buffer each
    if (this.#partialBytes <= this.#longest + 1) return // its CR is not counted
    this.#forget()
    this.#skipping = true
    await this.#waitFor(this.#hooks.lineTooLong())
  }

  #forget(): void {
    this.#partial = []
    this.#partialBytes = 0
    this.#skipping = false
  }
}
