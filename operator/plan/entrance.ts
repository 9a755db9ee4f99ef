// Where a client of a listener connects, and whom it has to trust there. Pure.
import type { ListenerSpec, MailRelay } from '../../crds/index.ts'
import type { Need } from './input.ts'
import { isForName } from './policies/key-pair.ts'
import { pairOf } from './snapshot/certificates.ts'
import { serviceNamesOf } from './snapshot/index.ts'
import { bindPortOf } from './snapshot/ports.ts'
import { present } from './snapshot/present.ts'
import type { World } from './world.ts'

export type Entrance = Pick<Extract<Need, { kind: 'binding' }>, 'listener' | 'host' | 'port' | 'bindPort' | 'implicitTls' | 'trust'>

export const entranceOf = (relay: MailRelay, listener: ListenerSpec, world: World): Entrance => {
  const names = [...serviceNamesOf(relay, world.input.clusterDomain), relay.spec.hostname]
  const common = { listener: listener.name, port: listener.port, bindPort: bindPortOf(listener.port), implicitTls: listener.protocol === 'Submissions' }
  if (listener.tls?.secretRef === undefined) return { ...common, host: names[0]! }
  const { certificate = '', ca, asBefore } = pairOf(relay, listener, world) ?? {}
  // a certificate from outside is for the public name only: by the name of the Service no client would trust it
  return { ...common, host: names.find((name) => isForName(certificate, name)) ?? names[0]!, trust: present({ ca, asBefore }) }
}
