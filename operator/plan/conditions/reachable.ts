// Whether mail by a DeliveryRoute reaches a host, from what the relay pods saw when they sent some: nobody knocks only to find out. Pure.
import type { DeliveryRoute } from '../../../crds/index.ts'
import { titleOf } from '../input.ts'
import type { ObservedFleet } from './fleet.ts'
import type { ObservedReason } from './reasons.ts'

export type Reachable = { readonly type: 'Reachable'; readonly status: 'True' | 'False' | 'Unknown'; readonly reason: ObservedReason; readonly message: string }

/** Pods forget with every restart, and mail may be rare: what was seen holds until something else is, or the route says something else. */
export const reachableOf = (route: DeliveryRoute, views: readonly ObservedFleet[]): Reachable => {
  const title = titleOf(route)
  const mine = views.filter(({ view }) => view.routes.includes(route))
  if (mine.length === 0) return { type: 'Reachable', status: 'Unknown', reason: 'NotInForce', message: 'no MailRelay sends mail by this route' }
  const current = mine.flatMap(({ revision, observed }) => observed.pods.filter((pod) => pod.revision === revision))
  const said = current.flatMap(({ routes = [] }) => routes.filter((one) => one.route === title))
  if (said.some(({ reached }) => reached)) return { type: 'Reachable', status: 'True', reason: 'Reachable', message: 'mail by this route reaches a host' }
  const [why] = said.map((one) => one.why ?? '').sort()
  if (why !== undefined) return { type: 'Reachable', status: 'False', reason: 'NoHostReached', message: `in three attempts or more no host was reached: ${why}` }
  return before(route) ?? { type: 'Reachable', status: 'Unknown', reason: 'NotObserved', message: 'no mail has left by this route yet' }
}

const before = ({ metadata, status }: DeliveryRoute): Reachable | undefined => {
  type Recorded = { readonly conditions?: readonly (Reachable & { readonly observedGeneration?: number })[] }
  const found = (status as Recorded | undefined)?.conditions?.find(({ type }) => type === 'Reachable')
  if (found === undefined || found.status === 'Unknown' || found.observedGeneration !== metadata.generation) return undefined
  return { type: 'Reachable', status: found.status, reason: found.reason, message: found.message }
}
