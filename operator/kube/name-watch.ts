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

/** Ends only by the signal. One that cannot be read stays as it was, and holds up no other, but for the first look: before it, what is not here may be there all the same. */
export const nameWatch = async (options: NameWatchOptions, signal: AbortSignal): Promise<void> => {
  const { feed, onTrouble, everyMs = 30_000, random = Math.random } = options
  const names = [...new Set(options.names)]
  const known = new Map<string, KubeObject | undefined>()
  let isTold = false
  for (let failures = 0; !signal.aborted; ) {
    const looks = await Promise.all(names.map((name) => look(options, name)))
    for (const { name, found, error } of looks) {
      if (error !== undefined) onTrouble?.(error)
      else if (isTold) tell(feed, known.get(name), found)
      if (error === undefined) known.set(name, found)
    }
    if (!isTold && known.size === names.length) feed.replace([...known.values()].filter((one) => one !== undefined))
    isTold ||= known.size === names.length
    failures = looks.some(({ error }) => error !== undefined) ? failures + 1 : 0
    await sleep(failures === 0 ? everyMs : waitBefore(failures, undefined, random()), undefined, { signal }).catch(() => undefined)
  }
}

type Look = { readonly name: string; readonly found?: KubeObject | undefined; readonly error?: KubeError }

const look = ({ kube, resource }: NameWatchOptions, name: string): Promise<Look> =>
  readOne(kube, resource, { name }).then((found) => ({ name, found }), (error: unknown) => ({ name, error: error instanceof KubeError ? error : noAnswer('read', String((error as Error).stack)) }))

const tell = (feed: Feed, before: KubeObject | undefined, now: KubeObject | undefined): void => {
  if (now !== undefined) feed.upsert(now)
  else if (before !== undefined) feed.remove(before)
}
