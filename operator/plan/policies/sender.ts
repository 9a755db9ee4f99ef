// What keeps a MailSender from a MailRelay, and which addresses and listeners it gets.
import { coversAddress, coversDomain, partsOf, type ListenerSpec, type MailDomain, type MailRelay, type MailSender, type Namespaces } from '../../../crds/index.ts'
import type { Check, Violation } from '../condition.ts'
import { keyOf, refOf, titleOf } from '../input.ts'
import { didYouMean } from '../../near-miss.ts'
import { normalPattern, normalPatterns } from '../names.ts'
import { authOf, takesCredentialOf } from '../snapshot/listener-auth.ts'
import type { World } from '../world.ts'
import { patternIsNoName } from './domain.ts'

/** A MailDomain accepted on the relay, inbound or not, and the addresses it lends to those it admits. */
export type Lender = { readonly domain: MailDomain; readonly lent: readonly string[] }

/** `lenders`: by domain name in normal form; a relay accepts one MailDomain of a name. `namesake`: an older one that has its ServiceAccount. */
export type SeenSender = { readonly sender: MailSender; readonly relay: MailRelay; readonly listeners: readonly ListenerSpec[]; readonly lenders: ReadonlyMap<string, Lender>; readonly namesake?: MailSender | undefined; readonly world: World }

export const lendersOf = (domains: readonly MailDomain[]): ReadonlyMap<string, Lender> =>
  new Map(domains.flatMap((domain) => normalPatterns([domain.spec.domain]).map((name) => [name, { domain, lent: normalPatterns(domain.spec.allowedSenders.from ?? [`*@${name}`]) }] as const)))

const addressIsNoPattern: Check<SeenSender> = ({ sender }) => patternIsNoName(sender.spec.from, ['spec', 'from'])

const noListenerTakesIt: Check<SeenSender> = (seen) => {
  const { sender, relay, listeners, world } = seen
  if (admittingListeners(seen).length > 0) return undefined
  return { reason: 'NotAdmitted', message: `no listener of ${titleOf(relay)} with AUTH admits senders of namespace ${sender.metadata.namespace} (allowedSenders)${outside(sender, relay.metadata.namespace, listeners.map(({ allowedSenders }) => allowedSenders.namespaces), world)}`, path: ['spec', 'relayRef'], by: refOf(relay) }
}

const noListenerTakesItsCredential: Check<SeenSender> = (seen) => {
  const admitting = admittingListeners(seen)
  if (admitting.length === 0 || usableListeners(seen).length > 0) return undefined
  return { reason: 'MechanismMissing', message: `${admitting.map(({ name }) => `listener ${name}`).join(', ')} of ${titleOf(seen.relay)} takes no passwords (auth): add PLAIN, or use identity.serviceAccountName`, path: ['spec', 'identity'] }
}

const accountIsOfAnother: Check<SeenSender> = ({ sender, relay, namesake }) =>
  namesake && { reason: 'AccountConflict', message: `${titleOf(namesake)} has ServiceAccount ${sender.metadata.namespace}/${sender.spec.identity.serviceAccountName} on ${titleOf(relay)}: a token could be either's`, path: ['spec', 'identity', 'serviceAccountName'], by: refOf(namesake) }

const addressIsNotAllowed: Check<SeenSender> = (seen) => {
  const { sender, relay } = seen
  const from = sender.spec.from ?? []
  const best = usableListeners(seen).map((listener) => from.filter((pattern) => !mayUse(pattern, listener, seen))).sort((a, b) => a.length - b.length)[0]
  if (best === undefined || best.length === 0) return undefined
  const index = from.indexOf(best[0]!)
  return { reason: 'FromNotAllowed', message: `${best.join(', ')}: ${whyNot(best[0]!, seen)} on ${titleOf(relay)}`, path: ['spec', 'from', index], by: refOf(lenderOf(best[0]!, seen)?.domain ?? relay) }
}

const thereIsNoAddress: Check<SeenSender> = (seen) => {
  const { sender, relay } = seen
  if (sender.spec.from !== undefined || fromOf(seen).length > 0 || sender.spec.allowNullSender) return undefined
  return { reason: 'FromNotAllowed', message: `from is absent, and namespace ${sender.metadata.namespace} has no MailDomain accepted on ${titleOf(relay)} that admits it` }
}

export const refuseSender: readonly Check<SeenSender>[] = [
  addressIsNoPattern, // nothing could be compared with it
  noListenerTakesIt, // the platform's side of the consent
  noListenerTakesItsCredential, // it could never say who it is
  accountIsOfAnother, // it could not be told from the other
  addressIsNotAllowed, // the domain's side of the consent
  thereIsNoAddress, // it could never send
]

/** Not a reason to refuse: it may come later. */
export const accountIsMissing = (sender: MailSender, world: World): Violation | undefined => {
  const { accounts } = world.input
  const name = sender.spec.identity.serviceAccountName
  const key = `${sender.metadata.namespace}/${name}`
  if (name === undefined || accounts === undefined || accounts.has(key)) return undefined
  return { reason: 'AccountNotFound', message: `${world.missing('ServiceAccount', key)} (nobody has a token as ${titleOf(sender)} until it does)`, path: ['spec', 'identity', 'serviceAccountName'] }
}

/** Listeners with AUTH that admit its namespace. */
const admittingListeners = ({ sender, relay, listeners, world }: SeenSender): ListenerSpec[] =>
  listeners.filter((listener) => authOf(listener).length > 0 && world.admits(listener.allowedSenders.namespaces, relay.metadata.namespace, sender.metadata.namespace))

/** Of these, those that take what it identifies itself with. */
const usableListeners = (seen: SeenSender): ListenerSpec[] => admittingListeners(seen).filter((listener) => takesCredentialOf(seen.sender, listener))

/** Names of the listeners it may use: those on which every one of its addresses is allowed. */
export const listenersForSender = (seen: SeenSender): string[] =>
  usableListeners(seen)
    .filter((listener) => (seen.sender.spec.from ?? []).every((pattern) => mayUse(pattern, listener, seen)))
    .map(({ name }) => name)

/** Its addresses in normal form; without `from` those of the MailDomains of its own namespace. Of what a wildcard covers, the relay lets it use no domain of another namespace that is not named: those that admit it are. */
export const fromOf = (seen: SeenSender): string[] => {
  const { sender, lenders } = seen
  if (sender.spec.from !== undefined) {
    const named = normalPatterns(sender.spec.from)
    const wide = named.map((pattern) => partsOf(pattern).domain).filter((domain) => domain.startsWith('*'))
    const lent = wide.length === 0 ? [] : [...lenders].filter(([name, { domain }]) => domain.metadata.namespace !== sender.metadata.namespace && wide.some((one) => coversDomain(one, name))).map(([, one]) => ({ namespace: one.domain.metadata.namespace, patterns: lentTo(one, seen) }))
    return [...new Set([...named, ...withinRoom(lent)])]
  }
  return [...lenders.values()].filter(({ domain }) => domain.metadata.namespace === sender.metadata.namespace).flatMap((one) => lentTo(one, seen))
}

const mostLent = 131_072 // a quarter of what one object may take of the snapshot

/** What others lend to a wildcard must not cost the sender its place: the namespaces that lend most give way. */
const withinRoom = (lent: readonly { readonly namespace: string; readonly patterns: readonly string[] }[]): string[] => {
  const byNamespace = [...Map.groupBy(lent, ({ namespace }) => namespace).values()].map((of) => of.flatMap(({ patterns }) => patterns))
  const sized = byNamespace.map((patterns) => ({ patterns, bytes: patterns.reduce((sum, pattern) => sum + Buffer.byteLength(pattern) + 3, 0) }))
  let room = mostLent
  return sized.toSorted((a, b) => a.bytes - b.bytes).flatMap(({ patterns, bytes }) => ((room -= bytes) >= 0 ? patterns : []))
}

const mayUse = (pattern: string, listener: ListenerSpec, seen: SeenSender): boolean => {
  const { sender, lenders } = seen
  const wanted = normalPattern(pattern)
  if (wanted === undefined) return false
  const { domain } = partsOf(wanted)
  const lender = lenders.get(domain) // what a MailDomain lends is always at its own name
  if (lender && lentTo(lender, seen).some((lent) => coversAddress(lent, wanted))) return true
  const ofAnother = lender !== undefined && lender.domain.metadata.namespace !== sender.metadata.namespace
  return normalPatterns(listener.allowedSenders.foreignDomains).some((foreign) => foreign === domain || (!ofAnother && coversDomain(foreign, domain)))
}

/** What a domain lends to this sender; of one whose allowedSenders cannot be read what it lent before. */
const lentTo = ({ domain, lent }: Lender, { sender, relay, world }: SeenSender): readonly string[] => {
  if (isLendingKnown(domain, world)) return admitsSender(domain, sender, world) ? lent : []
  const before = world.input.before?.get(keyOf(relay))?.senders.find(({ manifest }) => manifest === titleOf(sender))
  return (before?.from ?? []).filter((pattern) => partsOf(pattern).domain === normalPattern(domain.spec.domain))
}

const isLendingKnown = (domain: MailDomain, { input }: World): boolean => input.declared.unread?.get(titleOf(domain))?.lends !== false

const admitsSender = (domain: MailDomain, sender: MailSender, world: World): boolean =>
  world.admits(domain.spec.allowedSenders.namespaces, domain.metadata.namespace, sender.metadata.namespace)

const lenderOf = (pattern: string, { lenders }: SeenSender): Lender | undefined => lenders.get(partsOf(normalPattern(pattern) ?? pattern).domain)

const whyNot = (pattern: string, seen: SeenSender): string => {
  const { sender, lenders, world } = seen
  const wanted = partsOf(normalPattern(pattern) ?? pattern)
  const lender = lenderOf(pattern, seen)
  if (lender === undefined) {
    const hint = didYouMean(wanted.domain, [...lenders].filter(([, { domain }]) => domain.metadata.namespace === sender.metadata.namespace).map(([name]) => name))
    return `no MailDomain for ${wanted.domain}${hint === undefined ? '' : ` (${hint})`} is accepted, and no foreignDomains names it`
  }
  const { domain, lent } = lender
  if (!isLendingKnown(domain, world)) return `MailDomain ${keyOf(domain)} cannot be read (allowedSenders), and lends only what it lent before`
  if (!admitsSender(domain, sender, world)) return `MailDomain ${keyOf(domain)} does not admit namespace ${sender.metadata.namespace} (allowedSenders)${outside(sender, domain.metadata.namespace, [domain.spec.allowedSenders.namespaces], world)}`
  return `MailDomain ${keyOf(domain)} lends only ${lent.join(', ')}`
}

const outside = (sender: MailSender, own: string, asked: readonly Namespaces[], world: World): string => (sender.metadata.namespace === own ? '' : world.aboutLabels(sender.metadata.namespace, asked))
