// What clients reach: the ports of the listeners, on one Service. Pure.
import type { RelayView } from '../view.ts'
import { bindPortOf } from '../snapshot/ports.ts'
import { metadataOf, resources, selectorOf, type Wanted } from './common.ts'
import { portName } from './deployment.ts'

export const serviceOf = ({ relay, listeners }: RelayView): Wanted => {
  const { type, externalTrafficPolicy, annotations, loadBalancerClass } = relay.spec.service
  return {
    resource: resources.service,
    object: {
      metadata: { ...metadataOf(relay, 'relay'), ...(annotations && { annotations }) },
      spec: {
        type,
        ipFamilyPolicy: 'PreferDualStack', // both families where the cluster has both
        selector: selectorOf(relay, 'relay'),
        ports: listeners.map(({ name, port }) => ({ name: portName(name), port, targetPort: bindPortOf(port), protocol: 'TCP' })),
        ...(externalTrafficPolicy !== undefined && { externalTrafficPolicy }),
        ...(loadBalancerClass !== undefined && { loadBalancerClass }),
      },
    },
  }
}

export type ClusterAddresses = { readonly clusterIP?: string; readonly clusterIPs?: readonly string[] }

/** Where a Service is inside the cluster: an address of each family that it has. */
export const clusterAddresses = ({ clusterIP, clusterIPs = clusterIP === undefined ? [] : [clusterIP] }: ClusterAddresses = {}): string[] =>
  clusterIPs.filter((address) => address !== 'None' && address !== '')
