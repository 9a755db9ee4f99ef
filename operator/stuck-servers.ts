// Deletes the pod of a queue's server that waits for itself: its StatefulSet makes it anew. Reads caches, deletes pods.
import { deleteObject, KubeError, type Kube, type KubeObject } from './kube/index.ts'
import type { Memory } from './memory.ts'
import { isReady, podsOf } from './observe.ts'
import { keyOf, queueLoginName, serversOf, type Observed, type QueueServers, type RelayView, type Restart, type ServerPod } from './plan/index.ts'
import { made, pods, type Watched } from './watched.ts'

export type StuckParts = { readonly kube: Kube; readonly watched: Watched; readonly memory: Memory; readonly now: () => Date }

/** Returns which, where there is one. */
export const restartStuck = async ({ relay }: Pick<RelayView, 'relay'>, observed: Observed, { kube, watched, memory, now }: StuckParts): Promise<Restart | undefined> => {
  const set = watched.get(made.statefulSet, `${relay.metadata.namespace}/${queueLoginName(relay)}`)
  if (set === undefined || set.metadata.deletionTimestamp !== undefined) return undefined // nobody would make it anew
  const found = podsOf({ relay }, 'queue', watched)
  const at = now().getTime()
  const servers: QueueServers = { pods: found.map(serverIn), wanted: serversOf(relay), isUpdating: isUpdating(set, found) }
  const restart = memory.noteServers(keyOf(relay), servers, observed, at)
  const pod = found.find(({ metadata: { uid } }) => uid === restart?.pod.uid)
  if (restart === undefined || pod === undefined) return undefined
  const isDone = await deleteObject(kube, pods, pod, 'unchanged').catch((error: unknown) => {
    if (!isForbidden(error)) memory.noteRestart(keyOf(relay), restart, at) // it may have been done all the same: no other one at once
    throw error
  })
  if (isDone) memory.noteRestart(keyOf(relay), restart, at)
  else memory.forgetStuck(keyOf(relay)) // a try without an answer may have done it, or it has come to itself: to be seen for as long again
  return isDone ? restart : undefined
}

export const minutesIn = ({ stuckMs }: Restart): number => Math.floor(stuckMs / 60_000)

/** For a person, in an Event. */
export const stuckInWords = (restart: Restart): string => {
  const { pod, times } = restart
  const again = times === 0 ? '' : `; it was begun anew ${times === 1 ? 'once' : `${times} times`} in the last hours and hung again`
  return `server ${pod.name} of the queue was up and said nothing about its streams for ${minutesIn(restart)} minutes: its pod was deleted, so that it begins anew${again}. Look whether its volume is full: until there is room it may hang again`
}

type PodStatus = { readonly containerStatuses?: readonly { readonly restartCount?: number }[] }

const serverIn = (pod: KubeObject): ServerPod => {
  const { containerStatuses = [] } = (pod.status ?? {}) as PodStatus
  const starts = containerStatuses.reduce((sum, { restartCount = 0 }) => sum + restartCount, 0)
  return { name: pod.metadata.name, uid: pod.metadata.uid!, starts, ready: isReady(pod) }
}

const revisionLabel = 'controller-revision-hash'

/** It has not seen yet what is wanted, or has pods of before. */
const isUpdating = ({ metadata: { generation }, status }: KubeObject, found: readonly KubeObject[]): boolean => {
  const { observedGeneration, updateRevision } = (status ?? {}) as { readonly observedGeneration?: number; readonly updateRevision?: string }
  return (observedGeneration !== undefined && observedGeneration !== generation) || (updateRevision !== undefined && found.some(({ metadata: { labels = {} } }) => labels[revisionLabel] !== updateRevision))
}

const isForbidden = (error: unknown): boolean => error instanceof KubeError && error.status === 403
