// A receiving host whose every reply is a test's: split at each octet, doubled, too many, of the wrong kind, followed by a close.
// It does what it says and no more, and keeps account of what it took; shares no code with the relay.
import { createServer, type AddressInfo, type Socket } from 'node:net'

export type Say = {
  readonly text: string // as it goes out, line ends and all; nothing, and no close: from then on it is silent
  readonly closes?: boolean
  readonly split?: boolean // one octet a write
}
export type Verb = 'GREETING' | 'EHLO' | 'HELO' | 'MAIL' | 'RCPT' | 'DATA' | 'DOT' | 'RSET' | 'QUIT'
/** Undefined: what an honest host would say. `count`: how often this very line came so far, on all connections. */
export type Script = (verb: Verb, line: string, count: number) => Say | string | undefined

export type TalkingHost = {
  readonly host: string
  readonly port: number
  /** Recipients of messages that it answered with 2yz, one entry for each time. */
  readonly took: readonly string[]
  readonly commands: readonly string[] // "1 MAIL FROM:<a@b>", the number of the connection before it
  connections(): number
  open(): number
  close(): Promise<void>
}

type State = { readonly script: Script; readonly offers: readonly string[]; readonly took: string[]; readonly commands: string[]; readonly counts: Map<string, number>; connections: number; readonly sockets: Set<Socket> }

export const startTalkingHost = async (script: Script, { host = '127.0.0.1', port = 0, offers = ['PIPELINING', 'ENHANCEDSTATUSCODES'] }: { host?: string; port?: number; offers?: readonly string[] } = {}): Promise<TalkingHost> => {
  const state: State = { script, offers, took: [], commands: [], counts: new Map(), connections: 0, sockets: new Set() }
  const server = createServer({ noDelay: true }, (socket) => {
    state.sockets.add(socket.on('error', () => {}).once('close', () => state.sockets.delete(socket)))
    new Talk(socket, ++state.connections, state).start()
  })
  await new Promise<void>((resolve, reject) => void server.once('error', reject).listen(port, host, resolve))
  return {
    host, port: (server.address() as AddressInfo).port, took: state.took, commands: state.commands,
    connections: () => state.connections,
    open: () => state.sockets.size,
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of state.sockets) socket.destroy()
    }),
  }
}

const lastCode = (text: string): number => Number(text.trimEnd().split('\n').at(-1)?.slice(0, 3))

class Talk {
  readonly #socket: Socket
  readonly #number: number
  readonly #state: State
  #input = ''
  #busy = false
  #hasMail = false
  #to: string[] = []
  #inData = false
  #isSilent = false

  constructor(socket: Socket, number: number, state: State) {
    this.#socket = socket
    this.#number = number
    this.#state = state
  }

  start(): void {
    this.#socket.on('data', (piece: Buffer) => {
      this.#input += piece.toString('latin1')
      void this.#work()
    })
    this.#busy = true
    void this.#say('GREETING', '', '220 host.example ESMTP').then(() => {
      this.#busy = false
      return this.#work()
    })
  }

  async #work(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    while (await this.#step());
    this.#busy = false
  }

  async #step(): Promise<boolean> {
    if (this.#isSilent || this.#socket.destroyed || this.#socket.writableEnded) return false
    if (this.#inData && this.#input.startsWith('.\r\n')) this.#input = `\r\n${this.#input}` // the lone dot
    const mark = this.#inData ? '\r\n.\r\n' : '\r\n'
    const end = this.#input.indexOf(mark)
    if (end < 0) return false
    const line = this.#input.slice(0, end)
    this.#input = this.#input.slice(end + mark.length)
    await (this.#inData ? this.#dot() : this.#obey(line))
    return true
  }

  async #dot(): Promise<void> {
    this.#inData = false
    const to = this.#to
    this.#forget()
    const code = await this.#say('DOT', '.', to.length > 0 ? '250 2.0.0 taken' : '554 5.5.1 no valid recipients')
    if (code >= 200 && code < 300) this.#state.took.push(...to)
  }

  #forget(): void {
    this.#hasMail = false
    this.#to = []
  }

  async #obey(line: string): Promise<void> {
    this.#state.commands.push(`${this.#number} ${line}`)
    const verb = line.slice(0, 4).toUpperCase() as Verb
    if (verb === 'EHLO' || verb === 'HELO' || verb === 'RSET') this.#forget()
    const code = await this.#say(verb, line, this.#usual(verb))
    const isGood = code >= 200 && code < 300
    if (verb === 'MAIL' && isGood) this.#hasMail = true
    if (verb === 'RCPT' && isGood && this.#hasMail) this.#to.push(/<(.*)>/.exec(line)?.[1] ?? '')
    if (verb === 'DATA' && code >= 300 && code < 400) this.#inData = true
    if (verb === 'QUIT') this.#socket.end()
  }

  #usual(verb: Verb): string {
    switch (verb) {
      case 'EHLO':
        return ['host.example', ...this.#state.offers].map((word, index, all) => `250${index === all.length - 1 ? ' ' : '-'}${word}`).join('\r\n')
      case 'MAIL':
        return this.#hasMail ? '503 5.5.1 nested MAIL command' : '250 2.1.0 ok'
      case 'RCPT':
        return this.#hasMail ? '250 2.1.5 ok' : '503 5.5.1 need MAIL first'
      case 'DATA':
        return this.#to.length > 0 ? '354 go on' : '503 5.5.1 need RCPT first'
      case 'QUIT':
        return '221 2.0.0 bye'
      case 'RSET':
      case 'HELO':
        return '250 2.0.0 ok'
      case 'GREETING':
      case 'DOT':
      default:
        return '500 5.5.2 what'
    }
  }

  /** The code it said: of the first reply, where it says more than one. */
  async #say(verb: Verb, line: string, usual: string): Promise<number> {
    const count = this.#state.counts.get(line) ?? 0
    this.#state.counts.set(line, count + 1)
    const told = this.#state.script(verb, line, count) ?? usual
    const { text, closes = false, split = false }: Say = typeof told === 'string' ? { text: `${told}\r\n` } : told
    this.#isSilent = text === '' && !closes
    if (split) for (const octet of Buffer.from(text, 'latin1')) await new Promise<void>((resolve) => void this.#socket.write(Buffer.of(octet), () => setImmediate(resolve)))
    else this.#socket.write(Buffer.from(text, 'latin1'))
    if (closes) this.#socket.end()
    return lastCode(text.split(/(?<=^\d{3}(?: [^\n]*)?\n)/m)[0] ?? text)
  }
}
