// What all attempts of one process share, and which site a delivery belongs to. Made once; holds the only memory of the deliverer.
import { createResolver, type Resolver } from '../dns/index.ts'
import type { Log, Metrics } from '../report/index.ts'
import type { Snapshot } from '../snapshot/index.ts'
import { Pool } from './pool.ts'
import { Reach } from './reach.ts'
import { wayOf, type Leaving, type Way } from './route.ts'
import { limitsOn, settingsFrom, type Settings, type SettingsInput } from './settings.ts'
import { Sites } from './sites.ts'
import { SlowHosts } from './slow-hosts.ts'
import { Throttle, type SiteLimits } from './throttle.ts'
import { Watch } from './wire.ts'

export type DelivererOptions = SettingsInput & {
  readonly snapshot: () => Snapshot
  readonly log: Log
  readonly metrics: Metrics
  readonly pod: string
  readonly resolver?: Resolver
  /** Ms since the epoch: how old mail is. */
  readonly now?: () => number
  /** Ms, never set back: who has to wait for how long. */
  readonly monotonic?: () => number
  readonly random?: () => number
}

/** What all attempts of one process share. */
export type Shared = {
  readonly options: DelivererOptions
  readonly settings: Settings
  readonly resolver: Resolver
  readonly machine: Resolver // its own name servers, for names of a cluster that ours may not know
  readonly now: () => number
  readonly monotonic: () => number
  readonly random: () => number
  readonly pool: Pool
  readonly watch: Watch
  readonly throttle: Throttle
  readonly sites: Sites
  readonly slow: SlowHosts
  readonly reach: Reach
}

export const share = (options: DelivererOptions): Shared => {
  const settings = settingsFrom(options)
  const { metrics, snapshot } = options
  const asking = (nameservers: () => readonly string[]) => createResolver({ nameservers, observe: (result, seconds) => metrics.dnsSeconds.observe({ result }, seconds) })
  return {
    options,
    settings,
    resolver: options.resolver ?? asking(() => snapshot().relay.resolver.nameservers),
    machine: asking(() => []),
    now: options.now ?? Date.now,
    monotonic: options.monotonic ?? (() => performance.now()),
    random: options.random ?? Math.random,
    pool: new Pool(settings.timeouts.look),
    watch: new Watch(settings.timeouts.look),
    throttle: new Throttle(),
    sites: new Sites(),
    slow: new SlowHosts(),
    reach: new Reach(),
  }
}

export type Site = { readonly name: string; readonly way: Way; readonly limits: SiteLimits }

/** A route's smarthosts are one site, a domain's deliverTo hosts are one; else the set of MX hosts, or the domain while they are not known. */
export const siteOf = ({ options, settings, sites }: Pick<Shared, 'options' | 'settings' | 'sites'>, leaving: Leaving): Site => {
  const way = wayOf(options.snapshot(), leaving)
  return {
    way,
    name: sites.nameOf(way, leaving.domain),
    limits: limitsOn(way, settings),
  }
}
