// One way to the API server: JSON in, JSON out, with a time-out, and tries again where asking again may help and does no harm.
import { Agent, request as overHttp, type IncomingMessage, type OutgoingHttpHeaders, type RequestOptions } from 'node:http'
import { request as overHttps } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorOf, KubeError, mayPass, noAnswer, waitBefore } from './kube-error.ts'

export type Call = {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly body?: unknown
  readonly contentType?: string
  readonly accept?: string
  /** Until the head of the answer is there, and again until its end; if absent 30 s, and 40 s for a write, which the server ends by itself after 34. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** How often to ask at most; 5 if absent. A write that is refused slowly is not repeated; one without an answer is. */
  readonly tries?: number
}

/** To accept: of an object, or of each in a list, only the metadata. */
export const onlyMetadata = (list: '' | 'List' = ''): string => `application/json;as=PartialObjectMetadata${list};g=meta.k8s.io;v=v1`

/** Where the server is, and what each request to it carries: credentials may change from one to the next. */
export type Access = { readonly server: URL; prepare(): Promise<Prepared> }
export type Prepared = Omit<RequestOptions, 'headers'> & { readonly headers: OutgoingHttpHeaders }

export type Kube = {
  /** Throws KubeError. 429, 5xx and lost connections are tried again (POST only where it was refused before it did anything). */
  call<T = unknown>(call: Call): Promise<T>
  /** The answer as it comes, once its head says 200; for watches. */
  open(call: Call): Promise<IncomingMessage>
  /** Requests sent so far, by method: what a quiet operator must not do is counted here. */
  readonly sent: Readonly<Record<string, number>>
}

export type KubeOptions = {
  readonly random?: () => number
  /** Each answer's head, 0 where none came; `seconds` after it was asked for. */
  readonly onAnswer?: (call: Call, status: number, seconds: number) => void
  /** False: nothing that changes the cluster is sent, now and when a try is repeated. For whoever may have lost its lease. */
  readonly mayWrite?: () => boolean
}

export const createKube = (access: Access, options: KubeOptions = {}): Kube => {
  const random = options.random ?? Math.random
  const sent: Record<string, number> = {}
  const begin = async (call: Call): Promise<IncomingMessage> => {
    const method = call.method ?? 'GET'
    const prepared = await access.prepare().catch((error: unknown) => {
      throw noAnswer(titleOf(call), `not sent, for there are no credentials: ${(error as Error).message}`)
    })
    // last, for whatever was waited for before
    if (method !== 'GET' && options.mayWrite?.() === false) throw new KubeError({ status: 412, reason: 'LeaseLost', message: `${titleOf(call)}: not sent, for the lease may be another's by now` })
    sent[method] = (sent[method] ?? 0) + 1
    const asked = performance.now()
    const tell = (status: number): void => options.onAnswer?.(call, status, (performance.now() - asked) / 1000)
    try {
      const answer = await send(access.server, prepared, call)
      tell(answer.statusCode!)
      return answer
    } catch (error) {
      tell(error instanceof KubeError ? error.status : 0)
      throw error
    }
  }
  const once = async <T>(call: Call): Promise<T> => {
    const text = await wholeOf(call, begin)
    try {
      return (text === '' ? undefined : JSON.parse(text)) as T
    } catch {
      throw noAnswer(titleOf(call), `the answer is no JSON: ${text.slice(0, 100)}`)
    }
  }
  return {
    sent,
    open: begin,
    call: async <T>(call: Call): Promise<T> => {
      for (let attempt = 1; ; attempt++) {
        const asked = performance.now()
        try {
          return await once<T>(call)
        } catch (error) {
          if (attempt >= (call.tries ?? 5) || !mayTryAgain(call, error, performance.now() - asked) || call.signal?.aborted) throw error
          await sleep(waitBefore(attempt, (error as KubeError).retryAfterMs, random()), undefined, { ...(call.signal && { signal: call.signal }) })
        }
      }
    },
  }
}

const patienceMs = ({ method = 'GET', timeoutMs = method === 'GET' ? 30_000 : 40_000 }: Call): number => timeoutMs

const titleOf = ({ method = 'GET', path }: Call): string => `${method} ${path}`

/** A POST whose answer was lost may have made its object: made again it would be a second one, or a conflict that is none. What is refused slowly is refused by a webhook that hangs, and others wait. */
const mayTryAgain = ({ method = 'GET' }: Call, error: unknown, tookMs: number): boolean => {
  const { status } = error as KubeError
  if (!mayPass(error) || (method === 'POST' && status !== 429)) return false
  return method === 'GET' || status < 500 || tookMs < slowMs
}
/** What is refused after this was refused by something that hangs. */
export const slowMs = 5_000

const send = (server: URL, prepared: Prepared, call: Call): Promise<IncomingMessage> => {
  const { method = 'GET', path, query, body, contentType = 'application/json', accept = 'application/json', signal } = call
  const payload = body === undefined ? undefined : JSON.stringify(body)
  const headers = { ...prepared.headers, accept, ...(payload !== undefined && { 'content-type': contentType, 'content-length': Buffer.byteLength(payload) }) }
  const options: RequestOptions = { ...prepared, method, headers, ...(signal && { signal }) }
  const url = new URL(`${server.pathname.replace(/\/$/, '')}${path}${queryOf(query)}`, server)
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? overHttps : overHttp)(url, options, (answer) => {
      clearTimeout(timer) // who reads the answer has a time of its own
      resolve(answer)
    })
    // a timer of ours: that of a socket begins when it is connected
    const timer = setTimeout(() => request.destroy(new Error('no answer in time')), patienceMs(call))
    request.once('error', (error) => {
      clearTimeout(timer)
      if (request.reusedSocket) dropKept(prepared.agent)
      reject(noAnswer(titleOf(call), error.message))
    })
    request.end(payload)
  }).then(async (answer) => refusedOr(answer as IncomingMessage, call))
}

/** One kept connection was dead: those kept beside it are as old, and each would cost a try. */
const dropKept = (agent: Prepared['agent']): void => {
  if (agent instanceof Agent) for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy()
}

const queryOf = (query: Call['query'] = {}): string => {
  const given = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, String(value))
  return given.size === 0 ? '' : `?${given.toString()}`
}

const refusedOr = async (answer: IncomingMessage, call: Call): Promise<IncomingMessage> => {
  if (answer.statusCode! < 300) return answer
  throw errorOf(answer.statusCode!, await textOf(answer, call), answer.headers['retry-after'], titleOf(call))
}

const wholeOf = async (call: Call, begin: (call: Call) => Promise<IncomingMessage>): Promise<string> => textOf(await begin(call), call)

const textOf = async (answer: IncomingMessage, call: Call): Promise<string> => {
  const timer = setTimeout(() => answer.destroy(new Error('the answer did not end in time')), patienceMs(call))
  try {
    const pieces: Buffer[] = []
    for await (const piece of answer) pieces.push(piece as Buffer)
    return Buffer.concat(pieces).toString('utf8')
  } catch (error) {
    throw noAnswer(titleOf(call), (error as Error).message)
  } finally {
    clearTimeout(timer)
  }
}
