// A stranger's session with one address: greeting, EHLO, STARTTLS where it is offered and wanted. Touches one socket; strict about what a reply is.
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Ask } from './attempt.ts'

export type Door = {
  readonly host: string
  readonly port: number
  readonly tls: 'none' | 'starttls' | 'implicit'
  /** Whether a peer with this address has to begin with a PROXY header. */
  readonly proxied: (ownAddress: string) => boolean
}
export type Session = { readonly ask: Ask; readonly from: string; close(): void }

export class ProbeError extends Error {
  readonly code = 'PROBE_FAILED'
}

const hello = 'open-relay-probe.invalid' // a name that cannot exist: the relay knows by it that this is no client

/** Rejects, with words that do not change, where there is no session to be had. */
export const openSession = async (door: Door, ms: number, signal: AbortSignal): Promise<Session> => {
  const tcp = await connected(connect({ host: door.host, port: door.port, noDelay: true }), 'connect', ms, signal)
  const from = tcp.localAddress!.replace(/^::ffff:/i, '')
  try {
    // UNKNOWN: the address of the connection itself counts
    if (door.proxied(from)) tcp.write('PROXY UNKNOWN\r\n')
    let socket: Socket = door.tls === 'implicit' ? await secured(tcp, ms, signal) : tcp
    let talk = talkOver(socket, ms)
    await expect(talk, undefined, 220, 'greeting')
    const offered = await expect(talk, `EHLO ${hello}\r\n`, 250, 'EHLO')
    if (door.tls === 'starttls' && offered.some((line) => /^250[- ]STARTTLS\s*$/i.test(line))) {
      await expect(talk, 'STARTTLS\r\n', 220, 'STARTTLS')
      talk.release()
      socket = await secured(tcp, ms, signal)
      talk = talkOver(socket, ms)
      await expect(talk, `EHLO ${hello}\r\n`, 250, 'EHLO over TLS')
    }
    const ask: Ask = async (text) => codeOf(await talk.say(text))
    return { ask, from, close: () => socket.end('QUIT\r\n', () => setTimeout(() => tcp.destroy(), 1000).unref()) }
  } catch (error) {
    tcp.destroy()
    throw error
  }
}

const codeOf = (reply: readonly string[] | undefined): number | undefined => (reply === undefined ? undefined : Number(reply[0]!.slice(0, 3)))

const connected = (socket: Socket, what: string, ms: number, signal: AbortSignal): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const fail = (why: string) => (socket.destroy(), reject(new ProbeError(why)))
    const timer = setTimeout(() => fail(`${what} took too long`), ms)
    socket.on('error', (error: NodeJS.ErrnoException) => fail(`${what}: ${error.code ?? error.message}`))
    socket.once(what === 'connect' ? 'connect' : 'secureConnect', () => (clearTimeout(timer), resolve(socket)))
    socket.once('close', () => clearTimeout(timer))
    signal.addEventListener('abort', () => fail('called off'), { once: true })
  })

/** Whose certificate it is does not matter: we say nothing that is secret. */
const secured = (tcp: Socket, ms: number, signal: AbortSignal): Promise<Socket> => connected(connectTls({ socket: tcp, rejectUnauthorized: false }), 'TLS handshake', ms, signal)

type Talk = { say(text: string | undefined): Promise<readonly string[] | undefined>; release(): void }

const longest = 64 * 1024

/** One question, one whole reply; undefined after a time without one, the end of the connection, or something that is no reply. */
const talkOver = (socket: Socket, ms: number): Talk => {
  let unread = ''
  let wake = (): void => {}
  let over = false
  const end = () => ((over = true), wake())
  const onData = (piece: Buffer) => {
    unread += piece.toString('latin1')
    if (unread.length > longest) end()
    wake()
  }
  socket.on('data', onData).on('close', end).on('end', end)
  const next = async (): Promise<readonly string[] | undefined> => {
    const until = performance.now() + ms
    for (;;) {
      const reply = replyIn(unread)
      if (reply === 'none' || (over && reply === undefined)) return undefined
      if (reply) return ((unread = unread.slice(reply.length)), reply.lines)
      const left = until - performance.now()
      if (left <= 0) return undefined
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        wake = () => (clearTimeout(timer), resolve())
      })
    }
  }
  return {
    say: (text) => {
      if (text !== undefined) socket.write(text)
      return next()
    },
    release: () => void socket.off('data', onData).off('close', end).off('end', end).pause(),
  }
}

/** The first whole reply (RFC 5321 4.2); 'none': what is there is no SMTP. */
export const replyIn = (text: string): { readonly lines: readonly string[]; readonly length: number } | 'none' | undefined => {
  const lines: string[] = []
  let at = 0
  for (let end = text.indexOf('\n', at); end >= 0; end = text.indexOf('\n', at)) {
    const line = text.slice(at, end).replace(/\r$/, '')
    at = end + 1
    if (!/^[2-5]\d\d([ -]|$)/.test(line)) return 'none'
    lines.push(line)
    if (line[3] !== '-') return { lines, length: at }
  }
  return undefined
}

const expect = async (talk: Talk, text: string | undefined, code: number, place: string): Promise<readonly string[]> => {
  const reply = await talk.say(text)
  if (reply === undefined) throw new ProbeError(`no answer at ${place}`)
  if (codeOf(reply) !== code) throw new ProbeError(`${codeOf(reply)} at ${place}`)
  return reply
}
