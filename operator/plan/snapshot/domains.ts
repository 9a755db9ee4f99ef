// The MailDomains of a snapshot: what is accepted for them, where it goes, what signs. Pure.
import type { MailDomain } from '../../../crds/index.ts'
import { normalDomain, type SnapshotInput } from '../../../relay/snapshot/index.ts'
import { givenKeysOf } from '../given-keys.ts'
import { keyOf, titleOf } from '../input.ts'
import { normalPattern } from '../names.ts'
import type { AttachedDomain, RelayView } from '../view.ts'
import type { World } from '../world.ts'
import { absoluteHost, tlsOf } from './tls.ts'

type SnapshotDomain = NonNullable<SnapshotInput['domains']>[number]

export const domainsOf = (view: RelayView, world: World): SnapshotDomain[] => view.domains.map((attached) => domainOf(attached, view, world))

const domainOf = ({ domain, listeners }: AttachedDomain, view: RelayView, world: World): SnapshotDomain => {
  const { namespace, name } = domain.metadata
  const inbound = inboundOf(domain, view, world)
  return {
    namespace,
    name,
    manifest: titleOf(domain),
    domain: normalDomain(domain.spec.domain) ?? domain.spec.domain,
    listeners: [...listeners],
    dkim: dkimOf(domain, world),
    ...(inbound && { inbound }),
  }
}

const inboundOf = (domain: MailDomain, { relay }: RelayView, world: World): SnapshotDomain['inbound'] => {
  const { inbound } = domain.spec
  if (inbound === undefined) return undefined
  const { namespace } = domain.metadata
  const { recipients, deliverTo } = inbound
  const hosts = deliverTo.hosts?.map(({ host, port, preference, tls }) => ({ host: absoluteHost(host, world.input.clusterDomain), port, preference, tls: tlsOf(tls, namespace) }))
  return {
    recipients: { mode: recipients.mode ?? (hosts ? 'Callout' : 'Any'), list: normalRecipients(recipients.list), subaddressing: recipients.subaddressing },
    privateHostsAllowed: namespace === relay.metadata.namespace,
    ...(hosts && { hosts }),
  }
}

/** As recipients are compared: local parts as they are, domains as A-labels. */
const normalRecipients = (list: readonly string[] = []): string[] => list.map((entry) => (entry.includes('@') ? (normalPattern(entry) ?? entry) : entry))

const dkimOf = (domain: MailDomain, world: World): NonNullable<SnapshotDomain['dkim']> => {
  const dkim = domain.spec.outbound?.dkim
  if (dkim === undefined) return []
  const made = (world.input.made.dkim[keyOf(domain)] ?? []).filter(({ algorithm, stage }) => stage === 'signing' && dkim.algorithms.includes(algorithm))
  return givenKeysOf(domain, world) ?? made.map(({ selector, algorithm, privateKey }) => ({ selector, algorithm, privateKey }))
}
