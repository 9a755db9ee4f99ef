// What keeps a RelayPolicy out, alone, at one target, or on one MailRelay.
import type { RelayPolicy } from '../../../crds/index.ts'
import type { Check, Violation } from '../condition.ts'
import { titleOf } from '../input.ts'
import type { World } from '../world.ts'
import { trustTooMany, widthFault } from './allow-sources.ts'
import { patternIsNoName } from './domain.ts'

type SeenPolicy = { readonly policy: RelayPolicy; readonly world: World }

const patternOfRuleIsNoName: Check<SeenPolicy> = ({ policy }) => {
  for (const [index, { match }] of policy.spec.rules.entries()) {
    for (const field of ['helo', 'mailFrom', 'rcptTo'] as const) {
      const fault = patternIsNoName(match[field], ['spec', 'rules', index, 'match', field])
      if (fault) return fault
    }
  }
  return undefined
}

const sourceIsTooWide: Check<SeenPolicy> = ({ policy }) => {
  for (const [index, { action, match }] of policy.spec.rules.entries()) {
    const faults = action === 'Allow' ? (match.sources ?? []).flatMap((source) => widthFault(source) ?? []) : []
    if (faults.length > 0) return { reason: 'SourcesTooWide', message: faults.join('; '), path: ['spec', 'rules', index, 'match', 'sources'] }
  }
  return undefined
}

const connectionsAreOfNoRelay: Check<SeenPolicy> = ({ policy: { spec } }) => {
  const index = spec.targetRefs.some(({ kind }) => kind === 'MailRelay') ? -1 : spec.limits.findIndex(({ connectionsPerMinute }) => connectionsPerMinute !== undefined)
  if (index < 0) return undefined
  return { reason: 'LimitNotCounted', message: 'a limit on connections needs a MailRelay among the targets: a connection has no domain or sender yet', path: ['spec', 'limits', index, 'connectionsPerMinute'] }
}

export const refusePolicy: readonly Check<SeenPolicy>[] = [
  patternOfRuleIsNoName, // nothing could be compared with it
  sourceIsTooWide, // an address rule trusts whoever can send from there
  connectionsAreOfNoRelay, // a limit that never counts looks like protection and is none
]

type SeenTarget = SeenPolicy & { readonly target: RelayPolicy['spec']['targetRefs'][number]; readonly index: number }

const targetIsMissing: Check<SeenTarget> = ({ policy, target, index, world }) => {
  const key = `${policy.metadata.namespace}/${target.name}`
  const found = { MailRelay: world.relay, MailDomain: world.domain, MailSender: world.sender }[target.kind](key)
  return found === undefined ? { reason: 'TargetNotFound', message: world.missing(target.kind, key), path: ['spec', 'targetRefs', index, 'name'] } : undefined
}

const listenerIsMissing: Check<SeenTarget> = ({ policy, target, index, world }) => {
  const relay = target.sectionName === undefined || target.kind !== 'MailRelay' ? undefined : world.relay(`${policy.metadata.namespace}/${target.name}`)
  if (relay === undefined || relay.spec.listeners.some(({ name }) => name === target.sectionName)) return undefined
  return { reason: 'TargetNotFound', message: `${titleOf(relay)} has no listener ${target.sectionName}, only ${relay.spec.listeners.map(({ name }) => name).join(', ')}`, path: ['spec', 'targetRefs', index, 'sectionName'] }
}

export const refuseTarget: readonly Check<SeenTarget>[] = [
  targetIsMissing, // a policy for nothing looks like protection and is none
  listenerIsMissing, // the same
]

type SeenOnRelay = SeenPolicy & { readonly relay: string; readonly relayNamespace: string; readonly allowedBefore: readonly string[] }

const allowedFromAnotherNamespace: Check<SeenOnRelay> = ({ policy, relay, relayNamespace }) => {
  const index = policy.metadata.namespace === relayNamespace ? -1 : policy.spec.rules.findIndex(({ action, match }) => action === 'Allow' && match.sources !== undefined)
  if (index < 0) return undefined
  return { reason: 'AllowNotPermitted', message: `rule ${policy.spec.rules[index]!.name}: only a policy in namespace ${relayNamespace} may let addresses use MailRelay ${relay}`, path: ['spec', 'rules', index, 'match', 'sources'], by: { kind: 'MailRelay', namespace: relayNamespace, name: relay.slice(relayNamespace.length + 1) } }
}

const togetherTheyMakeTheWorld: Check<SeenOnRelay> = ({ policy, relay, allowedBefore }) => {
  const own = allowedSourcesOf(policy)
  if (own.length === 0 || !trustTooMany([...allowedBefore, ...own])) return undefined
  return { reason: 'SourcesMakeTheWorld', message: `with the Allow rules before it, MailRelay ${relay} would trust more public addresses than an IPv4 /16 or an IPv6 /32 holds`, path: ['spec', 'rules'] }
}

export const refusePolicyOnRelay: readonly Check<SeenOnRelay>[] = [
  allowedFromAnotherNamespace, // a tenant may not open the relay
  togetherTheyMakeTheWorld, // many narrow ranges may be one wide one
]

export const allowedSourcesOf = ({ spec }: RelayPolicy): string[] => spec.rules.flatMap(({ action, match }) => (action === 'Allow' ? (match.sources ?? []) : []))

/** Not a reason to refuse: without the sender the rule still says what it says. */
export const senderOfRuleIsMissing = (policy: RelayPolicy, world: World): Violation | undefined => {
  for (const [index, { match }] of policy.spec.rules.entries()) {
    const unknown = senderKeys(match.senders, policy.metadata.namespace).filter((key) => world.sender(key) === undefined)
    if (unknown.length > 0) return { reason: 'SenderNotFound', message: `${unknown.map((key) => world.missingSender(key, policy.metadata.namespace)).join('; ')} (${titleOf(policy)} holds without)`, path: ['spec', 'rules', index, 'match', 'senders'] }
  }
  return undefined
}

/** Names of MailSenders as namespace/name. */
export const senderKeys = (names: readonly string[] | undefined, namespace: string): string[] => (names ?? []).map((name) => (name.includes('/') ? name : `${namespace}/${name}`))
