// What keeps a DeliveryRoute out.
import type { DeliveryRoute } from '../../../crds/index.ts'
import type { Check, Violation } from '../condition.ts'
import { titleOf } from '../input.ts'
import type { World } from '../world.ts'
import { patternIsNoName } from './domain.ts'
import { senderKeys } from './policy.ts'
import { certificateOfHopIsMissing, scheduleIsMissing } from './references.ts'

type SeenRoute = { readonly route: DeliveryRoute; readonly world: World }

const domainOfMatchIsNoName: Check<SeenRoute> = ({ route: { spec } }) =>
  patternIsNoName(spec.match.recipientDomains, ['spec', 'match', 'recipientDomains']) ?? patternIsNoName(spec.match.senderDomains, ['spec', 'match', 'senderDomains'])

const scheduleOfRouteIsMissing: Check<SeenRoute> = ({ route, world }) => scheduleIsMissing(route.spec.retryScheduleName, world)

const credentialsAreMissing: Check<SeenRoute> = ({ route, world }) => {
  const { namespace } = route.metadata
  for (const [index, { smarthost }] of route.spec.nextHops.entries()) {
    const name = smarthost?.credentialsSecretRef?.name
    if (name === undefined) continue
    const path = ['spec', 'nextHops', index, 'smarthost', 'credentialsSecretRef', 'name']
    const data = world.secret(namespace, name)?.data
    if (data === undefined) return { reason: 'CredentialsNotFound', message: world.missing('Secret', `${namespace}/${name}`), path }
    const lacking = ['username', 'password'].filter((key) => (data[key] ?? '') === '')
    if (lacking.length > 0) return { reason: 'CredentialsNotFound', message: `Secret ${namespace}/${name} lacks ${lacking.join(' and ')}`, path }
  }
  return undefined
}

const certificateForNextHopIsMissing: Check<SeenRoute> = ({ route, world }) => {
  for (const [index, { tls }] of route.spec.nextHops.entries()) {
    const fault = certificateOfHopIsMissing(tls, route.metadata.namespace, world, ['spec', 'nextHops', index])
    if (fault) return fault
  }
  return undefined
}

export const refuseRoute: readonly Check<SeenRoute>[] = [
  domainOfMatchIsNoName, // nothing could be compared with it
  scheduleOfRouteIsMissing, // its mail would never be tried again
  credentialsAreMissing, // the smarthost would turn us away
  certificateForNextHopIsMissing, // the same
]

/** Not a reason to refuse: the other senders of the match still take the route. */
export const senderOfMatchIsMissing = (route: DeliveryRoute, world: World): Violation | undefined => {
  const unknown = senderKeys(route.spec.match.senders, route.metadata.namespace).filter((key) => world.sender(key) === undefined)
  return unknown.length === 0 ? undefined : { reason: 'SenderNotFound', message: `${unknown.map((key) => world.missingSender(key, route.metadata.namespace)).join('; ')} (${titleOf(route)} holds without)`, path: ['spec', 'match', 'senders'] }
}
