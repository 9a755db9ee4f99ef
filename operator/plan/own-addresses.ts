// Where the world finds a MailRelay: the addresses of its Service, by which an MX record may mean ourselves. Pure.
import { isPrivate, prefixesIn } from '../../relay/snapshot/index.ts'
import { clusterAddresses, type ClusterAddresses } from './objects/index.ts'

type Service = { readonly metadata: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> }; readonly spec?: unknown; readonly status?: unknown }
type Spec = ClusterAddresses & { readonly externalIPs?: readonly string[] }
type Status = { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } }

/** By MailRelay: inside the cluster, and what a load balancer gave. */
export const serviceAddresses = (services: readonly Service[]): ReadonlyMap<string, readonly string[]> =>
  new Map(
    services.flatMap(({ metadata: { namespace, labels = {} }, spec, status }) => {
      const { 'app.kubernetes.io/instance': relay, 'app.kubernetes.io/component': component } = labels
      if (relay === undefined || component !== 'relay') return []
      const { externalIPs = [], ...inside } = (spec ?? {}) as Spec
      const given = ((status as Status | undefined)?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? [])
      return [[`${namespace}/${relay}`, [...new Set([...clusterAddresses(inside), ...externalIPs, ...given])].toSorted()] as const]
    }),
  )

/** Those of pod ranges that are public: an MX must not reach into these either. */
export const publicRanges = (podRanges: readonly string[]): string[] =>
  podRanges.filter((text) => prefixesIn([text]).some((range) => !isPrivate(range))).toSorted()
