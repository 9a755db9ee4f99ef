// The certificates of a snapshot and the names they have in it. Pure.
import type { ListenerSpec, TlsPolicyField } from '../../../crds/index.ts'
import type { SnapshotInput } from '../../../relay/snapshot/index.ts'
import { keyOf } from '../input.ts'
import type { RelayView } from '../view.ts'
import type { World } from '../world.ts'

export const selfSigned = 'self-signed'

export const secretCertificate = (namespace: string, name: string): string => `secret:${namespace}/${name}`

export const certificateNameOf = ({ relay }: RelayView, { tls }: ListenerSpec): string =>
  tls?.secretRef === undefined ? selfSigned : secretCertificate(relay.metadata.namespace, tls.secretRef.name)

export const certificatesOf = (view: RelayView, world: World): NonNullable<SnapshotInput['certificates']> => {
  const refs = [...listenerSecrets(view), ...clientSecrets(view)]
  const named = new Map(refs.map(([namespace, name]) => [secretCertificate(namespace, name), world.secret(namespace, name)?.data]))
  const ofSecrets = [...named].map(([name, data]) => ({ name, certificate: data?.['tls.crt'] ?? '', key: data?.['tls.key'] ?? '' }))
  const own = world.input.made.certificates[keyOf(view.relay)]
  return own !== undefined && needsOwnCertificate(view) ? [{ name: selfSigned, ...own }, ...ofSecrets] : ofSecrets
}

export const needsOwnCertificate = ({ listeners }: RelayView): boolean => listeners.some(({ tls }) => tls?.secretRef === undefined)

type SecretName = readonly [namespace: string, name: string]

const listenerSecrets = ({ relay, listeners }: RelayView): SecretName[] =>
  listeners.flatMap(({ tls }) => (tls?.secretRef === undefined ? [] : [[relay.metadata.namespace, tls.secretRef.name] as const]))

const clientSecrets = ({ domains, routes }: RelayView): SecretName[] => [
  ...domains.flatMap(({ domain }) => (domain.spec.inbound?.deliverTo.hosts ?? []).flatMap(({ tls }) => clientSecret(tls, domain.metadata.namespace))),
  ...routes.flatMap((route) => route.spec.nextHops.flatMap(({ tls }) => clientSecret(tls, route.metadata.namespace))),
]

const clientSecret = ({ clientCertificateSecretRef: ref }: TlsPolicyField, namespace: string): SecretName[] => (ref === undefined ? [] : [[namespace, ref.name]])
