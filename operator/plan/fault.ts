// A throw while one object is planned is a fault of ours: it holds up that object and the MailRelays at which it was in force, which go on as they are, and nobody else. Pure.
import { mostInStatus, type KindName } from '../../crds/index.ts'
import { keyOf, refOf, titleOf, type ObjectRef } from './input.ts'

export type Fault = { readonly object: ObjectRef; readonly error: unknown }

type Named = { readonly kind: KindName; readonly metadata: { readonly namespace: string; readonly name: string } }

export const guarded = <T>(faults: Fault[], object: Named, work: () => T, otherwise: (error: unknown) => T): T => {
  try {
    return work()
  } catch (error) {
    faults.push({ object: refOf(object), error })
    return otherwise(error)
  }
}

type Conditions = readonly { readonly type: string; readonly status: string }[]
type Recorded = {
  readonly conditions?: Conditions
  readonly relays?: readonly { readonly namespace: string; readonly name: string; readonly conditions?: Conditions }[]
  readonly targets?: readonly { readonly kind: KindName; readonly name: string; readonly conditions?: Conditions }[]
}

export const wasAccepted = (status: unknown): boolean => isAccepted(status ?? {})
const isAccepted = ({ conditions = [] }: { readonly conditions?: Conditions }): boolean => conditions.some(({ type, status }) => type === 'Accepted' && status === 'True')

/** MailRelays at which an object was in force, as its status has it. `all` there are; `statusOf`: of the objects that a policy aims at, by title. */
export const ranAt = ({ kind, metadata, status }: Named & { readonly status?: unknown }, all: Iterable<string> = [], statusOf: (title: string) => unknown = () => undefined): string[] => {
  const { relays = [], targets = [] } = (status ?? {}) as Recorded
  if (kind === 'MailRelay') return [keyOf({ metadata })]
  const aimed = targets.filter(isAccepted).map(({ kind: of, name }): Named => ({ kind: of, metadata: { namespace: metadata.namespace, name } }))
  const listed = relays.map(({ namespace, name }) => `${namespace}/${name}`)
  const isFull = relays.length >= mostInStatus.relays && relays.every(isAccepted)
  // who is in force at so many is so at all of its namespace: of those that its status has no room for nobody can say otherwise
  const beyond = isFull ? [...all].filter((key) => key.startsWith(`${metadata.namespace}/`) && !listed.includes(key)) : []
  return [...listed.filter((_, at) => isAccepted(relays[at]!)), ...beyond, ...aimed.flatMap((target) => ranAt({ ...target, status: statusOf(titleOf(target)) }, all, statusOf))]
}
