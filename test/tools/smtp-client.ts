// An SMTP client for tests: says exactly what it is told, waits for whole replies. Shares no code with the relay.
import { connect, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'

export type Reply = { readonly code: number; readonly lines: readonly string[]; readonly text: string }

export class ConnectionLost extends Error {
  readonly code = 'CONNECTION_LOST'
}

export type SmtpClient = {
  readonly greeting: Reply
  /** One command line, one reply. */
  say(line: string): Promise<Reply>
  /** Several lines in one packet, as many replies; fewer where one is 421. */
  pipeline(lines: readonly string[]): Promise<Reply[]>
  write(bytes: Buffer | string): void
  reply(): Promise<Reply>
  startTls(): Promise<void>
  /** Common name in the server's certificate, once there is TLS. */
  serverName(): string | undefined
  drained(): Promise<void>
  readonly closed: Promise<void>
  close(): void
}

export const openSmtp = async (port: number, options: { host?: string; tls?: boolean; patienceMs?: number; localAddress?: string } = {}): Promise<SmtpClient> => {
  const target = { port, host: options.host ?? '127.0.0.1', noDelay: true, ...(options.localAddress !== undefined && { localAddress: options.localAddress }) }
  const plain: Socket = options.tls === true ? connectTls({ ...target, rejectUnauthorized: false }) : connect(target)
  let socket = plain
  let replies = new Replies(socket, options.patienceMs ?? 120_000)
  const greeting = await replies.next()
  const closed = new Promise<void>((resolve) => plain.once('close', () => resolve()))
  const client: SmtpClient = {
    greeting,
    say: (line) => (socket.write(`${line}\r\n`, 'utf8'), replies.next()),
    pipeline: async (lines) => {
      socket.write(lines.map((line) => `${line}\r\n`).join(''), 'utf8')
      const all: Reply[] = []
      for (const _ of lines) {
        all.push(await replies.next())
        if (all.at(-1)!.code === 421) break // said, and gone (RFC 5321 3.8)
      }
      return all
    },
    write: (bytes) => void socket.write(bytes),
    reply: () => replies.next(),
    startTls: async () => {
      const answer = await client.say('STARTTLS')
      if (answer.code !== 220) throw new Error(`STARTTLS: ${answer.text}`)
      plain.removeAllListeners('data')
      socket = connectTls({ socket: plain, rejectUnauthorized: false })
      await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
      replies = new Replies(socket, options.patienceMs ?? 120_000)
    },
    serverName: () => (socket instanceof TLSSocket ? [socket.getPeerCertificate().subject.CN].flat()[0] : undefined),
    drained: () => new Promise((resolve) => (socket.writableNeedDrain ? socket.once('drain', resolve) : resolve())),
    closed,
    close: () => socket.destroy(),
  }
  return client
}

/** Doubles leading dots and ends with the lone dot. */
export const stuffed = (mail: string): string => `${mail.replace(/(^|\r\n)\./g, '$1..')}${mail.endsWith('\r\n') ? '' : '\r\n'}.\r\n`

export type Mail = { readonly from: string; readonly to: readonly string[]; readonly data: string; readonly parameters?: string }
export type Said = { readonly mail: Reply; readonly recipients: readonly Reply[]; readonly data?: Reply }

/** One transaction on a connection that has said EHLO; MAIL, RCPT and DATA in one packet. `data` is the reply to the dot. */
export const sendMail = async (client: SmtpClient, mail: Mail): Promise<Said> => {
  const lines = [`MAIL FROM:<${mail.from}>${mail.parameters === undefined ? '' : ` ${mail.parameters}`}`, ...mail.to.map((to) => `RCPT TO:<${to}>`), 'DATA']
  const replies = await client.pipeline(lines)
  const go = replies.at(-1)!
  const said = { mail: replies[0]!, recipients: replies.slice(1, -1) }
  if (go.code === 421) return { mail: replies[0]!, recipients: replies.slice(1), data: go }
  if (go.code !== 354) {
    await client.say('RSET')
    return said
  }
  client.write(stuffed(mail.data))
  return { ...said, data: await client.reply() }
}

/** The first reply that says no. */
export const refusalIn = ({ mail, recipients, data }: Said): Reply | undefined => [mail, ...recipients, ...(data ? [data] : [])].find(({ code }) => code >= 400)

class Replies {
  private readonly ready: Reply[] = []
  private readonly waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = []
  private rest = ''
  private lines: string[] = []
  private lost: Error | undefined
  private readonly patienceMs: number

  constructor(socket: Socket, patienceMs: number) {
    this.patienceMs = patienceMs
    socket.on('data', (bytes: Buffer) => this.read(bytes.toString('utf8')))
    socket.on('error', (error) => this.lose(error.message))
    socket.on('close', () => this.lose('connection closed'))
  }

  async next(): Promise<Reply> {
    if (this.ready.length > 0) return this.ready.shift()!
    if (this.lost) throw this.lost
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    this.waiting.push({ resolve, reject })
    const timer = setTimeout(() => reject(new ConnectionLost(`no reply within ${this.patienceMs / 1000} s`)), this.patienceMs)
    return promise.finally(() => clearTimeout(timer))
  }

  private read(text: string): void {
    const lines = (this.rest + text).split('\r\n')
    this.rest = lines.pop()!
    for (const line of lines) this.line(line)
  }

  private line(line: string): void {
    this.lines.push(line)
    if (/^\d{3}-/.test(line)) return
    const all = this.lines
    this.lines = []
    const reply = { code: Number(line.slice(0, 3)), lines: all, text: all.join('\n') }
    const first = this.waiting.shift()
    if (first) first.resolve(reply)
    else this.ready.push(reply)
  }

  private lose(why: string): void {
    this.lost ??= new ConnectionLost(why)
    for (const { reject } of this.waiting.splice(0)) reject(this.lost)
  }
}
