// Opens a session with one address of a next hop: connect, greeting, EHLO (or HELO), STARTTLS, AUTH.
// Says what came of it as data; what follows from a failure is failover.ts' to say. Touches sockets only.
import { dial } from './dial.ts'
import { whatNow, type HostEvent, type Place, type Silent, type TlsFault } from './failover.ts'
import { handshake, seen } from './handshake.ts'
import type { RemoteReply } from './outcome.ts'
import type { Settings } from './settings.ts'
import { brief, commandLine, type Reply } from './smtp-wire.ts'
import { wordsOf } from './socket-words.ts'
import type { Target, TlsSeen } from './target.ts'
import { tookTooLong, Wire, type Broken, type Heard, type Transcript, type Watch } from './wire.ts'

export type { Target, TlsSeen } from './target.ts'

export type Extensions = {
  readonly pipelining: boolean
  readonly eightBitMime: boolean
  readonly smtputf8: boolean
  readonly dsn: boolean
  readonly starttls: boolean
  readonly size?: number // 0: no fixed limit
  readonly auth: readonly string[]
}

export type Session = {
  readonly target: Target
  readonly hostname: string // what we called ourselves
  wire: Wire
  extensions: Extensions
  greeting: string
  tls?: TlsSeen
  messages: number // transactions begun
  idleUntil: number // by performance.now(), in ms
}

export type Opened = { readonly kind: 'open'; readonly session: Session } | { readonly kind: 'failed'; readonly event: HostEvent }

export type Opening = {
  readonly hostname: string // what we call ourselves (RFC 5321 4.1.1.1)
  readonly settings: Settings
  readonly watch: Watch
  readonly signal?: AbortSignal
  readonly withoutTls?: boolean // second try after a failed handshake
  readonly transcript?: Transcript
  readonly onOpen?: (tls: 'none' | 'unverified' | 'verified') => void
}

export const openSession = async (target: Target, opening: Opening): Promise<Opened> => {
  const socket = await dial(target, opening)
  if ('kind' in socket) return { kind: 'failed', event: socket }
  const wire = new Wire(socket, opening.watch, opening.settings.replyLimits, opening.transcript)
  const session: Session = { target, hostname: opening.hostname, wire, extensions: noExtensions, greeting: '', messages: 0, idleUntil: 0 }
  const event = await unlessCalledOff(session, opening)
  if (event === undefined) {
    opening.onOpen?.(session.tls === undefined ? 'none' : session.tls.verified ? 'verified' : 'unverified')
    return { kind: 'open', session }
  }
  if (event.kind === 'said') closeSession(session)
  else session.wire.break({ kind: 'broken', how: 'aborted', text: event.text })
  return { kind: 'failed', event }
}

/** QUIT without waiting for its answer (RFC 5321 4.1.1.10 lets us go once it is sent). */
export const closeSession = (session: Session): void => {
  const { wire } = session
  if (wire.broken !== undefined) return
  wire.send('QUIT\r\n')
  const socket = wire.release()
  socket.on('error', () => {})
  socket.resume()
  socket.end()
  socket.unref() // a process that is done does not wait for the other side's goodbye
  setTimeout(() => socket.destroy(), 5000).unref()
}

/** A drain must not wait five minutes for a greeting. */
const unlessCalledOff = async (session: Session, opening: Opening): Promise<HostEvent | undefined> => {
  const onAbort = (): void => session.wire.break({ kind: 'broken', how: 'aborted', text: 'the attempt was called off' })
  opening.signal?.addEventListener('abort', onAbort, { once: true })
  const event = await introduce(session, opening)
  opening.signal?.removeEventListener('abort', onAbort)
  return event
}

const noExtensions: Extensions = { pipelining: false, eightBitMime: false, smtputf8: false, dsn: false, starttls: false, auth: [] }

const introduce = async (session: Session, opening: Opening): Promise<HostEvent | undefined> => {
  const { target } = session
  if (target.implicitTls) {
    const fault = await upgrade(session, opening)
    if (fault) return fault
  }
  const greeting = await session.wire.hear(opening.settings.timeouts.greeting)
  if (greeting.kind === 'broken') return target.implicitTls && greeting.byTls ? tlsFault(session, 'handshake', `TLS handshake failed: ${greeting.text}`) : silent(session, 'GREETING', greeting)
  if (greeting.reply.code !== 220) return refused(session, 'GREETING', greeting.reply)
  session.greeting = greeting.reply.lines.join('\n')
  return (await hello(session, opening)) ?? (await secure(session, opening)) ?? (await login(session, opening))
}

const hello = async (session: Session, opening: Opening): Promise<HostEvent | undefined> => {
  const heard = await exchange(session, `EHLO ${opening.hostname}`, opening.settings.timeouts.ehlo)
  if (heard.kind === 'broken') return silent(session, 'EHLO', heard)
  if (heard.reply.code < 300) {
    session.extensions = readExtensions(heard.reply)
    return undefined
  }
  const event = refused(session, 'EHLO', heard.reply)
  if (whatNow(event) !== 'helo') return event
  // whether the mail can do without extensions is fit.ts' to say
  const helo = await exchange(session, `HELO ${opening.hostname}`, opening.settings.timeouts.ehlo)
  if (helo.kind === 'broken') return silent(session, 'HELO', helo)
  session.extensions = noExtensions
  return helo.reply.code < 300 ? undefined : refused(session, 'HELO', helo.reply)
}

/** RFC 1869 4.3: one keyword per line after the first. Some hosts write AUTH=LOGIN, or AUTH in several lines. */
export const readExtensions = (reply: Reply): Extensions => {
  const offered = new Map<string, string[]>()
  for (const line of reply.lines.slice(1)) {
    const [keyword = '', ...rest] = line.slice(4).trim().toUpperCase().split(/[\s=]+/)
    offered.set(keyword, [...(offered.get(keyword) ?? []), ...rest])
  }
  return {
    pipelining: offered.has('PIPELINING'),
    eightBitMime: offered.has('8BITMIME'),
    smtputf8: offered.has('SMTPUTF8'),
    dsn: offered.has('DSN'),
    starttls: offered.has('STARTTLS'),
    ...(offered.has('SIZE') && { size: limitIn(offered.get('SIZE')) }),
    auth: offered.get('AUTH') ?? [],
  }
}

/** RFC 1870 3: digits; what is none, or more than counts, limits nothing. */
const limitIn = ([size = '']: readonly string[] = []): number => (/^\d+$/.test(size) && Number.isSafeInteger(Number(size)) ? Number(size) : 0)

const secure = async (session: Session, opening: Opening): Promise<HostEvent | undefined> => {
  const { tls: mode, implicitTls } = session.target
  if (implicitTls) return unverified(session)
  if (mode === 'None' || opening.withoutTls === true) return undefined
  const required = mode !== 'Opportunistic'
  if (!session.extensions.starttls) return required ? tlsFault(session, 'not-offered', 'the host offers no STARTTLS, and the policy wants TLS') : undefined
  const heard = await exchange(session, 'STARTTLS', opening.settings.timeouts.tls)
  if (heard.kind === 'broken' && heard.how === 'lost' && !required) return tlsFault(session, 'handshake', 'the host offers STARTTLS and closed the connection at STARTTLS')
  if (heard.kind === 'broken') return silent(session, 'STARTTLS', heard)
  if (heard.reply.code !== 220) return required || heard.reply.code === 421 ? refused(session, 'STARTTLS', heard.reply) : undefined // 421: it closes
  // RFC 3207 6: what came before the handshake was not protected by it (CVE-2021-38371 and kin)
  if (session.wire.hasUnread) return tlsFault(session, 'injected', 'the host sent more before the TLS handshake than its answer to STARTTLS')
  return (await upgrade(session, opening)) ?? unverified(session) ?? asHandshake(session, await hello(session, opening)) // RFC 3207 4.2: what EHLO said before counts no more
}

/** In TLS 1.3 we are done before the host has judged what we sent: its alert, or its going away, comes in place of the first reply (of its greeting, where TLS is there from the first byte). */
const asHandshake = (session: Session, event: HostEvent | undefined): HostEvent | undefined =>
  event?.kind === 'silent' && event.at === 'EHLO' && event.how === 'lost' ? tlsFault(session, 'handshake', `TLS handshake failed, as it seems: ${event.text}`) : event

const unverified = (session: Session): TlsFault | undefined =>
  session.target.tls === 'Verify' && session.tls?.verified !== true
    ? tlsFault(session, 'unverified', `its certificate does not prove the name: ${wordsOf({ code: session.tls?.fault ?? 'unknown' })}`)
    : undefined

const upgrade = async (session: Session, opening: Opening): Promise<HostEvent | undefined> => {
  const { target } = session
  const { settings, watch } = opening
  const socket = await handshake(session.wire.release(), target, settings)
  if (socket instanceof Error) {
    session.wire.break({ kind: 'broken', how: 'lost', text: socket.message })
    const expected = target.implicitTls ? ', on a port that should have TLS from the first byte' : ''
    return tlsFault(session, 'handshake', `TLS handshake failed${expected}: ${wordsOf(socket)}`)
  }
  session.wire = new Wire(socket, watch, settings.replyLimits, opening.transcript)
  session.tls = seen(socket)
  return undefined
}

/** RFC 4954, over TLS whose certificate was verified only: a password goes to no stranger. */
const login = async (session: Session, opening: Opening): Promise<HostEvent | undefined> => {
  const { credentials } = session.target
  if (credentials === undefined) return undefined
  if (session.tls?.verified !== true) {
    return tlsFault(session, 'auth-needs-verified', `the route has credentials, which are sent over verified TLS only: ${session.tls?.fault ?? 'no TLS'}`)
  }
  const steps = authSteps(session.extensions.auth, credentials)
  if (steps === undefined) return tlsFault(session, 'auth-needs-verified', 'the host offers neither AUTH PLAIN nor AUTH LOGIN')
  for (const [index, step] of steps.entries()) {
    const heard = await exchange(session, step, opening.settings.timeouts.auth, index === 0 ? step.split(' ', 2).join(' ') : '***')
    if (heard.kind === 'broken') return silent(session, 'AUTH', heard)
    if (heard.reply.code >= 400) return refused(session, 'AUTH', heard.reply)
    if (heard.reply.code === 235) return undefined
  }
  return silent(session, 'AUTH', { kind: 'broken', how: 'garbled', text: 'the AUTH dialogue did not end' })
}

const authSteps = (offered: readonly string[], { username, password }: { username: string; password: string }): string[] | undefined => {
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  if (offered.includes('PLAIN')) return [`AUTH PLAIN ${base64(`\0${username}\0${password}`)}`] // RFC 4616
  return offered.includes('LOGIN') ? ['AUTH LOGIN', base64(username), base64(password)] : undefined
}

/** `shown` stands in the transcript for a line that holds a secret. */
const exchange = async (session: Session, line: string, ms: number, shown?: string): Promise<Heard> => {
  const early = await unasked(session, ms)
  if (early !== undefined) return early
  session.wire.send(commandLine(line), shown)
  return session.wire.hear(ms)
}

/** What the host says though nothing was asked: the 421 that it may say at any time (RFC 5321 3.8), which answers what would have come next, or something that breaks the line. */
export const unasked = async ({ wire }: Session, ms: number): Promise<Heard | undefined> => {
  if (!wire.hasUnread) return undefined
  const heard = await listenTo(wire, ms)
  return heard.kind === 'broken' || heard.reply.code === 421 ? heard : outOfStep(wire)
}

/** 221 answers QUIT, to which we do not listen: wherever else it comes, it is a goodbye and no answer. */
export const listenTo = async (wire: Wire, ms: number): Promise<Heard> => {
  const heard = await wire.hear(ms)
  if (heard.kind === 'broken' || heard.reply.code !== 221) return heard
  wire.break({ kind: 'broken', how: 'lost', text: 'it said 221 and goes' })
  return wire.broken!
}

/** A reply too many: whose the others are, the refusals too, is not known, and neither is what would follow. */
export const outOfStep = (wire: Wire): Broken => {
  const broken: Broken = { kind: 'broken', how: 'garbled', text: 'it answered what it was not asked: which reply is whose cannot be told' }
  wire.break(broken)
  return broken
}

export const silent = (session: Session, at: Silent['at'], broken: Broken, dotWritten = false): Silent => ({
  kind: 'silent', at, how: broken.how, host: session.target.host, address: session.target.address,
  text: silenceText(at, broken, dotWritten), reused: session.messages > 1, dotWritten,
})

const silenceText = (at: Silent['at'], { how, text }: Broken, dotWritten: boolean): string => {
  const inMessage = dotWritten ? 'after the final dot' : 'within the message'
  const place = at === 'GREETING' ? 'before its greeting' : at === 'DOT' ? inMessage : `at ${at}`
  if (how === 'timeout') return `no answer ${place} in time${text === tookTooLong ? `: ${text}` : ''}`
  return `${how === 'lost' ? 'connection lost' : `unusable answer (${how})`} ${place}: ${text}`
}

/** The exact lines, but no more of them than can be told. */
export const remoteReply = ({ target }: Session, command: Place, reply: Reply): RemoteReply => {
  const { code, enhanced, lines } = brief(reply)
  return { host: target.host, address: target.address, command, code, ...(enhanced !== undefined && { enhanced }), lines }
}

const refused = (session: Session, command: Place, reply: Reply): HostEvent => ({ kind: 'said', said: remoteReply(session, command, reply) })

const tlsFault = ({ target }: Session, how: TlsFault['how'], text: string): TlsFault => ({
  kind: 'tls', how, policy: target.tls, implicitTls: target.implicitTls, host: target.host, address: target.address, text,
})
