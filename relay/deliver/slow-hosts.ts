// Addresses that let us run into a time-out lately: a minute long they are tried after the others. A refusal costs nothing and is not noted.
// Where many of one family do and none is reached, it is the way: behind a firewall that drops IPv6 each new host would cost its time-out.
import type { HostEvent } from './failover.ts'

type Family = { readonly hung: Set<string>; until: number } // hung: at connect, since one was reached

const manyOfFamily = 5

export class SlowHosts {
  readonly #until = new Map<string, number>()
  readonly #families: Readonly<Record<4 | 6, Family>> = { 4: { hung: new Set(), until: 0 }, 6: { hung: new Set(), until: 0 } }
  readonly #forMs: number

  constructor(forMs = 60_000) {
    this.#forMs = forMs
  }

  has(address: string, now: number): boolean {
    if (this.#familyOf(address).until > now) return true
    const until = this.#until.get(address)
    if (until === undefined) return false
    if (until > now) return true
    this.#until.delete(address)
    return false
  }

  note(event: HostEvent, now: number): void {
    if (event.kind !== 'silent') return
    if (event.at !== 'CONNECT' || event.how === 'refused') this.reached(event.address)
    if (event.how !== 'timeout' || event.at === 'DOT') return // it may have the message: another host must not get it too
    if (this.#until.size > 10_000) this.#until.clear()
    this.#until.set(event.address, now + this.#forMs)
    if (event.at === 'CONNECT') this.#noteFamily(event.address, now)
  }

  /** There is a way to its family. */
  reached(address: string): void {
    const family = this.#familyOf(address)
    family.hung.clear()
    family.until = 0
  }

  #noteFamily(address: string, now: number): void {
    const family = this.#familyOf(address)
    if (family.hung.size < manyOfFamily) family.hung.add(address)
    if (family.hung.size >= manyOfFamily) family.until = now + this.#forMs
  }

  #familyOf(address: string): Family {
    return this.#families[address.includes(':') ? 6 : 4]
  }
}
