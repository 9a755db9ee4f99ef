// One acts at a time: a coordination.k8s.io Lease, renewed; who cannot renew stops before another may begin.
import { setTimeout as sleep } from 'node:timers/promises'
import { KubeError } from './kube-error.ts'
import type { Kube } from './request.ts'
import { pathOf, type KubeObject, type Resource } from './resource.ts'

const leases: Resource = { group: 'coordination.k8s.io', version: 'v1', kind: 'Lease', plural: 'leases', namespaced: true }

export type LeaseTimes = { readonly lastsMs: number; readonly renewWithinMs: number; readonly everyMs: number }
/** As client-go: another takes over at the earliest 15 s after the last renewal, we give up after 10 s. */
const usualTimes: LeaseTimes = { lastsMs: 15_000, renewWithinMs: 10_000, everyMs: 2_000 }

export type LeaseOptions = {
  readonly kube: Kube
  readonly namespace: string
  readonly name: string
  readonly holder: string
  readonly times?: LeaseTimes
  readonly onTrouble?: (error: Error) => void
  readonly now?: () => number // in ms, by a clock that nobody sets
}

type Spec = { readonly holderIdentity?: string; readonly leaseDurationSeconds?: number; readonly renewTime?: string; readonly acquireTime?: string; readonly leaseTransitions?: number }
/** What we saw, and when by our own clock: the clocks of two machines are never compared. */
type Seen = { readonly version: string; readonly at: number }

export class Lease {
  readonly #options: LeaseOptions
  readonly #times: LeaseTimes
  readonly #now: () => number
  #seen: Seen | undefined
  #renewedAt = -Infinity

  constructor(options: LeaseOptions) {
    this.#options = options
    this.#times = options.times ?? usualTimes
    this.#now = options.now ?? (() => performance.now())
  }

  /** Resolves when the lease is ours; rejects only by the signal. */
  async acquire(signal: AbortSignal): Promise<void> {
    while ((await this.#try(this.#times.renewWithinMs)) !== 'ours') await sleep(this.#times.everyMs, undefined, { signal })
  }

  /** Ours for certain: nobody else may have it yet. A process that slept finds here that it did. */
  held(): boolean {
    return this.#now() < this.#renewedAt + this.#times.renewWithinMs
  }

  /** Renews until it could not for `renewWithinMs`, or another has it: then it resolves, and whoever acts must stop at once. */
  async keep(signal: AbortSignal): Promise<void> {
    const { everyMs, renewWithinMs } = this.#times
    for (let waitMs = everyMs; ; ) {
      await sleep(waitMs, undefined, { signal }).catch(() => undefined)
      const asked = this.#now()
      const left = this.#renewedAt + renewWithinMs - asked
      // half of the time: a connection that died without a word leaves some for another
      if (signal.aborted || left <= 0 || (await this.#try(Math.min(left, renewWithinMs / 2))) === 'taken') return
      waitMs = Math.max(0, asked + everyMs - this.#now())
    }
  }

  /** Lets another begin at once. */
  async release(): Promise<void> {
    const signal = AbortSignal.timeout(this.#times.everyMs)
    const found = await this.#read(signal).catch(() => undefined)
    if (found === undefined || specOf(found).holderIdentity !== this.#options.holder) return
    await this.#write(found, { holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(), leaseTransitions: specOf(found).leaseTransitions ?? 0 }, signal).catch(() => undefined)
  }

  /** One read and one write, within `ms` together: an answer that comes too late must not look like a lease. */
  async #try(ms: number): Promise<'ours' | 'taken' | 'unknown'> {
    const asked = this.#now()
    const signal = AbortSignal.timeout(Math.ceil(ms))
    try {
      const found = await this.#read(signal)
      if (found !== undefined && !this.#isFree(found)) return 'taken'
      await this.#write(found, this.#claim(found), signal)
      this.#renewedAt = asked // not when it was answered: another counts from what the server saw
      return 'ours'
    } catch (error) {
      if (error instanceof KubeError && error.status === 409) return 'unknown'
      this.#options.onTrouble?.(error as Error)
      return 'unknown'
    }
  }

  #isFree(found: KubeObject): boolean {
    const { holderIdentity, leaseDurationSeconds = this.#times.lastsMs / 1000 } = specOf(found)
    if (holderIdentity === undefined || holderIdentity === '' || holderIdentity === this.#options.holder) return true
    const version = found.metadata.resourceVersion!
    if (this.#seen?.version !== version) this.#seen = { version, at: this.#now() }
    return this.#now() - this.#seen.at > leaseDurationSeconds * 1000
  }

  #claim(found: KubeObject | undefined): Spec {
    const before = found && specOf(found)
    const isRenewal = before?.holderIdentity === this.#options.holder
    return {
      holderIdentity: this.#options.holder,
      leaseDurationSeconds: Math.max(1, Math.round(this.#times.lastsMs / 1000)),
      renewTime: microTime(),
      acquireTime: isRenewal ? before.acquireTime! : microTime(),
      leaseTransitions: (before?.leaseTransitions ?? 0) + (isRenewal || before === undefined ? 0 : 1),
    }
  }

  async #read(signal: AbortSignal): Promise<KubeObject | undefined> {
    const { kube, namespace, name } = this.#options
    try {
      return await kube.call<KubeObject>({ path: pathOf(leases, { namespace, name }), signal, tries: 1 })
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined
      throw error
    }
  }

  /** With the version that was read: of two who claim at once one gets 409. */
  async #write(found: KubeObject | undefined, spec: Spec, signal: AbortSignal): Promise<void> {
    const { kube, namespace, name } = this.#options
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace, ...(found && { resourceVersion: found.metadata.resourceVersion }) }, spec }
    await kube.call({ method: found ? 'PUT' : 'POST', path: pathOf(leases, found ? { namespace, name } : { namespace }), body, signal, tries: 1 })
  }
}

const specOf = (found: KubeObject): Spec => found.spec ?? {}
const microTime = (): string => new Date().toISOString().replace('Z', '000Z')
