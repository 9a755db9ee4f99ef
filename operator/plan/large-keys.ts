// Private keys that were taken before they had a limit: who stays as it was stays without them. Pure.
import type { Snapshot } from '../../relay/snapshot/index.ts'
import { isTooLarge } from './policies/key-pair.ts'

type Domain = Snapshot['domains'][number]
type Hop = { readonly tls: { readonly clientCertificate?: string | undefined } }

/** `titles`: of those who stay. With a key of theirs as large every signature or handshake would go on holding up the relay. */
export const withoutLargeKeys = (before: Snapshot, titles: ReadonlySet<string>): Snapshot => {
  const keys = new Map(before.certificates.map(({ name, key }) => [name, key]))
  const showing = <T extends Hop>(hop: T): T => {
    const { clientCertificate, ...tls } = hop.tls
    return clientCertificate !== undefined && isTooLarge(keys.get(clientCertificate) ?? '') ? { ...hop, tls } : hop
  }
  const domainOf = (one: Domain): Domain => ({
    ...one,
    dkim: one.dkim.filter(({ privateKey }) => !isTooLarge(privateKey)),
    ...(one.inbound?.hosts && { inbound: { ...one.inbound, hosts: one.inbound.hosts.map(showing) } }),
  })
  return {
    ...before,
    domains: before.domains.map((one) => (titles.has(one.manifest) ? domainOf(one) : one)),
    routes: before.routes.map((one) => (titles.has(one.manifest) ? { ...one, nextHops: one.nextHops.map(showing) } : one)),
  }
}
