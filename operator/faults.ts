// What threw and is no answer of the API server is a fault of ours. It is said once, with its stack, and tried again ever less often; whoever is at fault stays as it is meanwhile.
import { KubeError } from './kube/index.ts'

/** `mark` tells one state of the object from another: another one is tried at once. */
type Known = { readonly error: Error; readonly mark: string; readonly failures: number; readonly at: number; readonly run: number }

export type FaultsOptions = {
  readonly said: (title: string, error: Error) => void
  /** At each try that failed, so that who counts sees that it lasts. */
  readonly met: (title: string) => void
  /** Of an object by its title. */
  readonly markOf: (title: string) => string
  readonly clock?: () => number // ms, never back
}

const longestMs = 60_000

export class Faults {
  readonly #options: FaultsOptions
  readonly #known = new Map<string, Known>()
  #run = 0

  constructor(options: FaultsOptions) {
    this.#options = options
  }

  /** Titles of those at fault in this run. */
  found(): string[] {
    return [...this.#known].filter(([, { run }]) => run === this.#run).map(([title]) => title)
  }

  /** Whether to leave it alone for now, as it was and as it is; it counts as found again. */
  waits(title: string): boolean {
    const known = this.#known.get(title)
    if (known === undefined || known.mark !== this.#options.markOf(title)) return false
    if (known.run !== this.#run && this.#now() >= dueAt(known)) return false
    this.#known.set(title, { ...known, run: this.#run })
    return true
  }

  note(title: string, thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    const [before, mark, now] = [this.#known.get(title), this.#options.markOf(title), this.#now()]
    if (before?.run === this.#run) return // one of an object is enough
    if (before?.error.stack !== error.stack) this.#options.said(title, error)
    const isAgain = before?.mark === mark
    const isEarly = isAgain && now < dueAt(before)
    if (!isEarly) this.#options.met(title)
    this.#known.set(title, { error, mark, failures: isEarly ? before.failures : isAgain ? before.failures + 1 : 1, at: isEarly ? before.at : now, run: this.#run })
  }

  begin(): void {
    this.#run += 1
  }

  /** Who was not found at fault in this run is not any more. Milliseconds until the next is to be tried. */
  end(): number {
    for (const [title, { run }] of this.#known) if (run !== this.#run) this.#known.delete(title)
    return Math.min(Infinity, ...[...this.#known.values()].map((known) => Math.max(0, dueAt(known) - this.#now())))
  }

  #now(): number {
    return (this.#options.clock ?? (() => performance.now()))()
  }
}

const dueAt = ({ at, failures }: Known): number => at + Math.min(longestMs, 1000 * 2 ** Math.min(failures - 1, 20))

/** What the API server says, or that it says nothing, is none. */
export const isFault = (error: unknown): boolean => !(error instanceof KubeError)
