// Which addresses an identified MailSender may use, in MAIL FROM and in the header From (RFC 6409 6.1, 8.1). Pure.
import { isWide, matchesMailbox, printMailbox, type Listener, type Mailbox, type Sender, type Snapshot } from '../snapshot/index.ts'
import { indexOf } from './policy-index.ts'
import { reply } from './replies.ts'
import type { Client, Verdict } from './verdict.ts'

type Deny = Extract<Verdict, { kind: 'deny' }>

/** A wildcard means no domain that a MailDomain of another namespace holds: what that lends stands by its name. */
export const mayUse = (snapshot: Snapshot, sender: Sender, address: Mailbox | null): boolean => {
  if (address === null) return sender.allowNullSender
  const holder = indexOf(snapshot).domains.get(address.domain)
  const mustBeNamed = holder !== undefined && holder.namespace !== sender.namespace
  return sender.from.some((pattern) => matchesMailbox(pattern, address) && !(mustBeNamed && isWide(pattern)))
}

/** At MAIL: an identified sender keeps to its addresses. The null sender is never refused here: it may be a notice for a hosted domain. */
export const decideMail = (question: { readonly snapshot: Snapshot; readonly listener: Listener; readonly client: Client; readonly mailFrom: Mailbox | null }): Deny | undefined => {
  const sender = question.client.sender === undefined ? undefined : indexOf(question.snapshot).senders.get(question.client.sender)
  if (!sender || question.mailFrom === null || mayUse(question.snapshot, sender, question.mailFrom)) return undefined
  return { ...denyAddress(sender, question.mailFrom), warnings: [] }
}

/** The MailSender is known, the address is not among its own. */
export const denyAddress = (sender: Sender, address: Mailbox | null): Omit<Deny, 'warnings'> => {
  const because = { rule: 'from', manifest: sender.manifest }
  const shown = address === null ? '<>' : printMailbox(address)
  return { kind: 'deny', because, reply: reply('not-your-address', { ...because, sender: `${sender.namespace}/${sender.name}`, address: shown }) }
}

/** A reply ends at 510 octets: what to do about it stands behind. */
const inShort = (text: string): string => (text.length <= mostShown ? text : `${text.slice(0, mostShown).toWellFormed()}...`)
const mostShown = 60

/** At the end of the header section: every mailbox of From is one of the sender's. */
export const decideHeaderFrom = (snapshot: Snapshot, sender: Sender, from: readonly (Mailbox | string)[]): Deny | undefined => {
  const strange = from.find((address) => typeof address === 'string' || !mayUse(snapshot, sender, address))
  if (strange === undefined) return undefined
  const because = { rule: 'from', manifest: sender.manifest }
  const words = typeof strange === 'string' ? reply('nobody-in-header', { ...because, text: inShort(strange) }) : reply('not-your-header', { ...because, sender: `${sender.namespace}/${sender.name}`, address: printMailbox(strange) })
  return { kind: 'deny', because, warnings: [], reply: words }
}
