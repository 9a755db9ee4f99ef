// Where a manifest may make the relay knock: public addresses, and in one's own namespace also private ones. Pure.
import ipaddr from 'ipaddr.js' // ranges of the IANA registries; MIT
import { metadataAddresses } from '../../../relay/snapshot/index.ts'

type AddressScope = 'public' | 'private' | 'never'

/** `never`: link-local, metadata services, multicast, unspecified and reserved addresses. */
const scopeOf = (address: string): AddressScope => {
  const parsed = ipaddr.process(address) // unwraps IPv4-mapped IPv6
  if (metadataAddresses.includes(parsed.toString())) return 'never'
  const range = parsed.range()
  if (range === 'unicast') return 'public'
  return ['private', 'loopback', 'uniqueLocal', 'carrierGradeNat'].includes(range) ? 'private' : 'never'
}

/** Why this host may not be delivered to; undefined where it may. Names are looked at again after look-up, at connect. */
export const hostFault = (host: string, namespace: string, inRelayNamespace: boolean): string | undefined => {
  if (ipaddr.isValid(host)) {
    const scope = scopeOf(host)
    if (scope === 'never') return 'link-local, metadata, multicast and reserved addresses are never delivered to'
    return scope === 'private' && !inRelayNamespace ? 'outside the namespace of the MailRelay only public addresses and Services of the own namespace' : undefined
  }
  if (inRelayNamespace) return undefined
  if (/(^|\.)localhost$/.test(host)) return 'outside the namespace of the MailRelay this is not its own host'
  const service = serviceNamespace(host)
  return service === undefined || service === namespace ? undefined : `a Service of namespace ${service}; outside the namespace of the MailRelay only those of ${namespace}`
}

/** Namespace of a cluster name `service.namespace.svc[.…]`. */
const serviceNamespace = (host: string): string | undefined => {
  const labels = host.split('.')
  const at = labels.indexOf('svc')
  return at >= 2 && (labels.length === at + 1 || labels.slice(at + 1).join('.') === 'cluster.local') ? labels[at - 1] : undefined
}
