// What the RelayPolicies say about one recipient: in each policy the first rule that matches speaks. Pure.
import { holds, matchesDomain, matchesMailbox, type Listener, type Mailbox, type Snapshot } from '../snapshot/index.ts'
import { addressOf, admits, indexOf, type ReadyPolicy, type ReadyRule } from './policy-index.ts'
import type { Because, Client } from './verdict.ts'

/** What one decision is about. */
export type Question = {
  readonly snapshot: Snapshot
  readonly listener: Listener
  readonly client: Client
  readonly mailFrom: Mailbox | null
  readonly rcptTo: Mailbox
}

export type Spoken = { readonly because: Because; readonly rule: ReadyRule['rule'] }
export type PolicySays = {
  readonly admitted?: Spoken // an Allow by address, the only one that lets a stranger pass
  readonly denied?: Spoken
  readonly held?: Spoken
  readonly warnings: readonly Because[] // what policies in Warn mode would have done
}

/** Asks every policy that targets this listener, domain or sender, in the snapshot's order. */
export const askPolicies = (question: Question): PolicySays => {
  const says: { admitted?: Spoken; denied?: Spoken; held?: Spoken; warnings: Because[] } = { warnings: [] }
  for (const ready of policiesFor(question)) {
    const first = ready.rules.find((rule) => matches(rule, question))
    if (!first) continue
    const spoken = { because: { rule: first.rule.name, manifest: ready.policy.manifest }, rule: first.rule }
    if (ready.policy.mode === 'Warn') {
      if (first.rule.action !== 'Allow') says.warnings.push(spoken.because)
    } else if (first.rule.action === 'Deny') says.denied ??= spoken
    else if (first.rule.action === 'Hold') says.held ??= spoken
    else if (mayAdmit(ready, first, question)) says.admitted ??= spoken
  }
  return says
}

const none: readonly ReadyPolicy[] = []

/** Policies that target this listener, the recipient's or sender's domain, or the MailSender, in order, each once. */
export const policiesFor = ({ snapshot, listener, client, mailFrom, rcptTo }: Question): readonly ReadyPolicy[] => {
  const index = indexOf(snapshot)
  const parts = [
    index.ofListener.get(listener.name) ?? none,
    index.ofDomain.get(rcptTo.domain) ?? none,
    (mailFrom && index.ofDomain.get(mailFrom.domain)) ?? none,
    (client.sender !== undefined && index.ofSender.get(client.sender)) || none,
  ].filter((part) => part.length > 0)
  return parts.length < 2 ? (parts[0] ?? none) : [...new Set(parts.flat())].sort((a, b) => a.order - b.order)
}

/** An Allow rule lets a stranger pass only by address, and only where addresses can be believed. */
const mayAdmit = ({ policy }: ReadyPolicy, { sources }: ReadyRule, question: Question): boolean =>
  policy.mayAllowSources && addressCounts(question) && admits(sources, addressOf(question.client.address))

/** Behind the address of a node or gateway may be anybody; and where a stranger relayed once, addresses count for no mail that could reach anybody. */
const addressCounts = (question: Question): boolean => {
  const { snapshot, listener, client } = question
  const { sourcesMayAllow, nodes } = indexOf(snapshot)
  const isOpen = !listener.relayingClosed || goesNowhere(question)
  return listener.sourceAddressPreserved && isOpen && sourcesMayAllow && !fromOneOf(nodes, client.address)
}

/** From nobody to a domain that cannot exist (RFC 2606 2): it reaches nobody and comes back to nobody, but shows whether the hole is still there. */
const goesNowhere = ({ mailFrom, rcptTo }: Question): boolean => mailFrom === null && rcptTo.domain.endsWith('.invalid')

/** Everything a rule names must fit; a rule that names nothing fits all. */
const matches = ({ rule: { match }, sources, senders }: ReadyRule, { client, mailFrom, rcptTo }: Question): boolean => {
  if (match.authenticated !== undefined && match.authenticated !== (client.sender !== undefined)) return false
  if (match.tls !== undefined && match.tls !== client.tls) return false
  if (senders !== undefined && (client.sender === undefined || !senders.has(client.sender))) return false
  if (match.rcptTo !== undefined && !match.rcptTo.some((pattern) => matchesMailbox(pattern, rcptTo))) return false
  if (match.mailFrom !== undefined && !match.mailFrom.some((pattern) => matchesSender(pattern, mailFrom))) return false
  if (match.helo !== undefined && !match.helo.some((pattern) => matchesDomain(pattern, client.helo.toLowerCase()))) return false
  return sources === undefined || fromOneOf(sources, client.address)
}

const matchesSender = (pattern: string, mailFrom: Mailbox | null): boolean =>
  mailFrom === null ? pattern === '<>' || pattern === '*' : matchesMailbox(pattern, mailFrom)

const fromOneOf = (sources: NonNullable<ReadyRule['sources']>, text: string): boolean => {
  const address = addressOf(text)
  return address !== undefined && sources.some((prefix) => holds(prefix, address))
}
