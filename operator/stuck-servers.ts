// Deletes the pod of a queue's server that waits for itself: its StatefulSet makes it anew. Reads caches, deletes pods.
import { deleteObject, type Kube } from './kube/index.ts'
import type { Memory } from './memory.ts'
import { podsOf } from './observe.ts'
import { keyOf, type Observed, type RelayView } from './plan/index.ts'
import { pods, type Watched } from './watched.ts'

export type StuckParts = { readonly kube: Kube; readonly watched: Watched; readonly memory: Memory; readonly now: () => Date }

/** Returns its name, where there is one. */
export const restartStuck = async ({ relay }: Pick<RelayView, 'relay'>, observed: Observed, { kube, watched, memory, now }: StuckParts): Promise<string | undefined> => {
  const servers = podsOf({ relay }, 'queue', watched).map((pod) => ({ name: pod.metadata.name, uid: pod.metadata.uid!, pod }))
  const restart = memory.noteServers(keyOf(relay), servers, observed, now().getTime())
  const found = servers.find(({ uid }) => uid === restart?.uid)
  if (found !== undefined) await deleteObject(kube, pods, found.pod)
  return found?.name
}
