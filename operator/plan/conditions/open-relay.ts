// Whether a stranger can relay: what the attempts came to, and what the rules alone would let pass. The words stay the same from attempt to attempt. Pure.
import type { MailRelay } from '../../../crds/index.ts'
import type { Seen } from '../input.ts'
import { closedFor } from '../trust.ts'
import type { RelayView } from '../view.ts'
import type { Statement } from './statement.ts'

/** What is known of the attempts at one MailRelay; undefined: there was none yet. */
export type Attempts = {
  /** The addresses we asked from. */
  readonly from: readonly string[]
  /** "5m": how often it is asked again. */
  readonly every: string
  /** Why they could not be made, some times in a row. */
  readonly failed?: string
}

export type AboutStrangers = { readonly attempts?: Attempts | undefined; readonly admitted: readonly string[]; readonly seen: Seen }
type Said = Pick<Statement, 'status' | 'reason' | 'message'>

export const openRelayProbe = (view: RelayView, about: AboutStrangers): Omit<Statement, 'observedGeneration'> => ({ type: 'OpenRelayProbe', ...said(view, about) })

const said = (view: RelayView, { attempts, admitted, seen }: AboutStrangers): Said => {
  const closed = view.listeners.filter((listener) => closedFor(view, listener, seen) !== undefined).map(({ name }) => name)
  if (closed.length > 0) return { status: 'False', reason: 'StrangerRelayed', message: `a stranger relayed at ${inWords(closed)}: no address may relay there until the Service, the listener or the RelayPolicies of this MailRelay are changed and a stranger is refused; hosted domains and authenticated senders go on` }
  if (admitted.length > 0) return { status: 'False', reason: 'StrangerAdmitted', message: `by the rules alone a stranger could relay, so no address may: ${admitted.join('; ')}` }
  if (attempts === undefined) return saidBefore(view.relay) ?? { status: 'Unknown', reason: 'NotObserved', message: 'no stranger has tried yet: pods that run this snapshot are waited for' }
  if (attempts.failed !== undefined) return { status: 'False', reason: 'ProbeFailed', message: `whether a stranger can relay could not be found out: ${attempts.failed}` }
  return { status: 'True', reason: 'StrangersRefused', message: `a stranger is refused at ${inWords(view.listeners.map(({ name }) => name))}, to the end of DATA; asked from ${attempts.from.join(', ')} through the Service and straight at a pod, after every change and every ${attempts.every}` }
}

const inWords = (listeners: readonly string[]): string => `listener${listeners.length > 1 ? 's' : ''} ${listeners.join(', ')}`

/** An operator that has just begun knows what the one before it found. */
const saidBefore = ({ status }: MailRelay): Said | undefined => {
  const { conditions = [] } = (status ?? {}) as { conditions?: readonly Statement[] }
  const before = conditions.find(({ type }) => type === 'OpenRelayProbe')
  return before?.reason === 'StrangersRefused' || before?.reason === 'ProbeFailed' ? { status: before.status, reason: before.reason, message: before.message } : undefined
}
