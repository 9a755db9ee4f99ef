// Whether a stranger can relay: what the attempts came to, and what the rules alone would let pass. The words stay the same from attempt to attempt. Pure.
import type { MailRelay } from '../../../crds/index.ts'
import type { Seen } from '../input.ts'
import { closedFor, doorMark } from '../trust.ts'
import type { RelayView } from '../view.ts'
import type { Statement } from './statement.ts'

/** What is known of the attempts at one MailRelay; undefined: there was none yet. */
export type Attempts = {
  /** The addresses we asked from. */
  readonly from: readonly string[]
  /** "5m": how often it is asked again. */
  readonly every: string
  /** By listener: the mark of the door at which a stranger tried last. */
  readonly doors: Readonly<Record<string, string>>
  /** Only straight at pods that run the snapshot, for others did not. */
  readonly partly?: true
  /** Since when a change waits for an attempt, where that is long. */
  readonly late?: string
  /** Why they could not be made, some times in a row or for a long time. */
  readonly failed?: string
}

export type AboutStrangers = { readonly attempts?: Attempts | undefined; readonly admitted: readonly string[]; readonly seen: Seen }
type Said = Pick<Statement, 'status' | 'reason' | 'message'>

export const openRelayProbe = (view: RelayView, about: AboutStrangers): Omit<Statement, 'observedGeneration'> => ({ type: 'OpenRelayProbe', ...said(view, about) })

const said = (view: RelayView, { attempts, admitted, seen }: AboutStrangers): Said => {
  const closed = view.listeners.filter((listener) => closedFor(view, listener, seen) !== undefined).map(({ name }) => name)
  if (closed.length > 0) return { status: 'False', reason: 'StrangerRelayed', message: `a stranger relayed at ${inWords(closed)}: no address may relay there until the Service, the listener or the RelayPolicies of this MailRelay are changed and a stranger is refused; hosted domains and authenticated senders go on` }
  if (admitted.length > 0) return { status: 'False', reason: 'StrangerAdmitted', message: `by the rules alone a stranger could relay, so no address may: ${admitted.join('; ')}` }
  if (attempts?.failed !== undefined) return { status: 'False', reason: 'ProbeFailed', message: `whether a stranger can relay could not be found out: ${attempts.failed}` }
  return saidBefore(view.relay, attempts) ?? notTried(view, attempts) ?? refused(view, attempts!)
}

/** At a listener of now that is new, or at all since a change that is not. */
const notTried = ({ relay, listeners }: RelayView, attempts: Attempts | undefined): Said | undefined => {
  const untried = listeners.filter((listener) => attempts?.late !== undefined || attempts?.doors[listener.name] !== doorMark(relay, listener)).map(({ name }) => name)
  const when = attempts?.late === undefined ? 'yet' : `since ${attempts.late}`
  return untried.length === 0 ? undefined : { status: 'Unknown', reason: 'NotObserved', message: `no stranger has tried ${inWords(untried)} ${when}: pods that run this snapshot are waited for` }
}

const refused = ({ listeners }: RelayView, { from, every, partly }: Attempts): Said => {
  const ways = partly ? 'straight at a pod that runs this snapshot, for not all do' : 'through the Service and straight at a pod'
  return { status: 'True', reason: 'StrangersRefused', message: `a stranger is refused at ${inWords(listeners.map(({ name }) => name))}, to the end of DATA; asked from ${from.join(', ')} ${ways}, after every change and every ${every}` }
}

const inWords = (listeners: readonly string[]): string => `listener${listeners.length > 1 ? 's' : ''} ${listeners.join(', ')}`

/** An operator that has just begun knows what the one before it found: of this generation, and that all was well not for long. */
const saidBefore = ({ metadata, status }: MailRelay, attempts: Attempts | undefined): Said | undefined => {
  if (Object.keys(attempts?.doors ?? {}).length > 0) return undefined
  const { conditions = [] } = (status ?? {}) as { conditions?: readonly Statement[] }
  const before = conditions.find(({ type, observedGeneration }) => type === 'OpenRelayProbe' && observedGeneration === (metadata.generation ?? 0))
  const holds = before?.reason === 'ProbeFailed' || (before?.reason === 'StrangersRefused' && attempts?.late === undefined)
  return before && holds ? { status: before.status, reason: before.reason, message: before.message } : undefined
}
