// Time as the queue uses it, so that the model test can turn the hands itself.
export type Clock = {
  now(): number // ms since the epoch, as this machine has it
  monotonic(): number // ms, never set back
  /** Calls once after `ms`; the function returned cancels. */
  after(ms: number, call: () => void): () => void
}

const longest = 2 ** 31 - 1 // past it a timer would fire at once

export const systemClock: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, Math.min(ms, longest)).unref() // the sockets keep the process alive, not its housekeeping
    return () => clearTimeout(timer)
  },
}

export const sleep = (clock: Clock, ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve))
