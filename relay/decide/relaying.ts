// Decides whether this recipient may pass, and by which rule and manifest. Pure; everything it may look at is in the question.
import { type Sender } from '../snapshot/index.ts'
import { askPolicies, type Question, type Spoken } from './policies.ts'
import { indexOf } from './policy-index.ts'
import { reply } from './replies.ts'
import { denyAddress, mayUse } from './senders.ts'
import type { Because, Verdict } from './verdict.ts'

/**
 * 1. Somebody must admit the recipient: its hosted domain, an identified MailSender, or an Allow rule by address.
 * 2. Then every policy may deny or hold.
 * The final mailbox is all that is looked at: routes, %, ! and quotes in the local part mean nothing here.
 */
export const decideRecipient = (question: Question): Verdict => {
  const says = askPolicies(question)
  const because = byHostedDomain(question) ?? bySender(question) ?? says.admitted?.because
  if (because === undefined) return { ...denyStranger(question), warnings: says.warnings }
  if (says.denied) return { ...denyByPolicy(says.denied), warnings: says.warnings }
  if (says.held) return { kind: 'hold', because: says.held.because, reason: holdReason(says.held), warnings: says.warnings }
  return { kind: 'pass', because, warnings: says.warnings }
}

export const isSubmission = ({ listener }: Pick<Question, 'listener'>): boolean => listener.protocol !== 'SMTP'

/** (1) The domain takes its mail at this listener. A submission listener serves identified senders only (RFC 6409 4.3). */
const byHostedDomain = (question: Question): Because | undefined => {
  const hosted = indexOf(question.snapshot).domains.get(question.rcptTo.domain)
  if (!hosted?.inbound || !hosted.listeners.includes(question.listener.name)) return undefined
  return isSubmission(question) && admittedSender(question) === undefined ? undefined : { rule: 'hosted-domain', manifest: hosted.manifest }
}

/** (2) An identified MailSender, admitted here, with an address of its own. */
const bySender = (question: Question): Because | undefined => {
  const sender = admittedSender(question)
  return sender && mayUse(question.snapshot, sender, question.mailFrom) ? { rule: 'identified-sender', manifest: sender.manifest } : undefined
}

const admittedSender = ({ snapshot, listener, client }: Question): Sender | undefined => {
  const sender = client.sender === undefined ? undefined : indexOf(snapshot).senders.get(client.sender)
  return sender?.listeners.includes(listener.name) ? sender : undefined
}

const denyStranger = (question: Question): Omit<Verdict & { kind: 'deny' }, 'warnings'> => {
  const { snapshot, client, mailFrom, rcptTo } = question
  const sender = client.sender === undefined ? undefined : indexOf(snapshot).senders.get(client.sender)
  if (sender && !mayUse(snapshot, sender, mailFrom)) return denyAddress(sender, mailFrom)
  const because = { rule: 'default-deny', manifest: snapshot.relay.manifest }
  if (isSubmission(question) && !sender) return { kind: 'deny', because, reply: reply(client.tls ? 'authenticate-first' : 'encrypt-first', because) }
  return { kind: 'deny', because, reply: reply('relaying-denied', { ...because, domain: rcptTo.domain, who: sender?.manifest ?? client.address }) }
}

const denyByPolicy = ({ because, rule }: Spoken): Omit<Verdict & { kind: 'deny' }, 'warnings'> => ({
  kind: 'deny', because, reply: reply('policy-denied', { ...because, words: rule.reply ?? 'Refused by policy' }),
})

const holdReason = ({ because, rule }: Spoken): string => `${rule.reply ?? 'held by policy'} (${because.manifest}, rule ${because.rule})`
