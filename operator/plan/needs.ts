// What has to be made before the snapshot is whole: certificates, credentials, DKIM keys. Pure.
import { secondsOf } from '../../crds/index.ts'
import { normalDomain } from '../../relay/snapshot/index.ts'
import { entranceOf } from './entrance.ts'
import { keyOf, type Need } from './input.ts'
import type { RelayView } from './view.ts'
import { needsOwnCertificate } from './snapshot/certificates.ts'
import { serviceNamesOf } from './snapshot/index.ts'
import { present } from './snapshot/present.ts'
import { audienceOf } from './snapshot/tokens.ts'
import type { World } from './world.ts'

/** Everything wanted, whether it is there already or not: who makes it knows what it has. */
export const needsOf = (view: RelayView, world: World): Need[] => [...certificate(view, world), ...credentials(view, world), ...dkimKeys(view)]

/** A domain may be at several relays; its keys are made once. */
export const once = (needs: readonly Need[]): Need[] => {
  const dkim = new Map(needs.flatMap((need) => (need.kind === 'dkim' ? [[`${need.for} ${need.algorithm}`, need] as const] : [])))
  return [...needs.filter(({ kind }) => kind !== 'dkim'), ...dkim.values()]
}

const certificate = (view: RelayView, { input }: World): Need[] =>
  needsOwnCertificate(view) ? [{ kind: 'certificate', relay: keyOf(view.relay), names: [view.relay.spec.hostname, ...serviceNamesOf(view.relay, input.clusterDomain)] }] : []

const credentials = ({ relay, listeners, senders }: RelayView, world: World): Need[] => {
  const entrances = listeners.map((listener) => [listener.name, entranceOf(relay, listener, world)] as const)
  return senders.flatMap(({ sender, listeners: usable }): Need[] => {
    const [, entrance] = entrances.find(([name]) => usable.includes(name)) ?? []
    if (entrance === undefined) return []
    const { metadata: { namespace, name, annotations }, spec: { identity } } = sender
    const common = { sender: keyOf(sender), relay: keyOf(relay), ...entrance }
    if (identity.serviceAccountName !== undefined) return [{ ...common, kind: 'binding', audience: audienceOf(relay) }]
    return identity.generated === undefined ? [] : [{ ...common, kind: 'credential', username: `${namespace}.${name}`, ...present({ rotation: annotations[rotateAnnotation] }) }]
  })
}

/** On a MailSender: any value that it did not have before makes a new password. */
const rotateAnnotation = 'posthouse.dev/rotate-credentials'

const dkimKeys = ({ domains }: RelayView): Extract<Need, { kind: 'dkim' }>[] =>
  domains.flatMap(({ domain }) => {
    const dkim = domain.spec.outbound?.dkim
    if (dkim === undefined || dkim.keySecretRef !== undefined) return []
    const name = normalDomain(domain.spec.domain) ?? domain.spec.domain
    const rotation = dkim.rotation && { everySeconds: secondsOf(dkim.rotation.every), overlapSeconds: secondsOf(dkim.rotation.overlap) }
    return dkim.algorithms.map((algorithm) => ({ kind: 'dkim', for: keyOf(domain), domain: name, algorithm, selectorPrefix: dkim.selectorPrefix, ...(rotation && { rotation }) }) as const)
  })
