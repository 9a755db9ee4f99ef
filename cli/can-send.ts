// `posthouse can-send`: the verdict over one mail before it is sent, by the relay's own decision code. Reads only.
import { isIP } from 'node:net'
import { Option, type Command } from 'commander'
import { decideMail, decideRecipient, decideUser, hostedDomain, isSubmission, reply, type Because, type Client, type Reply } from '../relay/decide/index.ts'
import { holderOf, wayOf } from '../relay/deliver/internal.ts'
import { parsePath, postmasterAt } from '../relay/receive/internal.ts'
import { type Listener, type Mailbox, type Snapshot } from '../relay/snapshot/index.ts'
import { printProblem } from '../operator/index.ts'
import { compile } from './compile-manifests.ts'
import { Failure } from './failure.ts'
import { folderHere, runningFolder, runningSnapshot } from './running.ts'
import { print, printJson, styled } from './terminal.ts'

type Options = {
  readonly file?: string
  readonly snapshot?: string
  readonly as: string
  readonly from: string
  readonly to: readonly string[]
  readonly relay?: string
  readonly listener?: string
  readonly helo: string
  readonly source?: string
  readonly tls?: boolean
  readonly json?: boolean
}

export const canSendCommand = (program: Command): void => {
  program
    .command('can-send')
    .description('may this client send this mail, and which rule says so (exit code 0 yes, 1 no, 2 cannot say)')
    .option('-f, --file <dir>', 'folder with the manifests, or one file; - reads standard input')
    .option('--snapshot <dir>', 'what a relay runs now, instead of manifests (the default inside its pod, and beside npm start)')
    .requiredOption('--as <who>', 'namespace/name of a MailSender, an IP address, or stranger')
    .requiredOption('--from <address>', 'envelope sender; <> is the null sender')
    .requiredOption('--to <address...>', 'recipients')
    .option('--relay <namespace/name>', 'which MailRelay, where the folder has several')
    .option('--listener <name>', 'which listener (default: the first that fits)')
    .option('--helo <name>', 'name in HELO or EHLO', 'client.invalid')
    .option('--source <address>', 'address that a MailSender connects from', '192.0.2.1')
    .addOption(new Option('--tls', 'over TLS (a MailSender always is)'))
    .option('--json', 'the answer as JSON')
    .action(run)
}

const run = async (options: Options): Promise<void> => {
  const snapshot = await snapshotFor(options)
  const answers = answersTo(snapshot, options)
  process.exitCode = answers.some(({ verdict }) => verdict === 'no') ? 1 : 0
  if (options.json) printJson(answers)
  else for (const answer of answers) print(inWords(answer))
}

export const answersTo = (snapshot: Snapshot, options: Options): Answer[] => canSend(snapshot, questionOf(snapshot, options))

const snapshotFor = async ({ file, snapshot, relay }: Options): Promise<Snapshot> => {
  const folder = file === undefined ? (runningFolder(snapshot) ?? folderHere()) : snapshot
  if (folder !== undefined && file !== undefined) throw new Failure('--file and --snapshot: one of them says what is in force')
  if (folder !== undefined) return runningSnapshot(folder)
  if (file === undefined) throw new Failure('name the manifests with -f DIR, or with --snapshot what a relay runs')
  return declared(file, relay)
}

const declared = async (file: string, relay: string | undefined): Promise<Snapshot> => {
  const { snapshots, problems } = await compile({ manifests: file, now: new Date() })
  const errors = problems.filter(({ level }) => level === 'error').map(printProblem)
  if (errors.length > 0) throw new Failure(`${errors.join('\n')}\n${errors.length} ${errors.length === 1 ? 'mistake' : 'mistakes'} in ${file}: no verdict`)
  const names = [...snapshots.keys()]
  if (relay === undefined && names.length > 1) throw new Failure(`${file} declares several MailRelays: name one with --relay ${names.join(' or --relay ')}`)
  const found = snapshots.get(relay ?? names[0] ?? '')
  if (!found) throw new Failure(`${file} declares no MailRelay${relay === undefined ? '' : ` ${relay}; it has ${names.join(', ')}`}`)
  return found
}

type Asked = { readonly listener: Listener; readonly client: Client; readonly mailFrom: Mailbox | null; readonly rcptTo: readonly Mailbox[] }

const questionOf = (snapshot: Snapshot, options: Options): Asked => {
  const given = clientOf(snapshot, options)
  const from = options.from.replace(/^<(.*)>$/, '$1')
  const listener = listenerOf(snapshot, given, options.listener)
  return {
    listener,
    client: { ...given, tls: given.tls || listener.protocol === 'Submissions' }, // TLS from the first octet
    mailFrom: from === '' ? null : mailboxOf(from, '--from'),
    rcptTo: options.to.map((to) => recipientOf(to.replace(/^<(.*)>$/, '$1'), snapshot, listener)),
  }
}

/** 192.0.2.1 is documentation's (RFC 5737): nobody's rule should name it. */
const clientOf = (snapshot: Snapshot, { as, helo, source = '192.0.2.1', tls = false }: Options): Client => {
  if (as === 'stranger') return { address: '192.0.2.1', helo, tls }
  if (isIP(as) !== 0) return { address: as, helo, tls }
  const known = snapshot.senders.map(({ namespace, name }) => `${namespace}/${name}`)
  if (!known.includes(as)) throw new Failure(`--as ${as}: no MailSender of ${snapshot.relay.manifest}, no IP address, not stranger${known.length > 0 ? `; it has ${known.join(', ')}` : ''}`)
  if (isIP(source) === 0) throw new Failure(`--source ${source}: not an IP address`)
  return { address: source, helo, tls: true, sender: as }
}

const listenerOf = ({ listeners, senders, relay }: Snapshot, client: Client, named: string | undefined): Listener => {
  const usable = senders.find(({ namespace, name }) => `${namespace}/${name}` === client.sender)?.listeners
  const fits = (listener: Listener) => (usable === undefined ? !isSubmission({ listener }) : usable.includes(listener.name))
  const found = named === undefined ? (listeners.find(fits) ?? listeners[0]) : listeners.find(({ name }) => name === named)
  if (!found) throw new Failure(`--listener ${named}: ${relay.manifest} has ${listeners.map(({ name }) => name).join(', ')}`)
  return found
}

const recipientOf = (text: string, snapshot: Snapshot, { name }: Listener): Mailbox => (parsePath(`<${text}>`).kind === 'bare-postmaster' ? postmasterAt(snapshot, name) : mailboxOf(text, '--to'))

/** As a session reads it, which refuses what is none (501). */
const mailboxOf = (text: string, option: string): Mailbox => {
  const read = parsePath(`<${text}>`)
  if (read.kind === 'path' && read.mailbox !== null && read.rest === '') return read.mailbox
  throw new Failure(`${option} ${text}: not an address such as name@example.org${read.kind === 'fault' ? ` (${read.why})` : ''}`)
}

export type Answer = {
  readonly to: string
  readonly listener: string
  readonly verdict: 'yes' | 'no' | 'held' | 'ask' // ask: yes if the server behind knows the user
  readonly reply?: string // what the client would read
  readonly because?: Because
  readonly heldBy?: string // a DeliveryRoute that holds mail on its way
  readonly warnings: readonly Because[] // what policies in Warn mode would have done
}

export const canSend = (snapshot: Snapshot, asked: Asked): Answer[] => {
  const { listener, client, mailFrom } = asked
  const refused = refusedBefore(snapshot, asked)
  return asked.rcptTo.map((rcptTo) => {
    const common = { to: `${rcptTo.local}@${rcptTo.domain}`, listener: listener.name }
    if (refused) return { ...common, verdict: 'no', reply: line(refused.reply), ...(refused.because && { because: refused.because }), warnings: [] }
    const verdict = decideRecipient({ snapshot, listener, client, mailFrom, rcptTo })
    const known = { ...common, because: verdict.because, warnings: verdict.warnings }
    if (verdict.kind === 'deny') return { ...known, verdict: 'no', reply: line(verdict.reply) }
    const heldBy = holderOf(wayOf(snapshot, { domain: rcptTo.domain, mailFrom, ...(client.sender !== undefined && { sender: client.sender }) }))
    return { ...known, ...userOf(snapshot, rcptTo, verdict.kind === 'hold' || heldBy !== undefined), ...(heldBy !== undefined && { heldBy }) }
  })
}

/** What AUTH and MAIL say, whoever the mail is for. */
const refusedBefore = (snapshot: Snapshot, { listener, client, mailFrom }: Asked): { readonly reply: Reply; readonly because?: Because } | undefined => {
  const sender = snapshot.senders.find(({ namespace, name }) => `${namespace}/${name}` === client.sender)
  if (sender && listener.auth.length === 0) return { reply: reply('auth-not-here') }
  if (sender && !sender.listeners.includes(listener.name)) return { reply: reply('auth-not-admitted', { manifest: sender.manifest, listener: listener.name }) }
  if (snapshot.relay.closing === true) return { reply: reply('being-removed', { manifest: snapshot.relay.manifest }) }
  return decideMail({ snapshot, listener, client, mailFrom })
}

const userOf = (snapshot: Snapshot, rcptTo: Mailbox, isHeld: boolean): Pick<Answer, 'verdict' | 'reply'> => {
  const hosted = hostedDomain(snapshot, rcptTo.domain)
  const user = hosted ? decideUser(hosted, rcptTo) : 'yes'
  if (user === 'no') return { verdict: 'no', reply: line(reply('no-such-user', { local: rcptTo.local, domain: rcptTo.domain, manifest: hosted!.manifest })) }
  return { verdict: isHeld ? 'held' : user }
}

const line = ({ code, enhanced, text }: Reply): string => [code, enhanced, text].filter((part) => part !== '').join(' ')

const words = { yes: 'yes', no: 'no', held: 'yes, but held until a person decides', ask: 'yes, if the server behind knows the user' } as const

const inWords = ({ to, listener, verdict, reply: said, because, heldBy, warnings }: Answer): string => {
  const rule = because === undefined || said !== undefined ? '' : `rule ${because.rule} of ${because.manifest}, ` // a reply names it itself
  const answer = styled(verdict === 'no' ? 'red' : verdict === 'yes' ? 'green' : 'yellow', words[verdict])
  const warned = warnings.map(({ rule, manifest }) => `\n  in Warn mode: rule ${rule} of ${manifest} would have acted`).join('')
  const held = verdict === 'held' && heldBy !== undefined ? ` (${heldBy} holds mail on its way)` : ''
  return `${to}: ${answer}${held}${said === undefined ? '' : `: ${said}`} (${rule}listener ${listener})${warned}`
}
