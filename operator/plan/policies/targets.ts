// What a target of a RelayPolicy is called, and at which MailRelays it is. Pure.
import type { RelayPolicy } from '../../../crds/index.ts'
import { titleOf } from '../input.ts'
import type { RelayView } from '../view.ts'

export type Target = RelayPolicy['spec']['targetRefs'][number]

/** What conditions call one target of a policy. */
export const sectionOfTarget = ({ kind, name, sectionName }: Target): string => `${kind} ${name}${sectionName === undefined ? '' : ` ${sectionName}`}`

export const titleOfTarget = ({ metadata: { namespace } }: RelayPolicy, { kind, name }: Target): string => titleOf({ kind, metadata: { namespace, name } })

type At = Pick<RelayView, 'relay' | 'domains' | 'senders'>
const known = new WeakMap<At, ReadonlySet<string>>()

/** What a target of a policy may be at this MailRelay; read once of each. */
export const titlesAt = (at: At): ReadonlySet<string> => {
  const titles = known.get(at) ?? new Set([at.relay, ...at.domains.map(({ domain }) => domain), ...at.senders.map(({ sender }) => sender)].map(titleOf))
  known.set(at, titles)
  return titles
}
