// A next host under a test's control, sharing no code with the relay: strict about line ends, keeps what arrived byte for byte.
import { createServer, type Server, type Socket } from 'node:net'
import { TLSSocket, createSecureContext } from 'node:tls'
import { ArrivingMail } from './arriving-mail.ts'
import { sleep } from './until.ts'

/** One transaction that was answered (or not) after its dot. */
export type Arrival = {
  readonly from: string
  readonly fromParameters: string
  readonly recipients: readonly string[]
  readonly recipientParameters: readonly string[]
  readonly data: Buffer // dot-unstuffed, without the final dot
  readonly bodyHash?: string // where the rules ask for it
  readonly helo: string
  readonly tls: boolean
  readonly at: number
  readonly session: number
  readonly address: string
  /** True where it was answered with 2xx: it is ours now. */
  taken: boolean
}

/** A reply line (or several with \n); 'hang' is silence for ever, 'drop' closes the connection; undefined: the usual answer. */
export type Answer = string | undefined
type Maybe<T> = T | Promise<T>
export type SinkTls = { readonly key: string; readonly cert: string; readonly maxVersion?: 'TLSv1.1' }
export type SinkRules = {
  readonly host?: string
  readonly port?: number
  readonly extensions?: readonly string[] // default: all below; [] with noEhlo for HELO only
  readonly tls?: SinkTls
  readonly greeting?: () => Maybe<Answer>
  readonly command?: (verb: string, argument: string, session: number) => Maybe<Answer> // undefined: the usual answer
  readonly dot?: (arrival: Arrival) => Maybe<Answer>
  /** Milliseconds before the reply to the dot. */
  readonly delay?: () => number
  /** False: bytes of mails are not kept. */
  readonly keepData?: boolean
  /** SHA-256 of each body, as it comes in: no mail is in memory for that. */
  readonly hashBodies?: boolean
}

export type Sink = {
  readonly host: string
  readonly port: number
  readonly arrivals: readonly Arrival[]
  readonly commands: readonly { readonly session: number; readonly line: string; readonly at: number }[]
  /** Line ends or commands that no honest client sends. */
  readonly faults: readonly string[]
  sessions(): number
  openConnections(): number
  /** Recipients of mails taken, one entry for each time. */
  recipients(): string[]
  close(): Promise<void>
}

export const allExtensions = ['PIPELINING', 'SIZE 104857600', '8BITMIME', 'SMTPUTF8', 'DSN', 'ENHANCEDSTATUSCODES']

type State = { arrivals: Arrival[]; commands: { session: number; line: string; at: number }[]; faults: string[]; sessions: number; sockets: Set<Socket> }

export const startSink = async (rules: SinkRules = {}): Promise<Sink> => {
  const state: State = { arrivals: [], commands: [], faults: [], sessions: 0, sockets: new Set() }
  const server: Server = createServer({ noDelay: true }, (socket) => {
    state.sockets.add(socket)
    socket.once('close', () => state.sockets.delete(socket))
    new Session(socket, rules, state).start()
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(rules.port ?? 0, rules.host ?? '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    host: rules.host ?? '127.0.0.1',
    port,
    arrivals: state.arrivals,
    commands: state.commands,
    faults: state.faults,
    sessions: () => state.sessions,
    openConnections: () => state.sockets.size,
    recipients: () => state.arrivals.filter(({ taken }) => taken).flatMap(({ recipients }) => recipients),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of state.sockets) socket.destroy()
      }),
  }
}

class Session {
  private socket: Socket
  private readonly rules: SinkRules
  private readonly state: State
  private readonly number: number
  private buffer: Buffer = Buffer.alloc(0)
  private busy = false
  private helo = ''
  private tls = false
  private mail: { from: string; parameters: string; recipients: string[]; recipientParameters: string[] } | undefined
  private inData: ArrivingMail | undefined

  constructor(socket: Socket, rules: SinkRules, state: State) {
    this.socket = socket
    this.rules = rules
    this.state = state
    this.number = ++state.sessions
  }

  start(): void {
    this.listen()
    void this.reply(async () => (await this.rules.greeting?.()) ?? '220 sink.example ESMTP')
  }

  private listen(): void {
    this.socket.on('error', () => {})
    this.socket.on('data', (piece: Buffer) => {
      this.buffer = this.buffer.length === 0 ? piece : Buffer.concat([this.buffer, piece])
      void this.work()
    })
  }

  private async work(): Promise<void> {
    if (this.busy) return
    this.busy = true
    while (await this.step());
    this.busy = false
  }

  /** True while there may be more to do with the bytes at hand. */
  private async step(): Promise<boolean> {
    if (this.inData) return this.takeData()
    const end = this.buffer.indexOf('\n')
    if (end < 0) return false
    const line = this.buffer.subarray(0, end + 1).toString('latin1')
    this.buffer = this.buffer.subarray(end + 1)
    if (!line.endsWith('\r\n') || /[\r\n\0]/.test(line.slice(0, -2))) this.state.faults.push(`command line ends badly: ${JSON.stringify(line)}`)
    await this.command(line.trimEnd())
    return true
  }

  private async command(line: string): Promise<void> {
    this.state.commands.push({ session: this.number, line, at: Date.now() })
    const verb = /^[A-Za-z]+/.exec(line)?.[0].toUpperCase() ?? ''
    const argument = line.slice(verb.length).trim()
    const own = await this.rules.command?.(verb, argument, this.number)
    await this.say(own ?? this.usual(verb, argument))
    if (own !== undefined && !/^[23]/.test(own)) return
    this.apply(verb, argument, own)
  }

  private usual(verb: string, argument: string): string {
    switch (verb) {
      case 'EHLO':
        return ['sink.example', ...(this.rules.extensions ?? allExtensions), ...(this.rules.tls && !this.tls ? ['STARTTLS'] : [])].map((text, index, all) => `250${index === all.length - 1 ? ' ' : '-'}${text}`).join('\n')
      case 'HELO':
        return '250 sink.example'
      case 'STARTTLS':
        return this.rules.tls ? '220 2.0.0 go ahead' : '502 5.5.1 no TLS here'
      case 'MAIL':
        return this.mail ? '503 5.5.1 one at a time' : '250 2.1.0 ok'
      case 'RCPT':
        return this.mail ? `250 2.1.5 ${argument.slice(0, 60)} ok` : '503 5.5.1 MAIL first'
      case 'DATA':
        return this.mail && this.mail.recipients.length > 0 ? '354 go on' : '503 5.5.1 no recipient'
      case 'QUIT':
        return '221 2.0.0 bye'
      case 'RSET':
      case 'NOOP':
        return '250 2.0.0 ok'
      default:
        this.state.faults.push(`unknown command: ${verb} ${argument}`)
        return '500 5.5.2 unknown command'
    }
  }

  private apply(verb: string, argument: string, own: Answer): void {
    if (verb === 'EHLO' || verb === 'HELO') {
      this.helo = argument
      this.mail = undefined
    }
    if (verb === 'RSET') this.mail = undefined
    if (verb === 'MAIL' && !this.mail) this.mail = { from: path(argument), parameters: afterPath(argument), recipients: [], recipientParameters: [] }
    if (verb === 'RCPT' && this.mail) {
      this.mail.recipients.push(path(argument))
      this.mail.recipientParameters.push(afterPath(argument))
    }
    const said354 = own === undefined ? this.mail !== undefined && this.mail.recipients.length > 0 : own.startsWith('354')
    if (verb === 'DATA' && said354) this.inData = new ArrivingMail({ keep: this.rules.keepData !== false, hash: this.rules.hashBodies === true })
    if (verb === 'QUIT') this.socket.end()
    if (verb === 'STARTTLS' && this.rules.tls) this.upgrade(this.rules.tls)
  }

  private upgrade(tls: SinkTls): void {
    if (this.buffer.length > 0) this.state.faults.push('commands pipelined behind STARTTLS')
    this.buffer = Buffer.alloc(0)
    this.socket.removeAllListeners('data')
    this.socket = new TLSSocket(this.socket, { isServer: true, secureContext: createSecureContext(tls) })
    this.tls = true
    this.listen()
  }

  private async takeData(): Promise<boolean> {
    const mail = this.inData!
    const rest = mail.take(this.buffer)
    this.buffer = rest ?? Buffer.alloc(0)
    if (rest === undefined) return false
    this.inData = undefined
    await this.arrived(mail)
    return true
  }

  private async arrived(mail: ArrivingMail): Promise<void> {
    const { from, parameters, recipients, recipientParameters } = this.mail ?? { from: '', parameters: '', recipients: [], recipientParameters: [] }
    this.mail = undefined
    if (recipients.length === 0) return this.say('554 5.5.1 no valid recipients') // RFC 2920 3.1
    this.state.faults.push(...mail.faults)
    const { data } = mail
    const bodyHash = mail.bodyHash()
    const arrival: Arrival = { from, fromParameters: parameters, recipients, recipientParameters, data, ...(bodyHash !== undefined && { bodyHash }), helo: this.helo, tls: this.tls, at: Date.now(), session: this.number, address: this.socket.remoteAddress ?? '', taken: false }
    this.state.arrivals.push(arrival)
    const wait = this.rules.delay?.() ?? 0
    if (wait > 0) await sleep(wait)
    const answer = (await this.rules.dot?.(arrival)) ?? '250 2.0.0 taken'
    arrival.taken = answer.startsWith('2')
    await this.say(answer)
  }

  private async reply(answer: () => Promise<Answer>): Promise<void> {
    await this.say((await answer()) ?? '')
  }

  private async say(answer: Answer): Promise<void> {
    if (answer === 'drop') return void this.socket.destroy()
    if (answer === 'hang') return new Promise((resolve) => this.socket.once('close', resolve))
    if (answer !== undefined && answer !== '') this.socket.write(`${answer.replaceAll('\n', '\r\n')}\r\n`, 'utf8')
  }
}

const path = (argument: string): string => /<((?:"(?:[^"\\]|\\.)*"|[^">])*)>/.exec(Buffer.from(argument, 'latin1').toString('utf8'))?.[1] ?? `unparsable: ${argument}`
const afterPath = (argument: string): string => argument.slice(argument.lastIndexOf('>') + 1).trim()
