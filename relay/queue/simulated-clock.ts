// A clock for the model test: time passes only when the next timer is run. Each process has its own hand on it:
// a paused one misses nothing and gets all of it later, a dead one never hears of anything again.
import type { Clock } from './clock.ts'

type Timer = { readonly at: number; readonly order: number; readonly call: () => void }

export class SimulatedClock implements Clock {
  #now = 1_700_000_000_000
  #order = 0
  #timers: Timer[] = []

  now(): number {
    return this.#now
  }
  monotonic(): number {
    return this.#now
  }
  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order++, call }
    this.#insert(timer)
    return () => {
      const index = this.#timers.indexOf(timer)
      if (index !== -1) this.#timers.splice(index, 1)
    }
  }
  #insert(timer: Timer): void {
    let low = 0
    let high = this.#timers.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#timers[middle]!
      if (other.at < timer.at || (other.at === timer.at && other.order < timer.order)) low = middle + 1
      else high = middle
    }
    this.#timers.splice(low, 0, timer)
  }

  /** Lets `ms` pass; between two moments everything that was promised is done. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    await settled()
    while (this.#timers[0] && this.#timers[0].at <= end) {
      this.#now = this.#timers[0].at
      while (this.#timers[0] && this.#timers[0].at <= this.#now) this.#timers.shift()!.call()
      await settled()
    }
    this.#now = end
  }
}

/** All microtasks are done when an immediate runs. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export type Gate = { readonly clock: Clock; pass(call: () => void): void; pause(): void; resume(): void; kill(): void; dead(): boolean }

export const createGate = (clock: Clock): Gate => {
  let state: 'running' | 'paused' | 'dead' = 'running'
  const waiting: (() => void)[] = []
  const pass = (call: () => void) => {
    if (state === 'running') call()
    else if (state === 'paused') waiting.push(call)
  }
  return {
    pass,
    clock: { now: () => clock.now(), monotonic: () => clock.monotonic(), after: (ms, call) => clock.after(ms, () => pass(call)) },
    pause: () => {
      if (state === 'running') state = 'paused'
    },
    resume: () => {
      if (state !== 'paused') return
      state = 'running'
      for (const call of waiting.splice(0)) call()
    },
    kill: () => {
      state = 'dead'
      waiting.length = 0
    },
    dead: () => state === 'dead',
  }
}
