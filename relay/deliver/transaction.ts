// One mail transaction on an open session: MAIL, RCPT…, DATA in one write where pipelining is offered (RFC 2920), then the message.
// Tells per recipient what was said, or how the line went dead. Touches the session's socket only.
import type { Mailbox } from '../snapshot/index.ts'
import type { Envelope, Recipient } from '../queue/index.ts'
import type { Content } from './content.ts'
import { Stuffer } from './dot-stuff.ts'
import type { HostEvent, Place } from './failover.ts'
import type { RemoteReply } from './outcome.ts'
import { listenTo, outOfStep, remoteReply, silent, unasked, type Session } from './session.ts'
import type { Settings } from './settings.ts'
import { brief, mailCommand, rcptCommand, type MailParameters, type Reply } from './smtp-wire.ts'
import type { Broken, Heard } from './wire.ts'

export type Mail = {
  readonly mailFrom: Mailbox | null
  readonly parameters: MailParameters
  readonly recipients: readonly Recipient[]
  readonly passDsn: boolean // the host offers DSN: NOTIFY and ORCPT go along
  readonly content: Content
}

export type Told = { readonly recipient: Recipient } & ({ readonly kind: 'taken'; readonly said: RemoteReply; readonly dsn?: boolean } | { readonly kind: 'event'; readonly event: HostEvent })

/** What the envelope's parameters become for this host (RFC 1870, 3461, 6152, 6531). */
export const parametersFor = (envelope: Envelope, { extensions }: Session, content: Content, needs: { eightBit: boolean; utf8: boolean }): MailParameters => ({
  ...(extensions.size !== undefined && content.bytes !== undefined && { size: content.bytes }),
  ...(needs.eightBit && extensions.eightBitMime && { body: '8BITMIME' as const }),
  ...(needs.utf8 && { smtputf8: true }),
  ...(extensions.dsn && envelope.ret !== undefined && { ret: envelope.ret }),
  ...(extensions.dsn && envelope.envid !== undefined && { envid: envelope.envid }),
})

/** Never throws but for what the content's source throws: then the connection is cut before the final dot. */
export const transact = async (session: Session, mail: Mail, settings: Settings): Promise<Told[]> => {
  session.messages++
  const commands = [mailCommand(mail.mailFrom, mail.parameters), ...mail.recipients.map((recipient) => rcptCommand(recipient.mailbox, mail.passDsn ? recipient : {}, mail.parameters.smtputf8)), 'DATA\r\n']
  const asked = await inStep(session, mail, await (session.extensions.pipelining ? askAtOnce : askInTurn)(session, commands, settings), settings)
  const open = judgeEnvelope(session, mail, asked)
  if (open.taken.length === 0) return (await leaveCleanly(session, asked, settings)) ? open.told : judgeEnvelope(session, mail, allOutOfStep(outOfStep(session.wire), 'DATA')).told
  const dot = await sendMessage(session, mail.content, settings)
  return [...open.told, ...open.taken.map((recipient) => afterDot(session, recipient, dot))]
}

/** Replies so far, in the order of the commands; shorter where the line went dead or MAIL was refused. */
type Asked = { readonly replies: readonly Reply[]; readonly broken?: Broken; readonly outOfStep?: Place }

/** Nothing counts that was said. */
const allOutOfStep = (broken: Broken, at: Place): Asked => ({ replies: [], broken, outOfStep: at })

/** A success in answer to DATA is another command's; so is a refusal with one more reply behind it, were it not the host's goodbye. */
const inStep = async (session: Session, { recipients }: Mail, asked: Asked, { timeouts }: Settings): Promise<Asked> => {
  const data = asked.replies[recipients.length + 1]
  if (isGood(data)) return allOutOfStep(outOfStep(session.wire), 'DATA')
  if (data === undefined || data.code < 400) return asked
  const more = await unasked(session, timeouts.rset)
  if (more === undefined) return asked
  return more.kind === 'reply' ? { ...asked, broken: lost } : untimely(asked.replies, more, 'DATA')
}

const askAtOnce = async (session: Session, commands: readonly string[], settings: Settings): Promise<Asked> => {
  const early = await unasked(session, settings.timeouts.mail)
  if (early !== undefined) return untimely([], early, 'MAIL')
  session.wire.send(commands.join(''))
  return listen(session, commands.length, settings)
}

const untimely = (replies: readonly Reply[], early: Heard, at: Place): Asked => {
  if (early.kind === 'reply') return { replies: [...replies, early.reply] }
  return early.how === 'garbled' ? allOutOfStep(early, at) : { replies, broken: early }
}

const listen = async (session: Session, count: number, { timeouts }: Settings): Promise<Asked> => {
  const replies: Reply[] = []
  while (replies.length < count) {
    const heard = await listenTo(session.wire, replies.length === 0 ? timeouts.mail : replies.length === count - 1 ? timeouts.data : timeouts.rcpt)
    if (heard.kind === 'broken') return { replies, broken: heard }
    replies.push(brief(heard.reply)) // there may be a thousand
  }
  return { replies }
}

const askInTurn = async (session: Session, commands: readonly string[], { timeouts }: Settings): Promise<Asked> => {
  const replies: Reply[] = []
  for (const [index, command] of commands.entries()) {
    const isData = index === commands.length - 1
    if (isData && !replies.slice(1).some(isGood)) break // nobody to send to
    const early = await unasked(session, timeouts.rcpt)
    if (early !== undefined) return untimely(replies, early, index === 0 ? 'MAIL' : 'RCPT')
    session.wire.send(command)
    const heard = await listenTo(session.wire, index === 0 ? timeouts.mail : isData ? timeouts.data : timeouts.rcpt)
    if (heard.kind === 'broken') return { replies, broken: heard }
    replies.push(brief(heard.reply)) // there may be a thousand
    if (index === 0 && !isGood(heard.reply)) break
    if (heard.reply.code === 421) break // RFC 5321 3.8: the host is about to close
  }
  return { replies }
}

const isGood = (reply: Reply | undefined): boolean => reply !== undefined && reply.code < 300

/** Who may get the message, and what is already certain about the others. */
const judgeEnvelope = (session: Session, mail: Mail, { replies, broken, outOfStep: at }: Asked): { told: Told[]; taken: Recipient[] } => {
  const all = (event: HostEvent): { told: Told[]; taken: Recipient[] } => ({ told: mail.recipients.map((recipient) => ({ recipient, kind: 'event', event })), taken: [] })
  const refused = (command: Place, reply: Reply, someTaken = false): HostEvent => ({ kind: 'said', said: remoteReply(session, command, reply), someTaken, reused: session.messages > 1 })
  const first = replies[0]
  if (first === undefined) return all(silent(session, at ?? 'MAIL', broken!))
  if (!isGood(first)) return all(refused('MAIL', first)) // whatever was said behind it in the pipeline is not judged
  const last = replies[mail.recipients.length + 1]
  const hangUp = last === undefined || last.code === 421 ? replies.find((reply) => reply.code === 421) : undefined
  const someTaken = replies.slice(1, mail.recipients.length + 1).some(isGood)
  const told: Told[] = []
  const taken: Recipient[] = []
  for (const [index, recipient] of mail.recipients.entries()) {
    const reply = replies[index + 1]
    if (reply !== undefined && !isGood(reply)) told.push({ recipient, kind: 'event', event: refused('RCPT', reply, someTaken && (hangUp === undefined || reply.code !== 421)) })
    else if (last !== undefined && last.code < 400) taken.push(recipient)
    else if (hangUp !== undefined && hangUp !== last) told.push({ recipient, kind: 'event', event: refused('RCPT', hangUp, reply !== undefined) }) // too many: those before it fit in a transaction of their own
    else told.push({ recipient, kind: 'event', event: last ? refused('DATA', last) : silent(session, reply ? 'DATA' : 'RCPT', broken ?? lost) })
  }
  return { told, taken }
}

const lost: Broken = { kind: 'broken', how: 'lost', text: 'the dialogue ended early' }

/** Nobody was taken: back to a state in which the next MAIL may come. False: RSET was answered as DATA is, so the replies before were not those of their commands. */
const leaveCleanly = async (session: Session, { replies, broken }: Asked, { timeouts }: Settings): Promise<boolean> => {
  if (broken !== undefined || replies.some((reply) => reply.code === 421)) {
    session.wire.break(lost)
    return true
  }
  if (replies.at(-1)?.code === 354) {
    session.wire.send('.\r\n') // RFC 2920 3.1: 354 though no recipient was taken; the empty message goes nowhere
    await session.wire.hear(timeouts.dot)
  }
  session.wire.send('RSET\r\n')
  const heard = await session.wire.hear(timeouts.rset)
  if (heard.kind === 'reply' && heard.reply.code >= 300) session.wire.break(lost)
  return heard.kind !== 'reply' || !isGoOn(heard.reply)
}

/** 354: but to DATA it answers nothing that we say, and whether the host now takes commands or a message is not known. */
const isGoOn = ({ code }: Reply): boolean => code >= 300 && code < 400

type DotAnswer = { readonly reply: Reply } | { readonly broken: Broken; readonly dotWritten: boolean }

const sendMessage = async (session: Session, content: Content, { timeouts }: Settings): Promise<DotAnswer> => {
  const { wire } = session
  const stuffer = new Stuffer()
  const sent = { dot: false }
  const onGone = (): void => void (sent.dot = true)
  const isAhead = content.whole !== undefined || (await sendPieces(session, content, stuffer, timeouts.block))
  if (!isAhead || wire.hasUnread) return answerBeforeDot(wire, timeouts.dot)
  wire.sendBytes(content.whole === undefined ? stuffer.end() : Buffer.concat([stuffer.piece(content.whole), stuffer.end()]), onGone)
  wire.endsAt = Infinity // RFC 1047: who leaves before this answer makes a duplicate
  const heard = await wire.hear(timeouts.dot)
  if (heard.kind === 'broken') return { broken: heard, dotWritten: sent.dot }
  if (heard.reply.code === 421 || isGoOn(heard.reply)) wire.break(lost)
  return { reply: heard.reply }
}

/** False where the line went dead, or the host answered before the message was whole. */
const sendPieces = async ({ wire }: Session, content: Content, stuffer: Stuffer, ms: number): Promise<boolean> => {
  try {
    for await (const piece of content.open()) if (wire.hasUnread || !(await wire.sendSlowly(stuffer.piece(piece), ms))) return false
  } catch (error) {
    wire.break({ kind: 'broken', how: 'aborted', text: 'the message could not be read' }) // half a message must never be ended by a dot
    throw error
  }
  return true
}

/** A refusal in the middle of DATA is one, and would come again each time; anything else there is no answer. Either way the rest of the message is not sent. */
const answerBeforeDot = async (wire: Session['wire'], ms: number): Promise<DotAnswer> => {
  const heard = await wire.hear(ms)
  wire.break({ kind: 'broken', how: 'lost', text: 'the host answered before the message was whole' })
  return heard.kind === 'reply' && heard.reply.code >= 400 && heard.reply.code !== 421 ? { reply: heard.reply } : { broken: wire.broken!, dotWritten: false }
}

const afterDot = (session: Session, recipient: Recipient, answer: DotAnswer): Told => {
  if ('broken' in answer) return { recipient, kind: 'event', event: silent(session, 'DOT', answer.broken, answer.dotWritten) }
  const said = remoteReply(session, 'DOT', answer.reply)
  return isGood(answer.reply) ? { recipient, kind: 'taken', said } : { recipient, kind: 'event', event: { kind: 'said', said } }
}
