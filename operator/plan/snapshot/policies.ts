// The RelayPolicies of a snapshot, in the order in which they are asked. Pure.
import { normalDomain, type SnapshotInput } from '../../../relay/snapshot/index.ts'
import type { RelayPolicy } from '../../../crds/index.ts'
import { titleOf } from '../input.ts'
import type { RelayView } from '../view.ts'
import { normalPatterns } from '../names.ts'
import { senderKeys } from '../policies/policy.ts'
import type { World } from '../world.ts'
import { present } from './present.ts'

type SnapshotPolicy = NonNullable<SnapshotInput['policies']>[number]
type Target = RelayPolicy['spec']['targetRefs'][number]

export const policiesOf = ({ relay, policies }: RelayView, world: World): SnapshotPolicy[] =>
  policies.map(({ policy, targets }) => ({
    namespace: policy.metadata.namespace,
    name: policy.metadata.name,
    manifest: titleOf(policy),
    mode: policy.spec.mode,
    targets: targets.map((target) => targetOf(target, policy.metadata.namespace, world)),
    mayAllowSources: policy.metadata.namespace === relay.metadata.namespace,
    rules: policy.spec.rules.map((rule) => ruleOf(rule, policy.metadata.namespace)),
    limits: policy.spec.limits.map(({ by, ...counts }) => ({ by, ...present(counts) })),
  }))

const targetOf = ({ kind, name, sectionName }: Target, namespace: string, world: World): SnapshotPolicy['targets'][number] => {
  if (kind === 'MailRelay') return { kind, ...present({ listener: sectionName }) }
  if (kind === 'MailSender') return { kind, sender: `${namespace}/${name}` }
  const domain = world.domain(`${namespace}/${name}`)?.spec.domain ?? ''
  return { kind, domain: normalDomain(domain) ?? domain }
}

const ruleOf = ({ name, match, action, reply }: RelayPolicy['spec']['rules'][number], namespace: string): NonNullable<SnapshotPolicy['rules']>[number] => {
  if (action === 'Redirect') throw new Error('action Redirect must not reach a snapshot')
  const { sources, authenticated, senders, tls, helo, mailFrom, rcptTo } = match
  return {
    name,
    action,
    match: present({
      sources,
      authenticated,
      tls,
      senders: senders && senderKeys(senders, namespace),
      helo: helo && normalPatterns(helo),
      mailFrom: mailFrom && normalPatterns(mailFrom),
      rcptTo: rcptTo && normalPatterns(rcptTo),
    }),
    ...present({ reply }),
  }
}
