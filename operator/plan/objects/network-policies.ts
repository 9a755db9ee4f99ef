// Who may reach the relay pods and the NATS servers. Whether it is enforced is up to the cluster's network. Pure.
import type { RelayView } from '../view.ts'
import { bindPortOf } from '../snapshot/ports.ts'
import { metadataOf, resources, selectorOf, type Wanted } from './common.ts'
import { httpPort } from './deployment.ts'
import { natsPorts } from './queue.ts'

const tcp = (port: number) => ({ port, protocol: 'TCP' })

export const networkPolicies = ({ relay, listeners }: RelayView): Wanted[] => [
  {
    resource: resources.networkPolicy,
    object: {
      metadata: metadataOf(relay, 'relay'),
      spec: {
        podSelector: { matchLabels: selectorOf(relay, 'relay') },
        policyTypes: ['Ingress'], // mail goes out to anywhere
        ingress: [{ ports: [...listeners.map(({ port }) => tcp(bindPortOf(port))), tcp(httpPort)] }],
      },
    },
  },
  ...(relay.spec.queue.managed === undefined ? [] : [queuePolicy(relay)]),
]

/** Only the relay pods and the servers themselves reach the queue. Its monitoring port is asked by the relay pods alone, and by kubelets, which most networks let through whatever stands here. */
const queuePolicy = (relay: RelayView['relay']): Wanted => ({
  resource: resources.networkPolicy,
  object: {
    metadata: metadataOf(relay, 'queue', '-queue'),
    spec: {
      podSelector: { matchLabels: selectorOf(relay, 'queue') },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        { from: [{ podSelector: { matchLabels: selectorOf(relay, 'relay') } }], ports: [tcp(natsPorts.client), tcp(natsPorts.monitor)] },
        { from: [{ podSelector: { matchLabels: selectorOf(relay, 'queue') } }], ports: [tcp(natsPorts.cluster)] },
      ],
      egress: [{ to: [{ podSelector: { matchLabels: selectorOf(relay, 'queue') } }], ports: [tcp(natsPorts.cluster)] }, { ports: [tcp(53), { port: 53, protocol: 'UDP' }] }],
    },
  },
})
