// What a list-watch has told, by key: the newest of each object, and who wants to know of changes.
import type { Feed } from './list-watch.ts'
import { keyOfObject, type KubeObject } from './resource.ts'

export type Change = { readonly key: string; readonly before: KubeObject | undefined; readonly after: KubeObject | undefined }

export class Cache implements Feed {
  readonly #objects = new Map<string, KubeObject>()
  readonly #changed: (change: Change) => void
  readonly #keep: (object: KubeObject) => KubeObject
  readonly #listed: () => void
  #synced = false
  /** Changes that only a new list showed: events that a watch did not tell, or that happened while it was away. */
  foundByList = 0

  /** `keep`: what of an object is kept; all but who manages it where absent. `listed`: all there is was told at once, and what came and went since the last word was not. */
  constructor(changed: (change: Change) => void = () => {}, keep: (object: KubeObject) => KubeObject = lean, listed: () => void = () => {}) {
    this.#changed = changed
    this.#keep = keep
    this.#listed = listed
  }

  /** Whether there has been a whole list: before it, what is not here may be there all the same. */
  get synced(): boolean {
    return this.#synced
  }
  get size(): number {
    return this.#objects.size
  }
  get(key: string): KubeObject | undefined {
    return this.#objects.get(key)
  }
  all(): KubeObject[] {
    return [...this.#objects.values()]
  }

  replace(objects: readonly KubeObject[]): void {
    const first = !this.#synced
    this.#synced = true
    const listed = new Map(objects.map((object) => [keyOfObject(object), this.#keep(object)]))
    const changes = [...listed].filter(([key, after]) => !isSame(this.#objects.get(key), after)).map(([key, after]) => ({ key, before: this.#objects.get(key), after }))
    const gone = [...this.#objects].filter(([key]) => !listed.has(key)).map(([key, before]) => ({ key, before, after: undefined }))
    if (!first) this.foundByList += changes.length + gone.length
    this.#objects.clear()
    for (const [key, object] of listed) this.#objects.set(key, object)
    this.#listed()
    for (const change of [...changes, ...gone]) this.#changed(change)
  }

  upsert(object: KubeObject): void {
    const key = keyOfObject(object)
    const before = this.#objects.get(key)
    if (isSame(before, object)) return
    const kept = this.#keep(object)
    this.#objects.set(key, kept)
    this.#changed({ key, before, after: kept })
  }

  remove(object: KubeObject): void {
    const key = keyOfObject(object)
    const before = this.#objects.get(key)
    if (before === undefined) return
    this.#objects.delete(key)
    this.#changed({ key, before, after: undefined })
  }
}

const isSame = (a: KubeObject | undefined, b: KubeObject): boolean => a !== undefined && a.metadata.uid === b.metadata.uid && a.metadata.resourceVersion === b.metadata.resourceVersion

/** Who manages which field is half of an object, and nothing that we ask: an object from here is never written back. */
const lean = (object: KubeObject): KubeObject => {
  const { managedFields, ...metadata } = object.metadata as KubeObject['metadata'] & { managedFields?: unknown }
  return managedFields === undefined ? object : { ...object, metadata }
}
