// Plays a .talk file against a server: C: lines are sent, S: lines are what must come back. Used by unit tests and scenarios.
//
//   # reason of the test, in the first comment
//   C: text          a line, sent with CR LF           S: 250            a reply (all its lines) that starts so
//   C| text\n        bytes exactly, with \r \n \0 \xNN  S~ /regexp/       a reply with a line that matches
//   PAUSE 50         milliseconds before what follows   S! 250            the next reply does not start so
//   STARTTLS         upgrades now                       CLOSED            the server closes the connection
import { readFileSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export type Step = { readonly line: number; readonly verb: string; readonly text: string }
export type TalkOptions = { readonly host?: string; readonly port: number; readonly implicitTls?: boolean; readonly timeoutMs?: number; readonly words?: Readonly<Record<string, string>> }

export class TalkFailed extends Error {
  readonly code = 'TALK_FAILED'
}

/** Steps of a talk; words in {braces} are replaced. Throws where a line is no step, or the reason is missing. */
export const parseTalk = (text: string, words: Readonly<Record<string, string>> = {}): Step[] => {
  if (!text.startsWith('#')) throw new TalkFailed('a talk begins with a comment that gives its reason')
  return text.split('\n').flatMap((raw, index) => {
    const filled = raw.replace(/\{(\w+)\}/g, (whole, key: string) => words[key] ?? whole)
    if (filled.trim() === '' || filled.startsWith('#')) return []
    const step = /^(C:|C\||S:|S~|S!|PAUSE|STARTTLS|CLOSED)(?: ?)(.*)$/.exec(filled)
    if (!step) throw new TalkFailed(`line ${index + 1} is no step: ${raw}`)
    return [{ line: index + 1, verb: step[1]!, text: step[2]! }]
  })
}

/** Plays it to the end; throws TalkFailed with the whole transcript where a reply is not the one wanted. */
export const playTalk = async (text: string, options: TalkOptions): Promise<string[]> => {
  const line = await openLine(options)
  try {
    for (const step of parseTalk(text, options.words)) await play(line, step, options)
    return line.transcript
  } finally {
    line.destroy()
  }
}

export const playTalkFile = (path: string, options: TalkOptions): Promise<string[]> => playTalk(readFileSync(path, 'utf8'), options)

export type Line = {
  readonly transcript: string[]
  send(bytes: Buffer): void
  reply(ms: number): Promise<string[] | undefined> // undefined: closed
  startTls(): Promise<void>
  /** Sends a line and returns the last line of its reply; 'closed' where there is none. */
  ask(text: string, ms?: number): Promise<string>
  destroy(): void
}

const play = async (line: Line, step: Step, options: TalkOptions): Promise<void> => {
  const ms = options.timeoutMs ?? 30_000
  const wrong = (what: string) => new TalkFailed(`line ${step.line} (${step.verb} ${step.text}): ${what}\n${line.transcript.join('\n')}`)
  if (step.verb === 'C:') return line.send(Buffer.from(`${step.text}\r\n`))
  if (step.verb === 'C|') return line.send(unescape(step.text))
  if (step.verb === 'PAUSE') return new Promise((resolve) => setTimeout(resolve, Number(step.text)))
  if (step.verb === 'STARTTLS') return line.startTls()
  const got = await line.reply(ms).catch((error: Error) => Promise.reject(wrong(error.message)))
  if (step.verb === 'CLOSED') {
    if (got !== undefined) throw wrong(`a reply came instead: ${got.join(' / ')}`)
    return undefined
  }
  if (got === undefined) throw wrong('the server closed the connection')
  const fits = step.verb === 'S~' ? fitsPattern(got, step.text) : got.every((one) => one.startsWith(step.text.slice(0, 3))) && got.some((one) => one.replace('-', ' ').startsWith(step.text))
  if (fits === (step.verb === 'S!')) throw wrong(`the reply was ${got.join(' / ')}`)
  return undefined
}

const fitsPattern = (lines: readonly string[], text: string): boolean => {
  const pattern = new RegExp(text.replace(/^\/|\/$/g, ''), 'i')
  return lines.some((one) => pattern.test(one))
}

const unescape = (text: string): Buffer => {
  const plain = text.replace(/\\(r|n|t|0|\\|x[0-9A-Fa-f]{2})/g, (_, code: string) =>
    ({ r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' })[code] ?? String.fromCharCode(Number.parseInt(code.slice(1), 16)))
  return Buffer.from(plain, 'latin1')
}

/** A connection to talk on by hand; it says nothing by itself. */
export const openLine = async ({ host = '127.0.0.1', port, implicitTls }: TalkOptions): Promise<Line> => {
  const raw = connectTcp({ host, port, noDelay: true })
  await once(raw, 'connect')
  let socket: Socket = implicitTls === true ? connectTls({ socket: raw, rejectUnauthorized: false }) : raw
  const reader = createReader()
  reader.attach(socket)
  const line: Line = {
    transcript: reader.transcript,
    send: (bytes) => {
      reader.transcript.push(`C: ${JSON.stringify(bytes.toString('latin1')).slice(1, -1)}`)
      if (!socket.destroyed) socket.write(bytes)
    },
    reply: reader.next,
    ask: async (text, ms = 30_000) => {
      line.send(Buffer.from(`${text}\r\n`))
      return (await reader.next(ms))?.at(-1) ?? 'closed'
    },
    startTls: async () => {
      socket.removeAllListeners('data')
      const upgraded = connectTls({ socket, rejectUnauthorized: false })
      await once(upgraded, 'secureConnect')
      socket = upgraded
      reader.attach(upgraded)
    },
    destroy: () => (raw.destroy(), socket.destroy()),
  }
  return line
}

const once = (socket: Socket, event: string): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once(event, () => resolve())
    socket.once('error', reject)
  })

const createReader = () => {
  const transcript: string[] = []
  const replies: string[][] = []
  let buffer = ''
  let current: string[] = []
  const end = { closed: false }
  let wake = (): void => {}
  const onData = (piece: Buffer): void => {
    const lines = (buffer + piece.toString('latin1')).split('\r\n')
    buffer = lines.pop()!
    for (const one of lines) {
      transcript.push(`S: ${one}`)
      current.push(one)
      if (one[3] !== '-') replies.push(current.splice(0))
    }
    wake()
  }
  const onClose = (): void => {
    end.closed = true
    wake()
  }
  const next = async (ms: number): Promise<string[] | undefined> => {
    const deadline = Date.now() + ms
    while (replies.length === 0 && !end.closed) {
      const left = deadline - Date.now()
      if (left <= 0) throw new TalkFailed(`no reply within ${ms} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        wake = () => (clearTimeout(timer), resolve())
      })
    }
    return replies.shift()
  }
  const attach = (socket: Socket): void => void socket.on('data', onData).on('close', onClose).on('end', onClose).on('error', onClose)
  return { transcript, next, attach }
}
