// TLS towards a next hop as the snapshot says it. Pure.
import type { TlsPolicyField } from '../../../crds/index.ts'
import type { Route } from '../../../relay/snapshot/index.ts'
import { authorityName, secretCertificate } from './certificates.ts'

type SnapshotTls = { readonly mode: Route['nextHops'][number]['tls']['mode']; readonly clientCertificate?: string; readonly authority?: string }

/** DANE and MTASTS never come this far: their objects were refused. */
export const tlsOf = ({ mode, clientCertificateSecretRef: shown, caSecretRef: ca }: TlsPolicyField, namespace: string): SnapshotTls => {
  if (mode === 'DANE' || mode === 'MTASTS') throw new Error(`tls.mode ${mode} must not reach a snapshot`)
  return { mode, ...(shown && { clientCertificate: secretCertificate(namespace, shown.name) }), ...(ca && { authority: authorityName(namespace, ca.name) }) }
}

/** The relay asks for absolute names: what leans on a search domain is completed here. */
export const absoluteHost = (host: string, clusterDomain: string): string => (host.endsWith('.svc') ? `${host}.${clusterDomain}` : host)
