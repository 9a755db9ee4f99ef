// Whether a name server that denies a name is believed. A resolver that lost the world may deny every name instead of failing, and all mail would be returned at once as sent to domains that do not exist.
// Who gave a record just now, or knows the root of DNS (RFC 1034 3.1), is believed. In a network of its own that knows no root, so is who gave a record lately.

/** In ms: when it last gave a record, knew the root, and did not. */
export type Knowledge = { readonly recordsAt?: number; readonly rootAt?: number; readonly noRootAt?: number }

/** Short: each mail that is returned by mistake is one too many. */
const recentMs = 5_000
const latelyMs = 600_000

export const judge = ({ recordsAt, rootAt, noRootAt }: Knowledge, now: number): 'believed' | 'not believed' | 'ask for the root' => {
  const isRecent = (at: number | undefined, ms = recentMs): boolean => at !== undefined && now - at < ms
  if (isRecent(recordsAt) || isRecent(rootAt)) return 'believed'
  if (!isRecent(noRootAt)) return 'ask for the root'
  return rootAt === undefined && isRecent(recordsAt, latelyMs) ? 'believed' : 'not believed'
}

/** By name server, as the caller names it. */
export class Belief {
  readonly #known = new Map<string, Knowledge>()
  readonly #asking = new Map<string, Promise<void>>()
  readonly #now: () => number

  /** `now`: ms, by a clock that nobody sets. */
  constructor(now: () => number) {
    this.#now = now
  }

  noteRecords(server: string): void {
    this.#note(server, { recordsAt: this.#now() })
  }

  async believes(server: string, knowsRoot: () => Promise<boolean>): Promise<boolean> {
    if (this.#judge(server) === 'ask for the root') await this.#ask(server, knowsRoot)
    return this.#judge(server) === 'believed'
  }

  #judge(server: string): ReturnType<typeof judge> {
    return judge(this.#known.get(server) ?? {}, this.#now())
  }

  /** Once for all who wait. */
  #ask(server: string, knowsRoot: () => Promise<boolean>): Promise<void> {
    const asking = this.#asking.get(server) ?? knowsRoot().then((isKnown) => this.#note(server, isKnown ? { rootAt: this.#now() } : { noRootAt: this.#now() })).finally(() => this.#asking.delete(server))
    this.#asking.set(server, asking)
    return asking
  }

  #note(server: string, news: Knowledge): void {
    if (this.#known.size > 100) this.#known.clear() // a snapshot names a few
    this.#known.set(server, { ...this.#known.get(server), ...news })
  }
}
