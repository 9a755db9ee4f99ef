// Asks the relay pods what they run and whether their queue keeps its promise. Reads pods over HTTP; decides nothing.
import { urlHost } from '../relay/snapshot/index.ts'
import type { KubeObject } from './kube/index.ts'
import { clusterAddresses, httpPort, selectorOf, type ClusterAddresses, type Observed, type ObservedPod, type RelayView } from './plan/index.ts'
import { readAnswer, type Answer } from './pod-answer.ts'
import { made, pods, type Watched } from './watched.ts'

const patienceMs = 2_000

type PodStatus = { readonly phase?: string; readonly podIP?: string; readonly hostIP?: string; readonly conditions?: readonly { readonly type: string; readonly status: string }[] }

export const observe = async ({ relay }: Pick<RelayView, 'relay'>, watched: Watched): Promise<Observed> => {
  const of = (component: 'relay' | 'queue') => podsOf({ relay }, component, watched)
  const relayPods = await Promise.all(of('relay').map(async (pod) => ({ name: pod.metadata.name, ready: isReady(pod), ...placeOf(statusOf(pod)), ...(await ask(statusOf(pod))) })))
  const service = watched.get(made.service, `${relay.metadata.namespace}/${relay.metadata.name}`)
  return { pods: relayPods, queueNodes: of('queue').filter(isReady).map(({ spec }) => String((spec as { nodeName?: string }).nodeName)), addresses: addressesOf(service) }
}

/** Those that are not on their way out. */
export const podsOf = ({ relay }: Pick<RelayView, 'relay'>, component: 'relay' | 'queue', watched: Watched): KubeObject[] =>
  watched.all(pods).filter((pod) => pod.metadata.namespace === relay.metadata.namespace && pod.metadata.deletionTimestamp === undefined && wears(pod, selectorOf(relay, component)))

/** Every relay pod of a MailRelay that is to go, also those that are on their way out: they may hold what is not stored yet. */
export const observeLeaving = ({ namespace, name }: { readonly namespace: string; readonly name: string }, watched: Watched): Promise<ObservedPod[]> => {
  const labels = selectorOf({ metadata: { name } }, 'relay')
  const all = watched.all(pods).filter((pod) => pod.metadata.namespace === namespace && wears(pod, labels) && statusOf(pod).phase !== 'Succeeded' && statusOf(pod).phase !== 'Failed')
  return Promise.all(all.map(async (pod) => ({ name: pod.metadata.name, ready: isReady(pod), ...(await ask(statusOf(pod))) })))
}

/** Every label of the selector. */
const wears = ({ metadata: { labels = {} } }: KubeObject, selector: Readonly<Record<string, string>>): boolean => Object.entries(selector).every(([label, value]) => labels[label] === value)

const statusOf = (pod: KubeObject): PodStatus => pod.status ?? {}
export const isReady = (pod: KubeObject): boolean => statusOf(pod).conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false

const placeOf = ({ podIP, hostIP }: PodStatus) => ({ ...(podIP !== undefined && { address: podIP }), ...(hostIP !== undefined && { node: hostIP }) })

const ask = async ({ phase, podIP }: PodStatus): Promise<Answer> => {
  if (podIP === undefined) return { why: phase ?? 'Pending' }
  try {
    return await readAnswer(await fetch(`http://${urlHost(podIP)}:${httpPort}/status`, { redirect: 'error', signal: AbortSignal.timeout(patienceMs) })) // a pod sends the operator nowhere else
  } catch (error) {
    const { message, cause } = error as Error
    return { why: cause instanceof Error ? cause.message : message }
  }
}

type ServiceParts = { readonly spec?: ClusterAddresses; readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] } } }

/** What a load balancer gave, else the address inside the cluster. */
const addressesOf = (service: KubeObject | undefined): string[] => {
  const { spec, status } = (service ?? {}) as ServiceParts
  const given = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip ?? hostname ?? [])
  return given.length > 0 ? given : clusterAddresses(spec)
}
