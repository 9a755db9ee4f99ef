// The MailDomains of a snapshot by their domain, prepared once: among ten thousand one is found as quickly as among ten. Pure.
import type { HostedDomain } from './schema.ts'

type Prepared = { readonly names: ReadonlyMap<string, HostedDomain>; readonly anySigns: boolean }
const prepared = new WeakMap<readonly HostedDomain[], Prepared>()

const prepare = (domains: readonly HostedDomain[]): Prepared => {
  const known = prepared.get(domains)
  if (known) return known
  const made = { names: new Map(domains.map((one) => [one.domain, one])), anySigns: domains.some(({ dkim }) => dkim.length > 0) }
  prepared.set(domains, made)
  return made
}

export const byDomain = (domains: readonly HostedDomain[]): ReadonlyMap<string, HostedDomain> => prepare(domains).names

export const anySigns = (domains: readonly HostedDomain[]): boolean => prepare(domains).anySigns

/** The MailDomains at a domain and above it, the nearest first. */
export const atAndAbove = (domains: readonly HostedDomain[], domain: string): HostedDomain[] => {
  const known = byDomain(domains)
  const found: HostedDomain[] = []
  for (let at = 0; ; ) {
    const one = known.get(domain.slice(at))
    if (one) found.push(one)
    const dot = domain.indexOf('.', at)
    if (dot < 0) return found
    at = dot + 1
  }
}
