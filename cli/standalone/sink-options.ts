// What a sink may be told to do, from polite to every kind of rude, and what it remembers of a mail. Data only.
export type SinkPhase = 'greeting' | 'ehlo' | 'helo' | 'starttls' | 'auth' | 'mail' | 'rcpt' | 'data' | 'dot' | 'rset' | 'quit'

/** What a reply looks like: the text after CR LF was cut; several lines joined by "\n". `undefined` leaves it to the sink. */
type ReplyRule = string | ((line: string, session: SinkSessionView) => string | undefined)

type SinkSessionView = { readonly number: number; readonly messages: number; readonly recipients: number; readonly isTls: boolean }

export type SinkBehaviour = {
  readonly replies?: Partial<Record<SinkPhase, ReplyRule>>
  readonly delayMs?: number | ((phase: SinkPhase) => number)
  readonly hang?: SinkPhase // says nothing there, ever
  readonly drop?: SinkPhase // closes there instead of answering
  readonly dropAfterBytes?: number // closes in the middle of DATA
  readonly closeAfter?: SinkPhase // answers, then closes
  readonly without?: readonly string[] // extensions not offered
  readonly size?: number // SIZE to announce
  readonly dripMs?: number // replies byte by byte, this far apart
  readonly flood?: SinkPhase // an endless multi-line reply
  readonly longLine?: { readonly phase: SinkPhase; readonly bytes: number } // one line of that length
  readonly injectBeforeTls?: string // sent in one piece with the answer to STARTTLS
  readonly auth?: { readonly username: string; readonly password: string } // mail only after this login
  readonly maxRecipients?: number // 452 from then on
}

export type SinkOptions = SinkBehaviour & {
  readonly host?: string
  readonly port?: number // 0: a free one
  readonly hostname?: string
  readonly tls?: { readonly key: string; readonly cert: string; readonly maxVersion?: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3' }
  readonly implicitTls?: boolean
  readonly print?: (line: string) => void // one line per mail and connection
  readonly keep?: number // mails remembered; 0 counts only
  readonly onMail?: (mail: SinkMail) => void
}

export type SinkMail = {
  readonly at: number
  readonly session: number
  readonly from: string // "<a@b>" as the client wrote it
  readonly to: readonly string[]
  readonly mailParameters: string
  readonly rcptParameters: readonly string[]
  readonly isTls: boolean
  readonly login?: string
  readonly raw: Buffer // dots undone, CRLF kept, without the final dot
  readonly faults: readonly string[] // bare CR, bare LF, NUL, 8-bit where none was declared
}
