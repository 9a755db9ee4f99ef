// Sites whose mail fills the window and hardly moves: how much of it waits in memory, and when the rest comes back. Pure: time is passed in.
import type { Entry } from './entry.ts'

/** This many of a jammed site wait in memory: enough to keep its connections busy. */
export const keepPerSite = 50
const firstBackMs = 10_000
const usualPaceMs = 20
const rememberMs = 30_000

type Jam = { readonly paceMs: number; readonly lines: Map<string, number>; until: number } // lines: when the next of each sender comes back

export class Jams {
  readonly #jams = new Map<string, Jam>()

  /** `paceMs`: how far apart its messages may start, where that is known. */
  begin(site: string, now: number, paceMs = usualPaceMs): void {
    for (const [old, { until }] of this.#jams) if (until < now && old !== site) this.#jams.delete(old)
    this.#jams.set(site, { paceMs, lines: this.#jams.get(site)?.lines ?? new Map<string, number>(), until: now + rememberMs })
  }

  has(site: string, now: number): boolean {
    return (this.#jams.get(site)?.until ?? -Infinity) >= now
  }

  /** When one more of a sender's comes back: each has its own time, so that they do not all come at once and go again; and who sends little is not behind who sends much. */
  slot(site: string, sender: string, now: number): number {
    const jam = this.#jams.get(site)
    if (jam === undefined) return now + firstBackMs
    jam.until = now + rememberMs
    const slot = Math.max(jam.lines.get(sender) ?? 0, now + Math.max(firstBackMs, keepPerSite * jam.paceMs))
    jam.lines.set(sender, slot + jam.paceMs)
    return slot
  }
}

/** What of a full window has to wait elsewhere: the newest of each site, so that about half of the window is free at least. */
export const tooMany = (waiting: Iterable<{ readonly site: string; readonly entry: Entry }>): Map<Entry, string> => {
  const sites = Map.groupBy(waiting, ({ site }) => site)
  const size = [...sites.values()].reduce((sum, { length }) => sum + length, 0)
  const keep = Math.min(keepPerSite, Math.max(1, Math.floor(size / 2 / sites.size)))
  return new Map([...sites.values()].flatMap((ofSite) => ofSite.slice(keep).map(({ site, entry }) => [entry, site] as const)))
}
