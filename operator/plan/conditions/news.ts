// What a person should be told once, when it becomes so: refusals on both sides, and what endangers mail or lets strangers in. Pure.
import type { Condition } from '../condition.ts'
import { titleOfRef, type ObjectRef } from '../input.ts'
import type { Statement, Status } from './statement.ts'

export type News = { readonly about: ObjectRef; readonly reason: string; readonly text: string }

/** `before`: the status as it was; what was said there already is no news. */
export const newsOf = ({ object, status }: Status, before: unknown, told: readonly Condition[]): News[] => {
  const title = titleOfRef(object)
  const isNew = changedFrom(statementsIn(before))
  const fresh = statementsIn(status).filter(({ place, said }) => isWorthTelling(place, said) && isNew(place, said))
  const own = fresh.map(({ place, said: { reason, message } }) => ({ about: object, reason, text: `${title}: ${place === '' ? '' : `listener ${place}: `}${message}` }))
  const isRefused = fresh.some(({ place, said: { type } }) => type === 'Accepted' && place === '')
  return [...own, ...(isRefused ? told.flatMap((condition) => otherSide(object, condition)) : [])]
}

type Placed = { readonly place: string; readonly said: Statement }
type Parts = { readonly conditions?: readonly Statement[]; readonly listeners?: readonly { readonly name: string; readonly conditions?: readonly Statement[] }[] }

/** Of the object itself, and of its listeners by their name. */
const statementsIn = (status: unknown): Placed[] => {
  const { conditions = [], listeners = [] } = (status ?? {}) as Parts
  return [...conditions.map((said) => ({ place: '', said })), ...listeners.flatMap(({ name, conditions: own = [] }) => own.map((said) => ({ place: name, said })))]
}

const isWorthTelling = (place: string, { type, status, reason }: Statement): boolean => {
  if (type === 'Accepted' && place !== '') return false // the MailRelay says it too
  if (type === 'Accepted' || type === 'OpenRelayProbe') return status === 'False'
  return worthTelling.has(reason)
}

/** Of a queue that is only away, or still being made, the condition is enough: that comes and goes. */
export const worthTelling: ReadonlySet<string> = new Set(['NotApplied', 'NameTaken', 'SecretRefused', 'SingleNode', 'SyncNotAlways', 'StreamMismatch', 'QueueFull', 'NodeAddressSeen'])

const changedFrom = (before: readonly Placed[]) => (place: string, { type, status, reason, message }: Statement): boolean =>
  !before.some((one) => one.place === place && one.said.type === type && one.said.status === status && one.said.reason === reason && one.said.message === message)

/** Who holds what was wanted, or who did not admit it. */
const otherSide = (object: ObjectRef, { type, status, by, reason, message }: Condition): News[] =>
  type !== 'Accepted' || status !== 'False' || by === undefined ? [] : [{ about: by, reason, text: `refused ${titleOfRef(object)}: ${message}` }]
