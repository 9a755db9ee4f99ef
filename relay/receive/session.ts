// oxlint-disable no-underscore-dangle -- the library's members are spelt so
// One SMTP session: the library's connection with our parser, dispatch, words and clocks (docs/decisions/0002). It decides nothing about mail.
import { isAscii, isUtf8 } from 'node:buffer'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { SMTPServer } from 'smtp-server'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'
import { reply, type Reply } from '../decide/index.ts'
import type { LogFields } from '../report/index.ts'
import { printMailbox, type Listener } from '../snapshot/index.ts'
import { acceptMessage, type Offered } from './accept-message.ts'
import { commands, forgetPlaintext } from './commands.ts'
import type { BareOctet } from './data-scanner.ts'
import { Incoming } from './incoming.ts'
import { printReply } from './reply-wire.ts'
import { say, type Answer, type Door, type Leaving, type State, type World } from './state.ts'
import { sourceOf } from './source.ts'
import { sizeLimit } from './transaction.ts'
import { Wire } from './wire.ts'

export type SessionOptions = { readonly id: string; readonly remoteAddress: string; readonly remotePort: number }

/** The listener that a session belongs to, as the session knows it. */
type Host = SMTPServer & {
  readonly door: Door
  readonly listener: Listener
  readonly leaving: boolean
  refuseConnection(state: State): Reply | undefined
  testsEarlyTalkers(session: Session): boolean
  left(session: Session): void
}

const earlyTalkerMs = 100
const longestArgument = 320 // an address and some parameters
const afterBareSeconds = 5 // who ends lines with LF alone will never send the end that counts: tell it, do not let it hang

export class Session extends SMTPConnection {
  readonly state: State
  readonly #host: Host
  readonly #world: World
  readonly #leaving: Leaving
  #timer: NodeJS.Timeout | undefined
  #timerAt = 0
  #deadline = Infinity
  #whenLate = (): void => {}
  #ask: ((line: string) => Answer | Promise<Answer>) | undefined
  #offered: Offered | undefined
  #dataDeadline = 0
  #working = false
  #gathering = false
  #unsaid = ''
  #argument = ''
  #ended = false

  constructor(host: Host, socket: Socket, options: SessionOptions) {
    super(host, socket, options)
    this.#host = host
    this.#world = host.door.world
    this.#leaving = host.door.leaving
    this.state = {
      world: this.#world, id: this.id, address: this.remoteAddress, source: sourceOf(this.remoteAddress), listener: host.listener,
      tls: tlsOf(socket), hello: undefined, sender: undefined, proof: undefined, transaction: undefined, errors: 0, idle: 0, spared: 0, messages: 0,
    }
  }

  /** Greets: at once where clients are ours, after a pause on listeners for strangers, who must wait for it (RFC 5321 3.1). */
  override init(): void {
    this._socket.allowHalfOpen = true
    this._setListeners(() => {
      const refused = this.#host.leaving ? this.#closing() : this.#host.refuseConnection(this.state)
      if (refused) return this.#hangUp(refused)
      if (this.#host.testsEarlyTalkers(this)) this.#arm(earlyTalkerMs, () => this.#greet())
      else this.#greet()
    })
  }

  #greet(): void {
    this.#say(reply('greeting', { hostname: this.#world.snapshot().relay.hostname }))
    this.#wire().open = true
    this.#awaitCommand()
  }

  override _createParser(): Wire {
    return new Wire({
      line: (line) => this.#line(line),
      lineTooLong: (start) => this.#tooLong(start),
      data: (piece) => this.#data(piece),
      bareOctet: (octet) => this.#bare(octet),
      dataEnd: () => this.#dataEnd(),
      early: () => this.#early(),
      end: () => this.#clientEnded(),
      gather: () => void (this.#gathering = true),
      release: () => this.#release(),
    }, (this._server as Host).listener.limits.lineBytes)
  }

  #wire(): Wire {
    return this._parser as Wire
  }

  #early(): void {
    if (!this._closing) this.#hangUp(reply('early-talker'))
  }

  /** It has its answers: to a mail too, so that it does not send it again. Half a message is no message, and has an answer where it was refused. */
  #clientEnded(): void {
    const fault = this.#offered?.incoming.fault
    if (fault) this.#hangUp(fault)
    else if (this.#offered) this._socket.destroy()
    else this.close()
  }

  #line(line: Buffer): Promise<void> | void {
    this.#disarm()
    const ask = this.#ask
    this.#ask = undefined
    if (ask) return this.#answer(ask(line.toString('latin1')), 'AUTH')
    const text = textOf(line)
    if (text === undefined) return this.#act(say(reply('bad-octets')), '')
    if (/^[A-Z]+ \S+ HTTP\/\d/.test(text)) return this.#hangUp(reply('http'))
    const space = text.indexOf(' ')
    const verb = (space < 0 ? text : text.slice(0, space)).toUpperCase()
    return this.#answer(this.#run(verb, space < 0 ? '' : text.slice(space + 1).trim()), verb)
  }

  /** Where it was to answer a question, that is over (RFC 4954 4). */
  #tooLong(start: Buffer): Promise<void> | void {
    const isAuth = this.#ask !== undefined || /^auth /i.test(start.toString('latin1', 0, 5))
    this.#ask = undefined
    return this.#act(say(reply(isAuth ? 'auth-line-too-long' : 'line-too-long', { limit: this.state.listener.limits.lineBytes })), '')
  }

  #answer(answer: Answer | Promise<Answer>, verb: string): Promise<void> | void {
    return answer instanceof Promise ? this.#actLater(answer, verb) : this.#act(answer, verb)
  }

  #run(verb: string, argument: string): Answer | Promise<Answer> {
    const command = commands.get(verb)
    if (!command) return say(reply('unknown-command'))
    this.state.listener = this.#host.listener
    this.#argument = namesMail(verb) ? argument : '' // a password is not kept
    try {
      return command(this.state, argument)
    } catch (error) {
      return say(this.#bug(error, verb))
    }
  }

  async #actLater(answer: Promise<Answer>, verb: string): Promise<void> {
    this.#working = true
    const late = await answer.catch((error: unknown) => say(this.#bug(error, verb)))
    this.#working = false
    await this.#act(late, verb)
  }

  /** Says the answer, counts it, and does what it asks for. */
  #act(answer: Answer, verb: string, about = this.state.transaction): Promise<void> | void {
    if (answer.kind === 'close') return this.#hangUp(answer.reply)
    this.#say(answer.reply, answer.kind === 'say' ? answer.lines : undefined)
    if (answer.reply.code >= 400) this.#noteRefused(answer.reply, verb, { ...this.#aboutMail(verb, about), ...(answer.kind === 'say' && answer.because) })
    const enough = this.#count(answer.reply, verb)
    if (enough) return this.#hangUp(enough)
    if (answer.kind === 'ask') this.#ask = answer.next
    if (answer.kind === 'start-tls') return this.#startTls()
    if (answer.kind === 'start-data') return this.#startData()
    if (this.#host.leaving) return this.#hangUp(this.#closing())
    this.#awaitCommand()
    return this._socket.writableNeedDrain ? this.#untilRead() : undefined
  }

  /** Refusals for the client's fault, and commands that lead nowhere, are bounded; a message that passes starts the count over. */
  #count({ code }: Reply, verb: string): Reply | undefined {
    const { state } = this
    // RCPT refused is not an error: a list may hold many users that are gone, or more than the limit, and the others must have their mail
    if (verb === 'RCPT' && code >= 400 && halfPassed(state) && state.spared < state.listener.limits.recipientsPerMessage) state.spared += 1
    else if (code >= 500 && verb !== 'RCPT') state.errors += 1
    else if (code >= 400 || idleVerbs.has(verb)) state.idle += 1
    if (state.errors >= state.listener.limits.errors) return reply('too-many-errors')
    return state.idle >= state.listener.limits.errors * 10 ? reply('too-many-commands') : undefined
  }

  #noteRefused({ code, enhanced, text }: Reply, verb: string, more: LogFields = {}): void {
    const { listener, address } = this.state
    this.#world.metrics.messagesRefused.inc({ listener: listener.name, status: enhanced })
    this.#world.log.info('REFUSED', { session: this.id, listener: listener.name, client: address, verb, reply: `${code} ${enhanced} ${text}`, ...more })
  }

  /** Which mail it was; what a client says to AUTH is nobody's to read. */
  #aboutMail(verb: string, transaction: State['transaction']): LogFields {
    const { sender } = this.state
    return {
      ...(namesMail(verb) && { argument: this.#argument.slice(0, longestArgument) }),
      ...(transaction && { from: transaction.mailFrom ? printMailbox(transaction.mailFrom) : '' }),
      ...(sender && { sender: `${sender.namespace}/${sender.name}` }),
    }
  }

  #startTls(): void {
    this.#arm(this.state.listener.limits.greetingSeconds * 1000, () => this._socket.destroy())
    this.#release()
    this._socket.allowHalfOpen = false // of a handshake nothing is left to answer
    this.upgrade(() => {}, () => {
      this._socket.allowHalfOpen = true
      forgetPlaintext(this.state)
      this.state.tls = tlsOf(this._socket)
      this.#wire().open = true
      this.#awaitCommand()
    })
  }

  #startData(): void {
    const { listener } = this.state
    const id = this.#world.queue.newMessageId()
    const body = this.#world.queue.newBody(id)
    const { bytes, manifest } = sizeLimit(this.state)
    const incoming = new Incoming(body, { bytes, bytesManifest: manifest, listener: listener.limits })
    this.#offered = { id, body, incoming, leaving: this.#leaving }
    this.#dataDeadline = performance.now() + listener.limits.messageSeconds * 1000
    this.#wire().startData(listener.bareNewlines)
    this.#awaitData()
  }

  #data(piece: Buffer): Promise<void> | void {
    const written = this.#offered?.incoming.piece(piece)
    if (!written) return this.#awaitData()
    this.#disarm() // while the queue holds us back, the client is not the slow one
    return written.then(() => this.#awaitData())
  }

  /** Told again with every packet, so that a client still sending is not cut off. */
  #bare(octet: BareOctet): void {
    void this.#offered?.incoming.bare(octet)
    this.#awaitData()
  }

  async #dataEnd(): Promise<void> {
    this.#disarm()
    const { transaction } = this.state
    const offered = this.#offered!
    this.#offered = undefined // from here on the queue has it: a client that leaves now takes nothing back
    this.#working = true
    const answer = await acceptMessage(this.state, transaction!, offered).catch((error: unknown) => this.#bug(error, 'DATA'))
    this.#working = false
    this.state.transaction = undefined
    if (answer.code < 300) {
      this.state.messages += 1
      this.state.errors = this.state.idle = this.state.spared = 0
    }
    await this.#act(say(answer), 'DATA', transaction)
  }

  #bug(error: unknown, verb: string): Reply {
    this.#world.log.error('BUG', { session: this.id, verb, error: String(error), stack: (error as Error).stack })
    return reply('bug')
  }

  #closing(): Reply {
    return reply('closing', { hostname: this.#world.snapshot().relay.hostname })
  }

  /** Leaves at once unless a message is on its way; then after its answer. */
  drain(): void {
    if (!this.#offered && !this.#working) this.#hangUp(this.#closing())
  }

  #awaitCommand(): void {
    const seconds = this.state.listener.limits.commandSeconds
    this.#arm(seconds * 1000, () => this.#hangUp(reply('too-slow', { seconds, what: 'a command' })))
  }

  #awaitData(): void {
    if (this._closing) return
    const { fault, mayNeverEnd = false } = this.#offered?.incoming ?? {}
    const seconds = mayNeverEnd ? afterBareSeconds : this.state.listener.limits.dataSeconds
    const left = Math.max(0, this.#dataDeadline - performance.now())
    this.#arm(Math.min(seconds * 1000, left), () => this.#hangUp(fault ?? reply('too-slow', { seconds, what: 'the message' })))
  }

  /** One timer that looks again when it was too early: a command costs none of its own. */
  #arm(ms: number, then: () => void): void {
    if (this.#ended) return
    this.#deadline = performance.now() + ms
    this.#whenLate = then
    if (this.#timer === undefined || this.#timerAt > this.#deadline) this.#lookIn(ms)
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#timer)
    this.#timerAt = performance.now() + ms
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const left = this.#deadline - performance.now()
      if (left <= 0) this.#whenLate()
      else if (left < Infinity) this.#lookIn(left)
    }, ms)
  }

  #disarm(): void {
    this.#deadline = Infinity
  }

  #hangUp(last: Reply): void {
    this.#disarm()
    if (last.code >= 400) this.#noteRefused(last, '')
    this.#say(last)
    this.#release()
    this.close()
  }

  #say(words: Reply, more?: readonly string[]): void {
    if (this._upgrading) return
    this.#unsaid += printReply(words, more)
    if (!this.#gathering) this.#release()
  }

  #release(): void {
    this.#gathering = false
    if (this.#unsaid !== '' && this._socket.writable) this._socket.write(this.#unsaid)
    this.#unsaid = ''
  }

  /** A client that sends commands and never reads must not fill our memory with replies. */
  async #untilRead(): Promise<void> {
    const socket = this._socket
    if (socket.destroyed) return
    this.#arm(this.state.listener.limits.commandSeconds * 1000, () => socket.destroy())
    await new Promise<void>((resolve) => {
      const done = () => (socket.off('drain', done), socket.off('close', done), resolve())
      socket.once('drain', done).once('close', done)
    })
    this.#awaitCommand()
  }

  // the library's own words and clocks are not used
  override send(code: number, data?: string | string[] | null): void {
    this.#hangUp({ code, enhanced: code < 500 ? '4.3.0' : '5.5.0', text: String(data ?? '') })
  }
  override _armTimeout(): void {}
  override _resetSession(): void {}

  override _onClose(): void {
    super._onClose()
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#timer)
    void this.#offered?.incoming.refuse(reply('bug')) // half a message is no message
    this.#host.left(this)
  }
}

const namesMail = (verb: string): boolean => verb === 'MAIL' || verb === 'RCPT'

const idleVerbs = new Set(['NOOP', 'RSET', 'VRFY', 'HELP', 'HELO', 'EHLO', 'EXPN'])

const halfPassed = ({ transaction }: State): boolean => transaction !== undefined && transaction.refused <= transaction.passed.size

/** A command line as text: ASCII, or UTF-8 for SMTPUTF8; undefined where it holds what no command may. */
const textOf = (line: Buffer): string | undefined => {
  if (!isAscii(line) && !isUtf8(line)) return undefined
  const text = line.toString('utf8').replaceAll('\t', ' ').trimEnd()
  return /[\x00-\x1f\x7f-\x9f]/.test(text) ? undefined : text
}

const tlsOf = (socket: Socket | TLSSocket): State['tls'] => {
  if (!('getProtocol' in socket)) return undefined
  return { protocol: socket.getProtocol() ?? 'TLS', cipher: socket.getCipher().standardName }
}
