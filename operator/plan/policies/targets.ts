// What a target of a RelayPolicy is called, and at which MailRelays it is. Pure.
import type { RelayPolicy } from '../../../crds/index.ts'
import { titleOf } from '../input.ts'
import type { RelayView } from '../view.ts'

export type Target = RelayPolicy['spec']['targetRefs'][number]

/** What conditions call one target of a policy. */
export const sectionOfTarget = ({ kind, name, sectionName }: Target): string => `${kind} ${name}${sectionName === undefined ? '' : ` ${sectionName}`}`

export const titleOfTarget = ({ metadata: { namespace } }: RelayPolicy, { kind, name }: Target): string => titleOf({ kind, metadata: { namespace, name } })

/** What a target of a policy may be at this MailRelay. */
export const titlesAt = ({ relay, domains, senders }: Pick<RelayView, 'relay' | 'domains' | 'senders'>): ReadonlySet<string> =>
  new Set([relay, ...domains.map(({ domain }) => domain), ...senders.map(({ sender }) => sender)].map(titleOf))
