// What keeps a MailRelay, or one of its listeners, out of its snapshot.
import type { ListenerSpec, MailRelay } from '../../../crds/index.ts'
import type { Check, Violation } from '../condition.ts'
import { bindPortOf } from '../snapshot/ports.ts'
import type { World } from '../world.ts'
import { widthFault } from './allow-sources.ts'
import { pairFault } from './key-pair.ts'
import { scheduleIsMissing } from './references.ts'

type SeenRelay = { readonly relay: MailRelay; readonly world: World }
type SeenListener = SeenRelay & { readonly listener: ListenerSpec; readonly index: number }

const scheduleOfRelayIsMissing: Check<SeenRelay> = ({ relay, world }) => scheduleIsMissing(relay.spec.retryScheduleName, world)

const listenersShareAPort: Check<SeenRelay> = ({ relay }) => {
  const ports = relay.spec.listeners.map(({ port }) => bindPortOf(port))
  const index = ports.findIndex((port, at) => ports.indexOf(port) !== at)
  if (index < 0) return undefined
  const [first, second] = [relay.spec.listeners[ports.indexOf(ports[index]!)]!, relay.spec.listeners[index]!]
  return { reason: 'PortConflict', message: `listeners ${first.name} (${first.port}) and ${second.name} (${second.port}) would both open port ${ports[index]}`, path: ['spec', 'listeners', index, 'port'] }
}

const queueSecretIsMissing: Check<SeenRelay> = ({ relay, world }) => {
  const { external } = relay.spec.queue
  const faults = [
    secretFault(relay, world, { field: 'credentialsSecretRef', name: external?.credentialsSecretRef?.name, suffices: (has) => (has('username') && has('password')) || has('token') || has('user.creds'), wanted: 'username and password, or token, or user.creds' }),
    secretFault(relay, world, { field: 'tlsSecretRef', name: external?.tlsSecretRef?.name, suffices: (has) => has('ca.crt') && has('tls.crt') === has('tls.key'), wanted: 'ca.crt (and tls.crt with tls.key)' }),
  ]
  return faults.find((fault) => fault !== undefined)
}

type QueueSecret = { readonly field: string; readonly name: string | undefined; readonly suffices: (has: (key: string) => boolean) => boolean; readonly wanted: string }

const secretFault = ({ metadata: { namespace } }: MailRelay, world: World, { field, name, suffices, wanted }: QueueSecret): Violation | undefined => {
  if (name === undefined) return undefined
  const data = world.secret(namespace, name)?.data
  if (data !== undefined && suffices((key) => data[key] !== undefined)) return undefined
  const message = data === undefined ? world.missing('Secret', `${namespace}/${name}`) : `Secret ${namespace}/${name} lacks ${wanted}`
  return { reason: 'CredentialsNotFound', message, path: ['spec', 'queue', 'external', field, 'name'] }
}

export const refuseRelay: readonly Check<SeenRelay>[] = [
  scheduleOfRelayIsMissing, // mail without a schedule would never be tried again
  listenersShareAPort, // the second could not be opened
  queueSecretIsMissing, // its pods could not start
]

const certificateIsMissing: Check<SeenListener> = ({ relay, listener, index, world }) => {
  const { namespace } = relay.metadata
  const ref = listener.tls?.secretRef
  if (ref === undefined) return undefined
  const secret = world.secret(namespace, ref.name)
  const path = ['spec', 'listeners', index, 'tls', 'secretRef', 'name']
  if (secret === undefined) return { reason: 'CertificateNotFound', message: world.missing('Secret', `${namespace}/${ref.name}`), path }
  const lacking = ['tls.crt', 'tls.key'].filter((key) => secret.data[key] === undefined)
  return lacking.length === 0 ? undefined : { reason: 'CertificateNotFound', message: `Secret ${namespace}/${ref.name} lacks ${lacking.join(' and ')}`, path }
}

const certificateIsUnusable: Check<SeenListener> = ({ relay, listener, index, world }) => {
  const ref = listener.tls?.secretRef
  const data = ref && world.secret(relay.metadata.namespace, ref.name)?.data
  const fault = data?.['tls.crt'] !== undefined && data['tls.key'] !== undefined ? pairFault(data['tls.crt'], data['tls.key']) : undefined
  if (fault === undefined) return undefined
  return { reason: 'CertificateInvalid', message: `Secret ${relay.metadata.namespace}/${ref!.name}: ${fault}`, path: ['spec', 'listeners', index, 'tls', 'secretRef', 'name'] }
}

const anyPeerMayClaimAnAddress: Check<SeenListener> = ({ listener, index }) => {
  const faults = (listener.proxyProtocol?.trustedCIDRs ?? []).flatMap((source) => widthFault(source) ?? [])
  return faults.length === 0 ? undefined : { reason: 'SourcesTooWide', message: faults.join('; '), path: ['spec', 'listeners', index, 'proxyProtocol', 'trustedCIDRs'] }
}

export const refuseListener: readonly Check<SeenListener>[] = [
  certificateIsMissing, // without TLS a listener would take passwords in the clear, or none
  certificateIsUnusable, // every handshake would fail
  anyPeerMayClaimAnAddress, // whoever may send a PROXY header may be any address that an Allow rule names
]
