// The spelling of SMTP as a client: commands out, reply lines in. Pure; the only place that writes command text.
// Refuses CR, LF and NUL in everything (RFC 5321 4.1.1: a command is one line), so no address can become a command.
import type { Mailbox } from '../snapshot/index.ts'
import { inSevenBits, printMailbox } from '../snapshot/index.ts'

export class WireError extends Error {
  readonly code = 'SMTP_WIRE_UNSAFE'
}

export type Reply = { readonly code: number; readonly enhanced?: string; readonly lines: readonly string[] }

/** One command line. Throws WireError where a word would end the line early. */
export const commandLine = (text: string): string => {
  if (/[\r\n\0]/.test(text)) throw new WireError('CR, LF or NUL in an SMTP command')
  return `${text}\r\n`
}

/** `<local@domain>` or `<>` (RFC 5321 4.1.2). */
export const path = (mailbox: Mailbox | null): string => (mailbox === null ? '<>' : `<${printMailbox(mailbox)}>`)

const word = (text: string): string => {
  if (/[\s\0]/.test(text)) throw new WireError('a parameter that is not one word')
  return text
}

export type MailParameters = {
  readonly size?: number // RFC 1870
  readonly body?: '8BITMIME' // RFC 6152
  readonly smtputf8?: boolean // RFC 6531
  readonly ret?: 'FULL' | 'HDRS' // RFC 3461 4.3
  readonly envid?: string // RFC 3461 4.4, xtext as the client gave it
}

export const mailCommand = (from: Mailbox | null, parameters: MailParameters): string => {
  let text = `MAIL FROM:${path(from)}`
  if (parameters.size !== undefined) text += ` SIZE=${parameters.size}`
  if (parameters.body !== undefined) text += ` BODY=${parameters.body}`
  if (parameters.smtputf8 === true) text += ' SMTPUTF8'
  if (parameters.ret !== undefined) text += ` RET=${parameters.ret}`
  if (parameters.envid !== undefined) text += ` ENVID=${word(parameters.envid)}`
  return commandLine(text)
}

export type RcptParameters = { readonly notify?: readonly string[]; readonly orcpt?: string } // RFC 3461 4.1, 4.2

/** RFC 3461 4.2. Who it was for before is worth less than that it arrives. */
const mostOrcpt = 500

/** `smtputf8`: as MAIL had it. Without it an original recipient in UTF-8 is written in ASCII (RFC 6533 3). */
export const rcptCommand = (to: Mailbox, { notify, orcpt }: RcptParameters, smtputf8 = false): string => {
  let text = `RCPT TO:${path(to)}`
  if (notify !== undefined && notify.length > 0) text += ` NOTIFY=${word(notify.join(','))}`
  const original = orcpt === undefined || smtputf8 ? orcpt : inSevenBits(orcpt)
  if (original !== undefined && (original === orcpt || original.length <= mostOrcpt)) text += ` ORCPT=${word(original)}`
  return commandLine(text)
}

export type ReplyLimits = { readonly bytes: number; readonly lines: number }
export const defaultReplyLimits: ReplyLimits = { bytes: 64 * 1024, lines: 200 } // an EHLO reply of 200 extensions does not exist

/** What is wrong with what the server sends: no SMTP, or more of it than a reply may have. */
export type ReplyFault = { readonly fault: 'garbled' | 'endless'; readonly text: string }

/** Takes bytes as they come and gives whole replies; after a fault it gives nothing more. */
export class ReplyReader {
  readonly #limits: ReplyLimits
  #rest = ''
  #lines: string[] = []
  #bytes = 0

  constructor(limits: ReplyLimits = defaultReplyLimits) {
    this.#limits = limits
  }

  /** True while part of a reply, or anything unread, is held. */
  get isMidReply(): boolean {
    return this.#rest !== '' || this.#lines.length > 0
  }

  feed(chunk: Buffer): { readonly replies: Reply[]; readonly fault?: ReplyFault } {
    const replies: Reply[] = []
    this.#rest += chunk.toString('latin1')
    for (let end = this.#rest.indexOf('\n'); end >= 0; end = this.#rest.indexOf('\n')) {
      const line = this.#rest.slice(0, this.#rest[end - 1] === '\r' ? end - 1 : end)
      this.#rest = this.#rest.slice(end + 1)
      const fault = this.#take(line, replies)
      if (fault) return { replies, fault }
    }
    return this.#bytes + this.#rest.length > this.#limits.bytes ? { replies, fault: endless('bytes', this.#limits.bytes) } : { replies }
  }

  #take(line: string, replies: Reply[]): ReplyFault | undefined {
    this.#bytes += line.length
    // RFC 5321 4.2: three digits, then a hyphen (more follows), a space or the end
    if (!/^[2-5][0-9][0-9]([ -]|$)/.test(line)) return { fault: 'garbled', text: printable(line.slice(0, 200)) }
    if (this.#lines.length > 0 && line.slice(0, 3) !== this.#lines[0]!.slice(0, 3)) return { fault: 'garbled', text: printable(line.slice(0, 200)) }
    if (this.#bytes > this.#limits.bytes) return endless('bytes', this.#limits.bytes)
    this.#lines.push(printable(line))
    if (line[3] === '-') return this.#lines.length >= this.#limits.lines ? endless('lines', this.#limits.lines) : undefined
    replies.push(toReply(this.#lines))
    this.#lines = []
    this.#bytes = 0
    return undefined
  }
}

const [toldLines, toldLength] = [10, 512]

/** As much of a reply as a queue record, a trace line and a notice can carry; of its own: a piece of a string holds all of it, and a line all that came with it. */
export const brief = (reply: Reply): Reply => ({ ...reply, lines: reply.lines.slice(0, toldLines).map((line) => Buffer.from(line.slice(0, toldLength).replace(/[\ud800-\udbff]$/, '')).toString()) })

const endless = (unit: string, limit: number): ReplyFault => ({ fault: 'endless', text: `a reply of more than ${limit} ${unit}` })

/** Replies end up in logs, traces and notices: control characters go, and what turns the direction of writing; UTF-8 stays what it is (RFC 6531 3.7.4.2). */
const printable = (latin1: string): string => {
  // eslint-disable-next-line no-control-regex
  if (/^[\x20-\x7e]*$/.test(latin1)) return latin1
  return Buffer.from(latin1, 'latin1').toString('utf8').replace(/\t/g, ' ').replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '?')
}

const toReply = (lines: readonly string[]): Reply => {
  const code = Number(lines[0]!.slice(0, 3))
  // RFC 2034 4: the enhanced code's class must be the reply's
  const found = /^([245])[0-9][0-9][ -]([245]\.[0-9]{1,3}\.[0-9]{1,3})(?= |$)/.exec(lines[0]!)
  return found && found[1] === found[2]![0] ? { code, enhanced: found[2]!, lines } : { code, lines }
}
