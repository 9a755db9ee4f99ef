// The loss ledger: what the sender was promised, joined per recipient with arrivals, notices and the queue. Pure.

export type Ledger = {
  readonly accepted: number
  readonly delivered: number
  readonly bounced: number
  readonly queued: number
  /** Promised with a 250 and found nowhere. */
  readonly lost: readonly string[]
  /** Copies beyond the first. */
  readonly duplicates: number
  /** Delivered and bounced at once: the sender was told a lie. */
  readonly contradictions: readonly string[]
  /** Arrived though never promised: a client that did not learn of its 250 (RFC 1047). */
  readonly unpromised: number
}

export const joinLedger = (given: { accepted: Iterable<string>; arrived: Iterable<string>; bounced?: Iterable<string>; queued?: Iterable<string> }): Ledger => {
  const accepted = new Set(given.accepted)
  const arrived = countOf(given.arrived)
  const bounced = new Set(given.bounced)
  const queued = new Set(given.queued)
  const copies = [...arrived.values()].reduce((sum, count) => sum + count, 0)
  const only = (set: ReadonlySet<string> | ReadonlyMap<string, number>): number => [...accepted].filter((one) => set.has(one)).length
  return {
    accepted: accepted.size,
    delivered: only(arrived),
    bounced: only(bounced),
    queued: only(queued),
    lost: [...accepted].filter((one) => !arrived.has(one) && !bounced.has(one) && !queued.has(one)),
    duplicates: copies - arrived.size,
    contradictions: [...bounced].filter((one) => arrived.has(one)),
    unpromised: [...arrived.keys()].filter((one) => !accepted.has(one)).length,
  }
}

const countOf = (all: Iterable<string>): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const one of all) counts.set(one, (counts.get(one) ?? 0) + 1)
  return counts
}

/** Recipients that a delivery status notification says have failed (RFC 3464 2.3). */
export const failedIn = (notice: string): string[] =>
  notice
    .split(/\r?\n\r?\n/)
    .filter((part) => /^Action: failed/im.test(part))
    .flatMap((part) => /^Final-Recipient: (?:rfc822|utf-8); ?(.+)$/im.exec(part)?.[1]?.trim() ?? [])
