// `posthouse talk`: the manual session where no telnet is at hand. Each line is sent when the reply to the one before is there.
import { createInterface } from 'node:readline'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import type { Command } from 'commander'
import { Failure } from './failure.ts'
import { patienceMs } from './seconds.ts'
import { hostPort } from './listen-option.ts'
import { print, styled } from './terminal.ts'

type TalkOptions = { readonly tls?: boolean; readonly timeout: string }

export const talkCommand = (program: Command): void => {
  program
    .command('talk <host:port> [lines...]')
    .description('a session by hand: with lines, says each when the last was answered; without, you type; goes on in TLS after STARTTLS')
    .option('--tls', 'TLS from the first byte (port 465); no certificate is checked, here or after STARTTLS')
    .option('--timeout <seconds>', 'how long to wait for a reply', '30')
    .action(talk)
}

const talk = async (target: string, lines: string[], options: TalkOptions): Promise<void> => {
  const timeoutMs = patienceMs(options.timeout)
  let socket = await open(target, options)
  let replies = readReplies(socket)
  const next = async () => {
    const reply = await withTimeout(replies.next(), timeoutMs)
    for (const line of reply) print(styled(/^[45]/.test(line) ? 'red' : 'green', `< ${line}`))
    if (reply.length === 0) throw new Failure(`the server closed the connection${replies.fault()}`, 1)
    return reply.at(-1)!
  }
  try {
    let last = await next()
    const typed = lines.length > 0 ? lines : createInterface({ input: process.stdin })
    let inData = false
    for await (const line of typed) {
      if (lines.length > 0) print(`> ${line}`)
      socket.write(`${line}\r\n`)
      if (inData && line !== '.') continue // DATA is answered once, at its dot
      last = await next()
      inData = last.startsWith('354')
      if (line.trim().toLowerCase() !== 'starttls' || !last.startsWith('220')) continue
      replies.stop()
      socket = await whenOpen(connectTls({ socket, rejectUnauthorized: false }), target)
      replies = readReplies(socket)
    }
    if (lines.length > 0 && /^[45]/.test(last)) process.exitCode = 1
  } finally {
    socket.destroy()
  }
}

const open = (target: string, { tls }: TalkOptions): Promise<Socket> => {
  const address = hostPort(target)
  return whenOpen(tls ? connectTls({ ...address, rejectUnauthorized: false }) : connect(address), target)
}

const whenOpen = (socket: Socket, target: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => resolve(socket))
    socket.once('error', (error) => reject(new Failure(`${target} does not answer: ${inWords(error)}`)))
  })

const inWords = ({ code, message }: NodeJS.ErrnoException): string =>
  code === 'ERR_SSL_WRONG_VERSION_NUMBER' ? 'no TLS from the first byte; without --tls the session begins in plain text' : message

/** Whole replies, one at a time; after the connection's end, empty ones. */
const readReplies = (socket: Socket): { next(): Promise<string[]>; stop(): void; fault(): string } => {
  const waiting: ((reply: string[]) => void)[] = []
  const ready: string[][] = []
  let ended = false
  let lines: string[] = []
  const lineReader = createInterface({ input: socket })
  lineReader.on('line', (line) => {
    lines.push(line)
    if (/^\d{3}-/.test(line)) return
    const reply = lines.splice(0)
    if (waiting.length > 0) waiting.shift()!(reply)
    else ready.push(reply)
  })
  const end = () => {
    ended = true
    for (const resolve of waiting.splice(0)) resolve([])
  }
  let fault = ''
  const onError = ({ message }: Error) => {
    fault = ` (${message})`
    end()
  }
  socket.on('error', onError) // one that is cut off may say so more than once
  lineReader.on('error', onError)
  lineReader.once('close', end)
  const next = async () => ready.shift() ?? (ended ? [] : new Promise<string[]>((resolve) => waiting.push(resolve)))
  return { next, stop: () => lineReader.close(), fault: () => fault }
}

const withTimeout = <T>(promise: Promise<T>, ms: number): Promise<T> => {
  const { promise: late, reject } = Promise.withResolvers<T>()
  const timer = setTimeout(() => reject(new Failure(`no reply within ${ms / 1000} s`)), ms)
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
