// The DeliveryRoutes of a snapshot. Pure.
import { secondsOf, type DeliveryRoute } from '../../../crds/index.ts'
import type { SnapshotInput } from '../../../relay/snapshot/index.ts'
import { createdAt } from '../by-age.ts'
import { titleOf } from '../input.ts'
import type { RelayView } from '../view.ts'
import { normalPatterns } from '../names.ts'
import { senderKeys } from '../policies/policy.ts'
import type { World } from '../world.ts'
import { present } from './present.ts'
import { absoluteHost, tlsOf } from './tls.ts'

type SnapshotRoute = NonNullable<SnapshotInput['routes']>[number]

export const routesOf = ({ routes }: RelayView, world: World): SnapshotRoute[] =>
  routes.map((route) => {
    const { metadata, spec } = route
    return {
      namespace: metadata.namespace,
      name: metadata.name,
      manifest: titleOf(route),
      match: {
        recipientDomains: normalPatterns(spec.match.recipientDomains),
        senderDomains: normalPatterns(spec.match.senderDomains),
        senders: senderKeys(spec.match.senders, metadata.namespace),
      },
      nextHops: spec.nextHops.map((hop) => nextHopOf(hop, metadata.namespace, world)),
      limits: present(spec.limits ?? {}),
      timeouts: Object.fromEntries(Object.entries(present(spec.timeouts ?? {})).map(([phase, wait]) => [phase, secondsOf(wait)])),
      hold: spec.hold,
      createdAt: createdAt(route),
      ...present({ retrySchedule: spec.retryScheduleName }),
    }
  })

const nextHopOf = ({ smarthost, preference, weight, tls }: DeliveryRoute['spec']['nextHops'][number], namespace: string, world: World): SnapshotRoute['nextHops'][number] => {
  const common = { preference, weight, tls: tlsOf(tls, namespace) }
  if (smarthost === undefined) return { kind: 'mx', ...common }
  const { host, port, credentialsSecretRef: ref } = smarthost
  const data = ref && world.secret(namespace, ref.name)?.data
  const credentials = data && { username: data.username ?? '', password: data.password ?? '' }
  return { kind: 'smarthost', host: absoluteHost(host, world.input.clusterDomain), port, implicitTls: port === 465, ...common, ...(credentials && { credentials }) }
}
