// The plan: what is declared in, what should be out. No I/O, no clock, no chance.
import type { SnapshotInput } from '../../relay/snapshot/index.ts'
import type { Condition } from './condition.ts'
import { keyOf, type Input, type Need } from './input.ts'
import { judge } from './judge.ts'
import { needsOf } from './needs.ts'
import { snapshotOf } from './snapshot/index.ts'
import { worldOf } from './world.ts'

export type Plan = {
  /** One per MailRelay in force. While something is needed that was not made, it lacks it: not to be published. */
  readonly snapshots: readonly { readonly relay: string; readonly snapshot: SnapshotInput }[]
  readonly conditions: readonly Condition[]
  readonly needs: readonly Need[]
}

export const plan = (input: Input): Plan => {
  const world = worldOf(input)
  const { views, conditions } = judge(world)
  return {
    snapshots: views.map((view) => ({ relay: keyOf(view.relay), snapshot: snapshotOf(view, world) })),
    conditions,
    needs: needsOf(views, world),
  }
}
