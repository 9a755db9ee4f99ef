// MAIL, RCPT and DATA up to the 354: read the command, ask decide, count limits, and answer.
import { baseMailbox, decideMail, decideRecipient, decideUser, hostedDomain, policiesFor, reply, type Reply, type Verdict } from '../decide/index.ts'
import type { Recipient } from '../queue/index.ts'
import { onItsOwn, printMailbox, type HostedDomain, type Mailbox, type Policy, type Snapshot } from '../snapshot/index.ts'
import { parsePath } from './address.ts'
import { refreshSender } from './credentials.ts'
import { readMailParameters, readRecipientParameters, type MailParameters } from './parameters.ts'
import { postmasterAt } from './postmaster.ts'
import { clientOf, say, type Answer, type Command, type Passed, type State, type Transaction } from './state.ts'
import type { Unit } from './fleet-limits.ts'

export const mail: Command = (state, argument) => {
  if (!state.hello) return say(reply('hello-first'))
  if (state.transaction) return say(reply('nested-mail'))
  const over = refreshSender(state)
  if (over) return { kind: 'close', reply: over }
  state.world.witness.came(state.listener.name, clientOf(state))
  const { messagesPerConnection } = state.listener.limits
  if (state.messages >= messagesPerConnection) return { kind: 'close', reply: reply('too-many-messages', { limit: messagesPerConnection }) }
  const text = /^from\s*:(.*)$/is.exec(argument)?.[1]
  if (text === undefined) return say(reply('bad-arguments', { syntax: 'MAIL FROM:<address>' }))
  const path = parsePath(text)
  if (path.kind !== 'path') return say(reply('bad-sender', { why: path.kind === 'fault' ? path.why : 'it has no @domain' }))
  const parameters = readMailParameters(path.rest)
  if (parameters.kind === 'refused') return say(parameters.reply)
  if (path.needsUtf8 && !parameters.value.smtputf8) return say(reply('sender-needs-utf8'))
  const refusal = refuseMail(state, path.mailbox, parameters.value)
  if (refusal) return say(refusal)
  state.transaction = { mailFrom: path.mailbox, parameters: parameters.value, passed: new Map(), counted: new Set(), refused: 0, lastRefusal: undefined }
  return say(reply('sender-ok'))
}

/** The first reason not to take this message; limits are counted last, by what passed the rest. */
const refuseMail = (state: State, mailFrom: Mailbox | null, parameters: MailParameters): Reply | undefined => {
  const { bytes, manifest } = sizeLimit(state)
  if ((parameters.size ?? 0) > bytes) return reply('too-big', { limit: bytes, manifest }) // RFC 1870 6.1
  const snapshot = state.world.snapshot()
  const closed = refuseWhenClosing(snapshot)
  if (closed) return closed
  const durable = state.world.queue.durable()
  if (!durable.ok) return reply('not-stored', { why: durable.text })
  const denied = decideMail({ snapshot, listener: state.listener, client: clientOf(state), mailFrom })
  return denied?.reply ?? overLimit(state, 'messages', relevantPolicies(state, mailFrom, undefined), undefined)
}

/** A relay that is being removed goes on delivering, and takes nothing new: else its queue might never be empty. */
export const refuseWhenClosing = ({ relay }: Snapshot): Reply | undefined => (relay.closing === true ? reply('being-removed', { manifest: relay.manifest }) : undefined)

/** The smaller of the listener's and the sender's limit. */
export const sizeLimit = ({ listener, sender }: State): { bytes: number; manifest: string } => {
  const own = sender?.limits.maxMessageBytes
  return own !== undefined && own < listener.limits.messageBytes ? { bytes: own, manifest: sender!.manifest } : { bytes: listener.limits.messageBytes, manifest: listener.manifest }
}

const recipientLimit = ({ listener, sender }: State): { limit: number; manifest: string } => {
  const own = sender?.limits.recipientsPerMessage
  return own !== undefined && own < listener.limits.recipientsPerMessage ? { limit: own, manifest: sender!.manifest } : { limit: listener.limits.recipientsPerMessage, manifest: listener.manifest }
}

const nobody: Mailbox = { local: '', domain: '' }

const relevantPolicies = (state: State, mailFrom: Mailbox | null, rcptTo: Mailbox | undefined): readonly Policy[] =>
  policiesFor({ snapshot: state.world.snapshot(), listener: state.listener, client: clientOf(state), mailFrom, rcptTo: rcptTo ?? nobody }).map(({ policy }) => policy)

/** At MAIL the source and the sender are counted, at RCPT all three for recipients; for messages the domain, and what no policy could know at MAIL. */
const overLimit = (state: State, unit: Unit, policies: readonly Policy[], domain: string | undefined): Reply | undefined => {
  const sender = clientOf(state).sender
  const party = { source: state.source, ...(sender !== undefined && { sender }), ...(domain !== undefined && { domain }) }
  const over = state.world.limits.count(unit, party, policies, state.sender)
  return over && reply('over-limit', over)
}

/** A promise only where another server must be asked: replies that need no waiting go out together. */
export const rcpt: Command = (state, argument) => {
  const { transaction } = state
  if (!transaction) return say(reply(state.hello ? 'mail-first' : 'hello-first'))
  const text = /^to\s*:(.*)$/is.exec(argument)?.[1]
  if (text === undefined) return say(reply('bad-arguments', { syntax: 'RCPT TO:<address>' }))
  const answer = readRecipient(state, transaction, text)
  return answer instanceof Promise ? answer.then((late) => counted(transaction, late)) : counted(transaction, answer)
}

const counted = (transaction: Transaction, answer: Answer): Answer => {
  if (answer.reply.code < 400) return answer
  transaction.refused += 1
  transaction.lastRefusal = answer.reply
  return answer
}

const readRecipient = (state: State, transaction: Transaction, text: string): Answer | Promise<Answer> => {
  const path = parsePath(text)
  const mailbox = path.kind === 'bare-postmaster' ? postmasterAt(state.world.snapshot(), state.listener.name) : path.kind === 'path' ? path.mailbox : undefined
  const isNamedAgain = Boolean(mailbox) && transaction.passed.has(printMailbox(mailbox!)) // taken once, counted once
  const room = recipientLimit(state)
  if (!isNamedAgain && transaction.passed.size >= room.limit) return say(reply('too-many-recipients', room))
  if (path.kind === 'fault' || !mailbox) return say(reply('bad-recipient', { why: path.kind === 'fault' ? path.why : 'the null address receives nothing' }))
  const parameters = readRecipientParameters(path.rest)
  if (parameters.kind === 'refused') return say(parameters.reply)
  if (path.kind === 'path' && path.needsUtf8 && !transaction.parameters.smtputf8) return say(reply('recipient-needs-utf8'))
  if (isNamedAgain) return say(reply('recipient-ok'))
  return passRecipient(state, transaction, onTheirOwn({ mailbox, ...parameters.value }))
}

/** A line may be twelve times as long as all that counts in it, and a message may have a thousand of them. */
const onTheirOwn = ({ mailbox: { local, domain }, orcpt, ...rest }: Recipient): Recipient => ({ mailbox: { local: onItsOwn(local), domain }, ...rest, ...(orcpt !== undefined && { orcpt: onItsOwn(orcpt) }) })

const passRecipient = (state: State, transaction: Transaction, recipient: Recipient): Answer | Promise<Answer> => {
  const snapshot = state.world.snapshot()
  const verdict = decideRecipient({ snapshot, listener: state.listener, client: clientOf(state), mailFrom: transaction.mailFrom, rcptTo: recipient.mailbox })
  warn(state, verdict, { mailFrom: transaction.mailFrom, rcptTo: recipient.mailbox })
  if (verdict.kind === 'deny') return say(verdict.reply, verdict.because)
  const hosted = hostedDomain(snapshot, recipient.mailbox.domain)
  const known = hosted ? decideUser(hosted, recipient.mailbox) : 'yes'
  if (known !== 'ask') return keep(state, transaction, { recipient, verdict, hosted }, known)
  return state.world.callouts.ask(hosted!, baseMailbox(hosted!, recipient.mailbox)).then((answer) => keep(state, transaction, { recipient, verdict, hosted }, answer))
}

const keep = (state: State, transaction: Transaction, passed: Passed, known: 'yes' | 'no' | 'unknown'): Answer => {
  const { mailbox } = passed.recipient
  const refusal = (passed.hosted && unknownUser(passed.hosted, mailbox, known)) ?? overRecipientLimits(state, transaction, mailbox)
  if (refusal) return say(refusal)
  transaction.passed.set(printMailbox(mailbox), passed)
  return say(reply('recipient-ok'))
}

const unknownUser = (hosted: HostedDomain, { local }: Mailbox, answer: 'yes' | 'no' | 'unknown'): Reply | undefined => {
  const words = { local, domain: hosted.domain, manifest: hosted.manifest }
  if (answer === 'no') return reply('no-such-user', words)
  return answer === 'unknown' ? reply('cannot-ask', words) : undefined
}

const overRecipientLimits = (state: State, transaction: Transaction, mailbox: Mailbox): Reply | undefined => {
  const policies = relevantPolicies(state, transaction.mailFrom, mailbox)
  if (!policies.some(({ limits }) => limits.length > 0)) return undefined
  const firstOfDomain = ![...transaction.passed.values()].some(({ recipient }) => recipient.mailbox.domain === mailbox.domain)
  const message = firstOfDomain ? overMessageLimits(state, transaction, policies, mailbox.domain) : undefined
  return message ?? overLimit(state, 'recipients', policies, mailbox.domain)
}

/** A policy that comes in by the recipient's domain counts the source and the sender here, once; any other did so at MAIL. */
const overMessageLimits = (state: State, { mailFrom, counted }: Transaction, policies: readonly Policy[], domain: string): Reply | undefined => {
  const atMail = relevantPolicies(state, mailFrom, undefined)
  const fresh = policies.filter((policy) => !atMail.includes(policy) && !counted.has(policy.manifest))
  const due = policies.map((policy) => (fresh.includes(policy) ? policy : { ...policy, limits: policy.limits.filter(({ by }) => by === 'domain') }))
  const over = overLimit(state, 'messages', due, domain)
  if (!over) for (const { manifest } of fresh) counted.add(manifest)
  return over
}

/** What Warn would have done is logged and counted, and changes nothing. */
const warn = ({ world, id, listener, address }: State, { warnings }: Verdict, { mailFrom, rcptTo }: { mailFrom: Mailbox | null; rcptTo: Mailbox }): void => {
  for (const { rule, manifest } of warnings) {
    world.metrics.policyWarnings.inc({ policy: manifest, rule })
    world.log.warn('POLICY_WARN', { session: id, listener: listener.name, client: address, rule, manifest, from: mailFrom ? printMailbox(mailFrom) : '', to: printMailbox(rcptTo) })
  }
}

export const data: Command = (state, argument) => {
  if (argument !== '') return say(reply('bad-arguments', { syntax: 'DATA' }))
  if (!state.transaction) return say(reply(state.hello ? 'mail-first' : 'hello-first'))
  if (state.transaction.passed.size > 0) return { kind: 'start-data', reply: reply('send-data') }
  const last = state.transaction.lastRefusal
  if (last === undefined) return say(reply('recipient-first'))
  return say(reply('no-recipients', { said: `${last.code} ${last.enhanced} ${last.text}` })) // many libraries show their caller this reply alone
}
