// The certificates of a snapshot and the names they have in it. Pure.
import type { ListenerSpec, MailRelay, TlsPolicyField } from '../../../crds/index.ts'
import type { SnapshotInput } from '../../../relay/snapshot/index.ts'
import { keyOf } from '../input.ts'
import { pairFault } from '../policies/key-pair.ts'
import type { RelayView } from '../view.ts'
import type { World } from '../world.ts'

const selfSigned = 'self-signed'

export const secretCertificate = (namespace: string, name: string): string => `secret:${namespace}/${name}`

export const authorityName = (namespace: string, name: string): string => `ca:${namespace}/${name}`

export const certificateNameOf = ({ relay }: RelayView, { tls }: ListenerSpec): string =>
  tls?.secretRef === undefined ? selfSigned : secretCertificate(relay.metadata.namespace, tls.secretRef.name)

type Pair = { readonly certificate: string; readonly key: string }

/** What a listener was given last for the Secret that it names. */
export const pairBefore = (relay: MailRelay, { name, tls }: ListenerSpec, { input }: World): Pair | undefined => {
  if (tls?.secretRef === undefined) return undefined
  const wanted = secretCertificate(relay.metadata.namespace, tls.secretRef.name)
  const before = input.before?.get(keyOf(relay))
  const had = before?.listeners.some((one) => one.name === name && one.tls?.certificate === wanted) === true
  const found = had ? before.certificates.find((one) => one.name === wanted) : undefined
  return found !== undefined && pairFault(found.certificate, found.key) === undefined ? found : undefined
}

/** What the Secret of a listener holds, with the CA beside it; while that is away or of no use, what it was given last. */
export const pairOf = (relay: MailRelay, listener: ListenerSpec, world: World): (Pair & { readonly ca?: string | undefined; readonly asBefore?: true }) | undefined => {
  const ref = listener.tls?.secretRef
  const { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': ca } = (ref && world.secret(relay.metadata.namespace, ref.name)?.data) ?? {}
  if (certificate !== undefined && key !== undefined && pairFault(certificate, key) === undefined) return { certificate, key, ca }
  const before = pairBefore(relay, listener, world)
  return before && { ...before, asBefore: true }
}

export const certificatesOf = (view: RelayView, world: World): NonNullable<SnapshotInput['certificates']> => {
  const refs = [...listenerSecrets(view), ...secretsOfHops(view, ({ clientCertificateSecretRef }) => clientCertificateSecretRef)]
  const named = new Map(refs.map(([namespace, name]) => [secretCertificate(namespace, name), world.secret(namespace, name)?.data]))
  const ofListeners = new Map(view.listeners.map((listener) => [certificateNameOf(view, listener), pairOf(view.relay, listener, world)]))
  const ofSecrets = [...named].map(([name, data]) => ({ name, certificate: ofListeners.get(name)?.certificate ?? data?.['tls.crt'] ?? '', key: ofListeners.get(name)?.key ?? data?.['tls.key'] ?? '' }))
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
