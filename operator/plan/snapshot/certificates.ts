// The certificates of a snapshot and the names they have in it. Pure.
import type { ListenerSpec, TlsPolicyField } from '../../../crds/index.ts'
import type { SnapshotInput } from '../../../relay/snapshot/index.ts'
import { keyOf } from '../input.ts'
import type { RelayView } from '../view.ts'
import type { World } from '../world.ts'

const selfSigned = 'self-signed'

export const secretCertificate = (namespace: string, name: string): string => `secret:${namespace}/${name}`

export const authorityName = (namespace: string, name: string): string => `ca:${namespace}/${name}`

export const certificateNameOf = ({ relay }: RelayView, { tls }: ListenerSpec): string =>
  tls?.secretRef === undefined ? selfSigned : secretCertificate(relay.metadata.namespace, tls.secretRef.name)

export const certificatesOf = (view: RelayView, world: World): NonNullable<SnapshotInput['certificates']> => {
  const refs = [...listenerSecrets(view), ...secretsOfHops(view, ({ clientCertificateSecretRef }) => clientCertificateSecretRef)]
  const named = new Map(refs.map(([namespace, name]) => [secretCertificate(namespace, name), world.secret(namespace, name)?.data]))
  const ofSecrets = [...named].map(([name, data]) => ({ name, certificate: data?.['tls.crt'] ?? '', key: data?.['tls.key'] ?? '' }))
  const authorities = new Map(secretsOfHops(view, ({ caSecretRef }) => caSecretRef).map(([namespace, name]) => [authorityName(namespace, name), world.secret(namespace, name)?.data['ca.crt'] ?? '']))
  const ofOthers = [...authorities].map(([name, certificate]) => ({ name, certificate, key: '' }))
  const own = world.input.made.certificates[keyOf(view.relay)]
  return own !== undefined && needsOwnCertificate(view) ? [{ name: selfSigned, ...own }, ...ofSecrets, ...ofOthers] : [...ofSecrets, ...ofOthers]
}

export const needsOwnCertificate = ({ listeners }: RelayView): boolean => listeners.some(({ tls }) => tls?.secretRef === undefined)

type SecretName = readonly [namespace: string, name: string]

const listenerSecrets = ({ relay, listeners }: RelayView): SecretName[] =>
  listeners.flatMap(({ tls }) => (tls?.secretRef === undefined ? [] : [[relay.metadata.namespace, tls.secretRef.name] as const]))

const secretsOfHops = ({ domains, routes }: RelayView, pick: (tls: TlsPolicyField) => { readonly name: string } | undefined): SecretName[] => {
  const hops = [
    ...domains.flatMap(({ domain }) => (domain.spec.inbound?.deliverTo.hosts ?? []).map(({ tls }) => [domain.metadata.namespace, pick(tls)] as const)),
    ...routes.flatMap((route) => route.spec.nextHops.map(({ tls }) => [route.metadata.namespace, pick(tls)] as const)),
  ]
  return hops.flatMap(([namespace, ref]): SecretName[] => (ref === undefined ? [] : [[namespace, ref.name]]))
}
