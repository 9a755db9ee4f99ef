// Makes the cluster as the plan wants it, with as few requests as that takes: what is as we left it is not written again.
import { createHash } from 'node:crypto'
import { applyObject, applyStatus, deleteObject, keyOfObject, notThere, readOne, type Kube, type KubeObject, type Resource } from '../kube/index.ts'
import { isTaken, type Wanted } from '../plan/index.ts'
import { isRefusal, NameTaken } from '../refusals.ts'

/** What we wrote last, and the mark the object had then: another mark means that somebody changed it. `over`: the version we wrote over, which the cache has until it is told of ours; later it comes back only with a backup of etcd. */
type Written = { readonly hash: string; readonly mark: string; readonly over: string | undefined }
/** What was refused, of which object as it was: not asked for again at once. */
type Refused = { readonly hash: string; readonly mark: string | undefined; readonly error: unknown; readonly until: number }

const askAgainMs = 30_000
/** What takes its time to be refused must not take that of the others. */
const askAgainAfter = (tookMs: number): number => Math.min(Math.max(askAgainMs, 10 * tookMs), 10 * askAgainMs)

export class Applier {
  readonly #kube: Kube
  readonly #clock: () => number
  readonly #written = new Map<string, Written>()
  readonly #refused = new Map<string, Refused>()

  /** `clock`: ms, never back. */
  constructor(kube: Kube, clock: () => number = () => performance.now()) {
    this.#kube = kube
    this.#clock = clock
  }

  /** What is remembered, of how many objects and statuses. */
  get size(): number {
    return this.#written.size + this.#refused.size
  }

  /** An object is not there any more, whoever removed it: what was written of it says nothing about one that is made anew. */
  gone({ kind }: Resource, object: string): void {
    for (const key of [`${kind} ${object}`, `status of ${kind} ${object}`]) {
      this.#written.delete(key)
      this.#refused.delete(key)
    }
  }

  /** Whether anything was written. Rejects with NameTaken where the object is somebody else's. */
  async apply({ resource, object }: Wanted, live: KubeObject | undefined): Promise<boolean> {
    const key = `${resource.kind} ${keyOfObject(object)}`
    const hash = createHash('sha256').update(JSON.stringify(object)).digest('hex')
    if (live !== undefined) this.#seen(key, live)
    if (live !== undefined && this.#isWritten(key, hash, markOf(live), live)) return false
    const now = await this.#unlessRefused(key, hash, live, async () => {
      const there = live ?? (await readOne(this.#kube, resource, object.metadata)) // the cache has only what we made
      mayBeWritten({ resource, object }, there)
      return applyObject(this.#kube, resource, onlyThis(object, there), 'metadata')
    })
    this.#written.set(key, { hash, mark: markOf(now), over: live && versionOf(live) })
    return true
  }

  /** Whatever was written before. `live`: what is there by that name, whoever made it. */
  write({ resource, object }: Wanted, live: KubeObject | undefined): Promise<KubeObject> {
    return this.#unlessRefused(`${resource.kind} ${keyOfObject(object)}`, '', live, () => {
      mayBeWritten({ resource, object }, live)
      return applyObject(this.#kube, resource, object)
    })
  }

  /** The same answer to the same question about the same object, for a while. */
  async #unlessRefused<T>(key: string, hash: string, live: KubeObject | undefined, work: () => Promise<T> | T): Promise<T> {
    const before = this.#refused.get(key)
    const mark = live && markOf(live)
    if (before !== undefined && before.hash === hash && before.mark === mark && this.#clock() < before.until) throw before.error
    const asked = this.#clock()
    try {
      const done = await work()
      this.#refused.delete(key)
      return done
    } catch (error) {
      const now = this.#clock()
      // what would be asked for again is asked no more where its owner is gone
      for (const [other, { until }] of this.#refused) if (until <= now) this.#refused.delete(other)
      if (isRefusal(error)) this.#refused.set(key, { hash, mark, error, until: now + askAgainAfter(now - asked) })
      throw error
    }
  }

  async remove(resource: Resource, object: KubeObject): Promise<void> {
    this.#written.delete(`${resource.kind} ${keyOfObject(object)}`)
    if (object.metadata.deletionTimestamp === undefined) await deleteObject(this.#kube, resource, object, 'unchanged')
  }

  /** `live`: as the cache has it. Written only where it says something else; a condition keeps the time of its last change. */
  async status(resource: Resource, live: KubeObject, status: object, time: string): Promise<boolean> {
    const key = `status of ${resource.kind} ${keyOfObject(live)}`
    const timed = withTimes(status, live.status, time)
    this.#seen(key, live)
    if (isEqual(timed, ours(live.status))) return false
    // without the times, which are those of this moment
    const hash = createHash('sha256').update(JSON.stringify(status)).digest('hex')
    if (this.#isWritten(key, hash, versionOf(live), live)) return false // what differs is somebody else's
    const now = await this.#unlessRefused(key, hash, live, () => applyStatus(this.#kube, resource, live, timed as object))
    if (now !== undefined) this.#written.set(key, { hash, mark: versionOf(now), over: versionOf(live) })
    return now !== undefined
  }

  #seen(key: string, live: KubeObject): void {
    const before = this.#written.get(key)
    if (before?.over !== undefined && before.over !== versionOf(live)) this.#written.set(key, { ...before, over: undefined })
  }

  #isWritten(key: string, hash: string, mark: string, live: KubeObject): boolean {
    const before = this.#written.get(key)
    return before?.hash === hash && (before.mark === mark || before.over === versionOf(live))
  }
}

/** The server refuses where another has come to its place since the look at it: it may be a stranger's. */
const onlyThis = (object: KubeObject, there: KubeObject | undefined): KubeObject =>
  ({ ...object, metadata: { ...object.metadata, ...(there === undefined ? { resourceVersion: notThere } : { uid: there.metadata.uid! }) } })

const mayBeWritten = ({ resource, object }: Wanted, there: KubeObject | undefined): void => {
  if (there !== undefined && isTaken(there, object)) throw new NameTaken(`${resource.kind} ${keyOfObject(object)} is there already and was not made for this: it is left alone. Give one of the two another name, or delete it`)
}

/** The generation tells of every change of a spec and of none of a status; where there is none, the version of the whole. */
const markOf = ({ metadata: { uid, generation, resourceVersion, labels, ownerReferences = [] } }: KubeObject): string =>
  JSON.stringify([uid, generation ?? resourceVersion, ...(generation === undefined ? [] : [labels, ownerReferences.map((owner) => owner.uid)])])

const versionOf = ({ metadata: { uid, resourceVersion } }: KubeObject): string => JSON.stringify([uid, resourceVersion])

const ours = (status: unknown): unknown => status ?? {}

type Timed = { readonly type?: unknown; readonly status?: unknown; readonly lastTransitionTime?: unknown; readonly name?: unknown; readonly namespace?: unknown }

/** Adds lastTransitionTime to every condition, deep inside too: that of before where the status is the same. */
export const withTimes = (status: unknown, before: unknown, now: string): unknown => {
  if (Array.isArray(status)) return status.map((item, index) => withTimes(item, twinOf(item as Timed, before, index), now))
  if (status === null || typeof status !== 'object') return status
  const old = before as Record<string, unknown> | undefined
  const inside = Object.fromEntries(Object.entries(status).filter(([, value]) => value !== undefined).map(([field, value]) => [field, withTimes(value, old?.[field], now)]))
  if (typeof inside.type !== 'string' || typeof inside.status !== 'string') return inside
  return { ...inside, lastTransitionTime: old?.status === inside.status && typeof old.lastTransitionTime === 'string' ? old.lastTransitionTime : now }
}

/** The item of before that is the same one: by type, or namespace and name, or by place. */
const twinOf = ({ type, name, namespace }: Timed, before: unknown, index: number): unknown => {
  if (!Array.isArray(before)) return undefined
  const items = before as Timed[]
  if (type !== undefined) return items.find((one) => one.type === type)
  if (name !== undefined) return items.find((one) => one.name === name && one.namespace === namespace) ?? items[index]
  return items[index]
}

/** The same values, in whatever order the fields stand. */
export const isEqual = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object' || Array.isArray(a) !== Array.isArray(b)) return false
  const [one, other] = [a as Record<string, unknown>, b as Record<string, unknown>]
  const fields = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...fields].every((field) => isEqual(one[field], other[field]))
}
