// The TLS settings of a listener, proven usable: a missing or broken certificate is refused before anything changes.
import { createSecureContext } from 'node:tls'
import type { Listener, Snapshot } from '../snapshot/index.ts'

class ListenerError extends Error {
  readonly code = 'LISTENER_UNUSABLE'
}

export type TlsSettings = { readonly key: string; readonly cert: string; readonly minVersion: 'TLSv1.2' | 'TLSv1.3' }

/** Empty for a listener without TLS. Throws ListenerError naming the listener. */
export const tlsOf = ({ certificates }: Snapshot, { name, protocol, tls }: Listener): TlsSettings | undefined => {
  if (!tls && protocol === 'Submissions') throw new ListenerError(`listener ${name}: Submissions needs a certificate`)
  if (!tls) return undefined
  const found = certificates.find((certificate) => certificate.name === tls.certificate)
  if (!found) throw new ListenerError(`listener ${name}: there is no certificate ${tls.certificate}`)
  const settings = { key: found.key, cert: found.certificate, minVersion: tls.minVersion }
  try {
    createSecureContext(settings)
  } catch (error) {
    throw new ListenerError(`listener ${name}: certificate ${tls.certificate} is unusable: ${(error as Error).message}`)
  }
  return settings
}
