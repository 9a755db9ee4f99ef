// So many at once by each name, the others in the order they came. Remembers who is there, and nothing of who was.

export class Places {
  readonly #taken = new Map<string, { count: number; readonly waiting: Set<() => void> }>()
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#taken.size
  }

  /** False: called off before there was a place. */
  async take(name: string, signal: AbortSignal): Promise<boolean> {
    const at = this.#taken.get(name) ?? { count: 0, waiting: new Set<() => void>() }
    this.#taken.set(name, at)
    if (at.count < this.#most) {
      at.count++
      return true
    }
    return new Promise((resolve) => {
      const end = (hasPlace: boolean) => (): void => {
        at.waiting.delete(enter)
        signal.removeEventListener('abort', leave)
        resolve(hasPlace)
      }
      const [enter, leave] = [end(true), end(false)]
      at.waiting.add(enter)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  /** It goes to the next who waits. */
  give(name: string): void {
    const at = this.#taken.get(name)!
    const [next] = at.waiting
    if (next) return next()
    at.count--
    if (at.count === 0) this.#taken.delete(name)
  }
}
