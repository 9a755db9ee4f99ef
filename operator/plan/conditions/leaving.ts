// Whether a MailRelay that is being deleted may go, and what a person is told until then: mail that waits in its queue keeps it. Pure.
import type { ObservedPod } from './fleet.ts'
import type { Statement } from './statement.ts'

/** "true": the mail in the queue of a MailRelay that is deleted is given up. */
export const discardAnnotation = 'posthouse.dev/discard-queue'

export type Leaving = {
  readonly namespace: string
  readonly name: string
  readonly discard: boolean
  /** Its namespace is being deleted too: nothing can be made there any more. */
  readonly namespaceEnds: boolean
  /** Its snapshot says that it takes no new mail; false: it is not in force, and its pods still run the one before. */
  readonly inForce: boolean
  /** Its pods deliver nothing. */
  readonly paused: boolean
  readonly replicas: number
  /** All that are there, also those that are on their way out. */
  readonly pods: readonly ObservedPod[]
}

export type Verdict = {
  /** `if-it-stays-so`: let go when the next look says the same. */
  readonly go: 'now' | 'if-it-stays-so' | 'no'
  readonly statement: Omit<Statement, 'observedGeneration'>
}

export const judgeLeaving = (leaving: Leaving): Verdict => {
  if (leaving.discard) return { go: 'now', statement: says('True', 'QueueDiscarded', `${discardAnnotation} says that the mail in its queue is given up`) }
  const [seen] = leaving.pods.flatMap(({ remains }) => remains ?? [])
  if (seen === undefined) return { go: 'no', statement: says('Unknown', 'QueueUnknown', `${nobodyKnows(leaving)}; ${orGiveUp(leaving)}`) }
  const { ready, deferred, held } = seen
  const count = ready + deferred + held
  if (count > 0) {
    const people = held > 0 ? ' (posthouse queue release, bounce or delete for those on hold)' : ''
    return { go: 'no', statement: says('False', 'QueueNotEmpty', `${count === 1 ? '1 delivery waits' : `${count} deliveries wait`} in its queue (${ready} due, ${deferred} deferred, ${held} on hold); ${whatEndsIt(leaving)}${people}; ${orGiveUp(leaving)}`) }
  }
  const open = leaving.pods.filter(({ closing, remains }) => closing !== true || remains?.empty !== true)
  if (open.length === 0) return { go: 'if-it-stays-so', statement: says('False', 'QueueClosing', 'its queue is empty; it goes when it is still so at the next look') }
  return { go: 'no', statement: says('False', 'QueueClosing', `its queue looks empty; waiting until ${open.map(({ name }) => name).join(', ')} ${open.length === 1 ? 'says' : 'say'} so and take no new mail`) }
}

const says = (status: Statement['status'], reason: string, message: string): Verdict['statement'] => ({ type: 'Drained', status, reason, message })

const nobodyKnows = ({ namespace, name, namespaceEnds, inForce, replicas, pods }: Leaving): string => {
  const why = pods.length === 0 ? 'no relay pod is there to be asked what its queue holds' : `no relay pod says what its queue holds (${pods.map((pod) => `${pod.name}: ${pod.why ?? 'its queue does not answer'}`).join('; ')})`
  if (namespaceEnds) return `${why}, and nothing can be started in namespace ${namespace}, which is being deleted with the volumes of its queue (what lies on a PersistentVolume whose reclaim policy is Retain can be attached again)`
  if (!inForce) return `${why}: it is not in force, so that its pods are not told to take no more mail; see Accepted`
  return pods.length === 0 && replicas === 0 ? `${why}: kubectl scale mailrelay/${name} -n ${namespace} --replicas=1 lets one look, and deliver` : `${why}; it goes when one says that the queue is empty`
}

const whatEndsIt = ({ namespace, name, paused }: Leaving): string =>
  paused
    ? `new mail is refused; it is paused: nothing is delivered until kubectl patch mailrelay/${name} -n ${namespace} --type=merge -p '{"spec":{"paused":false}}'`
    : 'they go on being delivered, new mail is refused, and it goes when none is left'

const orGiveUp = ({ namespace, name }: Leaving): string => `to let it go at once and give the mail up: kubectl annotate mailrelay/${name} -n ${namespace} ${discardAnnotation}=true`
