// Keys to be worked on: each once however often it was added, one worker per key at a time, and later after a failure.
export type WorkQueueOptions = {
  readonly work: (key: string) => Promise<void>
  readonly failed: (key: string, error: unknown, nextInMs: number) => void
  readonly workers?: number
  /** A first wait, so that many changes at once become one piece of work; ms, 0 if absent. */
  readonly gatherMs?: number
  readonly random?: () => number
}

const longestMs = 60_000

export class WorkQueue {
  readonly #options: WorkQueueOptions
  readonly #timers = new Map<string, { readonly timer: NodeJS.Timeout; readonly at: number }>()
  readonly #ready: string[] = []
  readonly #busy = new Set<string>()
  readonly #again = new Set<string>()
  readonly #failures = new Map<string, number>()
  #stopped = false
  #idle: (() => void)[] = []

  constructor(options: WorkQueueOptions) {
    this.#options = options
  }

  /** At the latest after `ms`; an earlier time that is already set stays. */
  add(key: string, ms = this.#options.gatherMs ?? 0): void {
    if (this.#stopped) return
    const at = performance.now() + ms
    const set = this.#timers.get(key)
    if (set && set.at <= at) return
    if (set) clearTimeout(set.timer)
    this.#timers.set(key, { at, timer: setTimeout(() => this.#due(key), ms) })
  }

  #due(key: string): void {
    this.#timers.delete(key)
    if (this.#busy.has(key)) this.#again.add(key)
    else if (!this.#ready.includes(key)) this.#ready.push(key)
    this.#next()
  }

  #next(): void {
    while (!this.#stopped && this.#busy.size < (this.#options.workers ?? 1) && this.#ready.length > 0) void this.#work(this.#ready.shift()!)
  }

  async #work(key: string): Promise<void> {
    this.#busy.add(key)
    try {
      await this.#options.work(key)
      this.#failures.delete(key)
    } catch (error) {
      this.#retry(key, error)
    } finally {
      this.#busy.delete(key)
      if (this.#again.delete(key)) this.#ready.push(key)
      this.#next()
      if (this.#busy.size === 0) for (const told of this.#idle.splice(0)) told()
    }
  }

  #retry(key: string, error: unknown): void {
    const failures = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, failures)
    const wait = Math.min(longestMs, 250 * 2 ** (failures - 1)) * (0.75 + (this.#options.random ?? Math.random)() / 2)
    this.#options.failed(key, error, wait)
    this.add(key, wait)
  }

  /** Keys that are due or being worked on. */
  depth(): number {
    return this.#ready.length + this.#busy.size + this.#again.size
  }

  /** Nothing new begins; resolves when what has begun is done. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const { timer } of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
    if (this.#busy.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }
}
