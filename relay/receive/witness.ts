// Who came to each listener and what was taken that can reach nobody: what the operator asks to learn whether addresses mean anything here, and whether a stranger got through. In memory, bounded.

const mostClients = 256
const mostDomains = 64

export type Witnessed = {
  /** By listener: the addresses that last began a message, each once, the latest last. */
  readonly clients: Readonly<Record<string, readonly string[]>>
  /** Domains under .invalid for which a message was taken, the latest last. */
  readonly invalid: readonly string[]
}

export class Witness {
  readonly #clients = new Map<string, Set<string>>()
  readonly #invalid = new Set<string>()

  /** The probe greets with a name that cannot exist: it is no client. */
  came(listener: string, { address, helo }: { readonly address: string; readonly helo: string }): void {
    if (helo.toLowerCase().endsWith('.invalid')) return
    const seen = this.#clients.get(listener) ?? new Set()
    this.#clients.set(listener, seen)
    keepLatest(seen, address.replace(/^::ffff:(?=\d+\.)/i, ''), mostClients)
  }
  took(domain: string): void {
    if (domain.endsWith('.invalid')) keepLatest(this.#invalid, domain, mostDomains)
  }
  /** Addresses are believed anew: what was seen before says nothing about it. */
  forget(listener: string): void {
    this.#clients.delete(listener)
  }
  seen(): Witnessed {
    return { clients: Object.fromEntries([...this.#clients].map(([listener, addresses]) => [listener, [...addresses]])), invalid: [...this.#invalid] }
  }
}

const keepLatest = (set: Set<string>, value: string, most: number): void => {
  set.delete(value)
  set.add(value)
  if (set.size > most) set.delete(set.values().next().value!)
}
