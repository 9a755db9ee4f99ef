// Trouble that lasts is said when it begins and once a minute, with how often it was met, not at every try. Pure, but for what it remembers.

/** How often it was met since it was last said; undefined: not to be said now. `now` in ms. */
export type Seldom = (what: string, now: number) => number | undefined

const everyMs = 60_000

export const createSeldom = (): Seldom => {
  const told = new Map<string, { readonly at: number; times: number }>()
  return (what, now) => {
    for (const [key, { at }] of told) if (key !== what && now - at > 2 * everyMs) told.delete(key)
    const before = told.get(what)
    if (before && now - before.at < everyMs) {
      before.times++
      return undefined
    }
    told.set(what, { at: now, times: 0 })
    return (before?.times ?? 0) + 1
  }
}
