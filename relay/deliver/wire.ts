// One socket to a next hop: bytes out, replies in their order, one deadline. Knows no SMTP beyond replies.
// A broken connection is an answer here, not an exception: everything asked afterwards gets the same answer at once.
import type { Socket } from 'node:net'
import { wordsOf } from './socket-words.ts'
import { ReplyReader, type Reply, type ReplyLimits } from './smtp-wire.ts'

/** `byTls`: an alert, or what OpenSSL could not read. */
export type Broken = { readonly kind: 'broken'; readonly how: 'lost' | 'timeout' | 'garbled' | 'endless' | 'aborted'; readonly text: string; readonly byTls?: true }
export type Heard = { readonly kind: 'reply'; readonly reply: Reply } | Broken

/** Watches every wire's deadline with one timer, so that a message costs none. */
export class Watch {
  readonly #wires = new Set<Wire>()
  #timer: NodeJS.Timeout | undefined
  readonly #everyMs: number

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  add(wire: Wire): void {
    this.#wires.add(wire)
    this.#timer ??= setInterval(() => this.#look(), this.#everyMs).unref()
  }

  remove(wire: Wire): void {
    this.#wires.delete(wire)
    if (this.#wires.size > 0 || this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    const now = performance.now()
    for (const wire of this.#wires) if (wire.deadline < now) wire.break({ kind: 'broken', how: 'timeout', text: wire.endsAt < now ? tookTooLong : 'no answer in time' })
  }
}

/** Who listens takes all that one read brings, 64 KiB, were it the replies to ten thousand recipients: more of it nobody asked for. */
const mostUnheardBytes = 128 * 1024

const bytesOf = ({ lines }: Reply): number => lines.reduce((sum, line) => sum + line.length + 2, 0)

export const tookTooLong = 'the attempt took too long in all'

export type Transcript = (direction: '<' | '>', line: string) => void

export class Wire {
  deadline = Infinity // performance.now() after which the wire counts as hung
  endsAt = Infinity // performance.now() after which nothing is waited for, whatever its own time
  readonly socket: Socket
  readonly #watch: Watch
  readonly #reader: ReplyReader
  readonly #transcript: Transcript | undefined
  readonly #heard: Reply[] = []
  #unheardBytes = 0
  #broken: Broken | undefined
  #wake: (() => void) | undefined

  constructor(socket: Socket, watch: Watch, limits: ReplyLimits, transcript?: Transcript) {
    this.socket = socket
    this.#watch = watch
    this.#reader = new ReplyReader(limits)
    this.#transcript = transcript
    socket.on('data', this.#onData)
    socket.on('close', this.#onClose)
    socket.on('end', this.#onClose)
    socket.on('error', this.#onError)
    watch.add(this)
  }

  get broken(): Broken | undefined {
    return this.#broken
  }

  /** Something came that nobody asked for: injected before TLS, or a server out of step. */
  get hasUnread(): boolean {
    return this.#heard.length > 0 || this.#reader.isMidReply
  }

  /** The next reply, at most `ms` from now. */
  async hear(ms: number): Promise<Heard> {
    if (this.#heard.length === 0 && this.#broken === undefined) {
      this.deadline = Math.min(performance.now() + ms, this.endsAt)
      await new Promise<void>((resolve) => (this.#wake = resolve))
      this.deadline = Infinity
    }
    const reply = this.#heard.shift()
    if (reply === undefined) return this.#broken!
    this.#unheardBytes -= bytesOf(reply)
    return { kind: 'reply', reply }
  }

  /** `shown` stands in the transcript for text that holds a secret. */
  send(text: string, shown = text): void {
    if (this.#transcript) for (const line of shown.trimEnd().split('\r\n')) this.#transcript('>', line)
    if (this.#broken === undefined) this.socket.write(text)
  }

  /** `onGone`: the kernel has taken the last byte; from then on the other side may have it. */
  sendBytes(bytes: Buffer, onGone: () => void): void {
    if (this.#broken === undefined) this.socket.write(bytes, (error) => void (error ?? onGone()))
  }

  /** Writes and waits until the socket wants more, at most `ms`; true unless the wire broke. */
  async sendSlowly(bytes: Buffer, ms: number): Promise<boolean> {
    if (this.#broken !== undefined) return false
    if (this.socket.write(bytes)) return true
    this.deadline = Math.min(performance.now() + ms, this.endsAt)
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.socket.once('drain', resolve)
    })
    this.deadline = Infinity
    return this.#broken === undefined
  }

  break(how: Broken): void {
    if (this.#broken !== undefined) return
    this.#broken = how
    this.release()
    this.socket.on('error', () => {}) // a late error of a socket nobody reads any more
    this.socket.destroy()
    this.#wake?.()
  }

  /** Lets go of the socket, for TLS to take it over. */
  release(): Socket {
    this.socket.off('data', this.#onData)
    this.socket.off('close', this.#onClose)
    this.socket.off('end', this.#onClose)
    this.socket.off('error', this.#onError)
    this.#watch.remove(this)
    return this.socket
  }

  readonly #onData = (chunk: Buffer): void => {
    const { replies, fault } = this.#reader.feed(chunk)
    for (const reply of replies) {
      if (this.#transcript) for (const line of reply.lines) this.#transcript('<', line)
      this.#heard.push(reply)
      this.#unheardBytes += bytesOf(reply)
    }
    if (fault) this.break({ kind: 'broken', how: fault.fault, text: fault.text })
    else if (this.#unheardBytes > mostUnheardBytes) this.break({ kind: 'broken', how: 'endless', text: 'more replies than commands' })
    else if (replies.length > 0) this.#wake?.()
  }
  readonly #onClose = (): void => this.break({ kind: 'broken', how: 'lost', text: 'the connection was closed' })
  readonly #onError = (error: NodeJS.ErrnoException): void => this.break({ kind: 'broken', how: 'lost', text: wordsOf(error), ...(error.code?.startsWith('ERR_SSL_') === true && { byTls: true }) })
}
