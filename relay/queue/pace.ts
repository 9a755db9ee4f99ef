// Whether somebody who is waited for keeps up with a pace. Pure: the times waited are passed in.

/** `ms`: for how long who was fast before may send nothing. */
export type PaceLimits = { readonly bytesPerMs: number; readonly ms: number }

export class Pace {
  readonly #limits: PaceLimits
  #aheadMs: number

  constructor(limits: PaceLimits) {
    this.#limits = limits
    this.#aheadMs = limits.ms
  }

  came(bytes: number, afterMs: number): void {
    this.#aheadMs = Math.min(this.#limits.ms, Math.max(0, this.#aheadMs - afterMs) + bytes / this.#limits.bytesPerMs)
  }
  isBehind(waitedMs: number): boolean {
    return waitedMs > this.#aheadMs
  }
}
