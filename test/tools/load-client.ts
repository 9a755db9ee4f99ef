// Many clients at once, each trying the relay's addresses in turn as a client tries the hosts of one MX; writes down every answer.
import { openSmtp, sendMail, type Mail, type SmtpClient } from './smtp-client.ts'
import { sleep } from './until.ts'

export type SendLog = {
  /** Recipients for which a 250 after the dot was read. */
  readonly accepted: Set<string>
  /** Recipients refused for good, with the reply. */
  readonly refused: Map<string, string>
  /** Sendings whose connection was lost after the dot: the relay may have them, and they are sent again. */
  unsure: number
  /** Replies other than 2xx and 354, and lost connections, by their words: how often. */
  readonly trouble: Map<string, number>
  readonly times: number[] // ms from the dot to its 250
}

export const sendAll = async (options: {
  readonly ports: readonly number[] | (() => readonly number[])
  readonly clients: number
  /** Each client takes the next when it is done with its last; the load ends with them. Each recipient address is used once in a run, so that it names its copy everywhere: at the sink, in a DSN, in the queue. */
  readonly mails: Iterable<Mail>
  /** The relay's host, or which one has that port; 127.0.0.1 where not said. */
  readonly host?: string | ((port: number) => string)
  /** Mails after which a client leaves and connects anew; never where not said. */
  readonly mailsPerConnection?: number
  readonly patienceMs?: number
  readonly onAccepted?: (count: number) => void
  readonly pauseMs?: number
  /** Longest wait for a reply; 60 s where not said. */
  readonly replyMs?: number
}): Promise<SendLog> => {
  const log: SendLog = { accepted: new Set(), refused: new Map(), unsure: 0, trouble: new Map(), times: [] }
  const waiting = options.mails[Symbol.iterator]()
  const deadline = Date.now() + (options.patienceMs ?? 300_000)
  const ports = typeof options.ports === 'function' ? options.ports : () => options.ports as readonly number[]
  const one = async (index: number): Promise<void> => {
    const line = new Line(ports, index, log, options)
    for (let next = waiting.next(); next.done !== true; next = waiting.next()) {
      while (!(await line.send(next.value))) {
        if (Date.now() > deadline) throw new Error(`a mail was not taken in time; trouble: ${JSON.stringify([...log.trouble])}`)
        await sleep(50 + Math.random() * 100)
      }
      options.onAccepted?.(log.accepted.size)
      if (options.pauseMs !== undefined) await sleep(options.pauseMs)
    }
    line.close()
  }
  await Promise.all(Array.from({ length: options.clients }, (_, index) => one(index)))
  return log
}

type LineOptions = { readonly host?: string | ((port: number) => string); readonly mailsPerConnection?: number; readonly replyMs?: number }

/** One client: a connection while it lasts, the next address when it does not. */
class Line {
  private client: SmtpClient | undefined
  private turn: number
  private readonly ports: () => readonly number[]
  private readonly log: SendLog
  private readonly how: LineOptions
  private sent = 0

  constructor(ports: () => readonly number[], turn: number, log: SendLog, how: LineOptions) {
    this.ports = ports
    this.turn = turn
    this.log = log
    this.how = how
  }

  /** True once every recipient has its final answer. */
  async send(mail: Mail): Promise<boolean> {
    const open = { ...mail, to: mail.to.filter((to) => !this.log.accepted.has(to) && !this.log.refused.has(to)) }
    if (open.to.length === 0) return true
    let dotted = false
    try {
      const client = await this.connected()
      const began = performance.now()
      dotted = true
      const said = await sendMail(client, open)
      const judged = said.mail.code >= 400 ? [said.mail] : [...said.recipients, ...(said.data ? [said.data] : [])] // behind a failed MAIL nothing counts
      for (const reply of judged) if (reply.code >= 400) this.note(reply.text)
      if (said.data?.code === 250) this.log.times.push(performance.now() - began)
      said.recipients.forEach((reply, index) => {
        const to = open.to[index]!
        if (said.mail.code >= 500) this.log.refused.set(to, said.mail.text)
        else if (said.mail.code >= 400) return
        else if (reply.code >= 500) this.log.refused.set(to, reply.text)
        else if (reply.code === 250 && said.data?.code === 250) this.log.accepted.add(to)
        else if (said.data !== undefined && said.data.code >= 500) this.log.refused.set(to, said.data.text)
      })
      if (said.mail.code === 421 || said.data?.code === 421) this.close()
      else if (++this.sent === this.how.mailsPerConnection) await this.quit()
    } catch (error) {
      if (dotted) this.log.unsure++
      this.note(error instanceof Error ? `lost: ${error.message}` : 'lost')
      this.close()
    }
    return open.to.every((to) => this.log.accepted.has(to) || this.log.refused.has(to))
  }

  close(): void {
    this.client?.close()
    this.client = undefined
    this.sent = 0
  }

  async quit(): Promise<void> {
    await this.client?.say('QUIT').catch(() => undefined)
    this.close()
  }

  private async connected(): Promise<SmtpClient> {
    if (this.client) return this.client
    const ports = this.ports()
    const port = ports[this.turn++ % ports.length]!
    const { host = '127.0.0.1', replyMs = 60_000 } = this.how
    const client = await openSmtp(port, { patienceMs: replyMs, host: typeof host === 'string' ? host : host(port) })
    if (client.greeting.code !== 220) {
      client.close()
      throw new Error(`greeting ${client.greeting.text}`)
    }
    await client.say('EHLO client.example')
    this.client = client
    return client
  }

  private note(text: string): void {
    this.log.trouble.set(text, (this.log.trouble.get(text) ?? 0) + 1)
  }
}
