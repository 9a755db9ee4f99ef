// What a domain's mail is throttled and laned by: its set of MX hosts once they are learnt. Remembers; asks nobody.
import { createHash } from 'node:crypto'
import type { Way } from './route.ts'

export class Sites {
  readonly #known = new Map<string, string>()
  readonly #most: number

  constructor(most = 50_000) {
    this.#most = most
  }

  nameOf(way: Way, domain: string): string {
    return namedSite(way) ?? this.#known.get(domain) ?? domain
  }

  learn(domain: string, mxHosts: readonly string[]): void {
    const name = siteOfHosts(mxHosts.toSorted())
    if (this.#known.get(domain) === name) return
    this.#known.delete(domain)
    this.#known.set(domain, name)
    if (this.#known.size > this.#most) this.#known.delete(this.#known.keys().next().value!)
  }
}

/** All processes must make the same of them. Whoever has a domain says how long the names are: fifty thousand sites of 5 KB would be remembered. */
const siteOfHosts = (hosts: readonly string[]): string => {
  const name = `mx ${hosts.join(' ')}`
  return name.length <= longest ? name : `mx ${hosts[0]} and ${hosts.length - 1} more (${createHash('sha256').update(name).digest('hex').slice(0, 32)})`
}
const longest = 256

/** A domain's deliverTo hosts are one site, a route's smarthosts are one; undefined: whatever MX hosts the domain has. */
export const namedSite = (way: Way): string | undefined => {
  if (way.kind === 'hosts') return `deliverTo ${way.hosted.domain}`
  return way.kind === 'route' && way.route.nextHops.some(({ kind }) => kind === 'smarthost') ? way.route.manifest : undefined
}
