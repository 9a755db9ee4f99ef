// Where a connection goes, and the TLS that was seen on it. Types only.
import type { TlsPolicy } from '../snapshot/index.ts'

/** Where to connect, and under which conditions. Two equal keys may share a connection. */
export type Target = {
  readonly host: string // as named by MX, route or literal; the name a certificate must have
  readonly address: string
  readonly port: number
  readonly tls: TlsPolicy['mode']
  readonly implicitTls: boolean
  readonly clientCertificate?: { readonly name: string; readonly certificate: string; readonly key: string }
  /** Whose certificates count, instead of the system's authorities; without one nobody's does. */
  readonly authority?: { readonly name: string; readonly certificate: string }
  readonly credentials?: { readonly username: string; readonly password: string }
}

export type TlsSeen = { readonly version: string; readonly cipher: string; readonly verified: boolean; readonly fault?: string; readonly names: readonly string[]; readonly validTo?: string }
