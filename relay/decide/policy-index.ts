// A snapshot prepared once for quick decisions: who hosts a domain, who is a sender, which policies can matter. Pure.
import { byDomain, holds, isBounded, makeTheWorld, parseAddress, prefixesIn, type Address, type HostedDomain, type Policy, type PolicyRule, type Prefix, type Sender, type Snapshot } from '../snapshot/index.ts'

export type ReadyRule = { readonly rule: PolicyRule; readonly sources: readonly Prefix[] | undefined; readonly senders: ReadonlySet<string> | undefined }
export type ReadyPolicy = { readonly order: number; readonly policy: Policy; readonly rules: readonly ReadyRule[] }

export type Index = {
  readonly domains: ReadonlyMap<string, HostedDomain>
  readonly senders: ReadonlyMap<string, Sender> // by namespace/name
  readonly logins: ReadonlyMap<string, Sender> // by user name
  readonly accounts: ReadonlyMap<string, Sender> // by namespace/name of the ServiceAccount
  readonly ofListener: ReadonlyMap<string, readonly ReadyPolicy[]> // targets the relay, or this listener of it
  readonly ofDomain: ReadonlyMap<string, readonly ReadyPolicy[]>
  readonly ofSender: ReadonlyMap<string, readonly ReadyPolicy[]>
  readonly sourcesMayAllow: boolean
  readonly nodes: readonly Prefix[]
}

const indexes = new WeakMap<Snapshot, Index>()

export const indexOf = (snapshot: Snapshot): Index => {
  const known = indexes.get(snapshot)
  if (known) return known
  const made = buildIndex(snapshot)
  indexes.set(snapshot, made)
  return made
}

const buildIndex = (snapshot: Snapshot): Index => {
  const policies = snapshot.policies.map((policy, order) => ({ order, policy, rules: policy.rules.map(readyRule) }))
  const logins = snapshot.senders.flatMap((sender) => (sender.auth ? [[sender.auth.username, sender] as const] : []))
  return {
    domains: byDomain(snapshot.domains),
    senders: new Map(snapshot.senders.map((sender) => [`${sender.namespace}/${sender.name}`, sender])),
    logins: new Map(logins),
    accounts: new Map(snapshot.senders.flatMap((sender) => (sender.serviceAccount === undefined ? [] : [[`${sender.namespace}/${sender.serviceAccount}`, sender] as const]))),
    ofListener: new Map(snapshot.listeners.map(({ name }) => [name, policies.filter(({ policy }) => targetsListener(policy, name))])),
    ofDomain: gather(policies, (target) => (target.kind === 'MailDomain' ? target.domain : undefined)),
    ofSender: gather(policies, (target) => (target.kind === 'MailSender' ? target.sender : undefined)),
    sourcesMayAllow: !allowRulesMakeTheWorld(snapshot.policies),
    nodes: prefixesIn(snapshot.relay.nodeAddresses),
  }
}

const readyRule = (rule: PolicyRule): ReadyRule => ({
  rule,
  sources: rule.match.sources && prefixesIn(rule.match.sources),
  senders: rule.match.senders && new Set(rule.match.senders),
})

const targetsListener = (policy: Policy, listener: string): boolean =>
  policy.targets.some((target) => target.kind === 'MailRelay' && (target.listener === undefined || target.listener === listener))

const gather = (policies: readonly ReadyPolicy[], key: (target: Policy['targets'][number]) => string | undefined): Map<string, ReadyPolicy[]> => {
  const found = new Map<string, ReadyPolicy[]>()
  for (const policy of policies) {
    for (const name of new Set(policy.policy.targets.map(key))) {
      if (name !== undefined) found.set(name, [...(found.get(name) ?? []), policy])
    }
  }
  return found
}

/** True where the sources of all Allow rules that could admit strangers make the world together. The plan refuses such; decide does not trust it to. */
export const allowRulesMakeTheWorld = (policies: readonly Policy[]): boolean =>
  makeTheWorld(policies.flatMap((policy) => (policy.mayAllowSources ? policy.rules.flatMap(allowedPrefixes) : [])))

const allowedPrefixes = (rule: PolicyRule): Prefix[] =>
  rule.action === 'Allow' ? prefixesIn(rule.match.sources ?? []) : []

const addresses = new Map<string, Address | undefined>()

/** The address as a number; the last few thousand clients are remembered. */
export const addressOf = (text: string): Address | undefined => {
  if (addresses.has(text)) return addresses.get(text)
  if (addresses.size >= 4096) addresses.clear()
  const parsed = parseAddress(text)
  addresses.set(text, parsed)
  return parsed
}

/** Does a bounded prefix of these hold the address? A prefix that names too many admits nobody. */
export const admits = (sources: readonly Prefix[] | undefined, address: Address | undefined): boolean =>
  sources !== undefined && address !== undefined && sources.some((prefix) => isBounded(prefix) && holds(prefix, address))
