// What can go wrong between us and the API server, and whether asking again may help. Pure.

export class KubeError extends Error {
  readonly code = 'KUBE'
  /** HTTP status; 0 where there was no answer. */
  readonly status: number
  /** The API's own word: Conflict, NotFound, Invalid, Expired, Forbidden…; NoAnswer where there was none. */
  readonly reason: string
  /** What the server asked for by Retry-After, in ms. */
  readonly retryAfterMs: number | undefined

  constructor(given: { readonly status: number; readonly reason: string; readonly message: string; readonly retryAfterMs?: number | undefined }) {
    super(given.message)
    this.status = given.status
    this.reason = given.reason
    this.retryAfterMs = given.retryAfterMs
  }
}

/** From the answer of a server that said no; its body is a Status object, or anything. */
export const errorOf = (status: number, body: string, retryAfter: string | undefined, what: string): KubeError => {
  const told = statusIn(body)
  const seconds = Number(retryAfter)
  return new KubeError({
    status,
    reason: told?.reason ?? reasonsOfStatus[status] ?? 'Unknown',
    message: `${what}: ${told?.message ?? `HTTP ${status} ${body.slice(0, 200)}`.trim()}`,
    retryAfterMs: retryAfter !== undefined && Number.isFinite(seconds) ? Math.max(0, seconds) * 1000 : undefined,
  })
}

const reasonsOfStatus: Readonly<Record<number, string>> = { 401: 'Unauthorized', 403: 'Forbidden', 404: 'NotFound', 409: 'Conflict', 410: 'Gone', 422: 'Invalid', 429: 'TooManyRequests' }

const statusIn = (body: string): { reason?: string; message?: string } | undefined => {
  try {
    const { kind, reason, message } = JSON.parse(body) as { kind?: unknown; reason?: unknown; message?: unknown }
    return kind === 'Status' ? { ...(typeof reason === 'string' && reason !== '' && { reason }), ...(typeof message === 'string' && { message }) } : undefined
  } catch {
    return undefined
  }
}

export const noAnswer = (what: string, why: string): KubeError => new KubeError({ status: 0, reason: 'NoAnswer', message: `${what}: ${why}` })

const passing: readonly number[] = [0, 429, 500, 502, 503, 504]

/** Whether the same question may be answered differently in a moment. */
export const mayPass = (error: unknown): boolean => error instanceof KubeError && passing.includes(error.status)

/** Milliseconds before try `attempt + 1`, doubling from 200 ms to 10 s, never before the server's Retry-After (at most 60 s of it). */
export const waitBefore = (attempt: number, retryAfterMs: number | undefined, chance: number): number => {
  const own = Math.min(10_000, 200 * 2 ** (attempt - 1)) * (0.5 + chance / 2)
  return Math.max(own, Math.min(retryAfterMs ?? 0, 60_000))
}
