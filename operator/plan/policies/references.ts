// Checks of names that point at other objects, shared by several kinds.
import type { TlsPolicyField } from '../../../crds/index.ts'
import type { Violation } from '../condition.ts'
import type { World } from '../world.ts'
import { authorityFault, shownPairFault } from './key-pair.ts'

export const scheduleIsMissing = (name: string | undefined, world: World): Violation | undefined => {
  if (name === undefined) return undefined
  const path = ['spec', 'retryScheduleName']
  return world.schedule(name) === undefined ? { reason: 'RetryScheduleNotFound', message: world.missing('RetrySchedule', name), path } : undefined
}

/** The certificate that we show to a next hop, and the CA that we believe there. */
export const certificateOfHopIsMissing = (tls: TlsPolicyField, namespace: string, world: World, path: readonly PropertyKey[]): Violation | undefined => {
  const fault = (field: 'clientCertificateSecretRef' | 'caSecretRef', keys: readonly string[], faultOf: (...values: string[]) => string | undefined): Violation | undefined => {
    const name = tls[field]?.name
    if (name === undefined) return undefined
    const at = [...path, 'tls', field, 'name']
    const data = world.secret(namespace, name)?.data
    if (data === undefined) return { reason: 'CertificateNotFound', message: world.missing('Secret', `${namespace}/${name}`), path: at }
    const values = keys.flatMap((key) => data[key] ?? [])
    if (values.length < keys.length) return { reason: 'CertificateNotFound', message: `Secret ${namespace}/${name} lacks ${keys.join(' or ')}`, path: at }
    const why = faultOf(...values)
    return why === undefined ? undefined : { reason: 'CertificateInvalid', message: `Secret ${namespace}/${name}: ${why}`, path: at }
  }
  return fault('clientCertificateSecretRef', ['tls.crt', 'tls.key'], shownPairFault) ?? fault('caSecretRef', ['ca.crt'], authorityFault)
}
