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
  /** What threw while this object was planned or made: a Secret that may not be read, or a fault of ours. */
  note(title: string, error: unknown): void
  /** undefined: it was refused, or is at fault. What is neither, but a server that is away, is thrown. */
  attempt<T>(kind: string, key: string, work: () => Promise<T>): Promise<T | undefined>
  /** undefined: it is at fault, or held. What else the server refuses is thrown. */
  guard<T>(kind: string, key: string, work: () => Promise<T>): Promise<T | undefined>
}

export const createRefusals = (faults: Pick<Faults, 'waits' | 'note'>): Refusals => {
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
      const refusal = refusalIn(error)
      if (refusal === undefined) throw error
      if (!found.has(title)) found.set(title, refusal)
      return undefined
    }
  }
  return { found, held, note, guard, attempt: (kind, key, work) => guard(kind, key, () => unlessRefused(`${kind} ${key}`, work)) }
}

/** Invalid, forbidden (a quota, a webhook, a missing right), no such namespace, immutable, too big; and, after 5 tries or a slow one, 500 or 504: a webhook that does not answer, in one namespace or for one kind. A conflict is none: it is over when we look again. */
const refusing: readonly number[] = [400, 403, 404, 413, 422, 500, 504]

export const isRefusal = (error: unknown): boolean => refusalIn(error) !== undefined

const refusalIn = (error: unknown): Refusal | undefined => {
  if (error instanceof NameTaken) return { reason: 'NameTaken', message: error.message }
  if (error instanceof KubeError && refusing.includes(error.status)) return { reason: 'NotApplied', message: `the API server refuses it: ${error.message}` }
  return undefined
}
