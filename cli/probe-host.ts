// One host of a probe: the session with its transcript, the TLS seen, and on demand whether it relays for strangers, to the end of DATA.
import { attemptAll, strangerForms } from '../operator/index.ts'
import { closeSession, openSession, path, reasonOf, settingsFrom, Watch, type Session, type TlsSeen } from '../relay/deliver/internal.ts'
import type { Mailbox } from '../relay/snapshot/index.ts'
import { styled } from './terminal.ts'

export type ProbeSettings = {
  readonly port: number
  readonly from: Mailbox | null
  readonly helo: string
  readonly timeoutMs: number
  readonly relayTest: boolean
  readonly say: (line: string) => void
}

export type HostFinding = {
  readonly host: string
  readonly address: string
  readonly answers: boolean
  readonly fault?: string
  readonly tls?: TlsSeen
  readonly relays?: 'yes' | 'no' | 'unknown'
  readonly transcript: readonly string[]
}

export const probeHost = async (where: { readonly host: string; readonly address: string }, settings: ProbeSettings): Promise<HostFinding> => {
  const { say } = settings
  const transcript: string[] = []
  const hear = (direction: '<' | '>', line: string): void => {
    transcript.push(`${direction} ${line}`)
    say(direction === '>' ? `${direction} ${line}` : styled(/^[45]/.test(line) ? 'red' : 'green', `${direction} ${line}`))
  }
  say('')
  say(styled('bold', `${where.host} [${where.address}]:${settings.port}`))
  const all = settings.timeoutMs
  const watch = new Watch(100)
  const session = settingsFrom({ timeouts: { connect: all, greeting: all, tls: all, ehlo: all, mail: all, rcpt: all, data: all, dot: all, rset: all } })
  const opened = await openWith({ ...where, port: settings.port, tls: 'Opportunistic', implicitTls: settings.port === 465 }, { hostname: settings.helo, settings: session, watch, transcript: hear }, say)
  if (opened.kind === 'failed') {
    const fault = reasonOf(opened.event).text
    say(styled('red', `  ${fault}`))
    return { ...where, answers: false, fault, transcript, ...(settings.relayTest && { relays: 'unknown' as const }) }
  }
  const { tls } = opened.session
  say(`  TLS: ${tls === undefined ? 'none' : tlsInWords(tls)}`)
  const relays = settings.relayTest ? await testRelaying(opened.session, settings) : undefined
  closeSession(opened.session)
  if (relays !== undefined) say(`  ${relaysInWords[relays]}`)
  return { ...where, answers: true, transcript, ...(tls && { tls }), ...(relays && { relays }) }
}

type Target = Parameters<typeof openSession>[0]
type Opening = Parameters<typeof openSession>[1]

/** Like the relay: where the handshake fails, once more without TLS. */
const openWith = async (target: Target, opening: Opening, say: (line: string) => void): ReturnType<typeof openSession> => {
  const opened = await openSession(target, opening)
  if (opened.kind === 'open' || opened.event.kind !== 'tls') return opened
  say(styled('red', `  ${opened.event.text}; once more without TLS, as opportunistic TLS does`))
  return openSession(target, { ...opening, withoutTls: true })
}

const tlsInWords = ({ version, cipher, names, verified, fault, validTo }: TlsSeen): string =>
  `${version}, ${cipher}; certificate for ${names.join(', ') || 'no name'}${validTo === undefined ? '' : `, until ${validTo}`}: ${verified ? 'valid' : `NOT valid (${fault ?? 'unknown'})`}`

const relaysInWords = {
  yes: 'RELAYS FOR STRANGERS: it took the message',
  no: 'does not relay for strangers',
  unknown: 'whether it relays for strangers could not be told: it put us off',
} as const

/** A stranger, to addresses that cannot exist (RFC 2606), in all the ways that the operator tries too. A 250 at RCPT is not the proof: many refuse after DATA. */
const testRelaying = async (session: Session, { from, timeoutMs }: ProbeSettings): Promise<NonNullable<HostFinding['relays']>> => {
  const domain = 'posthouse-probe.invalid'
  const ask = async (text: string): Promise<number | undefined> => {
    session.wire.send(text)
    const heard = await session.wire.hear(timeoutMs)
    return heard.kind === 'broken' ? undefined : heard.reply.code
  }
  const asked = { name: 'the sender that was asked for', from: path(from), to: `<nobody@${domain}>` }
  const results = (await attemptAll(ask, [asked, ...strangerForms(domain, from?.domain ?? domain)], domain)).map(({ result }) => result)
  if (results.includes('relayed')) return 'yes'
  return results.includes('refused') && results.at(-1) !== 'lost' ? 'no' : 'unknown'
}
