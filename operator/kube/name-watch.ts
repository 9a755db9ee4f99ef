// Follows a few objects by name, where the collection may not be listed: reads each again and again. Requests only.
import { setTimeout as sleep } from 'node:timers/promises'
import { readOne } from './apply.ts'
import { KubeError, noAnswer, waitBefore } from './kube-error.ts'
import type { Feed } from './list-watch.ts'
import type { Kube } from './request.ts'
import type { KubeObject, Resource } from './resource.ts'

export type NameWatchOptions = {
  readonly kube: Kube
  readonly resource: Resource
  /** Of objects that belong to no namespace. */
  readonly names: readonly string[]
  readonly feed: Feed
  readonly onTrouble?: (error: KubeError) => void
  /** How long between two looks; 30 s if absent. */
  readonly everyMs?: number
  readonly random?: () => number
}

/** Ends only by the signal. */
export const nameWatch = async (options: NameWatchOptions, signal: AbortSignal): Promise<void> => {
  const { feed, onTrouble, everyMs = 30_000, random = Math.random } = options
  let known: KubeObject[] | undefined
  for (let failures = 0; !signal.aborted; ) {
    try {
      const found = await readAll(options)
      if (known === undefined) feed.replace(found)
      else tell(feed, known, found)
      known = found
      failures = 0
    } catch (error) {
      failures += 1
      onTrouble?.(error instanceof KubeError ? error : noAnswer('read', String((error as Error).stack)))
    }
    await sleep(failures === 0 ? everyMs : waitBefore(failures, undefined, random()), undefined, { signal }).catch(() => undefined)
  }
}

const readAll = async ({ kube, resource, names }: NameWatchOptions): Promise<KubeObject[]> => {
  const found = await Promise.all(names.map((name) => readOne(kube, resource, { name })))
  return found.filter((one) => one !== undefined)
}

const tell = (feed: Feed, before: readonly KubeObject[], now: readonly KubeObject[]): void => {
  const names = new Set(now.map(({ metadata: { name } }) => name))
  for (const object of now) feed.upsert(object)
  for (const object of before) if (!names.has(object.metadata.name)) feed.remove(object)
}
