// Follows one collection: all there is, then what changes, for ever. Whatever ends a watch, it goes on from where it was; where that is gone, it starts anew.
//   1. a watch that begins with all there is, object by object, up to a mark; from a server that has no such watch, a list in pages
//   2. watch from that version   3. a line is an event; a bookmark moves the version
//   4. trouble waits, doubling, and starts at 2, or at 1 after 410, or where the server has gone back behind that version: a backup was put in its place
import type { IncomingMessage } from 'node:http'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as sleep } from 'node:timers/promises'
import { KubeError, noAnswer, waitBefore } from './kube-error.ts'
import { onlyMetadata, type Call, type Kube } from './request.ts'
import { keyOfObject, pathOf, type KubeObject, type Resource } from './resource.ts'

/** What is told, in order; `replace` first. */
export type Feed = {
  /** Everything there is, at once: what is missing here is gone. */
  replace(objects: readonly KubeObject[]): void
  upsert(object: KubeObject): void
  remove(object: KubeObject): void
}

export const watchEnds = ['ended', 'silent', 'expired', 'failed'] as const
export type WatchEnd = (typeof watchEnds)[number]

export type ListWatchOptions = {
  readonly kube: Kube
  readonly resource: Resource
  readonly namespace?: string | undefined
  readonly labelSelector?: string
  /** Only the metadata travels: for Secrets, whose contents nobody should list. */
  readonly metadataOnly?: boolean
  readonly feed: Feed
  readonly onTrouble?: (error: KubeError) => void
  /** A watch is over and another one begins: the server ended it, it was silent for long, its version is gone, or something failed. */
  readonly onRestart?: (why: WatchEnd) => void
  /** A watch that says nothing for so long, not even a bookmark, may be dead, and another one begins; 90 s if absent. Some servers say nothing while nothing changes. */
  readonly silenceMs?: number
  readonly random?: () => number
}

const pageSize = 500

/** Ends only by the signal. */
export const listWatch = async (options: ListWatchOptions, signal: AbortSignal): Promise<void> => {
  const random = options.random ?? Math.random
  let version: string | undefined
  let failures = 0
  let streams = true // until the server shows that it has no such watch
  let wasAway = false
  let backs = 0 // for ever: from a server whose versions do not grow, what is read well proves nothing
  while (!signal.aborted) {
    try {
      if (wasAway && version !== undefined) await refuseBack(options, version, signal)
      wasAway = false
      if (!streams) version ??= await listAll(options, signal)
      for await (const seen of watchFrom(options, version, signal)) {
        if (isOlder(seen, version)) throw wentBack(options, version, seen)
        version = seen
        failures = 0
      }
      options.onRestart?.('ended')
      failures += 1 // a watch that ends at once, again and again, must not become a storm
      if (failures > 1) await pause(waitBefore(failures, undefined, random()), signal)
    } catch (error) {
      if (signal.aborted) return
      wasAway = true
      if (version === undefined && streams && cannotStream(error)) {
        streams = false
        continue
      }
      if (error instanceof Silence) {
        options.onRestart?.('silent')
        failures = 0 // it was long enough
        continue
      }
      const trouble = error instanceof KubeError ? error : noAnswer('watch', String((error as Error).stack))
      options.onRestart?.(trouble.status === 410 ? 'expired' : 'failed')
      if (trouble.status === 410) version = undefined
      if (trouble.status !== 410 || trouble.reason === isBack) options.onTrouble?.(trouble)
      if (trouble.reason === isBack) backs += 1
      failures = Math.max(failures + 1, trouble.reason === isBack ? backs : 0)
      await pause(waitBefore(failures, trouble.retryAfterMs, random()), signal)
    }
  }
}

/** Refused, as by a server that does not know it or has it switched off; or the mark did not come in time, as from one that passes over what it does not know. */
const cannotStream = (error: unknown): boolean => error instanceof Silence || (error instanceof KubeError && (error.status === 400 || error.status === 422))

const pause = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms, undefined, { signal }).catch(() => undefined)

type List = { readonly metadata: { readonly resourceVersion: string; readonly continue?: string }; readonly items: readonly KubeObject[] | null }

/** All pages, then `replace`; the version to watch from. A page that came too late (410) starts the list anew. */
const listAll = async (options: ListWatchOptions, signal: AbortSignal): Promise<string> => {
  const objects: KubeObject[] = []
  let next: string | undefined
  for (;;) {
    const page = await options.kube.call<List>({ ...ask(options, 'List'), query: { ...queryOf(options), limit: pageSize, continue: next }, signal })
    for (const item of page.items ?? []) objects.push(item)
    next = page.metadata.continue || undefined
    if (next !== undefined) continue
    options.feed.replace(objects)
    return page.metadata.resourceVersion
  }
}

/** From a version that a server has not reached a watch says nothing, not even what it had forgotten: it has to be asked. */
const refuseBack = async (options: ListWatchOptions, version: string, signal: AbortSignal): Promise<void> => {
  const { metadata } = await options.kube.call<List>({ ...ask(options, 'List'), query: { ...queryOf(options), limit: 1 }, signal, tries: 1 })
  if (isOlder(metadata.resourceVersion, version)) throw wentBack(options, version, metadata.resourceVersion)
}

/** Versions of one collection grow; where they are no numbers nobody can say. */
const isOlder = (one: string, than = ''): boolean => [one, than].every((version) => /^\d+$/.test(version)) && BigInt(one) < BigInt(than)

const isBack = 'WentBack'
const wentBack = ({ resource }: ListWatchOptions, from = '', to: string): KubeError =>
  new KubeError({ status: 410, reason: isBack, message: `watch of ${resource.plural}: the server went back from version ${from} to ${to}, as after a backup was put in its place; all is read anew` })

const ask = ({ resource, namespace, metadataOnly }: ListWatchOptions, list: '' | 'List'): Call => ({
  path: pathOf(resource, { namespace }),
  ...(metadataOnly === true && { accept: onlyMetadata(list) }),
})
const queryOf = ({ labelSelector }: ListWatchOptions): NonNullable<Call['query']> => ({ labelSelector })

type Event = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'; readonly object: KubeObject & { readonly code?: number; readonly reason?: string; readonly message?: string } }

/** Yields the version after each event; ends when the server ends the watch, which it does every few minutes. Without a version it begins with all there is. */
async function* watchFrom(options: ListWatchOptions, version: string | undefined, signal: AbortSignal): AsyncGenerator<string> {
  const random = options.random ?? Math.random
  const silenceMs = options.silenceMs ?? 90_000
  const from = version === undefined ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' } : { resourceVersion: version }
  const query = { ...queryOf(options), watch: true, ...from, allowWatchBookmarks: true, timeoutSeconds: 240 + Math.round(random() * 60) }
  const answer = await options.kube.open({ ...ask(options, ''), query, timeoutMs: silenceMs, signal })
  const tooSlow = version === undefined ? setTimeout(() => answer.destroy(new Silence()), silenceMs) : undefined
  try {
    const events = eventsOf(answer, silenceMs, options.resource)
    if (version === undefined) yield await tellBeginning(events, options.feed)
    clearTimeout(tooSlow)
    for await (const { type, object } of events) {
      if (type === 'DELETED') options.feed.remove(object)
      else if (type !== 'BOOKMARK') options.feed.upsert(object)
      yield object.metadata.resourceVersion!
    }
  } finally {
    clearTimeout(tooSlow)
    answer.destroy()
  }
}

/** Everything at once, when the mark has come that ends it; what changes meanwhile is among it. The version of the mark. */
const tellBeginning = async (events: AsyncGenerator<Event>, feed: Feed): Promise<string> => {
  const all = new Map<string, KubeObject>()
  for (let next = await events.next(); next.done !== true; next = await events.next()) {
    const { type, object } = next.value
    if (type === 'DELETED') all.delete(keyOfObject(object))
    else if (type !== 'BOOKMARK') all.set(keyOfObject(object), object)
    else if (object.metadata.annotations?.['k8s.io/initial-events-end'] === 'true') {
      feed.replace([...all.values()])
      return object.metadata.resourceVersion!
    }
  }
  throw noAnswer('watch', `it ended after ${all.size} objects, before it had told all there is`)
}

async function* eventsOf(answer: IncomingMessage, silenceMs: number, { plural }: Resource): AsyncGenerator<Event> {
  for await (const line of linesOf(answer, silenceMs)) {
    const event = eventIn(line)
    const { code, reason, message } = event.object
    if (event.type === 'ERROR') throw new KubeError({ status: code ?? 0, reason: reason ?? 'Unknown', message: `watch of ${plural}: ${message ?? 'an error without words'}` })
    yield event
  }
}

class Silence extends Error {}

const eventIn = (line: string): Event => {
  try {
    return JSON.parse(line) as Event
  } catch {
    throw noAnswer('watch', `an event is no JSON: ${line.slice(0, 100)}`)
  }
}

/** Whole lines; half a line at the end is dropped: its event comes again from the version before it. */
async function* linesOf(answer: IncomingMessage, silenceMs: number): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  const timer = setTimeout(() => answer.destroy(new Silence()), silenceMs)
  let rest = ''
  try {
    for await (const piece of answer) {
      timer.refresh()
      const lines = (rest + decoder.write(piece as Buffer)).split('\n')
      rest = lines.pop()!
      yield* lines.filter((line) => line !== '')
    }
  } catch (error) {
    throw error instanceof KubeError || error instanceof Silence ? error : noAnswer('watch', (error as Error).message)
  } finally {
    clearTimeout(timer)
  }
}
