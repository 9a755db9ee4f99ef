// One connection of the sink: commands in, replies out, on the raw socket, so that every reply may be slow, wrong, endless or missing.
import type { Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { DataReader } from './sink-data.ts'
import type { SinkMail, SinkOptions, SinkPhase } from './sink-options.ts'

export type SinkEars = {
  readonly options: () => SinkOptions
  readonly onCommand: (line: string) => void
  readonly onFault: (fault: string) => void
  readonly onMail: (mail: SinkMail) => void
}

/** What it offers where it is not told otherwise. */
export const extensions = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN', 'ENHANCEDSTATUSCODES', 'SIZE']

type Envelope = { from: string; mailParameters: string; to: string[]; rcptParameters: string[] }

export class SinkSession {
  #socket: Socket
  readonly #number: number
  readonly #ears: SinkEars
  #input: Buffer = Buffer.alloc(0)
  #output = ''
  #envelope: Envelope | undefined
  #data: DataReader | undefined
  #login: string | undefined
  #loginStep: string[] | undefined
  #busy = false
  #ended = false
  #messages = 0
  #isTls = false

  constructor(socket: Socket, number: number, ears: SinkEars) {
    this.#socket = socket
    this.#number = number
    this.#ears = ears
  }

  start(): void {
    const { implicitTls } = this.#ears.options()
    this.#listen()
    if (implicitTls === true) this.#toTls()
    this.#run(() => this.#say('greeting', '', `220 ${this.#hostname} sink, takes everything and delivers nothing`))
  }

  get #hostname(): string {
    return this.#ears.options().hostname ?? 'sink.invalid'
  }

  #listen(): void {
    this.#socket.on('error', () => {})
    this.#socket.on('data', this.#onData)
    this.#socket.on('end', () => this.#socket.end())
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk])
    this.#run(() => Promise.resolve())
  }

  /** One thing at a time, in order, however slow it is told to be. */
  #run(first: () => Promise<void>): void {
    if (this.#busy) return
    this.#busy = true
    first()
      .then(() => this.#pump())
      .catch((error: unknown) => this.#ears.onFault(`the sink itself: ${String(error)}`))
      .finally(() => (this.#busy = false))
  }

  async #pump(): Promise<void> {
    while (!this.#ended && this.#input.length > 0) {
      if (this.#data !== undefined) {
        if (!(await this.#takeData(this.#data))) break
        continue
      }
      const end = this.#input.indexOf('\r\n')
      if (end < 0) break
      const line = this.#input.toString('utf8', 0, end)
      this.#input = this.#input.subarray(end + 2)
      this.#ears.onCommand(`${this.#number} ${line}`)
      await this.#obey(line)
    }
    this.#flush()
  }

  #obey(line: string): Promise<void> | void {
    if (/[\r\n\0]/.test(line)) this.#ears.onFault(`control characters in a command: ${JSON.stringify(line)}`)
    if (this.#loginStep !== undefined) return this.#continueLogin(line)
    const verb = line.split(/[ :]/, 1)[0]!.toUpperCase()
    switch (verb) {
      case 'EHLO':
        return this.#say('ehlo', line, this.#ehloLines())
      case 'HELO':
        return this.#say('helo', line, `250 ${this.#hostname}`)
      case 'STARTTLS':
        return this.#startTls(line)
      case 'AUTH':
        return this.#auth(line)
      case 'MAIL':
        return this.#mail(line)
      case 'RCPT':
        return this.#rcpt(line)
      case 'DATA':
        return this.#beginData(line)
      case 'RSET':
        this.#envelope = undefined
        return this.#say('rset', line, '250 2.0.0 forgotten')
      case 'NOOP':
        return this.#put('250 2.0.0 nothing done')
      case 'QUIT':
        return this.#quit(line)
      default:
        this.#ears.onFault(`unknown command: ${JSON.stringify(line.slice(0, 200))}`)
        return this.#put('500 5.5.1 unknown command')
    }
  }

  #ehloLines(): string {
    const { without = [], size, tls, auth } = this.#ears.options()
    const offered = extensions.filter((name) => !without.includes(name)).map((name) => (name === 'SIZE' ? `SIZE ${size ?? 0}` : name))
    if (tls !== undefined && !this.#isTls && !without.includes('STARTTLS')) offered.push('STARTTLS')
    if (auth !== undefined && (this.#isTls || tls === undefined)) offered.push('AUTH PLAIN LOGIN')
    const lines = [this.#hostname, ...offered]
    return lines.map((text, index) => `250${index === lines.length - 1 ? ' ' : '-'}${text}`).join('\n')
  }

  async #mail(line: string): Promise<void> {
    const found = /^MAIL FROM:(<[^>]*>)(?: (.*))?$/i.exec(line)
    if (found === null) this.#ears.onFault(`bad syntax: ${line}`)
    if (this.#envelope !== undefined) this.#ears.onFault('a second MAIL')
    const loginMissing = this.#ears.options().auth !== undefined && this.#login === undefined
    const said = await this.#ask('mail', line, found === null ? '501 5.5.4 syntax' : loginMissing ? '530 5.7.0 log in first' : '250 2.1.0 sender taken')
    if (isGood(said) && found) this.#envelope = { from: found[1]!, mailParameters: found[2] ?? '', to: [], rcptParameters: [] }
  }

  async #rcpt(line: string): Promise<void> {
    const found = /^RCPT TO:(<.+>)(?: ((?:[A-Z0-9-]+=\S+ ?)*))?$/i.exec(line)
    if (found === null) this.#ears.onFault(`bad syntax: ${line}`)
    const { maxRecipients = Infinity } = this.#ears.options()
    const usual = this.#envelope === undefined ? '503 5.5.1 MAIL first' : this.#envelope.to.length >= maxRecipients ? '452 4.5.3 too many recipients' : '250 2.1.5 recipient taken'
    const said = await this.#ask('rcpt', line, found === null ? '501 5.5.4 syntax' : usual)
    if (!isGood(said) || !found) return
    this.#envelope?.to.push(found[1]!)
    this.#envelope?.rcptParameters.push(found[2] ?? '')
  }

  async #beginData(line: string): Promise<void> {
    const said = await this.#ask('data', line, this.#envelope === undefined || this.#envelope.to.length === 0 ? '503 5.5.1 no recipient' : '354 end with a lone dot')
    if (said?.startsWith('354') !== true) return
    const isPipelined = this.#input.length > 0
    if (isPipelined && this.#ears.options().dropAfterBytes === undefined) this.#ears.onFault('message bytes sent before the 354')
    this.#data = new DataReader(this.#ears.options().keep !== 0)
    this.#flush()
  }

  /** False while the message goes on. */
  async #takeData(data: DataReader): Promise<boolean> {
    const { dropAfterBytes } = this.#ears.options()
    const rest = data.feed(this.#input)
    this.#input = rest ?? Buffer.alloc(0)
    if (dropAfterBytes !== undefined && data.bytes > dropAfterBytes) this.#drop()
    if (rest === undefined || this.#ended) return false
    this.#data = undefined
    this.#messages++
    const { from, to, mailParameters, rcptParameters } = this.#envelope ?? { from: '', to: [], mailParameters: '', rcptParameters: [] }
    this.#envelope = undefined
    const said = await this.#ask('dot', '.', '250 2.0.0 taken')
    if (to.length === 0 || !isGood(said)) return true
    const faults = data.faults(/BODY=8BITMIME|SMTPUTF8/i.test(mailParameters))
    const mail: SinkMail = { at: Date.now(), session: this.#number, from, to, mailParameters, rcptParameters, isTls: this.#isTls, raw: data.message(), faults, ...(this.#login !== undefined && { login: this.#login }) }
    this.#ears.onMail(mail)
    return true
  }

  async #startTls(line: string): Promise<void> {
    const { tls, injectBeforeTls = '' } = this.#ears.options()
    const said = await this.#ask('starttls', line, tls === undefined || this.#isTls ? '502 5.5.1 no TLS here' : '220 2.0.0 go on')
    if (said?.startsWith('220') !== true || tls === undefined) return
    this.#output += injectBeforeTls
    this.#flush()
    if (this.#input.length > 0) this.#ears.onFault('bytes sent before the TLS handshake')
    this.#input = Buffer.alloc(0)
    this.#toTls()
  }

  #toTls(): void {
    const { tls } = this.#ears.options()
    this.#socket.off('data', this.#onData)
    const context = createSecureContext({ key: tls!.key, cert: tls!.cert, ...(tls!.maxVersion && { maxVersion: tls!.maxVersion, minVersion: 'TLSv1' }) })
    this.#socket = new TLSSocket(this.#socket, { isServer: true, secureContext: context })
    this.#isTls = true
    this.#envelope = undefined
    this.#listen()
  }

  #auth(line: string): Promise<void> {
    const { auth } = this.#ears.options()
    const [, mechanism = '', initial] = line.split(' ')
    if (auth === undefined) return this.#say('auth', line, '502 5.5.1 no AUTH here')
    if (mechanism.toUpperCase() === 'PLAIN' && initial !== undefined) {
      const [, username = '', password = ''] = Buffer.from(initial, 'base64').toString().split('\0')
      return this.#finishLogin(line, username, password)
    }
    this.#loginStep = []
    return this.#put('334 VXNlcm5hbWU6')
  }

  #continueLogin(line: string): Promise<void> {
    this.#loginStep!.push(Buffer.from(line, 'base64').toString())
    if (this.#loginStep!.length === 1) return this.#put('334 UGFzc3dvcmQ6')
    const [username = '', password = ''] = this.#loginStep!
    this.#loginStep = undefined
    return this.#finishLogin('AUTH LOGIN', username, password)
  }

  async #finishLogin(line: string, username: string, password: string): Promise<void> {
    const { auth } = this.#ears.options()
    const isRight = auth?.username === username && auth.password === password
    const said = await this.#ask('auth', line, isRight ? '235 2.7.0 welcome' : '535 5.7.8 wrong')
    if (isGood(said)) this.#login = username
  }

  async #quit(line: string): Promise<void> {
    await this.#say('quit', line, '221 2.0.0 bye')
    this.#flush()
    this.#ended = true
    this.#socket.end()
  }

  async #say(phase: SinkPhase, line: string, usual: string): Promise<void> {
    await this.#ask(phase, line, usual)
  }

  /** What was said in the end; undefined where nothing was. */
  async #ask(phase: SinkPhase, line: string, usual: string): Promise<string | undefined> {
    const options = this.#ears.options()
    const view = { number: this.#number, messages: this.#messages, recipients: this.#envelope?.to.length ?? 0, isTls: this.#isTls }
    const rule = options.replies?.[phase]
    const said = (typeof rule === 'function' ? rule(line, view) : rule) ?? usual
    const delay = typeof options.delayMs === 'function' ? options.delayMs(phase) : (options.delayMs ?? 0)
    if (delay > 0) {
      this.#flush()
      await new Promise((resolve) => setTimeout(resolve, delay))
    }
    if (options.hang === phase) return this.#hang()
    if (options.drop === phase) return this.#drop()
    if (options.flood === phase) return this.#flood(said.slice(0, 3))
    await this.#put(options.longLine?.phase === phase ? `${said} ${'x'.repeat(options.longLine.bytes)}` : said)
    if (options.closeAfter === phase || said.startsWith('421')) {
      this.#flush()
      this.#ended = true
      this.#socket.end()
    }
    return said
  }

  #hang(): undefined {
    this.#flush()
    this.#ended = true // deaf and dumb, and open
  }

  #drop(): undefined {
    this.#ended = true
    this.#socket.destroy()
  }

  async #flood(code: string): Promise<undefined> {
    this.#flush()
    const line = `${code}-and one more thing\r\n`.repeat(100)
    while (!this.#socket.destroyed) {
      this.#socket.write(line)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    this.#ended = true
  }

  async #put(text: string): Promise<void> {
    const { dripMs } = this.#ears.options()
    const bytes = `${text.replaceAll('\n', '\r\n')}\r\n`
    if (dripMs === undefined) {
      this.#output += bytes
      return
    }
    for (const character of bytes) {
      if (this.#socket.destroyed) return
      this.#socket.write(character)
      await new Promise((resolve) => setTimeout(resolve, dripMs))
    }
  }

  #flush(): void {
    if (this.#output !== '' && !this.#socket.destroyed) this.#socket.write(this.#output)
    this.#output = ''
  }
}

const isGood = (said: string | undefined): boolean => said?.startsWith('2') === true
