// How many connections a site has, and when its next message may start. Pure but for the counts it keeps: time is passed in.
export type SiteLimits = { readonly connections: number; readonly ratePerMinute?: number | undefined }
export type Admission = { readonly kind: 'now' } | { readonly kind: 'not-now'; readonly at: number; readonly why: string } | { readonly kind: 'wait' }

type Site = { active: number; due: number } // due: GCRA's theoretical arrival time, ms

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
    const at = site.due - toleranceMs(limits.ratePerMinute)
    return at <= now ? { kind: 'now' } : { kind: 'not-now', at: Math.ceil(at), why: `${name}: ${limits.ratePerMinute} messages a minute` }
  }

  start(name: string, limits: SiteLimits, now: number): void {
    const site = this.#sites.get(name) ?? { active: 0, due: 0 }
    site.active++
    if (limits.ratePerMinute !== undefined) site.due = Math.max(site.due, now) + 60_000 / limits.ratePerMinute
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
