// From what is declared to what is: gather, plan, make, apply, observe, say. One run does it all for every MailRelay; a run that changes nothing writes nothing, and what is refused of one object holds up no other.
//   1. gather the manifests and the Secrets they name   2. make what is needed, plan
//   3. apply the objects of each relay in force, remove those no longer wanted   4. ask the pods   5. write each status that changed   6. let a stranger try, where it is time
import { apiVersion, type KindName } from '../crds/index.ts'
import { parseSnapshot, revisionOf, type Snapshot, type SnapshotInput } from '../relay/snapshot/index.ts'
import type { Applier } from './apply/index.ts'
import { gatherCluster, secretsNamed, type FromCluster } from './gather/index.ts'
import { apiVersionOf, keyOfObject, pathOf, slowMs, type Kube, type KubeObject, type Note, type Notes } from './kube/index.ts'
import { make, queueSecretsOf, type MakeOptions } from './made.ts'
import { observe } from './observe.ts'
import { hasToStay, isLeaving, keepFinalizer, lookAtLeaving, namespaceEnds, type LeavingParts } from './leaving.ts'
import { admittedInWords, closedTo, credentialSecretOf, faultInWords, isPartOf, keyOf, needsIn, newsOf, objectsOf, plan, queueLoginName, ranAt, runningConfig, selectorOf, serviceAddresses, smallestVolumes, statusesOf, strangersAdmitted, titleOf, titleOfRef, withItsClaims, type Condition, type Input, type News, type ObjectSettings, type Plan, type Observed, type Refusal, type RelayView, type Secret, type Seen, type Status, type Wanted } from './plan/index.ts'
import type { Seen as SeenByRun } from './metrics.ts'
import type { Faults } from './faults.ts'
import type { KeyMaker } from './key-maker.ts'
import type { LogLine } from './log-events.ts'
import type { Pokes } from './pokes.ts'
import type { RecordWatch } from './record-watch.ts'
import { createRefusals, type Passing, type Refusals } from './refusals.ts'
import { decodedOf, type SecretStore } from './secret-store.ts'
import { snapshotsBefore } from './snapshot-before.ts'
import { several } from './several.ts'
import { minutesIn, restartStuck, stuckInWords } from './stuck-servers.ts'
import { closesAnew, seenNow, targetOf, type StrangerParts } from './strangers.ts'
import type { TokenIssuerReader } from './token-issuer.ts'
import { claims, made, namespaces, ourKinds, pods, secrets, type Watched } from './watched.ts'

export type ReconcileParts = {
  readonly kube: Kube
  readonly watched: Watched
  readonly store: SecretStore
  readonly applier: Applier
  readonly tokenIssuer: TokenIssuerReader
  readonly notes: Notes
  readonly records: RecordWatch
  readonly keys: KeyMaker
  readonly pokes: Pokes
  readonly faults: Faults
  readonly passing: Passing
  /** By MailRelay in force: what came of the last plan that is not held up by a fault. */
  readonly proven: Map<string, Proven>
  readonly settings: ObjectSettings
  readonly now: () => Date
  readonly say: (line: LogLine) => void
  /** What a run saw and will say, before it says it. */
  readonly onSeen?: (seen: SeenByRun) => void
} & StrangerParts

export const controllerName = 'posthouse.dev/operator'
const revisionAnnotation = 'posthouse.dev/revision'
const askedAgainAnnotation = 'posthouse.dev/asked-again'

type Fleet = { readonly view: RelayView; readonly snapshot: Snapshot; readonly revision: string; readonly admitted: readonly string[] }
type Proven = Fleet & { readonly planned: string }
type Uids = ReadonlyMap<string, string | undefined>

/** Milliseconds after which to look again though nothing was told. */
export const reconcile = async (parts: ReconcileParts): Promise<number> => {
  const { watched, prober, settings, faults, passing } = parts
  faults.begin()
  passing.begin()
  const gathered = await gather(parts)
  for (const { object, fault } of gathered.mistaken) if (fault !== undefined) faults.note(titleOfRef(object), fault)
  const tokenIssuer = gathered.declared.senders.some(({ spec }) => spec.identity.serviceAccountName !== undefined) ? await parts.tokenIssuer.read() : undefined
  const seen = await seenNow(gathered.declared.relays, parts)
  const before = await snapshotsBefore(gathered.declared.relays, parts)
  const given: Omit<Input, 'made'> = { declared: gathered.declared, before, clusterDomain: settings.clusterDomain, tokenIssuer, seen, accounts: new Set(watched.all(made.serviceAccount).map(keyOfObject)), volumes: smallestVolumes(watched.all(claims)), serviceAddresses: serviceAddresses(watched.all(made.service)) }
  const refusals = createRefusals(faults, passing)
  const making = makingFor(parts, refusals)
  const needs = needsIn(given)
  const whatIsMade = await make(needs, making)
  const { snapshots, conditions, records, faults: ofPlan } = plan({ ...given, made: whatIsMade, held: new Set(refusals.held.keys()) })
  for (const { object, error } of ofPlan) refusals.note(titleOfRef(object), error)
  const unmade = new Set([...refusals.found.keys(), ...passing.found()])
  parts.records.want(records)
  const fleets = await fleetsOf(snapshots, heldIn(refusals, snapshots, parts), refusals, parts)
  const held = heldIn(refusals, snapshots, parts)
  for (const key of parts.proven.keys()) if (!held.has(key) && !snapshots.some(({ relay }) => relay === key)) parts.proven.delete(key)
  const staying = [...held.keys()].flatMap((key) => parts.proven.get(key) ?? [])
  const bindings = new Map(needs.flatMap((need) => (need.kind === 'credential' || need.kind === 'binding' ? [[need.sender, credentialSecretOf(need.sender).split('/')[1]!] as const] : [])))
  const tellAll = async (views: readonly Looked[], leaving?: Awaited<ReturnType<typeof lookAtLeaving>>): Promise<void> => {
    const judged = new Map([...records].map(([key, { comingKeys }]) => [key, { judged: parts.records.judge(key), comingKeys }]))
    const heldUp = [...heldIn(refusals, snapshots, parts)].map(([key, titles]) => [`MailRelay ${key}`, whyHeld(titles, refusals)] as const)
    const faulty = new Map([...refusals.held, ...faults.found().map((title) => [title, faultInWords([title])] as const)])
    const statuses = statusesOf({ manifests: gathered.manifests, conditions, views, seen, mistaken: gathered.mistaken, refused: new Map([...refusals.found, ...heldUp]), faulty, controllerName, bindings, records: judged, ...(leaving && { leaving }) })
    for (const { object, fault } of statuses) if (fault !== undefined) faults.note(titleOfRef(object), fault)
    parts.onSeen?.({ statuses, views })
    await writeStatuses(statuses, conditions, gathered.uids, parts)
  }
  if (fleets.some(({ view }) => closesAnew(view, seen))) await tellAll(await lookAt([...fleets, ...staying], refusals, parts))
  await several(fleets.filter(({ view }) => !unmade.has(titleOf(view.relay))), (fleet) => applyFleet(fleet, parts, making))
  const leaving = await lookAtLeaving(new Set(fleets.map(({ view }) => keyOf(view.relay))), leavingParts(parts), refusals.attempt)
  const views = await lookAt([...fleets, ...staying], refusals, parts)
  for (const look of views) {
    await refusals.attempt('MailRelay', keyOf(look.view.relay), () => poke(look, parts))
    await refusals.attempt('MailRelay', keyOf(look.view.relay), () => lookAtServers(look, parts))
  }
  parts.pokes.keep(new Set(watched.all(pods).map(keyOfObject)))
  await tellAll(views, leaving)
  await writeGroundless(gathered.manifests, leaving, parts)
  parts.keys.endRun()
  const targets = await Promise.all(views.map((look) => refusals.guard('MailRelay', keyOf(look.view.relay), () => Promise.resolve(targetOf(look, watched)))))
  const nextTry = prober.look(targets.filter((target) => target !== undefined))
  const againAfter = Math.min(faults.end(), passing.end())
  if (noteWhatBearsOnThePlan(views, seen, parts)) return 0
  const isUnderWay = views.some((view) => !held.has(keyOf(view.view.relay)) && !isSettled(view))
  return Math.min(nextTry, againAfter, isUnderWay ? 1_000 : leaving.size > 0 ? 5_000 : 30_000)
}

type Looked = Omit<Fleet, 'snapshot'> & { readonly observed: Observed; readonly attempts: ReturnType<StrangerParts['prober']['attempts']> }

const lookAt = async (fleets: readonly Fleet[], { guard }: Refusals, parts: ReconcileParts): Promise<Looked[]> =>
  (await Promise.all(fleets.map((fleet) => guard('MailRelay', keyOf(fleet.view.relay), () => lookAtOne(fleet, parts))))).filter((look) => look !== undefined)

const lookAtOne = async ({ view, snapshot, revision, admitted }: Fleet, { watched, memory, prober, now }: ReconcileParts): Promise<Looked> => ({ view, revision, admitted, observed: { ...memory.recall(keyOf(view.relay), await observe(view, watched), now().getTime()), volume: snapshot.relay.queueBytes }, attempts: prober.attempts(keyOf(view.relay)) })

/** Whether the pods said something that changes whom a relay may trust. */
const noteWhatBearsOnThePlan = (views: readonly Looked[], seen: Seen, { memory, say }: ReconcileParts): boolean =>
  views
    .map(({ view, revision, observed }) => {
      const routers = memory.noteGateways(keyOf(view.relay), observed)
      const found = memory.noteClients(view, revision, observed, seen)
      for (const { relay, listener, address } of found) say({ event: 'NODE_ADDRESS_SEEN', relay, listener, address })
      return routers || found.length > 0
    })
    .includes(true)

/** `uids`: by title, of which objects the plan is made. */
const gather = async ({ watched, store }: ReconcileParts): Promise<FromCluster & { readonly uids: Uids }> => {
  const isThere = (object: KubeObject): boolean => !namespaceEnds(object, watched) && (!isLeaving(object) || hasToStay(object))
  const objects = [...ourKinds, namespaces].flatMap((resource) => watched.all(resource).filter(isThere).map((object) => ({ apiVersion: apiVersionOf(resource), kind: resource.kind, object })))
  const named = await store.read(secretsNamed(gatherCluster(objects, []).manifests))
  const secretsRead: Secret[] = [...named.found].map(([key, data]) => ({ namespace: key.split('/')[0]!, name: key.split('/')[1]!, data }))
  const uids = new Map(objects.map(({ kind, object }) => [`${kind} ${keyOfObject(object)}`, object.metadata.uid]))
  return { ...gatherCluster(objects, secretsRead, named.refused), uids }
}

/** By MailRelay that is to stay as it is: who is at fault there, or needs a Secret that may not be read and is not in its snapshot as before. */
const heldIn = (refusals: Refusals, snapshots: Plan['snapshots'], { faults, watched }: ReconcileParts): Map<string, string[]> => {
  const liveOf = (title: string): { readonly kind: KindName; readonly live: KubeObject | undefined } => {
    const [kind, key] = title.split(' ') as [KindName, string]
    return { kind, live: watched.get(ourKinds.find((one) => one.kind === kind)!, key) }
  }
  const asBefore = new Map(snapshots.map((one) => [one.relay, one.asBefore]))
  const held = new Map<string, string[]>()
  for (const title of [...faults.found(), ...refusals.held.keys()]) {
    const { kind, live } = liveOf(title)
    if (live === undefined) continue
    const { name, namespace = '' } = live.metadata
    for (const key of ranAt({ kind, metadata: { name, namespace }, status: live.status }, watched.all(relayResource).map(keyOfObject), (other) => liveOf(other).live?.status)) if (!asBefore.get(key)?.has(title)) held.set(key, [...(held.get(key) ?? []), title])
  }
  return held
}

/** A fault of ours before all else. */
const whyHeld = (titles: readonly string[], { held }: Refusals): Refusal => {
  const atFault = titles.filter((title) => !held.has(title))
  const [first] = titles
  return atFault.length > 0 ? faultInWords(atFault) : { ...held.get(first!)!, message: `${first!}: ${held.get(first!)!.message}` }
}

/** Of those that nothing holds up. */
const fleetsOf = async (snapshots: Plan['snapshots'], held: ReadonlyMap<string, unknown>, { guard }: Refusals, parts: ReconcileParts): Promise<Fleet[]> => {
  const fleets: Fleet[] = []
  for (const { relay, view, snapshot } of snapshots) {
    const fleet = held.has(relay) ? undefined : await guard('MailRelay', relay, async () => fleetOf(view, snapshot, parts))
    if (fleet) fleets.push(fleet)
  }
  return fleets
}

/** What the rules would let through by mistake is closed before anybody runs it. A plan that says what it said before is not proven and packed again. */
const fleetOf = (view: RelayView, input: SnapshotInput, { proven }: ReconcileParts): Fleet => {
  const planned = revisionOf(input)
  const before = proven.get(keyOf(view.relay))
  const known = before?.planned === planned ? { ...before, view } : { planned, view, ...proofOf(parseSnapshot(input)) }
  proven.set(keyOf(view.relay), known)
  return known
}

const proofOf = (planned: Snapshot): Omit<Fleet, 'view'> => {
  const admitted = strangersAdmitted(planned)
  const snapshot = admitted.length === 0 ? planned : closedTo(planned, admitted)
  return { snapshot, revision: revisionOf(snapshot), admitted: admittedInWords(admitted) }
}

const makingFor = ({ store, applier, watched, now, records, keys, notes }: ReconcileParts, refusals: Refusals): MakeOptions => ({
  store,
  refusals,
  applier,
  now: now(),
  running: (key) => runningConfig(watched.get(made.statefulSet, key)),
  owner: (kind, key) => {
    const resource = ourKinds.find((one) => one.kind === kind)!
    const live = watched.get(resource, key)
    return live === undefined ? [] : [ownedBy(kind, live)]
  },
  sees: (domain, record) => records.sees(domain, record),
  newKey: keys.forRun(),
  tell: (kind, key, { reason, text }) => {
    const live = watched.get(ourKinds.find((one) => one.kind === kind)!, key)
    if (live !== undefined) void notes.tell({ about: aboutOf(kind, live), type: 'Normal', reason, action: 'RotateKeys', text })
  },
})

/** Not blocking: a deletion in the foreground would else take the pods of a MailRelay that waits for its mail, as often as they are made again. */
const ownedBy = (kind: string, { metadata: { name, uid } }: KubeObject) => ({ apiVersion, kind, name, uid: uid!, controller: true, blockOwnerDeletion: false })

const relayResource = ourKinds.find(({ kind }) => kind === 'MailRelay')!

/** Of a relay for which something could not be made nothing is written: what runs would lose it. One object that is refused does not hold up the others; one that is refused slowly does until the next look, for each may take as long. */
const applyFleet = async ({ view, snapshot }: Fleet, parts: ReconcileParts, making: MakeOptions): Promise<void> => {
  const { watched, applier, store, settings } = parts
  const key = keyOf(view.relay)
  const live = watched.get(relayResource, key)
  if (live === undefined) return // gone since the look at it
  const attempt = <T>(work: () => Promise<T>): Promise<T | undefined> => making.refusals.attempt('MailRelay', key, work)
  const secretsOfQueue = await attempt(async () => {
    if (!(await keepFinalizer(live, leavingParts(parts)))) return undefined
    return queueSecretsOf(view, settings.clusterDomain, making)
  })
  if (secretsOfQueue === undefined) return
  const { before, logins } = secretsOfQueue
  const objects = objectsOf(view, snapshot, logins, settings)
  for (const { resource, object } of objects) {
    const there = watched.get(resource, keyOfObject(object))
    const owned = { ...withItsClaims(object, there), metadata: { ...object.metadata, ownerReferences: [ownedBy('MailRelay', live)] } }
    const began = performance.now()
    const isLogin = resource === secrets && object.metadata.name === queueLoginName(view.relay)
    const isMade = await attempt(() => (isLogin ? store.keep(applier, owned, before, decodedOf(owned)) : applier.apply({ resource, object: owned }, there)))
    if (isMade === undefined && performance.now() - began > slowMs) return
  }
  if (!making.refusals.hindered(titleOf(view.relay))) await attempt(() => removeOrphans(view, objects, parts))
}

/** What we made for this relay and no longer want: a snapshot Secret too many, what an operator of before left. Volumes stay. */
const removeOrphans = async ({ relay }: RelayView, wanted: readonly Wanted[], { watched, applier }: ReconcileParts): Promise<void> => {
  const kept = new Set(wanted.map(({ resource, object }) => `${resource.kind} ${keyOfObject(object)}`))
  for (const resource of [...Object.values(made), secrets])
    for (const object of watched.all(resource)) {
      const isItsOwn = object.metadata.namespace === relay.metadata.namespace && isPartOf(relay, object)
      if (isItsOwn && !kept.has(`${resource.kind} ${keyOfObject(object)}`)) await applier.remove(resource, object)
    }
}

/** A changed annotation of the pod makes its kubelet look at the mounted Secret at once. */
const poke = async ({ view: { relay }, revision, observed }: Looked, { watched, kube, pokes, now }: ReconcileParts): Promise<void> => {
  const labels = Object.entries(selectorOf(relay, 'relay'))
  for (const pod of watched.all(pods)) {
    const { namespace, name, annotations = {}, deletionTimestamp } = pod.metadata
    const isOurs = namespace === relay.metadata.namespace && labels.every(([label, value]) => pod.metadata.labels?.[label] === value)
    if (!isOurs || deletionTimestamp !== undefined) continue
    const annotated = annotations[revisionAnnotation]
    const runs = observed.pods.find((one) => one.name === name)?.revision
    if (!pokes.isDue({ name: keyOfObject(pod), annotated, runs }, revision, now().getTime())) continue
    const asked = annotated === revision ? { [askedAgainAnnotation]: now().toISOString() } : { [revisionAnnotation]: revision }
    await kube.call({ method: 'PATCH', path: pathOf(pods, { namespace, name }), contentType: 'application/merge-patch+json', body: { metadata: { annotations: asked } } }).catch(ifGone)
  }
}

/** A server that waits for itself would do so until a person saw it. */
const lookAtServers = async ({ view, observed }: Looked, parts: ReconcileParts): Promise<void> => {
  const restart = await restartStuck(view, observed, parts)
  if (restart === undefined) return
  const { pod: { name: server }, times } = restart
  parts.say({ event: 'QUEUE_SERVER_STUCK', relay: keyOf(view.relay), server, minutes: minutesIn(restart), before: times })
  const live = parts.watched.get(relayResource, keyOf(view.relay))
  if (live !== undefined) await parts.notes.tell({ about: aboutOf('MailRelay', live), type: 'Warning', reason: 'QueueServerStuck', action: 'RestartServer', text: stuckInWords(restart) })
}

const leavingParts = ({ kube, watched, notes }: ReconcileParts): LeavingParts => ({ kube, watched, notes, relays: relayResource })

/** MailRelays that only wait, with nothing planned for them any more: their namespace goes, or they cannot be read. */
const writeGroundless = async (planned: FromCluster['manifests'], leaving: Awaited<ReturnType<typeof lookAtLeaving>>, parts: ReconcileParts): Promise<void> => {
  const known = new Set(planned.filter(({ kind }) => kind === 'MailRelay').map(keyOf))
  for (const [key, statement] of leaving) {
    const live = parts.watched.get(relayResource, key)
    if (known.has(key) || live === undefined) continue
    const observedGeneration = live.metadata.generation ?? 0
    await statusRefusals(parts).attempt('MailRelay', key, () => parts.applier.status(relayResource, live, { observedGeneration, conditions: [{ ...statement, observedGeneration }, { ...statement, type: 'Ready', observedGeneration }] }, timeOf(parts)))
  }
}

const ifGone = (error: unknown): void => {
  if ((error as { status?: number }).status !== 404) throw error
}

const isSettled = ({ view, revision, observed }: { view: RelayView; revision: string; observed: Observed }): boolean =>
  observed.pods.length === view.relay.spec.replicas && observed.pods.every((pod) => pod.revision === revision && pod.durable?.ok === true && pod.ready)

const timeOf = ({ now }: Pick<ReconcileParts, 'now'>): string => now().toISOString().replace(/\.\d+Z$/, 'Z')

/** Of an object made anew under its name since the plan was made nothing is said: it is planned next. */
const writeStatuses = async (statuses: readonly Status[], conditions: readonly Condition[], planned: Uids, parts: ReconcileParts): Promise<void> => {
  const { watched, applier } = parts
  const told = Map.groupBy(conditions, ({ object }) => titleOfRef(object))
  const write = async (one: Status): Promise<void> => {
    const { object, status } = one
    const resource = ourKinds.find(({ kind }) => kind === object.kind)!
    const live = watched.get(resource, keyOf({ metadata: object }))
    if (watched.isNarrowed && !resource.namespaced) return // several may look after parts of one cluster
    if (live === undefined || live.metadata.uid !== planned.get(titleOfRef(object)) || !(await isSaid(one, () => applier.status(resource, live, status, timeOf(parts)), parts))) return
    const all = await statusRefusals(parts).guard(object.kind, keyOf({ metadata: object }), async () => newsOf(one, live.status, told.get(titleOfRef(object)) ?? []))
    for (const news of all ?? []) await tell(news, parts)
  }
  await several(statuses, write)
}

/** Of what is at fault the status is written all the same: it says so. */
const statusRefusals = ({ faults, passing }: ReconcileParts): Refusals => createRefusals({ waits: () => false, note: (title, error) => faults.note(title, error) }, passing)

/** A status that is refused is said in the log: it must not keep others from theirs. */
const isSaid = async ({ object }: Status, write: () => Promise<boolean>, parts: ReconcileParts): Promise<boolean> => {
  const refusals = statusRefusals(parts)
  const written = await refusals.attempt(object.kind, keyOf({ metadata: object }), write)
  for (const [title, { message }] of refusals.found) parts.say({ event: 'STATUS_REFUSED', object: title, why: message })
  return written === true
}

const aboutOf = (kind: string, { metadata: { name, namespace, uid } }: KubeObject): Note['about'] => ({ apiVersion, kind, name, ...(namespace !== undefined && { namespace }), ...(uid !== undefined && { uid }) })

const tell = async ({ about, reason, text }: News, { watched, notes }: ReconcileParts): Promise<void> => {
  const live = watched.get(ourKinds.find(({ kind }) => kind === about.kind)!, keyOf({ metadata: about }))
  if (live !== undefined) await notes.tell({ about: aboutOf(about.kind, live), type: 'Warning', reason, action: 'Plan', text })
}
