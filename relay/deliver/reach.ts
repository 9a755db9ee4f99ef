// Whether the mail of each DeliveryRoute reaches a host, as this process saw it last. Remembers a bounded number; asks nobody.
import type { Route } from '../snapshot/index.ts'
import type { Ended } from './attempt.ts'

export type Reached = { readonly route: string; readonly reached: boolean; readonly why?: string }

type SiteMemory = { failures: number; why: string; reached: boolean }
type RouteMemory = { route: Route; readonly sites: Map<string, SiteMemory> }

/** One failed attempt is weather, three in a row are climate. */
const enough = 3
const mostRoutes = 256
const mostSites = 64 // of one route: a route over MX hosts has many

export class Reach {
  readonly #routes = new Map<string, RouteMemory>()

  /** `site`: what the attempt was made to. */
  note(route: Route, site: string, ended: readonly Ended[]): void {
    const saw = sawHost(ended)
    if (saw === undefined) return
    const { sites } = this.#memoryOf(route)
    const { failures, why, reached } = sites.get(site) ?? { failures: 0, why: '', reached: false }
    sites.delete(site) // to the end: the oldest goes first
    sites.set(site, saw.reached ? { failures: 0, why: '', reached: true } : { failures: failures + 1, why: failures === 0 ? saw.why : why, reached })
    if (sites.size > mostSites) sites.delete(sites.keys().next().value!)
  }

  /** Of these routes, those of which enough is known. A route is out of reach when everything that was tried by it is. */
  list(routes: readonly Route[]): Reached[] {
    return routes.flatMap((route): Reached[] => {
      const memory = this.#routes.get(route.manifest)
      if (memory === undefined || !isSame(memory, route)) return []
      const sites = [...memory.sites.values()]
      if (sites.some(({ reached, failures }) => reached && failures < enough)) return [{ route: route.manifest, reached: true }]
      const failing = sites.find(({ failures }) => failures >= enough)
      return failing === undefined ? [] : [{ route: route.manifest, reached: false, why: failing.why }]
    })
  }

  #memoryOf(route: Route): RouteMemory {
    const known = this.#routes.get(route.manifest)
    if (known !== undefined && isSame(known, route)) return known
    const made = { route, sites: new Map<string, SiteMemory>() }
    this.#routes.set(route.manifest, made)
    if (this.#routes.size > mostRoutes) this.#routes.delete(this.#routes.keys().next().value!)
    return made
  }
}

/** Every snapshot has objects of its own; what counts is whether they say the same. */
const isSame = (memory: RouteMemory, route: Route): boolean => {
  if (memory.route === route) return true
  if (JSON.stringify(memory.route) !== JSON.stringify(route)) return false
  memory.route = route
  return true
}

const outOfReach: readonly string[] = ['Connect', 'DNS', 'TLS']

/** Who answers, were it with a no, was reached; undefined where the attempt tells nothing. */
const sawHost = (ended: readonly Ended[]): { readonly reached: true } | { readonly reached: false; readonly why: string } | undefined => {
  const outcomes = ended.map(({ outcome }) => outcome)
  const failed = outcomes.find((outcome) => outcome.kind === 'deferred' && outOfReach.includes(outcome.why.class))
  if (outcomes.some((outcome) => outcome !== failed && 'said' in outcome && !(outcome.kind === 'deferred' && outOfReach.includes(outcome.why.class)))) return { reached: true }
  return failed?.kind === 'deferred' ? { reached: false, why: failed.why.text } : undefined
}
