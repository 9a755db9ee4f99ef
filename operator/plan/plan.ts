// The plan: what is declared in, what should be out. No I/O, no clock, no chance.
import type { AnyManifest, KindName } from '../../crds/index.ts'
import type { SnapshotInput } from '../../relay/snapshot/index.ts'
import { asBefore, toldToStay, withOwnFault } from './as-before.ts'
import type { Condition } from './condition.ts'
import { credentialsOf } from './conditions/credentials.ts'
import { contestsOf } from './conditions/contested.ts'
import { guarded, type Fault } from './fault.ts'
import { fit, type Fitted } from './fit.ts'
import { keyOf, nothingMade, refOf, titleOf, titleOfRef, type Input, type Need } from './input.ts'
import { judge } from './judge.ts'
import { withoutLargeKeys } from './large-keys.ts'
import { needsOf, once } from './needs.ts'
import { recordsOf, type RecordsWanted } from './records/index.ts'
import { snapshotOf } from './snapshot/index.ts'
import type { RelayView } from './view.ts'
import { worldOf, type World } from './world.ts'

export type Plan = {
  /** One per MailRelay in force. While something is needed that was not made, it lacks it: not to be published. */
  readonly snapshots: readonly {
    readonly relay: string
    readonly snapshot: SnapshotInput
    readonly view: RelayView
    /** Titles of those who need a Secret that may not be read, or have a fault of their own, and are in it as they were before: they hold up nobody here. */
    readonly asBefore: ReadonlySet<string>
  }[]
  readonly conditions: readonly Condition[]
  /** By MailDomain in force: what DNS should say of it, and whom to ask. */
  readonly records: ReadonlyMap<string, RecordsWanted>
  /** What threw. A MailRelay at which such an object was in force (`ranAt`) is to be left as it is, unless it is among `asBefore` there. */
  readonly faults: readonly Fault[]
}

/** What has to be made, without the rest of the plan: it does not hang on what was made before. */
export const needsIn = (input: Omit<Input, 'made'>): Need[] => {
  const world = worldOf({ ...input, made: nothingMade })
  const told: Fault[] = [] // the plan tells the same again
  return once(judge(world).views.flatMap((view) => isolated(view, told, (one) => needsOf(one, world)) ?? []))
}

export const plan = (input: Input): Plan => {
  const world = worldOf(input)
  const { views, conditions, faults: ofJudgement } = judge(world)
  const faults = [...ofJudgement]
  const made = views.flatMap((view) => isolated(view, faults, (one) => planOf(one, world)) ?? [])
  const atFault = withOwnFault(conditions)
  const held = new Set([...heldIn(input, faults), ...atFault])
  const planned = made.flatMap((one) => guarded(faults, one.view.relay, () => [withThoseBefore(one, held, world)], () => []))
  return {
    snapshots: planned.map(({ relay, snapshot, view, asBefore: kept }) => ({ relay, snapshot, view, asBefore: kept })),
    conditions: planned.reduce(withTooBig, [...toldToStay(conditions, atFault, planned.map(({ snapshot }) => snapshot)), ...planned.flatMap(({ credentials }) => credentials), ...contestsOf(conditions)]),
    records: recordsOf(views, world, faults),
    faults,
  }
}

/** What `work` makes of a relay; where that throws, of it without those that alone make it throw. undefined: it throws all the same. */
const isolated = <T>(view: RelayView, faults: Fault[], work: (view: RelayView) => T): T | undefined => {
  const whole = guarded([], view.relay, () => ({ made: work(view) }), () => undefined)
  if (whole) return whole.made
  const bare = { ...view, domains: [], senders: [], policies: [], routes: [] }
  const throws = (alone: Partial<RelayView>, object: AnyManifest, told: Fault[]): boolean => guarded(told, object, () => (work({ ...bare, ...alone }), false), () => true)
  const rest = throws({}, view.relay, []) ? view : {
    ...view,
    domains: view.domains.filter((one) => !throws({ domains: [one] }, one.domain, faults)),
    senders: view.senders.filter((one) => !throws({ senders: [one] }, one.sender, faults)),
    policies: view.policies.filter((one) => !throws({ policies: [one] }, one.policy, faults)),
    routes: view.routes.filter((one) => !throws({ routes: [one] }, one, faults)),
  }
  return guarded<T | undefined>(faults, view.relay, () => work(rest), () => undefined)
}

const planOf = (view: RelayView, world: World) => {
  needsOf(view, world) // what throws there was not made
  const whole = snapshotOf(view, world)
  return { relay: keyOf(view.relay), view, credentials: credentialsOf(view, world), whole, ...fit(whole, view) }
}

const needSecrets: readonly KindName[] = ['MailDomain', 'MailSender', 'DeliveryRoute']

/** Who needs a Secret that may not be read. */
const heldIn = ({ declared, held = new Set() }: Input, faults: readonly Fault[]): string[] => {
  const refusals = new Set<unknown>(declared.refusedSecrets?.values())
  return [...held, ...faults.filter(({ error }) => refusals.has(error)).map(({ object }) => titleOfRef(object))].filter((title) => needSecrets.some((kind) => title.startsWith(`${kind} `)))
}

/** Without what was before nobody knows how they were. */
const withThoseBefore = (one: ReturnType<typeof planOf>, held: ReadonlySet<string>, world: World) => {
  const before = world.input.before?.get(one.relay)
  if (before === undefined) return { ...one, asBefore: new Set<string>() }
  const isThere = [before.domains, before.senders, before.policies, before.routes].some((entries) => entries.some(({ manifest }) => held.has(manifest)))
  if (!isThere) return { ...one, asBefore: held }
  const { snapshot, view } = asBefore({ snapshot: one.whole, view: one.view }, held, withoutLargeKeys(before, held), world)
  return { ...one, ...fit(snapshot, view), view, asBefore: held }
}

/** What did not fit is no longer accepted. */
const withTooBig = (conditions: readonly Condition[], { relay, tooBig }: Fitted & { readonly relay: string }): readonly Condition[] => {
  const out = new Set(tooBig.map(({ object }) => titleOf(object)))
  const kept = conditions.filter(({ object, type, status, relay: on }) => !(type === 'Accepted' && status === 'True' && (on ?? relay) === relay && out.has(titleOfRef(object))))
  return [...kept, ...tooBig.map(({ object, violation }) => ({ object: refOf(object), relay, type: 'Accepted', status: 'False', ...violation }) as const)]
}
