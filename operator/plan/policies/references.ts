// Checks of names that point at other objects, shared by several kinds.
import type { TlsPolicyField } from '../../../crds/index.ts'
import type { Violation } from '../condition.ts'
import type { World } from '../world.ts'
import { authorityFault, pairFault } from './key-pair.ts'

export const scheduleIsMissing = (name: string | undefined, world: World): Violation | undefined => {
  if (name === undefined) return undefined
  const path = ['spec', 'retryScheduleName']
  return world.schedule(name) === undefined ? { reason: 'RetryScheduleNotFound', message: world.missing('RetrySchedule', name), path } : undefined
}

/** The certificate that we show to a next hop, and the CA that we believe there. */
export const certificateOfHopIsMissing = (tls: TlsPolicyField, namespace: string, world: World, path: readonly PropertyKey[]): Violation | undefined =>
  clientCertificateIsMissing(tls, namespace, world, path) ?? authorityIsMissing(tls, namespace, world, path)

const authorityIsMissing = (tls: TlsPolicyField, namespace: string, world: World, path: readonly PropertyKey[]): Violation | undefined => {
  const name = tls.caSecretRef?.name
  if (name === undefined) return undefined
  const at = [...path, 'tls', 'caSecretRef', 'name']
  const data = world.secret(namespace, name)?.data
  if (data === undefined) return { reason: 'CertificateNotFound', message: world.missing('Secret', `${namespace}/${name}`), path: at }
  if (data['ca.crt'] === undefined) return { reason: 'CertificateNotFound', message: `Secret ${namespace}/${name} lacks ca.crt`, path: at }
  const fault = authorityFault(data['ca.crt'])
  return fault === undefined ? undefined : { reason: 'CertificateInvalid', message: `Secret ${namespace}/${name}: ${fault}`, path: at }
}

const clientCertificateIsMissing = (tls: TlsPolicyField, namespace: string, world: World, path: readonly PropertyKey[]): Violation | undefined => {
  const name = tls.clientCertificateSecretRef?.name
  if (name === undefined) return undefined
  const at = [...path, 'tls', 'clientCertificateSecretRef', 'name']
  const data = world.secret(namespace, name)?.data
  if (data === undefined) return { reason: 'CertificateNotFound', message: world.missing('Secret', `${namespace}/${name}`), path: at }
  if (data['tls.crt'] === undefined || data['tls.key'] === undefined) return { reason: 'CertificateNotFound', message: `Secret ${namespace}/${name} lacks tls.crt or tls.key`, path: at }
  const fault = pairFault(data['tls.crt'], data['tls.key'])
  return fault === undefined ? undefined : { reason: 'CertificateInvalid', message: `Secret ${namespace}/${name}: ${fault}`, path: at }
}
