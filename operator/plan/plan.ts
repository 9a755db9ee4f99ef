// The plan: what is declared in, what should be out. No I/O, no clock, no chance.
import type { SnapshotInput } from '../../relay/snapshot/index.ts'
import type { Condition } from './condition.ts'
import { credentialsOf } from './conditions/credentials.ts'
import { contestsOf } from './conditions/contested.ts'
import { fit, type Fitted } from './fit.ts'
import { keyOf, nothingMade, refOf, titleOf, type Input, type Need } from './input.ts'
import { judge } from './judge.ts'
import { needsOf } from './needs.ts'
import { recordsOf, type RecordsWanted } from './records/index.ts'
import { snapshotOf } from './snapshot/index.ts'
import type { RelayView } from './view.ts'
import { worldOf } from './world.ts'

export type Plan = {
  /** One per MailRelay in force. While something is needed that was not made, it lacks it: not to be published. */
  readonly snapshots: readonly { readonly relay: string; readonly snapshot: SnapshotInput; readonly view: RelayView }[]
  readonly conditions: readonly Condition[]
  /** By MailDomain in force: what DNS should say of it, and whom to ask. */
  readonly records: ReadonlyMap<string, RecordsWanted>
}

/** What has to be made, without the rest of the plan: it does not hang on what was made before. */
export const needsIn = (input: Omit<Input, 'made'>): Need[] => {
  const world = worldOf({ ...input, made: nothingMade })
  return needsOf(judge(world).views, world)
}

export const plan = (input: Input): Plan => {
  const world = worldOf(input)
  const { views, conditions } = judge(world)
  const fitted = views.map((view) => ({ relay: keyOf(view.relay), view, ...fit(snapshotOf(view, world), view) }))
  return {
    snapshots: fitted.map(({ relay, snapshot, view }) => ({ relay, snapshot, view })),
    conditions: fitted.reduce(withTooBig, [...conditions, ...views.flatMap((view) => credentialsOf(view, world)), ...contestsOf(conditions)]),
    records: recordsOf(views, world),
  }
}

/** What did not fit is no longer accepted. */
const withTooBig = (conditions: readonly Condition[], { relay, tooBig }: Fitted & { readonly relay: string }): readonly Condition[] => {
  const out = new Set(tooBig.map(({ object }) => titleOf(object)))
  const kept = conditions.filter(({ object, type, status, relay: on }) => !(type === 'Accepted' && status === 'True' && (on ?? relay) === relay && out.has(titleOf({ kind: object.kind, metadata: object }))))
  return [...kept, ...tooBig.map(({ object, violation }) => ({ object: refOf(object), relay, type: 'Accepted', status: 'False', ...violation }) as const)]
}
