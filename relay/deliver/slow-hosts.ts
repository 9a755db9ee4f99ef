// Addresses that let us run into a time-out lately: a minute long they are tried after the others. A refusal costs nothing and is not noted.
import type { HostEvent } from './failover.ts'

export class SlowHosts {
  readonly #until = new Map<string, number>()
  readonly #forMs: number

  constructor(forMs = 60_000) {
    this.#forMs = forMs
  }

  has(address: string, now: number): boolean {
    const until = this.#until.get(address)
    if (until === undefined) return false
    if (until > now) return true
    this.#until.delete(address)
    return false
  }

  note(event: HostEvent, now: number): void {
    const hung = event.kind === 'silent' && event.how === 'timeout' && (event.at === 'CONNECT' || event.at === 'GREETING')
    if (!hung) return
    if (this.#until.size > 10_000) this.#until.clear()
    this.#until.set(event.address, now + this.#forMs)
  }
}
