// `posthouse send`: one mail to one server, as a client hands it in; shows every line, and fails unless the mail was accepted.
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { Option, type Command } from 'commander'
import { closeSession, commandLine, mailCommand, openSession, rcptCommand, reasonOf, settingsFrom, Watch, WireError, type Session, type Target } from '../relay/deliver/internal.ts'
import { mailDate, splitMailbox, urlHost } from '../relay/snapshot/index.ts'
import { Failure } from './failure.ts'
import { patienceMs } from './seconds.ts'
import { hostPort } from './listen-option.ts'
import { print, styled } from './terminal.ts'

type Options = {
  readonly to: string
  readonly from: string
  readonly subject: string
  readonly secret?: string
  readonly tls: Target['tls']
  readonly helo?: string
  readonly timeout: string
}

export const sendCommand = (program: Command): void => {
  program
    .command('send [host:port]')
    .description('one mail to a server, as a client hands it in; fails unless it was accepted')
    .requiredOption('--to <address>', 'an address, or postmaster alone (RFC 5321 4.5.1)')
    .option('--from <address>', 'an address; <> where empty, so that nothing comes back', '')
    .option('--subject <text>', 'the subject', 'a test by posthouse send')
    .option('--secret <folder>', 'what the Secret of a MailSender holds: host and port, username and password, ca.crt')
    .addOption(new Option('--tls <mode>', 'STARTTLS; a password goes over verified TLS only').choices(['None', 'Opportunistic', 'Require', 'Verify']).default('Opportunistic'))
    .option('--helo <name>', 'the name to greet with (default: this machine\'s)')
    .option('--timeout <seconds>', 'the longest wait for any one answer', '30')
    .action(send)
}

const send = async (server: string | undefined, options: Options): Promise<void> => {
  const timeoutMs = patienceMs(options.timeout)
  const commands = commandsOf(options)
  const login = options.secret === undefined ? undefined : readSecret(options.secret)
  const session = await open(targetOf(server, login, options.tls), { ...options, timeoutMs, extraCa: login?.ca === undefined ? [] : [login.ca] })
  try {
    for (const command of [...commands, commandLine('DATA')]) await ask(session, command, timeoutMs)
    await ask(session, messageOf(options), timeoutMs)
  } finally {
    closeSession(session)
  }
  print(styled('green', 'accepted'))
}

/** MAIL and RCPT, checked before anything is said. */
const commandsOf = ({ from, to, subject }: Options): string[] => {
  const sender = from === '' || from === '<>' ? null : splitMailbox(from)
  if (sender === undefined) throw new Failure(`--from ${from}: an address such as joe@example.org, or nothing`)
  const recipient = splitMailbox(to)
  if (recipient === undefined && to.toLowerCase() !== 'postmaster') throw new Failure(`--to ${to}: an address such as joe@example.org, or postmaster`)
  try {
    commandLine(subject)
    return [mailCommand(sender, {}), recipient === undefined ? commandLine('RCPT TO:<postmaster>') : rcptCommand(recipient, {})]
  } catch (error) {
    if (error instanceof WireError) throw new Failure(`--from, --to and --subject are one line each: ${error.message}`)
    throw error
  }
}

type Login = { readonly host: string; readonly port: string; readonly username: string; readonly password: string; readonly ca?: string }

const readSecret = (folder: string): Login => {
  const read = (name: string): string => {
    try {
      return readFileSync(join(folder, name), 'utf8')
    } catch (error) {
      throw new Failure(`--secret ${folder}: ${(error as Error).message}; the Secret of a MailSender has host, port, username, password and ca.crt`)
    }
  }
  return { host: read('host').trim(), port: read('port').trim(), username: read('username'), password: read('password'), ca: read('ca.crt') }
}

const targetOf = (server: string | undefined, login: Login | undefined, tls: Options['tls']): Target => {
  if (server === undefined && login === undefined) throw new Failure('which server? host:port, or --secret with a folder that names one')
  const { host, port } = hostPort(server ?? `${urlHost(login!.host)}:${login!.port}`)
  return { host, address: host, port, tls: login === undefined ? tls : 'Verify', implicitTls: port === 465, ...(login && { credentials: { username: login.username, password: login.password } }) }
}

type How = Pick<Options, 'helo'> & { readonly timeoutMs: number; readonly extraCa: readonly string[] }

const open = async (target: Target, { helo, timeoutMs: all, extraCa }: How): Promise<Session> => {
  const timeouts = { connect: all, greeting: all, tls: all, ehlo: all, auth: all, mail: all, rcpt: all, data: all, dot: all, rset: all }
  const opened = await openSession(target, { hostname: helo ?? hostname(), settings: settingsFrom({ timeouts, extraCa }), watch: new Watch(100), transcript: hear })
  if (opened.kind === 'failed') throw new Failure(`${target.host}:${target.port}: ${reasonOf(opened.event).text}`, 1)
  return opened.session
}

const hear = (direction: '<' | '>', line: string): void => print(direction === '>' ? `> ${line}` : styled(/^[45]/.test(line) ? 'red' : 'green', `< ${line}`))

const ask = async (session: Session, text: string, timeoutMs: number): Promise<void> => {
  session.wire.send(text)
  const heard = await session.wire.hear(timeoutMs)
  if (heard.kind === 'broken') throw new Failure(`NOT accepted: ${heard.text}`, 1)
  if (heard.reply.code >= 400) throw new Failure(`NOT accepted: ${heard.reply.lines.join(' ')}`, 1)
}

const messageOf = ({ from, to, subject, helo }: Options): string => {
  const self = helo ?? hostname()
  const headers = [`From: ${from === '' || from === '<>' ? `posthouse-send@${self}` : from}`, `To: ${to}`, `Subject: ${subject}`, `Date: ${mailDate(new Date())}`, `Message-ID: <${randomUUID()}@${self}>`, 'Auto-Submitted: auto-generated']
  return [...headers, '', 'Sent by posthouse send, to see whether mail is accepted.', '.', ''].join('\r\n')
}
