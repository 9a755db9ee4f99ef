// Whether clients come to a listener with their own address. Pure.
import type { ListenerSpec, MailRelay } from '../../crds/index.ts'

/** A Service of the whole cluster puts a node's address in place of the client's; a PROXY header brings the client's along. */
export const addressIsRewritten = ({ spec: { service } }: MailRelay, { proxyProtocol }: ListenerSpec): boolean =>
  proxyProtocol === undefined && service.type !== 'ClusterIP' && service.externalTrafficPolicy !== 'Local'
