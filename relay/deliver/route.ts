// Which way a delivery leaves: the most specific DeliveryRoute, the domain's own deliverTo, or MX. Pure.
// A hosted domain's deliverTo gives way only to a route that names that domain: a relay-wide smarthost must not send our own mail out.
import { byDomain, matchesDomain, type HostedDomain, type Mailbox, type Route, type Schedule, type Snapshot } from '../snapshot/index.ts'

/** What a route may look at. */
export type Leaving = { readonly domain: string; readonly mailFrom: Mailbox | null; readonly sender?: string }

export type Way =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'hosts'; readonly hosted: HostedDomain & { inbound: { hosts: NonNullable<NonNullable<HostedDomain['inbound']>['hosts']> } } }
  | { readonly kind: 'mx'; readonly backupOf?: HostedDomain; readonly route?: Route }

export const wayOf = (snapshot: Snapshot, leaving: Leaving): Way => {
  const route = routeOf(snapshot.routes, leaving)
  const hosted = byDomain(snapshot.domains).get(leaving.domain)
  if (hosted?.inbound === undefined) return route ? { kind: 'route', route } : { kind: 'mx' }
  if (route && rankOf(route, leaving)![0] > 0) return { kind: 'route', route }
  return hosted.inbound.hosts === undefined ? { kind: 'mx', backupOf: hosted } : { kind: 'hosts', hosted: hosted as Extract<Way, { kind: 'hosts' }>['hosted'] }
}

/** The route that keeps its mail until a person decides. */
export const holderOf = (way: Way): string | undefined => (way.kind === 'route' && way.route.hold ? way.route.manifest : undefined)

/** recipientDomains (exact, longest suffix, any), then senders, then senderDomains; then oldest; then name. */
const routeOf = (routes: readonly Route[], leaving: Leaving): Route | undefined => {
  let best: { route: Route; rank: readonly number[] } | undefined
  for (const route of routes) {
    const rank = rankOf(route, leaving)
    if (rank !== undefined && (best === undefined || isBetter(route, rank, best.route, best.rank))) best = { route, rank }
  }
  return best?.route
}

const isBetter = (route: Route, rank: readonly number[], other: Route, otherRank: readonly number[]): boolean => {
  for (const [index, value] of rank.entries()) if (value !== otherRank[index]) return value > otherRank[index]!
  if (route.createdAt !== other.createdAt) return route.createdAt < other.createdAt
  return `${route.namespace}/${route.name}` < `${other.namespace}/${other.name}`
}

/** [recipient, sender, sender domain]; undefined where the route does not match. All matchers that are there must fit. */
const rankOf = ({ match }: Route, { domain, mailFrom, sender }: Leaving): readonly [number, number, number] | undefined => {
  const recipient = match.recipientDomains.length === 0 ? 0 : specificity(match.recipientDomains, domain)
  const senderDomain = match.senderDomains.length === 0 ? 0 : mailFrom === null ? undefined : specificity(match.senderDomains, mailFrom.domain)
  const senders = match.senders.length === 0 ? 0 : sender !== undefined && match.senders.includes(sender) ? 1 : undefined
  if (recipient === undefined || senderDomain === undefined || senders === undefined) return undefined
  return [recipient, senders, match.senderDomains.length === 0 ? -1 : senderDomain]
}

/** Exact beats every suffix, a longer suffix beats a shorter, `*` is the least; undefined: none fits. */
const specificity = (patterns: readonly string[], domain: string): number | undefined => {
  const fitting = patterns.filter((pattern) => matchesDomain(pattern, domain))
  if (fitting.length === 0) return undefined
  return Math.max(...fitting.map((pattern) => (pattern === '*' ? 0 : pattern.startsWith('*.') ? pattern.length : 1000)))
}

/** The schedule a message gets when it is accepted; it keeps it afterwards. */
export const scheduleFor = (snapshot: Snapshot, leaving: Leaving): Schedule => {
  const way = wayOf(snapshot, leaving)
  const wanted = (way.kind === 'route' ? way.route.retrySchedule : undefined) ?? snapshot.relay.retrySchedule
  return snapshot.schedules.find(({ name }) => name === wanted) ?? snapshot.schedules[0]!
}
