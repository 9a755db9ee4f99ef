// The end of DATA: from what came in to the queue's answer, and from that to the reply. Only `stored` becomes a 250.
import { performance } from 'node:perf_hooks'
import { decideHeaderFrom, isSubmission, reply, type Reply } from '../decide/index.ts'
import type { Accepted, Envelope, NewBody, NewMessage } from '../queue/index.ts'
import { printMailbox, type HeaderFacts } from '../snapshot/index.ts'
import { becauseOf, groupByDomain } from './deliveries.ts'
import { storageReply, type Incoming } from './incoming.ts'
import { missingFields, received, transmissionType } from './received.ts'
import { clientOf, type BodySink, type Leaving, type State, type Transaction } from './state.ts'
import { refuseWhenClosing } from './transaction.ts'

export type Offered = { readonly id: string; readonly body: BodySink; readonly incoming: Incoming; readonly leaving: Leaving }

/** Checks what only the whole message can show, then offers it to the queue. */
export const acceptMessage = async (state: State, transaction: Transaction, offered: Offered): Promise<Reply> => {
  const { incoming } = offered
  const facts = incoming.header()
  const refusal = incoming.fault ?? refuseWhenClosing(state.world.snapshot()) ?? refuseHeader(state, facts)
  if (refusal) {
    await incoming.refuse(refusal)
    return refusal
  }
  const began = performance.now()
  const body = await offered.body.end().catch((error: unknown) => storageReply(error))
  if ('code' in body) {
    await incoming.refuse(body)
    return body
  }
  const message = compose(state, transaction, { ...offered, facts, body })
  const accepted = await state.world.queue.accept(message)
  if (accepted.kind !== 'refused') for (const { mailbox } of message.deliveries.flatMap(({ recipients }) => recipients)) state.world.witness.took(mailbox.domain)
  if (accepted.kind === 'stored') noteAccepted(state, message, incoming.bytes, performance.now() - began)
  const answer = replyTo(accepted, offered.id)
  if (accepted.kind === 'refused') await incoming.refuse(answer) // chunks of it would lie in a full queue until they are swept
  return answer
}

/** RFC 6409 8.1: who identified itself writes under its own name, also in the header. */
const refuseHeader = (state: State, facts: HeaderFacts): Reply | undefined => {
  if (!state.sender) return undefined
  if (facts.fromFields > 1) return reply('bad-header', { why: 'From is there more than once' })
  return decideHeaderFrom(state.world.snapshot(), state.sender, facts.from)?.reply
}

type Whole = Omit<Offered, 'body'> & { readonly facts: HeaderFacts; readonly body: NewBody }

const compose = (state: State, transaction: Transaction, { id, body, incoming, leaving, facts }: Whole): NewMessage => {
  const envelope = envelopeOf(state, transaction, incoming.eightBit)
  const passed = [...transaction.passed.values()]
  const snapshot = state.world.snapshot()
  const { mailFrom, sender } = envelope
  const deliveries = groupByDomain(passed, (domain) => leaving(snapshot, { domain, mailFrom, ...(sender !== undefined && { sender }) }))
  return { id, envelope, deliveries, headers: headersOf(state, transaction, id, facts), body }
}

const envelopeOf = (state: State, { mailFrom, parameters, passed }: Transaction, eightBit: boolean): Envelope => ({
  mailFrom,
  ...(parameters.envid !== undefined && { envid: parameters.envid }),
  ...(parameters.ret && { ret: parameters.ret }),
  body: eightBit ? '8BITMIME' : parameters.body, // what is there counts, whatever was declared
  smtputf8: parameters.smtputf8,
  ...(state.sender && { sender: `${state.sender.namespace}/${state.sender.name}` }),
  ...(isStranger(state, passed) && { stranger: true }),
  source: state.address,
  listener: state.listener.name,
  class: state.sender?.priority === 'Bulk' ? 'bulk' : 'transactional',
  because: becauseOf(passed.values()),
})

const isStranger = ({ sender, listener }: State, passed: Transaction['passed']): boolean =>
  sender === undefined && [...passed.values()].every(({ hosted }) => hosted?.inbound !== undefined && hosted.listeners.includes(listener.name))

const headersOf = (state: State, { mailFrom, parameters, passed }: Transaction, id: string, facts: HeaderFacts): Buffer => {
  const { hostname } = state.world.snapshot().relay
  const at = new Date()
  const onlyRecipient = passed.size === 1 ? passed.values().next().value!.recipient.mailbox : undefined
  const { helo, address } = clientOf(state)
  const trace = received({ helo, address, hostname, esmtp: state.hello?.esmtp === true, smtputf8: parameters.smtputf8, tls: state.tls, authenticated: state.sender !== undefined, id, onlyRecipient, at })
  const missing = isSubmission(state) ? missingFields(facts, { id, hostname, at, mailFrom }) : ''
  return Buffer.from(trace + missing + inBetween[facts.start])
}

// a file of mails begins each with a line `From address date`, which programs hand in along with the mail: it becomes a field, so that the header goes on behind it
const inBetween: Readonly<Record<HeaderFacts['start'], string>> = { header: '', 'mbox-line': 'X-Mailbox-Line: ', text: '\r\n' }

const replyTo = (accepted: Accepted, id: string): Reply => {
  if (accepted.kind === 'stored') return reply('queued', { id })
  if (accepted.kind === 'unknown') return reply('not-stored', { why: accepted.why })
  if (accepted.why === 'full') return reply('queue-full')
  if (accepted.why === 'memory') return reply('too-much-at-once')
  if (accepted.why === 'too-many-recipients') return reply('too-many-at-once')
  return accepted.why === 'too-many-domains' ? reply('too-many-domains') : reply('not-stored', { why: 'the queue does not keep its durability promise' })
}

/** Mail is found by its recipients, and a line has to fit a record. */
const mostTraced = 1_000

const noteAccepted = (state: State, { id, envelope, deliveries }: NewMessage, bytes: number, ms: number): void => {
  const { world, listener } = state
  world.metrics.messagesAccepted.inc({ listener: listener.name })
  world.metrics.bytesAccepted.inc(bytes)
  world.metrics.acceptSeconds.observe(ms / 1000)
  const recipients = deliveries.flatMap((delivery) => delivery.recipients.map(({ mailbox }) => printMailbox(mailbox)))
  const from = envelope.mailFrom ? printMailbox(envelope.mailFrom) : ''
  const who = envelope.sender === undefined ? `[${state.address}]` : `${envelope.sender} at [${state.address}]`
  const transmission = transmissionType({ esmtp: state.hello?.esmtp === true, smtputf8: envelope.smtputf8, tls: state.tls, authenticated: state.sender !== undefined })
  world.log.info('ACCEPTED', { id, session: state.id, listener: listener.name, client: state.address, sender: envelope.sender, from, recipients: recipients.length, bytes, rule: envelope.because })
  const text = `from <${from}> for ${recipients.length} ${recipients.length === 1 ? 'recipient' : 'recipients'}, ${bytes} bytes, brought by ${who} on ${listener.name} with ${transmission}`
  world.queue.emit({ at: world.queue.now(), message: id, kind: 'accepted', pod: world.pod, text, from, recipients: recipients.slice(0, mostTraced), rule: envelope.because })
}
