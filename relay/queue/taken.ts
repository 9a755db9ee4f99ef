// Which attempts of a lane have been taken from the stream: a server that is killed after a schedule's record was stored, and before
// the schedule was removed, fires it once more when it is back, and one attempt has two records of one subject. Pure.

const rememberedMs = 10_000 // it fires within a second of being back, and both are read soon after

export class Taken {
  readonly #inHand = new Set<string>()
  #ended = new Set<string>()
  #endedBefore = new Set<string>()
  #since = 0

  /** false: it was taken before. */
  take(subject: string): boolean {
    if (this.#inHand.has(subject) || this.#ended.has(subject) || this.#endedBefore.has(subject)) return false
    this.#inHand.add(subject)
    return true
  }
  leave(subject: string, now: number): void {
    if (!this.#inHand.delete(subject)) return
    if (now - this.#since >= rememberedMs) {
      this.#endedBefore = this.#ended
      this.#ended = new Set()
      this.#since = now
    }
    this.#ended.add(subject)
  }
}
