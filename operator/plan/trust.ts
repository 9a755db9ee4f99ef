// Whether addresses count at a listener: what was seen there, and what its status keeps of it, so that no restart forgets. Pure.
import { createHash } from 'node:crypto'
import type { ListenerSpec, MailRelay } from '../../crds/index.ts'
import { keyOf, type Seen } from './input.ts'
import type { RelayView } from './view.ts'

const markOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)

/** What decides with which address clients come. */
export const addressMark = ({ spec: { service } }: MailRelay, { port, proxyProtocol }: ListenerSpec): string => markOf([service, port, proxyProtocol ?? null])

/** What could let a stranger relay at a listener. */
export const trustMark = ({ relay, policies }: Pick<RelayView, 'relay' | 'policies'>, listener: ListenerSpec): string =>
  markOf([relay.spec.service, listener, policies.map(({ policy }) => [keyOf(policy), policy.spec])])

/** Where a stranger knocks: an attempt tells of these doors, and of no other. */
export const doorMark = ({ spec: { service } }: MailRelay, { port, protocol, proxyProtocol }: ListenerSpec): string => markOf([service, port, protocol, proxyProtocol ?? null])

type Recorded = { readonly listeners?: readonly { readonly name: string; readonly hiddenFor?: string; readonly closedFor?: string }[] }
const recorded = ({ status }: MailRelay, name: string) => (status as Recorded | undefined)?.listeners?.find((one) => one.name === name)

/** The mark, where addresses do not count because those of nodes were seen in their place; it ends when the mark changes. */
export const hiddenFor = (relay: MailRelay, listener: ListenerSpec, { relays, believeAll }: Seen): string | undefined => {
  if (believeAll === true) return undefined
  const mark = addressMark(relay, listener)
  return relays[keyOf(relay)]?.hidden[listener.name] === mark || recorded(relay, listener.name)?.hiddenFor === mark ? mark : undefined
}

/** The mark for which the listener was closed. It opens when the manifests are others and a stranger was refused by them. */
export const closedFor = (view: Pick<RelayView, 'relay' | 'policies'>, listener: ListenerSpec, { relays }: Seen): string | undefined => {
  const last = relays[keyOf(view.relay)]?.strangers[listener.name]
  const closed = last?.closedFor ?? recorded(view.relay, listener.name)?.closedFor
  const mark = trustMark(view, listener)
  if (last?.relayed === true) return closed ?? last.mark
  return last !== undefined && last.mark === mark && closed !== mark ? undefined : closed
}
