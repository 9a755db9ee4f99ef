// Who is to be told of a new snapshot, and told again. A kubelet looks at a mounted Secret once a minute; a changed annotation of
// the pod makes it look at once, and now and then a moment before the Secret has reached it: then it is asked again, ever less often.

export type Poked = {
  readonly name: string // namespace/name
  /** The revision it was told of last. */
  readonly annotated: string | undefined
  /** The revision it says it runs; undefined: it does not answer. */
  readonly runs: string | undefined
}

const firstMs = 5_000
const longestMs = 600_000

export class Pokes {
  readonly #asked = new Map<string, { readonly revision: string; readonly at: number; readonly waitMs: number }>()

  /** Whether to ask now; it counts as asked. `now` in ms. */
  isDue({ name, annotated, runs }: Poked, revision: string, now: number): boolean {
    const before = this.#asked.get(name)
    if (annotated !== revision || before?.revision !== revision) {
      this.#asked.set(name, { revision, at: now, waitMs: firstMs })
      return annotated !== revision
    }
    if (runs === undefined || runs === revision || now - before.at < before.waitMs) return false
    this.#asked.set(name, { revision, at: now, waitMs: Math.min(before.waitMs * 2, longestMs) })
    return true
  }
  keep(names: ReadonlySet<string>): void {
    for (const name of this.#asked.keys()) if (!names.has(name)) this.#asked.delete(name)
  }
}
