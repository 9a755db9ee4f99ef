// What the API server refuses of one object, and a fault of ours over one, holds up that object, and nobody else: caught where it is written, told on the object it is for.
import { isFault, type Faults } from './faults.ts'
import { KubeError } from './kube/index.ts'
import type { Refusal } from './plan/index.ts'

/** An object of the wanted name is somebody else's. */
export class NameTaken extends Error {
  readonly code = 'NAME_TAKEN'
}

/** A Secret that was never read may not be read: nobody may say that it is not there, and whoever needs it stays as it is. */
export class SecretRefused extends Error {
  readonly code = 'SECRET_REFUSED'

  constructor(key: string, why: Error) {
    super(`Secret ${key}: ${why.message}`, { cause: why })
  }
}

export type Refusals = {
  /** By title of the object of ours: "MailRelay mail/main". The first of each. */
  readonly found: ReadonlyMap<string, Refusal>
  /** By title: those that are to stay as they are, for a Secret of theirs may not be read. */
  readonly held: ReadonlyMap<string, Refusal>
  /** Whether anything of it was refused in this run, or is to be tried again in a moment: it is not whole. */
  hindered(title: string): boolean
  /** What threw while this object was planned or made: a Secret that may not be read, or a fault of ours. */
  note(title: string, error: unknown): void
  /** undefined: it was refused, is at fault, or will be tried again soon. What is none of these, but a server that is away or wants to be left alone, is thrown. */
  attempt<T>(kind: string, key: string, work: () => Promise<T>): Promise<T | undefined>
  /** undefined: it is at fault, or held. What else the server refuses is thrown. */
  guard<T>(kind: string, key: string, work: () => Promise<T>): Promise<T | undefined>
}

export const createRefusals = (faults: Pick<Faults, 'waits' | 'note'>, passing: Passing): Refusals => {
  const found = new Map<string, Refusal>()
  const held = new Map<string, Refusal>()
  const note: Refusals['note'] = (title, error) => void (error instanceof SecretRefused ? held.set(title, { reason: 'SecretRefused', message: `the API server does not let it be read: ${error.message}` }) : faults.note(title, error))
  const guard: Refusals['guard'] = async (kind, key, work) => {
    const title = `${kind} ${key}`
    if (faults.waits(title)) return undefined
    try {
      return await work()
    } catch (error) {
      if (!isFault(error)) throw error
      note(title, error)
      return undefined
    }
  }
  const unlessRefused = async <T>(title: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      const refusal = refusalIn(error) ?? (mayPass(error) ? passing.refusalAfter(title, error) : undefined)
      if (refusal === undefined) throw error
      if (refusal !== 'not yet' && !found.has(title)) found.set(title, refusal)
      return undefined
    }
  }
  return { found, held, hindered: (title) => found.has(title) || passing.has(title), note, guard, attempt: (kind, key, work) => guard(kind, key, () => unlessRefused(`${kind} ${key}`, work)) }
}

/** A conflict with somebody else's write, or a server that is asked too much: over in a moment, for one object. */
const conflict = 409
const passingStatuses: readonly number[] = [conflict, 429, 503]
/** Of those that are no conflict: for more at once it is the server that is in trouble, and asking for all the others would make it worse. */
const mostPassing = 10
/** What has not passed by then is told. */
const lastingMs = 30_000

type Known = { readonly since: number; readonly runs: number; readonly run: number; readonly isConflict: boolean }

/** Objects of which something is to be tried again soon; over the runs. */
export class Passing {
  readonly #said: (title: string, error: KubeError) => void
  readonly #clock: () => number
  readonly #known = new Map<string, Known>()
  #run = 0

  /** `said`: once for each that begins. `clock`: ms, never back. */
  constructor(said: (title: string, error: KubeError) => void = () => {}, clock: () => number = () => performance.now()) {
    this.#said = said
    this.#clock = clock
  }

  /** After a run that ended before its end, too, only what it met lasts. */
  begin(): void {
    this.#forgetOthers()
    this.#run += 1
  }
  #forgetOthers(): void {
    for (const [title, { run }] of this.#known) if (run !== this.#run) this.#known.delete(title)
  }

  /** Titles of this run. */
  found(): string[] {
    return this.#found(() => true)
  }
  #found(fits: (one: Known) => boolean): string[] {
    return [...this.#known].filter(([, one]) => one.run === this.#run && fits(one)).map(([title]) => title)
  }

  has(title: string): boolean {
    return this.#known.get(title)?.run === this.#run
  }

  /** undefined: too many at once. */
  refusalAfter(title: string, error: KubeError): Refusal | 'not yet' | undefined {
    const isConflict = error.status === conflict
    if (!this.has(title) && !isConflict && this.#found(({ isConflict: is }) => !is).length >= mostPassing) return undefined
    const before = this.#known.get(title)
    const since = before?.since ?? this.#clock()
    if (before === undefined) this.#said(title, error)
    if (!this.has(title)) this.#known.set(title, { since, runs: (before?.runs ?? 0) + 1, run: this.#run, isConflict })
    return this.#clock() - since < lastingMs ? 'not yet' : notApplied(error)
  }

  /** Milliseconds until the next is to be tried: a second, ever more where it does not pass. */
  end(): number {
    this.#forgetOthers()
    return Math.min(Infinity, ...[...this.#known.values()].map(({ runs }) => Math.min(lastingMs, 1000 * 2 ** Math.min(runs - 1, 20))))
  }
}

const mayPass = (error: unknown): error is KubeError => error instanceof KubeError && passingStatuses.includes(error.status)

/** Invalid, forbidden (a quota, a webhook, a missing right), no such namespace, immutable, too big; and, after 5 tries or a slow one, 500 or 504: a webhook that does not answer, in one namespace or for one kind. */
const refusing: readonly number[] = [400, 403, 404, 413, 422, 500, 504]

export const isRefusal = (error: unknown): boolean => refusalIn(error) !== undefined

const refusalIn = (error: unknown): Refusal | undefined => {
  if (error instanceof NameTaken) return { reason: 'NameTaken', message: error.message }
  return error instanceof KubeError && refusing.includes(error.status) ? notApplied(error) : undefined
}

const notApplied = ({ message }: KubeError): Refusal => ({ reason: 'NotApplied', message: `the API server refuses it: ${message}` })
