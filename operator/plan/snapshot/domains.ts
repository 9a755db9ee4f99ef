// The MailDomains of a snapshot: what is accepted for them, where it goes, what signs. Pure.
import type { MailDomain } from '../../../crds/index.ts'
import { normalDomain, type SnapshotInput } from '../../../relay/snapshot/index.ts'
import { givenKeysOf } from '../given-keys.ts'
import { keyOf, titleOf } from '../input.ts'
import type { AttachedDomain, RelayView } from '../view.ts'
import { serviceNamespace } from '../policies/hosts.ts'
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
    recipients: { mode: recipients.mode ?? (hosts ? 'Callout' : 'Any'), list: [...(recipients.list ?? [])], subaddressing: recipients.subaddressing },
    // a Service of the own namespace resolves to a private address; next to it no other host may
    privateHostsAllowed: namespace === relay.metadata.namespace || (deliverTo.hosts ?? []).every(({ host }) => serviceNamespace(host) === namespace),
    ...(hosts && { hosts }),
  }
}

const dkimOf = (domain: MailDomain, world: World): NonNullable<SnapshotDomain['dkim']> => {
  const dkim = domain.spec.outbound?.dkim
  if (dkim === undefined) return []
  const made = (world.input.made.dkim[keyOf(domain)] ?? []).filter(({ algorithm, stage }) => stage === 'signing' && dkim.algorithms.includes(algorithm))
  return givenKeysOf(domain, world) ?? made.map(({ selector, algorithm, privateKey }) => ({ selector, algorithm, privateKey }))
}
