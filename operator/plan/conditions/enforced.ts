// Whether a RelayPolicy takes effect at one of its targets: in force, run by the pods, not only warning, and not overridden. Pure.
import type { RelayPolicy } from '../../../crds/index.ts'
import type { Reason } from '../condition.ts'
import { ranAt } from '../fault.ts'
import { keyOf } from '../input.ts'
import { overriddenAt } from '../policies/overridden.ts'
import type { RelayView } from '../view.ts'
import { judgeFleet, type ObservedFleet } from './fleet.ts'
import type { ObservedReason } from './reasons.ts'

type Target = RelayPolicy['spec']['targetRefs'][number]
export type Enforced = { readonly type: 'Enforced'; readonly status: 'True' | 'False'; readonly reason: ObservedReason | Reason; readonly message: string }

/** `accepted`: what the plan says of this target; `views`: of the MailRelays where it is in force there. */
export const enforcedAt = (policy: RelayPolicy, target: Target, accepted: { readonly status: string; readonly reason: string; readonly message: string }, views: readonly ObservedFleet[]): Enforced => {
  const no = (reason: Enforced['reason'], message: string): Enforced => ({ type: 'Enforced', status: 'False', reason, message })
  const here = views.filter(({ view }) => view.policies.some((one) => one.policy === policy && one.targets.includes(target)))
  if (here.length === 0 && accepted.status !== 'True') return no(accepted.reason as Reason, accepted.message)
  if (here.length === 0) return no('NotInForce', 'no MailRelay in force has this target')
  if (policy.spec.mode === 'Warn') return no('WarnOnly', 'mode is Warn: what it would do is logged and counted, and not done')
  const overridden = here.map(({ view }) => overriddenAt(policy, target, view))
  const parts = [...new Set(overridden.flatMap((one) => one.parts))].join('; ')
  if (overridden.every(({ whole }) => whole)) return no('Overridden', parts)
  const late = here.find((fleet) => !isProgrammed(fleet) && !(wasEnforced(policy, target) && wasThere(fleet.view, policy, target)))
  if (late) return no('Pending', `not all pods of MailRelay ${keyOf(late.view.relay)} run a snapshot with it yet`)
  return { type: 'Enforced', status: 'True', ...(parts === '' ? { reason: 'Enforced', message: 'in effect on every pod' } : { reason: 'PartlyOverridden', message: parts }) }
}

const isProgrammed = ({ view, revision, observed }: ObservedFleet): boolean => judgeFleet(view, revision, observed).find(({ type }) => type === 'Programmed')?.status === 'True'

/** Pods that once ran this generation of it run it still: later snapshots have it too. */
const wasEnforced = ({ metadata, status }: RelayPolicy, { kind, name, sectionName }: Target): boolean => {
  type Recorded = { readonly targets?: readonly (Target & { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly observedGeneration?: number }[] })[] }
  const found = (status as Recorded | undefined)?.targets?.find((one) => one.kind === kind && one.name === name && one.sectionName === sectionName)
  return found?.conditions?.some((one) => one.type === 'Enforced' && one.status === 'True' && one.observedGeneration === metadata.generation) ?? false
}

/** A MailDomain or MailSender may have come to a MailRelay since: its status names those where it was before. */
const wasThere = ({ relay, domains, senders }: RelayView, { metadata: { namespace } }: RelayPolicy, { kind, name }: Target): boolean => {
  if (kind === 'MailRelay') return true
  const attached = kind === 'MailDomain' ? domains.map(({ domain }) => domain) : senders.map(({ sender }) => sender)
  const found = attached.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name)
  return found !== undefined && ranAt(found, [keyOf(relay)]).includes(keyOf(relay))
}
