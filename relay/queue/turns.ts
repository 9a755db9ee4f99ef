// Who is next: transactional before bulk but never instead of it, sites in turn, and within a site senders in turn. Pure.
import type { Entry } from './entry.ts'
import type { Envelope } from './types.ts'

/** What became of the one offered: started or put away (it leaves), or its whole site must wait. */
export type Verdict = 'taken' | 'wait'

type Site = { readonly name: string; readonly senders: Map<string, Entry[]>; blockedUntil: number }
type Ring = Map<string, Site>

const bulkEvery = 5

export class Turns {
  readonly #rings: { transactional: Ring; bulk: Ring } = { transactional: new Map(), bulk: new Map() }
  #turn = 0
  size = 0

  push(site: string, entry: Entry): void {
    const ring = this.#rings[entry.head.envelope.class]
    const found = ring.get(site) ?? { name: site, senders: new Map<string, Entry[]>(), blockedUntil: 0 }
    if (!ring.has(site)) ring.set(site, found)
    const sender = entry.head.envelope.sender ?? ''
    const line = found.senders.get(sender)
    if (line) line.push(entry)
    else found.senders.set(sender, [entry])
    this.size++
  }

  /** Offers entries in turn until everybody left has to wait or `offer` says there is no more room. */
  run(now: number, blockMs: number, more: () => boolean, offer: (site: string, entry: Entry) => Verdict): void {
    while (more()) {
      const bulkFirst = ++this.#turn % bulkEvery === 0
      const { transactional, bulk } = this.#rings
      const moved = bulkFirst ? step(bulk, now, blockMs, offer) || step(transactional, now, blockMs, offer) : step(transactional, now, blockMs, offer) || step(bulk, now, blockMs, offer)
      if (!moved) return
      this.size--
    }
  }
  /** Something of this site has ended: it may be asked again at once. */
  unblock(site: string): void {
    for (const ring of [this.#rings.transactional, this.#rings.bulk]) {
      const found = ring.get(site)
      if (found) found.blockedUntil = 0
    }
  }
  /** Takes out what `which` matches. */
  remove(which: (entry: Entry) => boolean): Entry[] {
    const out: Entry[] = []
    for (const ring of [this.#rings.transactional, this.#rings.bulk])
      for (const site of ring.values())
        for (const [sender, line] of site.senders) {
          out.push(...line.filter(which))
          const kept = line.filter((entry) => !which(entry))
          if (kept.length > 0) site.senders.set(sender, kept)
          else site.senders.delete(sender)
          if (site.senders.size === 0) ring.delete(site.name)
        }
    this.size -= out.length
    return out
  }
  /** How many of one class and sender wait for a site. */
  waitingFor(site: string, { class: mailClass, sender = '' }: Pick<Envelope, 'class' | 'sender'>): number {
    return this.#rings[mailClass].get(site)?.senders.get(sender)?.length ?? 0
  }
  *waiting(): Generator<{ site: string; entry: Entry }> {
    for (const ring of [this.#rings.transactional, this.#rings.bulk])
      for (const site of ring.values()) for (const line of site.senders.values()) for (const entry of line) yield { site: site.name, entry }
  }
}

/** One entry of the first site in turn that may; the site and its sender then go to the end of their rings. */
const step = (ring: Ring, now: number, blockMs: number, offer: (site: string, entry: Entry) => Verdict): boolean => {
  for (const site of ring.values()) {
    if (site.blockedUntil > now) continue
    const [sender, line] = site.senders.entries().next().value!
    if (offer(site.name, line[0]!) === 'wait') {
      site.blockedUntil = now + blockMs
      continue
    }
    line.shift()
    site.senders.delete(sender)
    if (line.length > 0) site.senders.set(sender, line)
    ring.delete(site.name)
    if (site.senders.size > 0) ring.set(site.name, site)
    return true
  }
  return false
}
