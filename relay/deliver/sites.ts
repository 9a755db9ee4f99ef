// What a domain's mail is throttled and laned by: its set of MX hosts once they are learnt. Remembers; asks nobody.
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
    const name = `mx ${mxHosts.toSorted().join(' ')}`
    if (this.#known.get(domain) === name) return
    this.#known.delete(domain)
    this.#known.set(domain, name)
    if (this.#known.size > this.#most) this.#known.delete(this.#known.keys().next().value!)
  }
}

/** A domain's deliverTo hosts are one site, a route's smarthosts are one; undefined: whatever MX hosts the domain has. */
export const namedSite = (way: Way): string | undefined => {
  if (way.kind === 'hosts') return `deliverTo ${way.hosted.domain}`
  return way.kind === 'route' && way.route.nextHops.some(({ kind }) => kind === 'smarthost') ? way.route.manifest : undefined
}
