// Which parts of a RelayPolicy can never take effect at one of its targets, and who decides in their place. Pure.
// Only what is certain is said: another part that fits all that this one fits, and is asked before it or outweighs it.
import { coversAddress, coversDomain, type MailRelay, type RelayPolicy } from '../../../crds/index.ts'
import { isWithin } from '../../../relay/snapshot/index.ts'
import { titleOf } from '../input.ts'
import type { AttachedPolicy, RelayView } from '../view.ts'
import { addressIsRewritten } from '../source-address.ts'
import { senderKeys } from './policy.ts'

type Target = RelayPolicy['spec']['targetRefs'][number]
type Rule = RelayPolicy['spec']['rules'][number]
type Limit = RelayPolicy['spec']['limits'][number]

export type Overridden = {
  /** "rule hold-it is overridden by rule no of RelayPolicy mail/house". */
  readonly parts: readonly string[]
  /** Whether nothing of the policy is left. */
  readonly whole: boolean
}

export const overriddenAt = (policy: RelayPolicy, target: Target, view: RelayView): Overridden => {
  const others = view.policies.filter((other) => other.policy !== policy && other.policy.spec.mode === 'Enforce' && other.targets.some((theirs) => covers(theirs, other.policy, target, policy, view.relay)))
  const rules = policy.spec.rules.map((rule, index) => ruleFault(rule, index, { policy, target, others, view }))
  const limits = policy.spec.limits.map((limit) => limitFault(limit, policy, others, view))
  const faults = [...rules, ...limits]
  return { parts: faults.filter((fault) => fault !== undefined), whole: faults.every((fault) => fault !== undefined) }
}

/** The whole relay, or the same thing. */
const covers = (theirs: Target, other: RelayPolicy, ours: Target, policy: RelayPolicy, relay: MailRelay): boolean => {
  if (theirs.kind === 'MailRelay' && theirs.sectionName === undefined && theirs.name === relay.metadata.name && other.metadata.namespace === relay.metadata.namespace) return true
  return theirs.kind === ours.kind && theirs.name === ours.name && other.metadata.namespace === policy.metadata.namespace && (theirs.sectionName === undefined || theirs.sectionName === ours.sectionName)
}

type Place = { readonly policy: RelayPolicy; readonly target: Target; readonly others: readonly AttachedPolicy[]; readonly view: RelayView }

const ruleFault = (rule: Rule, index: number, { policy, target, others, view }: Place): string | undefined => {
  const own = policy.metadata.namespace
  const before = policy.spec.rules.slice(0, index).find((earlier) => isWiderOrSame(earlier, own, rule, own))
  if (before) return `rule ${rule.name} is overridden by rule ${before.name} before it`
  const letsRelay = rule.action === 'Allow' && rule.match.sources !== undefined
  if (letsRelay && addressesAreLost(target, view)) return `rule ${rule.name} is overridden by the Service of ${titleOf(view.relay)}, which hides the addresses of clients`
  if (rule.action !== 'Hold' && !letsRelay) return undefined // a Deny outweighs everything, and another Allow only ends its own policy
  // of another policy only its first rule is sure to be asked about everything
  const denial = others.find((other) => other.policy.spec.rules[0]?.action === 'Deny' && isWiderOrSame(other.policy.spec.rules[0], other.policy.metadata.namespace, rule, own))
  return denial && `rule ${rule.name} is overridden by rule ${denial.policy.spec.rules[0]!.name} of ${titleOf(denial.policy)}`
}

const addressesAreLost = ({ kind, sectionName }: Target, { relay, listeners }: RelayView): boolean => {
  const meant = listeners.filter(({ name }) => kind !== 'MailRelay' || sectionName === undefined || name === sectionName)
  return meant.length > 0 && meant.every((listener) => addressIsRewritten(relay, listener))
}

/** Whether everything that `narrow` fits, `wide` fits too. */
const isWiderOrSame = ({ match: wide }: Rule, wideHome: string, { match: narrow }: Rule, narrowHome: string): boolean => {
  const senders = (names: readonly string[] | undefined, home: string) => names && senderKeys(names, home)
  return (
    (wide.authenticated === undefined || wide.authenticated === narrow.authenticated) &&
    (wide.tls === undefined || wide.tls === narrow.tls) &&
    holdsAll(senders(wide.senders, wideHome), senders(narrow.senders, narrowHome), (a, b) => a === b) &&
    holdsAll(wide.sources, narrow.sources, (outer, inner) => isWithin(inner, outer)) &&
    holdsAll(wide.helo, narrow.helo, coversDomain) &&
    holdsAll(wide.mailFrom, narrow.mailFrom, (outer, inner) => outer === inner || outer === '*' || (inner !== '<>' && outer !== '<>' && coversAddress(outer, inner))) &&
    holdsAll(wide.rcptTo, narrow.rcptTo, coversAddress)
  )
}

const holdsAll = (wide: readonly string[] | undefined, narrow: readonly string[] | undefined, holds: (outer: string, inner: string) => boolean): boolean =>
  wide === undefined || (narrow !== undefined && narrow.every((inner) => wide.some((outer) => holds(outer, inner))))

const counts = ['connectionsPerMinute', 'messagesPerMinute', 'recipientsPerHour'] as const

/** Every limit counts; one that is never reached because another is lower says nothing. Of two alike the policy that is asked first speaks. */
const limitFault = (limit: Limit, policy: RelayPolicy, others: readonly AttachedPolicy[], { policies }: RelayView): string | undefined => {
  const place = policies.findIndex((one) => one.policy === policy)
  const lower = others.find((other) => other.policy.spec.limits.some((theirs) => theirs.by === limit.by && isStricter(theirs, limit, policies.indexOf(other) < place)))
  return lower && `the limits by ${limit.by} are overridden by those of ${titleOf(lower.policy)}, which are lower`
}

const isStricter = (theirs: Limit, ours: Limit, orEqual: boolean): boolean =>
  counts.every((count) => ours[count] === undefined || (theirs[count] !== undefined && (theirs[count] < ours[count] || (orEqual && theirs[count] === ours[count]))))
