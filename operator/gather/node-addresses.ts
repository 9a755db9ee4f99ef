// Addresses behind which anybody may be: those of nodes, of their side of the pods' network, and of what rewrites addresses on them. Pure.
import { parsePrefix, printAddress, type Prefix } from '../../relay/snapshot/index.ts'
import type { KubeObject } from '../kube/index.ts'

type NodeParts = { readonly spec?: { readonly podCIDRs?: readonly string[]; readonly podCIDR?: string }; readonly status?: { readonly addresses?: readonly { readonly address: string }[] } }
type PodParts = { readonly status?: { readonly hostIP?: string; readonly hostIPs?: readonly { readonly ip?: string }[] } }

/** Addresses and prefixes, each once, in order. */
export const nodeAddresses = (nodes: readonly KubeObject[], pods: readonly KubeObject[]): string[] =>
  [...new Set([...nodes.flatMap(ofNode), ...pods.flatMap(ofPod)])].sort()

/** Whose addresses pods have. */
export const podRanges = (nodes: readonly KubeObject[]): string[] => [...new Set(nodes.flatMap((node) => (essenceOfNode(node) as NodeParts).spec?.podCIDRs ?? []))].sort()

/** The fields of a node that count: the rest of it changes every few minutes. */
export const essenceOfNode = ({ metadata: { name, uid, resourceVersion, annotations }, ...parts }: KubeObject): KubeObject => {
  const { spec, status } = parts as NodeParts
  const telling = Object.fromEntries(Object.entries(annotations ?? {}).filter(([, value]) => parsePrefix(value) !== undefined))
  return { metadata: { name, ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }), annotations: telling }, spec: { podCIDRs: spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]) }, status: { addresses: status?.addresses ?? [] } }
}

const ofNode = (node: KubeObject): string[] => {
  const { metadata, spec, status } = essenceOfNode(node) as KubeObject & NodeParts
  const named = (status?.addresses ?? []).map(({ address }) => address).filter((text) => parsePrefix(text) !== undefined)
  // network add-ons write the address of their tunnel or bridge into an annotation
  const annotated = Object.values(metadata.annotations ?? {}).map((text) => text.replace(/\/.*$/, ''))
  return [...named, ...annotated, ...(spec?.podCIDRs ?? []).flatMap((range) => ownSide(parsePrefix(range)))]
}

/** The first two addresses of a node's pod range: of its tunnel and of its bridge, by custom. */
const ownSide = (range: Prefix | undefined): string[] => {
  if (range === undefined || range.last === range.first) return []
  return [`${printAddress({ family: range.family, value: range.first })}/${range.family === 4 ? 31 : 127}`]
}

const ofPod = (pod: KubeObject): string[] => {
  const { hostIP, hostIPs = [] } = (pod as PodParts).status ?? {}
  return [hostIP, ...hostIPs.map(({ ip }) => ip)].filter((text) => text !== undefined && parsePrefix(text) !== undefined) as string[]
}
