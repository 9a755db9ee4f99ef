// When a stranger tries: after every change of a snapshot, and again after a time. Keeps what came of it, by MailRelay; runs beside the reconcile loop.
import { secondsOf } from '../../crds/index.ts'
import type { Attempts, SeenAtRelay } from '../plan/index.ts'
import { probe, type Probe, type ProbeOptions, type Relayed } from './probe.ts'

export type Target = {
  /** namespace/name of the MailRelay. */
  readonly relay: string
  readonly revision: string
  /** By listener: of which manifests the result will be true. */
  readonly marks: Readonly<Record<string, string>>
  /** Undefined: there is nobody to ask, or not all of them run this revision yet. */
  readonly how: Omit<ProbeOptions, 'signal'> | undefined
}

export type ProberOptions = {
  /** Such as 5m. */
  readonly every: string
  readonly now: () => number
  /** Something is known that was not before. */
  readonly news: () => void
  readonly relayed: (relay: string, found: Relayed) => void
  readonly run?: (options: ProbeOptions) => Promise<Probe>
}

type Stranger = SeenAtRelay['strangers'][string]
type Known = { revision?: string; at: number; running: boolean; failures: number; attempts?: Attempts; strangers: Record<string, Stranger> }

const againMs = 5_000
/** A pod that is just going, or a Service that does not follow yet, is no news. */
const patience = 3

export class Prober {
  readonly #options: ProberOptions
  readonly #everyMs: number
  readonly #known = new Map<string, Known>()
  readonly #end = new AbortController()
  readonly #running = new Set<Promise<void>>()

  constructor(options: ProberOptions) {
    this.#options = options
    this.#everyMs = secondsOf(options.every) * 1000
  }

  attempts(relay: string): Attempts | undefined {
    return this.#known.get(relay)?.attempts
  }
  strangers(relay: string): SeenAtRelay['strangers'] {
    return this.#known.get(relay)?.strangers ?? {}
  }

  /** Begins an attempt where one is due; the ms until the next will be. */
  look(targets: readonly Target[]): number {
    const wanted = new Set(targets.map(({ relay }) => relay))
    for (const relay of this.#known.keys()) if (!wanted.has(relay)) this.#known.delete(relay)
    const waits = targets.map((target) => this.#lookAt(target))
    return Math.min(this.#everyMs, ...waits)
  }

  async stop(): Promise<void> {
    this.#end.abort()
    await Promise.all(this.#running)
  }

  #lookAt(target: Target): number {
    const known = this.#known.get(target.relay) ?? { at: 0, running: false, failures: 0, strangers: {} }
    this.#known.set(target.relay, known)
    if (known.running || target.how === undefined || this.#end.signal.aborted) return Infinity
    const wait = dueAt(known, target, this.#everyMs) - this.#options.now()
    if (wait > 0) return wait
    known.running = true
    const run = this.#run(known, target, target.how)
    this.#running.add(run)
    void run.finally(() => this.#running.delete(run))
    return Infinity
  }

  async #run(known: Known, target: Target, how: Omit<ProbeOptions, 'signal'>): Promise<void> {
    try {
      // one of its own: what listens to it goes with this attempt
      const found = await (this.#options.run ?? probe)({ ...how, signal: AbortSignal.any([this.#end.signal]) })
      if (!this.#end.signal.aborted) this.#note(known, target, found)
    } catch (error) {
      this.#note(known, target, { from: [], relayed: [], failed: (error as Error).message })
    } finally {
      known.running = false
      if (!this.#end.signal.aborted) this.#options.news()
    }
  }

  #note(known: Known, { relay, revision, marks }: Target, found: Probe): void {
    known.at = this.#options.now()
    known.failures = found.failed === undefined ? 0 : known.failures + 1
    if (found.failed === undefined) known.revision = revision
    for (const one of found.relayed) if (known.strangers[one.listener]?.relayed !== true) this.#options.relayed(relay, one)
    known.strangers = { ...known.strangers, ...strangersOf(known.strangers, marks, found) }
    const { every } = this.#options
    if (found.failed === undefined) known.attempts = { from: found.from, every }
    else if (known.failures >= patience) known.attempts = { from: known.attempts?.from ?? found.from, every, failed: found.failed }
  }
}

const dueAt = ({ revision, at, failures }: Known, target: Target, everyMs: number): number => {
  if (failures > 0) return at + againMs
  return revision === target.revision ? at + everyMs : 0
}

/** An attempt that failed has still let through whom it let through, but has proved nothing of the others. */
const strangersOf = (before: Known['strangers'], marks: Target['marks'], { relayed, failed }: Probe): Record<string, Stranger> => {
  const through = new Set(relayed.map(({ listener }) => listener))
  const told = Object.entries(marks).filter(([listener]) => failed === undefined || through.has(listener))
  return Object.fromEntries(told.map(([listener, mark]) => [listener, strangerOf(before[listener], mark, through.has(listener))]))
}

/** Closed stays closed for the manifests for which it was closed. */
const strangerOf = (before: Stranger | undefined, mark: string, relayed: boolean): Stranger => {
  const closedFor = relayed ? mark : before?.closedFor === mark ? mark : undefined
  return { mark, relayed, ...(closedFor !== undefined && { closedFor }) }
}
