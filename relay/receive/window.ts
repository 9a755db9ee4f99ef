// How much happened in the last minute or hour, and whether more fits under a limit. Pure: time is passed in.

const slots = 20 // the window forgets in steps of a twentieth, so it holds back at most 5 % too much

/** Counts per slot of a ring; never more than `limit` in any window, and a quiet client may use it all at once. */
export type Window = { slot: number; sum: number; readonly counts: Uint32Array }

export const newWindow = (): Window => ({ slot: 0, sum: 0, counts: new Uint32Array(slots + 1) })

/** Forgets what is older than the window. */
const settle = (window: Window, now: number, windowMs: number): void => {
  const slot = Math.floor((now * slots) / windowMs)
  const gone = Math.min(slot - window.slot, window.counts.length)
  for (let step = 1; step <= gone; step++) {
    const at = (window.slot + step) % window.counts.length
    window.sum -= window.counts[at]!
    window.counts[at] = 0
  }
  if (slot > window.slot) window.slot = slot
}

export const fits = (window: Window, now: number, windowMs: number, limit: number): boolean => {
  settle(window, now, windowMs)
  return window.sum + 1 <= limit
}

/** Takes one if it fits; says whether it did. */
export const take = (window: Window, now: number, windowMs: number, limit: number): boolean => {
  if (!fits(window, now, windowMs, limit)) return false
  window.sum++
  window.counts[window.slot % window.counts.length]!++
  return true
}

/** This process's part of a fleet-wide limit: the whole parts, and the rest given out by rank, so that the parts add up exactly. */
export const shareOf = (limit: number, peers: number, rank: number): number =>
  peers <= 1 ? limit : Math.floor(limit / peers) + (rank < limit % peers ? 1 : 0)
