// What the pods of a MailRelay say of themselves, as conditions: a thing is True only when every pod that is ready was seen to say so. Pure.
import type { MailRelay } from '../../../crds/index.ts'
import type { RelayView } from '../view.ts'
import { serversOf } from '../objects/index.ts'
import { smallerVolume } from '../volumes.ts'
import type { Statement } from './statement.ts'

type Durability = { readonly ok: boolean; readonly reason: string; readonly text: string }

/** What one relay pod answered; `revision` undefined: nothing yet. */
export type ObservedPod = {
  readonly name: string
  readonly ready: boolean
  readonly revision?: string
  readonly durable?: Durability
  /** What it said less than a minute ago, where it does not answer now. */
  readonly lately?: { readonly revision: string; readonly durable: Durability }
  /** By listener: the addresses that came last. */
  readonly clients?: Readonly<Record<string, readonly string[]>>
  readonly gateways?: readonly string[]
  /** Domains that cannot exist for which it took mail. */
  readonly invalid?: readonly string[]
  readonly address?: string
  readonly node?: string // its node's address
  readonly why?: string // why there is no answer
  /** DeliveryRoutes of which it knows whether their mail reaches a host, by title. */
  readonly routes?: readonly { readonly route: string; readonly reached: boolean; readonly why?: string }[]
  /** The servers of its queue as it sees them. `stuck`: up, and silent about its streams. */
  readonly servers?: readonly { readonly name: string; readonly up: boolean; readonly stuck: boolean }[]
  /** Of a MailRelay that is being deleted: it takes no new mail, and what its queue still holds (absent: not known). */
  readonly closing?: boolean
  readonly remains?: { readonly ready: number; readonly deferred: number; readonly held: number; readonly empty: boolean }
}
export type Observed = {
  readonly pods: readonly ObservedPod[]
  /** Nodes of the NATS servers that are ready. */
  readonly queueNodes: readonly string[]
  readonly addresses: readonly string[]
  /** Bytes of its volumes that the queue counts on. */
  readonly volume?: number
}

/** One MailRelay in force, the revision of its snapshot, and what was seen of its pods. */
export type ObservedFleet = { readonly view: RelayView; readonly revision: string; readonly observed: Observed }

export const judgeFleet = ({ relay }: RelayView, revision: string, observed: Observed): Omit<Statement, 'observedGeneration'>[] => {
  if (relay.spec.replicas === 0) return [{ type: 'Programmed', status: 'False', reason: 'ScaledToZero', message: 'replicas is 0: nothing takes or delivers mail' }]
  return [programmed(relay.spec.replicas, revision, observed), durable(relay, observed)]
}

/** By what it says, or, being ready, said lately: one answer that is missed is no news. */
export const runs = ({ revision: now, ready, lately }: ObservedPod, revision: string): boolean => (now ?? (ready ? lately?.revision : undefined)) === revision

const programmed = (wanted: number, revision: string, { pods }: Observed): Omit<Statement, 'observedGeneration'> => {
  const current = pods.filter((pod) => runs(pod, revision))
  const behind = pods.filter((pod) => !runs(pod, revision))
  if (current.length >= wanted && behind.length === 0) return { type: 'Programmed', status: 'True', reason: 'Programmed', message: `all pods run revision ${revision}` }
  const why = behind.map((pod) => `${pod.name} ${pod.revision === undefined ? `does not answer${pod.why === undefined ? '' : ` (${pod.why})`}` : `runs ${pod.revision}`}`)
  return { type: 'Programmed', status: 'False', reason: 'Pending', message: [`${current.length} of ${wanted} pods run revision ${revision}`, ...why].join('; ') }
}

const durable = (relay: MailRelay, { pods, queueNodes, volume }: Observed): Omit<Statement, 'observedGeneration'> => {
  const answers = answersThatCount(pods)
  const faulty = answers.find(({ ok }) => !ok)
  if (faulty) return { type: 'DurableAccept', status: 'False', reason: faulty.reason, message: `${faulty.name}: ${faulty.text}` }
  if (answers.length === 0) return { type: 'DurableAccept', status: 'Unknown', reason: 'NotObserved', message: 'no relay pod has said yet whether its queue is durable' }
  const silent = pods.filter((pod) => pod.ready && durabilityOf(pod) === undefined).map(({ name }) => name)
  if (silent.length > 0) return { type: 'DurableAccept', status: 'Unknown', reason: 'NotObserved', message: `not every pod that is ready has said within a minute whether its queue is durable: no word from ${silent.join(', ')}` }
  const { reason, text } = answers.find((one) => one.reason !== 'Durable') ?? answers[0]!
  const single = isOnOneNode(relay, queueNodes)
  const smaller = smallerVolume(relay, volume)
  const words = [text, ...(single ? [`all servers run on node ${queueNodes[0]!}, whose loss takes them all`] : []), ...(smaller === undefined ? [] : [smaller])]
  return { type: 'DurableAccept', status: 'True', reason: single ? 'SingleNode' : smaller === undefined ? reason : 'SmallerVolume', message: words.join('; ') }
}

const durabilityOf = ({ durable: now, lately }: ObservedPod): Durability | undefined => now ?? lately?.durable

/** A pod that is not ready and has not reached its queue may just be starting: where a ready one has, it tells nothing. What else it finds wrong counts. */
const answersThatCount = (pods: readonly ObservedPod[]): (Durability & { readonly name: string })[] => {
  const answers = pods.flatMap((pod) => [durabilityOf(pod) ?? []].flat().map((said) => ({ ...said, name: pod.name, ready: pod.ready })))
  const isReached = answers.some(({ ready, ok }) => ready && ok)
  return answers.filter(({ ready, reason }) => ready || reason !== 'Unreachable' || !isReached)
}

/** A server that is just being started anew may run elsewhere: until all are there, what was said before holds. */
const isOnOneNode = (relay: MailRelay, nodes: readonly string[]): boolean => {
  const { conditions = [] } = (relay.status ?? {}) as { readonly conditions?: readonly Statement[] }
  const wasSaid = conditions.some(({ type, reason }) => type === 'DurableAccept' && reason === 'SingleNode')
  return serversOf(relay) > 1 && new Set(nodes).size === 1 && (nodes.length === serversOf(relay) || wasSaid)
}
