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
  /** By listener: at which doors the result will be of. */
  readonly doors: Attempts['doors']
  /** Not all pods run this revision, so that only those are tried that do: it proves less, and has time. */
  readonly partly?: true
  /** Undefined: there is nobody to ask who runs this revision. */
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
/** `wanted`: the revision to try; `revision`: the one that was tried last; `dueSince`: of an attempt that has not come to an end. */
type Known = { wanted: string; revision?: string; partly?: boolean; at: number; dueSince?: number | undefined; running: boolean; failures: number; attempts?: Attempts; strangers: Record<string, Stranger> }

const againMs = 5_000
/** Most changes reach all pods within it. */
const partlyAfterMs = 60_000
const lateMs = 120_000
const longMs = 600_000
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
    const known = this.#known.get(relay)
    return known && toldOf(known, this.#options.every, this.#options.now(), Math.max(2 * this.#everyMs, longMs))
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
    const known = this.#known.get(target.relay) ?? { wanted: target.revision, at: 0, running: false, failures: 0, strangers: {} }
    this.#known.set(target.relay, known)
    const now = this.#options.now()
    known.at = Math.min(known.at, now) // the clock was set back
    const due = dueAt(known, target, this.#everyMs)
    known.wanted = target.revision
    known.dueSince = due <= now || known.failures > 0 ? (known.dueSince ?? now) : undefined
    if (known.running || target.how === undefined || this.#end.signal.aborted) return Infinity
    const wait = (isPartlyAnew(known, target) ? Math.max(due, (known.dueSince ?? now) + partlyAfterMs) : due) - now
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

  #note(known: Known, { relay, revision, marks, doors, partly }: Target, found: Probe): void {
    known.at = this.#options.now()
    known.failures = found.failed === undefined ? 0 : known.failures + 1
    if (found.failed === undefined) Object.assign(known, { revision, partly, dueSince: undefined })
    for (const one of found.relayed) if (known.strangers[one.listener]?.relayed !== true) this.#options.relayed(relay, one)
    known.strangers = { ...known.strangers, ...strangersOf(known.strangers, marks, found, partly) }
    const { every } = this.#options
    if (found.failed === undefined) known.attempts = { from: found.from, every, doors, ...(partly && { partly }) }
    else if (known.failures >= patience) known.attempts = { ...(known.attempts ?? { from: found.from, every, doors: {} }), failed: found.failed }
  }
}

const dueAt = ({ revision, partly, at, failures, attempts }: Known, target: Target, everyMs: number): number => {
  if (failures > 0) return at + againMs
  // a Service that changes is another way in, and changes no snapshot
  const wereItsDoors = Object.entries(target.doors).every(([listener, mark]) => attempts?.doors[listener] === mark)
  const wasTried = revision === target.revision && wereItsDoors && (partly !== true || target.partly === true)
  return wasTried ? at + everyMs : 0
}

/** Until now all pods ran what was tried, and soon may again. */
const isPartlyAnew = ({ revision, partly }: Known, target: Target): boolean => target.partly === true && !(partly === true && revision === target.revision)

/** What was found holds for a time while nobody can try again: after a change for a short one. */
const toldOf = ({ attempts, dueSince, wanted, revision }: Known, every: string, now: number, tooLongMs: number): Attempts | undefined => {
  if (dueSince === undefined || attempts?.failed !== undefined) return attempts
  const since = `${new Date(dueSince).toISOString().slice(0, 19)}Z`
  const told = attempts ?? { from: [], every, doors: {} }
  if (now - dueSince >= tooLongMs) return { ...told, failed: `no attempt could be made since ${since}: pods that are ready and run this snapshot are waited for` }
  return now - dueSince >= lateMs && wanted !== revision ? { ...told, late: since } : attempts
}

/** An attempt that failed, or was made at some pods only, has still let through whom it let through, but has proved nothing of the others. */
const strangersOf = (before: Known['strangers'], marks: Target['marks'], { relayed, failed }: Probe, partly = false): Record<string, Stranger> => {
  const through = new Set(relayed.map(({ listener }) => listener))
  const told = Object.entries(marks).filter(([listener]) => (failed === undefined && !partly) || through.has(listener))
  return Object.fromEntries(told.map(([listener, mark]) => [listener, strangerOf(before[listener], mark, through.has(listener))]))
}

/** Closed stays closed for the manifests for which it was closed. */
const strangerOf = (before: Stranger | undefined, mark: string, relayed: boolean): Stranger => {
  const closedFor = relayed ? mark : before?.closedFor === mark ? mark : undefined
  return { mark, relayed, ...(closedFor !== undefined && { closedFor }) }
}
