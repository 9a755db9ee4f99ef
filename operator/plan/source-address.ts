// Whether clients come to a listener with their own address, by what is declared and what was seen. Pure.
import type { ListenerSpec, MailRelay } from '../../crds/index.ts'
import type { Condition } from './condition.ts'
import { nothingSeen, type Seen } from './input.ts'
import { hiddenFor } from './trust.ts'

/** A Service of the whole cluster puts a node's address in place of the client's; a PROXY header brings the client's along. */
export const addressIsRewritten = ({ spec: { service } }: MailRelay, { proxyProtocol }: ListenerSpec): boolean =>
  proxyProtocol === undefined && service.type !== 'ClusterIP' && service.externalTrafficPolicy !== 'Local'

export const addressCounts = (relay: MailRelay, listener: ListenerSpec, seen: Seen = nothingSeen): boolean =>
  seen.believeAll === true || (!addressIsRewritten(relay, listener) && hiddenFor(relay, listener, seen) === undefined)

const consequence = 'no rule may trust an address here, and limits per source count them together'

export const addressesAt = (relay: MailRelay, listener: ListenerSpec, seen: Seen = nothingSeen): Pick<Condition, 'type' | 'status' | 'reason' | 'message' | 'path'> => {
  const type = 'SourceAddressPreserved'
  const path = ['spec', 'service', relay.spec.service.externalTrafficPolicy === undefined ? 'type' : 'externalTrafficPolicy']
  if (addressCounts(relay, listener, seen)) return { type, status: 'True', reason: 'AddressPreserved', message: 'clients come with their own address' }
  if (addressIsRewritten(relay, listener)) return { type, status: 'False', reason: 'AddressRewritten', message: `clients from outside come with the address of a node: ${consequence}; set externalTrafficPolicy: Local, or proxyProtocol`, path }
  return { type, status: 'False', reason: 'NodeAddressSeen', message: `clients came with the address of a node or gateway: ${consequence}, until spec.service or the listener's proxyProtocol is changed`, path }
}
