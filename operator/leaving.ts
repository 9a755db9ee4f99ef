// The finalizer of MailRelays: put on before anything of theirs is made, taken off when no mail could be lost with them. Reads pods, writes the finalizer.
import { setTimeout as sleep } from 'node:timers/promises'
import { KubeError, keyOfObject, pathOf, type Kube, type KubeObject, type Notes, type Resource } from './kube/index.ts'
import { observeLeaving } from './observe.ts'
import { discardAnnotation, judgeLeaving, type Leaving, type Statement } from './plan/index.ts'
import type { Refusals } from './refusals.ts'
import { namespaces, type Watched } from './watched.ts'

export const queueFinalizer = 'posthouse.dev/queue'
/** Between two looks that must both find the queue empty. */
const settleMs = 3_000

export type LeavingParts = { readonly kube: Kube; readonly watched: Watched; readonly notes: Notes; readonly relays: Resource }

/** Of an object or its namespace. */
export const isLeaving = ({ metadata }: KubeObject): boolean => metadata.deletionTimestamp !== undefined
export const namespaceEnds = ({ metadata: { namespace } }: KubeObject, watched: Watched): boolean => {
  const live = namespace === undefined ? undefined : watched.get(namespaces, namespace)
  return live !== undefined && isLeaving(live)
}
/** A MailRelay that is being deleted and still has to deliver. */
export const hasToStay = (live: KubeObject): boolean => isLeaving(live) && holdsIt(live)

const holdsIt = ({ metadata: { finalizers = [] } }: KubeObject): boolean => finalizers.includes(queueFinalizer)

/** Before the first object of a MailRelay: from then on there may be mail. False: not this time, it was changed meanwhile. */
export const keepFinalizer = async (live: KubeObject, parts: LeavingParts): Promise<boolean> => {
  if (isLeaving(live) || holdsIt(live)) return true
  return writeFinalizers(live, [...(live.metadata.finalizers ?? []), queueFinalizer], parts)
}

/** Lets those go that may, and says of the others why they wait. `inForce`: keys of those whose pods were told to take no more mail. One that is refused holds up no other. */
export const lookAtLeaving = async (inForce: ReadonlySet<string>, parts: LeavingParts, attempt: Refusals['attempt']): Promise<Map<string, Omit<Statement, 'observedGeneration'>>> => {
  const told = new Map<string, Omit<Statement, 'observedGeneration'>>()
  await Promise.all(parts.watched.all(parts.relays).filter(hasToStay).map(async (live) => {
    const statement = await attempt('MailRelay', keyOfObject(live), () => lookAt(live, inForce.has(keyOfObject(live)), parts))
    if (statement) told.set(keyOfObject(live), statement)
  }))
  return told
}

/** undefined: it was let go. */
const lookAt = async (live: KubeObject, inForce: boolean, parts: LeavingParts): Promise<Omit<Statement, 'observedGeneration'> | undefined> => {
  const look = async () => judgeLeaving(await seenOf(live, inForce, parts.watched))
  let verdict = await look()
  if (verdict.go === 'if-it-stays-so') {
    await sleep(settleMs)
    verdict = await look()
  }
  if (verdict.go === 'no') {
    await tell(live, verdict.statement, parts)
    return verdict.statement
  }
  await writeFinalizers(live, (live.metadata.finalizers ?? []).filter((one) => one !== queueFinalizer), parts)
  return undefined
}

const seenOf = async (live: KubeObject, inForce: boolean, watched: Watched): Promise<Leaving> => {
  const { name, namespace = '', annotations = {} } = live.metadata
  const { replicas = 0, paused = false } = (live.spec ?? {}) as { replicas?: number; paused?: boolean }
  return { namespace, name, discard: annotations[discardAnnotation] === 'true', namespaceEnds: namespaceEnds(live, watched), inForce, paused, replicas, pods: await observeLeaving({ namespace, name }, watched) }
}

/** Only where nobody changed the object meanwhile: another's finalizer must not get lost. False: who was too late looks again, or need not, for it is gone. */
const writeFinalizers = async (live: KubeObject, finalizers: readonly string[], { kube, relays }: LeavingParts): Promise<boolean> => {
  const { namespace, name, resourceVersion } = live.metadata
  try {
    await kube.call({ method: 'PATCH', path: pathOf(relays, { namespace, name }), contentType: 'application/merge-patch+json', body: { metadata: { resourceVersion, finalizers } } })
    return true
  } catch (error) {
    if (error instanceof KubeError && (error.status === 404 || error.status === 409)) return false
    throw error
  }
}

/** Once per reason, which the status then has: the count in the words changes all the time, and is in the condition. */
const tell = async ({ metadata: { name, namespace, uid }, status }: KubeObject, { reason, message }: Omit<Statement, 'observedGeneration'>, { notes, relays }: LeavingParts): Promise<void> => {
  const { conditions = [] } = (status ?? {}) as { conditions?: readonly Statement[] }
  const before = conditions.find(({ type }) => type === 'Drained')
  if (reason === 'QueueClosing' || uid === undefined || before?.reason === reason) return
  await notes.tell({ about: { apiVersion: `${relays.group}/${relays.version}`, kind: relays.kind, name, ...(namespace !== undefined && { namespace }), uid }, type: 'Warning', reason, action: 'Delete', text: message })
}
