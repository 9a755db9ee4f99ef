// What the API server refuses of one object holds up that object, and nobody else: caught where it is written, told on the object it is for.
import { KubeError } from './kube/index.ts'
import type { Refusal } from './plan/index.ts'

/** An object of the wanted name is somebody else's. */
export class NameTaken extends Error {
  readonly code = 'NAME_TAKEN'
}

export type Refusals = {
  /** By title of the object of ours: "MailRelay mail/main". The first of each. */
  readonly found: ReadonlyMap<string, Refusal>
  /** undefined: it was refused. What is no refusal, but a server that is away, is thrown. */
  attempt<T>(kind: string, key: string, work: () => Promise<T>): Promise<T | undefined>
}

export const createRefusals = (): Refusals => {
  const found = new Map<string, Refusal>()
  return {
    found,
    attempt: async (kind, key, work) => {
      try {
        return await work()
      } catch (error) {
        const refusal = refusalIn(error)
        if (refusal === undefined) throw error
        const title = `${kind} ${key}`
        if (!found.has(title)) found.set(title, refusal)
        return undefined
      }
    },
  }
}

/** Invalid, forbidden (a quota, a webhook, a missing right), no such namespace, immutable, too big. A conflict is none: it is over when we look again. */
const refusing: readonly number[] = [400, 403, 404, 413, 422]

export const isRefusal = (error: unknown): boolean => refusalIn(error) !== undefined

const refusalIn = (error: unknown): Refusal | undefined => {
  if (error instanceof NameTaken) return { reason: 'NameTaken', message: error.message }
  if (error instanceof KubeError && refusing.includes(error.status)) return { reason: 'NotApplied', message: `the API server refuses it: ${error.message}` }
  return undefined
}
