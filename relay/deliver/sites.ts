// What a domain's mail is throttled and laned by: its set of MX hosts once an attempt has learnt it. Remembers; asks nobody.
import type { Way } from './route.ts'

export class Sites {
  readonly #known = new Map<string, string>()
  readonly #most: number

  constructor(most = 50_000) {
    this.#most = most
  }

  nameOf(way: Way, domain: string): string {
    if (way.kind === 'hosts') return `deliverTo ${way.hosted.domain}`
    if (way.kind === 'route' && way.route.nextHops.some(({ kind }) => kind === 'smarthost')) return way.route.manifest
    return this.#known.get(domain) ?? domain
  }

  learn(domain: string, mxHosts: readonly string[]): void {
    const name = `mx ${mxHosts.join(' ')}`
    if (this.#known.get(domain) === name) return
    this.#known.delete(domain)
    this.#known.set(domain, name)
    if (this.#known.size > this.#most) this.#known.delete(this.#known.keys().next().value!)
  }
}
