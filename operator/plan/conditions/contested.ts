// The other side of a refusal: on the object that others wanted something of, who they are and what they wanted. Pure.
import type { Condition } from '../condition.ts'
import { titleOf } from '../input.ts'

const mostNamed = 10

/** Tells the holder of a domain who claims it too, and a MailRelay or MailDomain who asks without being admitted. Nothing of theirs is changed by it. */
export const contestsOf = (conditions: readonly Condition[]): Condition[] => {
  const claims = conditions.filter(({ by }) => by !== undefined)
  return [...Map.groupBy(claims, ({ by }) => title(by!)).values()].map((ofOne) => ({
    object: ofOne[0]!.by!,
    type: 'Contested',
    status: 'True',
    reason: ofOne[0]!.reason,
    message: messageOf(ofOne.map(({ object, message }) => `${title(object)} is refused: ${message}`).toSorted()),
  }))
}

const title = ({ kind, ...metadata }: Condition['object']): string => titleOf({ kind, metadata })

const messageOf = (claims: readonly string[]): string => [...claims.slice(0, mostNamed), ...(claims.length > mostNamed ? [`and ${claims.length - mostNamed} more`] : [])].join('; ')
