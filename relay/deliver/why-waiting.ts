// What holds mail for a domain in this process: the way it goes, and what limits it. Reads; changes nothing.
import { settingsOn } from './settings.ts'
import type { Shared, Site } from './shared.ts'

export const whyWaiting = ({ throttle, now, monotonic, settings }: Pick<Shared, 'throttle' | 'now' | 'monotonic' | 'settings'>, site: Site, domain: string): readonly string[] => {
  const { way, limits, name } = site
  const lines = [wayInWords(way, domain)]
  const setBy = way.kind === 'route' && way.route.limits.connections !== undefined ? way.route.manifest : 'the default'
  lines.push(`${throttle.active(name)} of ${limits.connections} connections to ${name} are in use (${setBy})`)
  if (way.kind === 'route' && way.route.hold) lines.push(`${way.route.manifest} holds mail on this way`)
  const admission = throttle.admit(name, limits, monotonic())
  if (admission.kind === 'not-now') lines.push(`not before ${new Date(Math.round(now() + admission.at - monotonic())).toISOString()}: ${admission.why} (${way.kind === 'route' ? way.route.manifest : 'default'})`)
  if (admission.kind === 'wait') lines.push(`all ${limits.connections} connections are busy: the next message starts when one of them is done; an idle one is kept for ${settingsOn(site.way, settings).timeouts.idle / 1000} s`)
  return lines
}

export const wayInWords = (way: Site['way'], domain: string): string => {
  if (way.kind === 'hosts') return `mail for ${domain} goes to the deliverTo hosts of ${way.hosted.manifest}`
  if (way.kind === 'mx') return way.backupOf ? `mail for ${domain} goes to MX hosts better than ourselves (${way.backupOf.manifest})` : `mail for ${domain} goes to its MX hosts`
  const hops = way.route.nextHops.map((hop) => (hop.kind === 'mx' ? 'MX' : `${hop.host}:${hop.port}`)).join(', ')
  return `mail for ${domain} goes by ${way.route.manifest}: ${hops}`
}
