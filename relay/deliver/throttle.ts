// How many connections a site has, and when its next message may start. Pure but for the counts it keeps: time is passed in.
/** `setBy`: the route whose limits they are; several may lead to one site. */
export type SiteLimits = { readonly connections: number; readonly ratePerMinute?: number | undefined; readonly setBy?: string | undefined }
export type Admission = { readonly kind: 'now' } | { readonly kind: 'not-now'; readonly at: number; readonly why: string } | { readonly kind: 'wait' }

type Site = { active: number; due: number; paceMs: number; setBy: string | undefined } // due: GCRA's theoretical arrival time, ms; the pace it was reckoned by, and whose that is

/** A burst of this many seconds' worth may go at once, so that a rate of 600 a minute is not a metronome of 100 ms. */
const burstSeconds = 1

const fewSites = 1_000

export class Throttle {
  readonly #sites = new Map<string, Site>()
  #lookAtSize = fewSites

  get size(): number {
    return this.#sites.size
  }

  admit(name: string, limits: SiteLimits, now: number): Admission {
    const site = this.#sites.get(name)
    if (site === undefined) return { kind: 'now' }
    if (site.active >= limits.connections) return { kind: 'wait' }
    if (limits.ratePerMinute === undefined) return { kind: 'now' }
    hurry(site, limits, now)
    const at = site.due - toleranceMs(limits.ratePerMinute)
    return at <= now ? { kind: 'now' } : { kind: 'not-now', at: Math.ceil(at), why: `${name}: ${limits.ratePerMinute} messages a minute` }
  }

  start(name: string, limits: SiteLimits, now: number): void {
    const site = this.#sites.get(name) ?? { active: 0, due: 0, paceMs: 0, setBy: undefined }
    site.active++
    hurry(site, limits, now)
    if (limits.ratePerMinute !== undefined) {
      const paceMs = 60_000 / limits.ratePerMinute
      Object.assign(site, { due: Math.max(site.due, now) + paceMs, paceMs, setBy: limits.setBy })
    }
    this.#sites.set(name, site)
    if (this.#sites.size > this.#lookAtSize) this.#forgetRested(now)
  }

  /** A site whose last message ended before its next could start rests without anybody saying so. */
  #forgetRested(now: number): void {
    for (const [name, { active, due }] of this.#sites) if (active <= 0 && due <= now) this.#sites.delete(name)
    this.#lookAtSize = Math.max(fewSites, 2 * this.#sites.size)
  }

  end(name: string, now: number): void {
    const site = this.#sites.get(name)
    if (site === undefined) return
    site.active--
    if (site.active <= 0 && site.due <= now) this.#sites.delete(name) // nothing left to remember
  }

  active(name: string): number {
    return this.#sites.get(name)?.active ?? 0
  }
}

const toleranceMs = (ratePerMinute: number): number => Math.max(0, burstSeconds * 1000 - 60_000 / ratePerMinute)

/** A rate that was raised counts for the wait that is left, too. Another route's rate does not: what leads to one site by two of them must not outrun the slower. */
const hurry = (site: Site, { ratePerMinute, setBy }: SiteLimits, now: number): void => {
  if (setBy !== site.setBy || site.due <= now) return
  const paceMs = ratePerMinute === undefined ? 0 : 60_000 / ratePerMinute
  if (paceMs >= site.paceMs) return
  site.due = now + ((site.due - now) * paceMs) / site.paceMs
  site.paceMs = paceMs
}
