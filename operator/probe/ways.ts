// By which ways a stranger can come to the listeners of a MailRelay: through its Service, at a pod, and from outside where there is an outside. Pure.
import type { ListenerSpec, MailRelay } from '../../crds/index.ts'
import { anyHolds, prefixesIn } from '../../relay/snapshot/index.ts'
import type { KubeObject } from '../kube/index.ts'
import { bindPortOf, clusterAddresses, portName, type ClusterAddresses, type Observed } from '../plan/index.ts'
import type { Door } from './session.ts'

export type Way = {
  readonly listener: string
  readonly name: 'through the Service' | 'straight at a pod' | 'from outside'
  readonly door: Door
  /** An outside that cannot be reached from here proves nothing; the others must answer. */
  readonly mustAnswer: boolean
}

type ServiceParts = {
  readonly spec?: ClusterAddresses & { readonly ports?: readonly { readonly name?: string; readonly port: number; readonly nodePort?: number }[] }
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } }
}

export const waysTo = ({ spec }: MailRelay, listeners: readonly ListenerSpec[], service: KubeObject | undefined, pods: Observed['pods']): Way[] => {
  const { spec: shown, status } = (service ?? {}) as ServiceParts
  const pod = pods.find(({ ready, address }) => ready && address !== undefined)
  const outside = spec.service.type === 'ClusterIP' ? [] : (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? [])
  return listeners.flatMap((listener) => {
    const { name, port, protocol } = listener
    const nodePort = shown?.ports?.find((one) => one.name === portName(name))?.nodePort
    const way = (how: Way['name'], host: string | undefined, at: number | undefined, secure: boolean): Way[] =>
      host === undefined || at === undefined ? [] : [{ listener: name, name: how, mustAnswer: how !== 'from outside', door: { host, port: at, tls: protocol === 'Submissions' ? 'implicit' : secure ? 'starttls' : 'none', proxied: isTrustedProxy(listener) } }]
    return [
      ...clusterAddresses(shown).flatMap((host) => way('through the Service', host, port, true)),
      ...way('straight at a pod', pod?.address, bindPortOf(port), false),
      ...outside.flatMap((host) => way('from outside', host, port, false)),
      ...(spec.service.type === 'ClusterIP' ? [] : way('from outside', pod?.node, nodePort, false)),
    ]
  })
}

const isTrustedProxy = ({ proxyProtocol }: ListenerSpec) => (own: string): boolean => anyHolds(prefixesIn(proxyProtocol?.trustedCIDRs ?? []), own)
