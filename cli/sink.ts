// `posthouse sink`: a receiving server for trying things. Prints what arrives; may be told to delay, refuse, hang or drop.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidArgumentError, type Command } from 'commander'
import { Failure } from './failure.ts'
import { makeFolder } from './make-folder.ts'
import { mostSeconds } from './seconds.ts'
import { untilSignal } from './signals.ts'
import { startSink, type SinkBehaviour, type SinkMail, type SinkPhase } from './standalone/sink.ts'
import { extensions } from './standalone/sink-session.ts'
import { complain, print, styled } from './terminal.ts'

export type SinkCommandOptions = {
  readonly port: string
  readonly host: string
  readonly delay?: string
  readonly greeting?: string
  readonly replyMail?: string
  readonly replyRcpt?: string
  readonly replyData?: string
  readonly replyDot?: string
  readonly hang?: SinkPhase
  readonly drop?: SinkPhase
  readonly without?: string
  readonly dir?: string
  readonly quiet?: boolean
  readonly json?: boolean
}

const phases: readonly SinkPhase[] = ['greeting', 'ehlo', 'mail', 'rcpt', 'data', 'dot', 'rset', 'quit'] // it offers neither STARTTLS nor AUTH

export const sinkCommand = (program: Command): void => {
  program
    .command('sink')
    .description('a receiving server for trying things: prints what arrives, misbehaves where told to')
    .option('--port <port>', 'where to listen', '2626')
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .option('--delay <ms>', 'wait this long before the answer to each mail')
    .option('--greeting <reply>', 'instead of 220, such as "554 5.3.2 closed"', aReply)
    .option('--reply-mail <reply>', 'the answer to every MAIL', aReply)
    .option('--reply-rcpt <reply>', 'the answer to every RCPT, such as "450 4.2.1 try later"', aReply)
    .option('--reply-data <reply>', 'the answer to DATA', aReply)
    .option('--reply-dot <reply>', 'the answer after the message', aReply)
    .option('--hang <phase>', `say nothing more there: ${phases.join(', ')}`, aPhase)
    .option('--drop <phase>', 'close the connection there', aPhase)
    .option('--without <names>', 'extensions not to offer, such as PIPELINING,8BITMIME')
    .option('--dir <dir>', 'also save each mail there, as .eml')
    .option('--quiet', 'print only where it listens, and at the end how many mails came')
    .option('--json', 'one JSON object per mail; where it listens is said on standard error')
    .action(run)
}

const aReply = (text: string): string => {
  if (!/^[2-5]\d\d /.test(text) || /[\r\n]/.test(text)) throw new InvalidArgumentError('a reply is three digits, a space and words: "450 4.2.1 try later"')
  return text
}

const aPhase = (text: string): SinkPhase => {
  const phase = phases.find((name) => name === text.toLowerCase())
  if (phase === undefined) throw new InvalidArgumentError(`one of ${phases.join(', ')}`)
  return phase
}

const mostDelayMs = mostSeconds * 1000

/** Command-line words into what the sink is told. */
export const behaviourOf = (options: SinkCommandOptions): SinkBehaviour => {
  const { greeting, replyMail: mail, replyRcpt: rcpt, replyData: data, replyDot: dot, hang, drop } = options
  const replies = Object.fromEntries(Object.entries({ greeting, mail, rcpt, data, dot }).filter((entry): entry is [string, string] => entry[1] !== undefined))
  const ms = Number(options.delay ?? 0)
  if (!(ms >= 0 && ms <= mostDelayMs)) throw new Failure(`--delay: milliseconds up to ${mostDelayMs}, such as 500`, 2)
  const without = options.without?.toUpperCase().split(',').map((name) => name.trim())
  const unknown = without?.find((name) => !extensions.includes(name))
  if (unknown !== undefined) throw new Failure(`--without ${unknown}: some of ${extensions.join(',')}`, 2)
  return {
    replies,
    ...(ms > 0 && { delayMs: (phase) => (phase === 'dot' ? ms : 0) }),
    ...(hang && { hang }),
    ...(drop && { drop }),
    ...(without !== undefined && { without }),
  }
}

const run = async (options: SinkCommandOptions): Promise<void> => {
  const port = Number(options.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Failure('--port: a number from 0 to 65535', 2)
  if (options.dir !== undefined) makeFolder(options.dir, `--dir ${options.dir}`)
  let count = 0
  const onMail = (mail: SinkMail): void => {
    count++
    if (options.dir !== undefined) writeFileSync(join(options.dir, `${mail.at}-${count}.eml`), mail.raw)
    if (options.json === true) print(JSON.stringify(asJson(mail)))
  }
  const shows = options.quiet !== true && options.json !== true
  const sink = await startSink({ ...behaviourOf(options), host: options.host, port, keep: options.json === true || options.dir !== undefined || shows ? 1 : 0, onMail, ...(shows && { print }) }).catch((error: Error) => {
    throw new Failure(`cannot listen on ${options.host}:${port}: ${error.message}`)
  })
  const [tell, stream] = options.json === true ? ([complain, process.stderr] as const) : ([print, process.stdout] as const)
  tell(styled('bold', `sink listens on ${sink.host}:${sink.port}; Ctrl-C ends it`, stream))
  await untilSignal()
  await sink.close()
  tell(`${count} mail${count === 1 ? '' : 's'} arrived`)
}

const asJson = ({ raw, at, ...mail }: SinkMail): object => ({ at: new Date(at).toISOString(), ...mail, bytes: raw.length, message: raw.toString('utf8') })
