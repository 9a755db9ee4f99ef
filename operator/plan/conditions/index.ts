// From what the plan says of each object, and what was observed, to the status each object should have. Pure.
import { mostInStatus, type AnyManifest, type KindName, type MailRelay, type RelayPolicy } from '../../../crds/index.ts'
import type { Condition } from '../condition.ts'
import { guarded, wasAccepted, type Fault } from '../fault.ts'
import { keyOf, nothingSeen, titleOf, titleOfRef, type ObjectRef, type Seen, type Unread } from '../input.ts'
import { selectorOf } from '../objects/index.ts'
import { sectionOfTarget, titlesAt, titleOfTarget, type Target } from '../policies/targets.ts'
import { closedFor, hiddenFor } from '../trust.ts'
import { enforcedAt } from './enforced.ts'
import { judgeFleet, type Observed, type ObservedFleet } from './fleet.ts'
import { openRelayProbe, type Attempts } from './open-relay.ts'
import { reachableOf } from './reachable.ts'
import { recordsStatus, type RecordsSeen } from './records.ts'
import type { Refusal, Statement, Status } from './statement.ts'

export { runs, type Observed, type ObservedFleet, type ObservedPod } from './fleet.ts'
export { discardAnnotation, judgeLeaving, type Leaving } from './leaving.ts'
export type { Attempts } from './open-relay.ts'
export type { Refusal, Statement, Status } from './statement.ts'

export type StatusInput = {
  readonly manifests: readonly AnyManifest[]
  readonly conditions: readonly Condition[]
  readonly views: readonly (ObservedFleet & {
    readonly attempts?: Attempts | undefined
    /** Addresses that nobody named and that the rules would let relay. */
    readonly admitted?: readonly string[]
  })[]
  readonly seen?: Seen
  readonly mistaken: readonly Unread[]
  readonly controllerName: string
  /** By MailRelay that is being deleted: why it is still there. */
  readonly leaving?: ReadonlyMap<string, Omit<Statement, 'observedGeneration'>>
  /** By title of the object that something could not be made for. */
  readonly refused?: ReadonlyMap<string, Refusal>
  /** By title of those whose planning or making threw, in words: what was said of them before holds. */
  readonly faulty?: ReadonlyMap<string, Refusal>
  /** By MailSender: the Secret with its credentials. */
  readonly bindings: ReadonlyMap<string, string>
  /** By MailDomain in force. */
  readonly records: ReadonlyMap<string, RecordsSeen>
}

export const statusesOf = (input: StatusInput): Status[] => {
  const told = Map.groupBy(input.conditions, ({ object }) => titleOfRef(object))
  const statuses = input.manifests.map((manifest) => {
    const about = told.get(titleOf(manifest)) ?? []
    const object: ObjectRef = { kind: manifest.kind, namespace: manifest.metadata.namespace, name: manifest.metadata.name }
    const observedGeneration = manifest.metadata.generation ?? 0
    const isSeen = manifest.kind === 'MailRelay' && input.views.some(({ view }) => keyOf(view.relay) === keyOf(manifest)) // what its pods say goes on being said
    const fault = input.faulty?.get(titleOf(manifest))
    if (fault !== undefined && !isSeen) return { object, status: faultyStatus(manifest, fault) }
    const faults: Fault[] = []
    const status = guarded(faults, manifest, () => (manifest.kind === 'MailRelay' ? relayStatus(manifest, about, input) : attachedStatus(manifest, about, input)), () => faultyStatus(manifest))
    return { object, status: { observedGeneration, ...status }, ...(faults[0] && { fault: faults[0].error }) }
  })
  const isLeaving = ({ object }: Unread): boolean => object.kind === 'MailRelay' && input.leaving?.has(`${object.namespace}/${object.name}`) === true
  const statusOf = (one: Unread): Status => {
    const fault = input.faulty?.get(titleOfRef(one.object))
    const about = told.get(titleOfRef(one.object)) ?? []
    const asTold = about.find(({ reason }) => reason === 'Unreadable') ?? one // with what becomes of it
    return fault === undefined ? unreadStatus({ ...one, message: asTold.message }, relayStatuses(asJudged(one), about, input.controllerName)) : { object: one.object, status: faultyStatus(asJudged(one), fault) }
  }
  return [...statuses, ...input.mistaken.filter((one) => !isLeaving(one)).map(statusOf)]
}

/** `relays`: where it is in force as it was. */
const unreadStatus = ({ object, generation, status, message }: Unread, relays: readonly object[]): Status => {
  const said = { status: 'False', reason: 'Unreadable', message: message.slice(0, 32_000).toWellFormed(), observedGeneration: generation } as const
  return { object, status: { ...(object.kind === 'MailRelay' && seenBefore({ status })), ...(relays.length > 0 && { relays }), observedGeneration: generation, conditions: [{ type: 'Accepted', ...said }, { type: 'Ready', ...said }] } }
}

type Judged = { readonly kind: KindName; readonly metadata: { readonly namespace: string; readonly name: string; readonly generation?: number | undefined }; readonly status?: unknown }

const asJudged = ({ object, generation, status }: Unread): Judged => ({ kind: object.kind, metadata: { ...object, generation }, status })

/** What is at fault was in force or was not, and stays so. */
const faultyStatus = (manifest: Judged, fault = faultInWords([titleOf(manifest)])): Status['status'] => {
  const before = (manifest.status ?? {}) as Partial<Status['status']>
  const observedGeneration = manifest.metadata.generation ?? 0
  const said = statement(manifest, { type: 'Ready', status: 'False', ...fault })
  const others = (before.conditions ?? []).filter(({ type }) => type !== 'Ready')
  const accepted: Statement[] = others.some(({ type }) => type === 'Accepted') ? [] : [{ ...said, type: 'Accepted', status: 'Unknown' }]
  return { ...before, observedGeneration, conditions: [...accepted, ...others, said] }
}

/** Without the words of what threw, which may quote what nobody should read there. */
export const faultInWords = (titles: readonly string[]): Refusal => ({
  reason: 'OperatorFault',
  message: `the operator has a fault (a bug) over ${titles.join(', ')}: what ran before runs on, and it is tried again; the log of the operator has it with code BUG`,
})

const inForce = 'in force'

const statement = (manifest: Pick<Judged, 'metadata'>, { type, status, reason, message }: Omit<Statement, 'observedGeneration'>): Statement => ({ type, status, reason, message: message.slice(0, 32_000).toWellFormed(), observedGeneration: manifest.metadata.generation ?? 0 })

/** Several refusals are one condition: the first names its reason, all say what is wrong. */
const acceptedOf = (manifest: Pick<Judged, 'metadata'>, about: readonly Condition[]): Statement => {
  const refused = about.filter(({ type, status }) => type === 'Accepted' && status === 'False')
  if (refused.length > 0) return statement(manifest, { type: 'Accepted', status: 'False', reason: refused[0]!.reason, message: [...new Set(refused.map(({ message }) => message))].join('; ') })
  const [accepted] = about.filter(({ type }) => type === 'Accepted')
  return statement(manifest, { type: 'Accepted', status: 'True', reason: accepted?.reason === 'SelfSigned' ? 'SelfSigned' : 'Accepted', message: accepted?.message ?? inForce })
}

const othersOf = (manifest: Pick<Judged, 'metadata'>, about: readonly Condition[]): Statement[] => {
  const others = Map.groupBy(about.filter(({ type }) => type !== 'Accepted'), ({ type }) => type)
  return [...others.values()].map(([first, ...rest]) => statement(manifest, { ...first!, message: [first!, ...rest].map(({ message }) => message).join('; ') }))
}

/** Ready is True where all of these are True; else it says what the first that is not says. */
const readyOf = (manifest: AnyManifest, needed: readonly Statement[]): Statement => {
  const lacking = needed.find(({ status }) => status === 'False') ?? needed.find(({ status }) => status !== 'True')
  return statement(manifest, lacking ? { ...lacking, type: 'Ready' } : { type: 'Ready', status: 'True', reason: 'Ready', message: inForce })
}

const relayStatus = (relay: MailRelay, about: readonly Condition[], { views, leaving, seen = nothingSeen, refused }: StatusInput): Status['status'] => {
  const drained = [leaving?.get(keyOf(relay)) ?? []].flat().map((one) => statement(relay, one))
  const key = keyOf(relay)
  const found = views.find(({ view }) => keyOf(view.relay) === key)
  const accepted = acceptedOf(relay, about.filter(({ section, status }) => section === undefined || status === 'False'))
  const refusal = refused?.get(titleOf(relay))
  const unmade = refusal === undefined ? [] : [statement(relay, { type: 'Programmed', status: 'False', ...refusal })]
  if (!found) return { ...seenBefore(relay), conditions: [accepted, ...unmade, ...drained, readyOf(relay, [...drained, accepted, ...unmade])] }
  const { view, revision, observed, attempts, admitted = [] } = found
  const strangers = relay.spec.replicas === 0 ? [] : [openRelayProbe(view, { attempts, admitted, seen })]
  const fleet = [...judgeFleet(view, revision, observed), ...strangers].map((one) => statement(relay, refusal !== undefined && one.type === 'Programmed' ? { ...one, status: 'False', ...refusal } : one))
  return {
    conditions: [accepted, ...fleet, ...drained, ...othersOf(relay, about.filter(({ type }) => type === 'Contested')), readyOf(relay, [...drained, accepted, ...fleet, ...nobodyReady(relay, observed)])],
    replicas: observed.pods.length,
    selector: Object.entries(selectorOf(relay, 'relay')).map(([label, value]) => `${label}=${value}`).join(','),
    revision,
    addresses: observed.addresses,
    listeners: relay.spec.listeners.map((listener) => ({
      name: listener.name,
      attachedSenders: view.senders.filter(({ listeners }) => listeners.includes(listener.name)).length,
      attachedDomains: view.domains.filter(({ listeners }) => listeners.includes(listener.name)).length,
      closedFor: closedFor(view, listener, seen),
      hiddenFor: hiddenFor(relay, listener, seen),
      conditions: listenerConditions(relay, listener.name, about, found),
    })),
  }
}

/** A Service sends nobody to pods that are not ready: a client would find it closed. */
const nobodyReady = (relay: MailRelay, { pods }: Observed): Statement[] =>
  pods.some(({ ready }) => ready) ? [] : [statement(relay, { type: 'Ready', status: 'False', reason: 'NoPodReady', message: `0 of ${relay.spec.replicas} pods are ready, so the Service refuses connections; /readyz of a pod says why` })]

/** Of a MailRelay that is not in force: its pods run on, and a listener that was closed must not open when it comes back. */
const seenBefore = ({ status }: Pick<MailRelay, 'status'>): object => {
  const before = (status ?? {}) as Readonly<Record<string, unknown>>
  return Object.fromEntries(['replicas', 'selector', 'revision', 'addresses', 'listeners'].flatMap((field) => (before[field] === undefined ? [] : [[field, before[field]]])))
}

const listenerConditions = (relay: MailRelay, name: string, about: readonly Condition[], { revision, observed: { pods } }: StatusInput['views'][number]): Statement[] => {
  const own = about.filter(({ section }) => section === name)
  const isKnown = wasPreserved(relay, name) || pods.some((pod) => pod.revision === revision && pod.clients !== undefined)
  const others = othersOf(relay, own).map((one) => (one.type === 'SourceAddressPreserved' && one.status === 'True' && !isKnown ? { ...one, ...notObserved } : one))
  return [acceptedOf(relay, own), ...others]
}

/** Of this generation, by a pod that had it: who comes otherwise is seen and told when they come. */
const wasPreserved = ({ metadata, status }: MailRelay, listener: string): boolean => {
  const { listeners = [] } = (status ?? {}) as { readonly listeners?: readonly { readonly name: string; readonly conditions?: readonly Statement[] }[] }
  const before = listeners.find(({ name }) => name === listener)?.conditions?.find(({ type }) => type === 'SourceAddressPreserved')
  return before?.status === 'True' && before.observedGeneration === (metadata.generation ?? 0)
}

/** What is declared would do; who really came is not known yet. */
const notObserved = { status: 'Unknown', reason: 'NotObserved', message: 'no relay pod that runs this snapshot has said yet with which addresses clients come' } as const

const perRelay: readonly KindName[] = ['MailDomain', 'MailSender', 'DeliveryRoute']

/** Who may not look at the MailRelay has to read it here: one that is being deleted delivers what it has, and answers 451 to everything new. */
const noMailTaken = (manifest: AnyManifest, about: readonly Condition[], views: StatusInput['views']): Statement[] => {
  const at = about.filter(({ type, status }) => type === 'Accepted' && status === 'True').flatMap(({ relay = [] }) => relay)
  const isLeaving = (key: string): boolean => views.some(({ view: { relay } }) => keyOf(relay) === key && relay.metadata.deletionTimestamp !== undefined)
  if (!takesMail.has(manifest.kind) || at.length === 0 || !at.every(isLeaving)) return []
  return [statement(manifest, { type: 'Ready', status: 'False', reason: 'RelayLeaving', message: `${at.map((key) => `MailRelay ${key}`).join(', ')}: being deleted, and takes no new mail` })]
}
const takesMail: ReadonlySet<KindName> = new Set<KindName>(['MailDomain', 'MailSender'])

const attachedStatus = (manifest: Exclude<AnyManifest, MailRelay>, about: readonly Condition[], { controllerName, bindings, records, views, refused }: StatusInput): Status['status'] => {
  const accepted = acceptedOf(manifest, about)
  const refusal = refused?.get(titleOf(manifest))
  const others = othersOf(manifest, about).map((one) => (refusal !== undefined && one.type === 'CredentialsReady' ? { ...one, status: 'False' as const, ...refusal } : one))
  const unmade = refusal === undefined || manifest.kind === 'MailSender' ? [] : [statement(manifest, { type: 'Ready', status: 'False', ...refusal })]
  const dns = manifest.kind === 'MailDomain' ? recordsStatus(manifest, records.get(keyOf(manifest))) : undefined
  const conditions = [accepted, ...others, ...(dns ? [statement(manifest, dns.published)] : []), ...(manifest.kind === 'DeliveryRoute' ? [statement(manifest, reachableOf(manifest, views))] : []), readyOf(manifest, [accepted, ...others.filter(({ type }) => type === 'CredentialsReady'), ...unmade, ...noMailTaken(manifest, about, views)])]
  const binding = manifest.kind === 'MailSender' ? bindings.get(keyOf(manifest)) : undefined
  return {
    conditions,
    ...(perRelay.includes(manifest.kind) && { relays: relayStatuses(manifest, about, controllerName) }),
    ...(manifest.kind === 'RelayPolicy' && { targets: manifest.spec.targetRefs.map((target) => targetStatus(manifest, target, about, views)) }),
    ...(dns && { requiredRecords: dns.requiredRecords }),
    ...(binding !== undefined && { binding: { name: binding } }),
  }
}

/** Where there are more, those where it is in force come first: that must be remembered; why it is not elsewhere, its own conditions say. */
const relayStatuses = (manifest: Pick<Judged, 'metadata'>, about: readonly Condition[], controllerName: string): object[] => {
  const relays = [...Map.groupBy(about.filter(({ relay }) => relay !== undefined), ({ relay }) => relay!)]
  const all = relays.map(([relay, ofRelay]) => ({ namespace: relay.split('/')[0], name: relay.split('/')[1], controllerName, conditions: [acceptedOf(manifest, ofRelay), ...othersOf(manifest, ofRelay)] }))
  if (all.length <= mostInStatus.relays) return all
  const [inForceThere, refused] = [all.filter((one) => wasAccepted(one)), all.filter((one) => !wasAccepted(one))]
  return [...inForceThere, ...refused].slice(0, mostInStatus.relays)
}

/** What one MailRelay says of the whole policy is about the targets that are there. */
const targetStatus = (policy: RelayPolicy, target: Target, about: readonly Condition[], views: StatusInput['views']): object => {
  const { kind, name, sectionName } = target
  const isAt = (relay: string): boolean => views.every(({ view }) => keyOf(view.relay) !== relay || titlesAt(view).has(titleOfTarget(policy, target)))
  const told = about.filter(({ section, relay }) => section === sectionOfTarget(target) || (section === undefined && (relay === undefined || isAt(relay))))
  const inForceAt = told.filter(({ type, status }) => type === 'Accepted' && status === 'True').flatMap(({ relay = [] }) => relay)
  const accepted = acceptedOf(policy, told)
  const message = accepted.status === 'True' || inForceAt.length === 0 ? accepted.message : `${accepted.message}; it is in force at MailRelay ${inForceAt.join(', ')}`
  const here = views.filter(({ view }) => inForceAt.includes(keyOf(view.relay)))
  return { kind, name, ...(sectionName !== undefined && { sectionName }), conditions: [statement(policy, { ...accepted, message }), statement(policy, enforcedAt(policy, target, accepted, here))] }
}
