// What every object of a MailRelay has: its name, its labels, its owner; and how our pods are locked down. Pure.
import type { MailRelay } from '../../../crds/index.ts'
import type { KubeObject, Resource } from '../../kube/index.ts'

/** What the operator was started with. */
export type ObjectSettings = {
  readonly image: string
  readonly natsImage: string
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never'
  readonly clusterDomain: string
}

/** An object to be, with the resource it is. */
export type Wanted = { readonly resource: Resource; readonly object: KubeObject }

export type Component = 'relay' | 'queue'

const resource = (group: string, kind: string, plural: string): Resource => ({ group, version: 'v1', kind, plural, namespaced: true })
export const resources = {
  serviceAccount: resource('', 'ServiceAccount', 'serviceaccounts'),
  secret: resource('', 'Secret', 'secrets'),
  service: resource('', 'Service', 'services'),
  deployment: resource('apps', 'Deployment', 'deployments'),
  statefulSet: resource('apps', 'StatefulSet', 'statefulsets'),
  disruptionBudget: resource('policy', 'PodDisruptionBudget', 'poddisruptionbudgets'),
  networkPolicy: resource('networking.k8s.io', 'NetworkPolicy', 'networkpolicies'),
} as const

export const managedLabels = { 'app.kubernetes.io/managed-by': 'posthouse' } as const
/** Made by an operator of ours; others' objects may carry the same names. */
export const isManaged = ({ metadata: { labels = {} } }: Pick<KubeObject, 'metadata'>): boolean => Object.entries(managedLabels).every(([label, value]) => labels[label] === value)
/** What is there by the wanted name is somebody else's: not made by us, or made for another object than this one. */
export const isTaken = (there: Pick<KubeObject, 'metadata'>, wanted: Pick<KubeObject, 'metadata'>): boolean => {
  const [theirs, ours] = [there, wanted].map(({ metadata: { ownerReferences = [] } }) => ownerReferences.find(({ controller }) => controller === true))
  return !isManaged(there) || (theirs !== undefined && ours !== undefined && (theirs.kind !== ours.kind || theirs.name !== ours.name))
}
export const selectorOf = ({ metadata: { name } }: { readonly metadata: { readonly name: string } }, component: Component): Readonly<Record<string, string>> => ({
  'app.kubernetes.io/name': 'posthouse',
  'app.kubernetes.io/instance': name,
  'app.kubernetes.io/component': component,
})

/** Made for the relay, by its labels: all of them, for others put the instance on what they like (a Secret with DKIM keys, say, by a tool whose application has the relay's name). */
export const isPartOf = (relay: MailRelay, object: Pick<KubeObject, 'metadata'>): boolean =>
  isManaged(object) && (['relay', 'queue'] as const).some((component) => Object.entries(selectorOf(relay, component)).every(([label, value]) => object.metadata.labels?.[label] === value))

/** Metadata of an object that belongs to the relay: it goes when the relay goes. */
export const metadataOf = (relay: MailRelay, component: Component, suffix = ''): KubeObject['metadata'] => ({
  name: `${relay.metadata.name}${suffix}`,
  namespace: relay.metadata.namespace,
  labels: { ...selectorOf(relay, component), ...managedLabels },
})

/** PodSecurity `restricted`; 65532 is nobody's number on a node. */
export const podSecurity = { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: { type: 'RuntimeDefault' } }
export const containerSecurity = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } }

/** Preferred, not required: a cluster of one node runs all the same. */
export const apart = (labels: Readonly<Record<string, string>>): object => ({
  podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: { labelSelector: { matchLabels: labels }, topologyKey: 'kubernetes.io/hostname' } }] },
})

/** How all pods of a relay are pulled and placed, as a person says; what is not said is not there, and restarts nothing. */
export const givenPlace = ({ spec: { pods = {} } }: MailRelay): object => {
  const { nodeSelector, tolerations, priorityClassName, imagePullSecrets } = pods
  return Object.fromEntries(Object.entries({ nodeSelector, tolerations, priorityClassName, imagePullSecrets }).filter(([, value]) => value !== undefined))
}
