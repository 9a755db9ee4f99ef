// How the queue's servers are, each and as one. Reads only.
import { isIP } from 'node:net'
import type { Clock } from './clock.ts'
import { createGlance } from './glance.ts'
import type { JetStream } from './jetstream.ts'
import type { QueueServer, QueueServers } from './types.ts'

const patienceMs = 3_000
/** What asks the streams waits for their locks, and so for the disk. */
const streamsMs = 10_000

export type ServersOptions = {
  readonly stream: Pick<JetStream, 'api'>
  readonly name: string
  readonly monitorUrls: readonly string[]
  readonly clock: Pick<Clock, 'monotonic'>
}

export const createServers = ({ stream, name, monitorUrls, clock }: ServersOptions): (() => QueueServers | undefined) =>
  createGlance(async () => {
    const [servers, info] = await Promise.all([Promise.all(monitorUrls.map(serverAt)), stream.api(`STREAM.INFO.${name}`)])
    return { servers, replicas: replicasIn(info) }
  }, clock)

/** As people know it: the pod's name where there is one, else host and port. */
const nameOf = ({ hostname, host }: URL): string => (isIP(hostname.replace(/^\[|\]$/g, '')) === 0 && hostname.includes('.') ? hostname.slice(0, hostname.indexOf('.')) : host)

const serverAt = async (url: string): Promise<QueueServer> => {
  const name = nameOf(new URL(url))
  const [varz, jsz] = await Promise.allSettled([asked(url, '/varz'), asked(url, '/jsz', streamsMs)])
  if (varz.status === 'fulfilled' && jsz.status === 'fulfilled') return { name, ...figuresIn(varz.value, jsz.value) }
  const isSilent = jsz.status === 'rejected' && (jsz.reason as Error).name === 'TimeoutError'
  return { name, up: false, stuck: isSilent && (await asked(url, '/healthz?js-enabled-only=true').then((health) => health.status === 'ok', () => false)) }
}

/** Rejects where the answer is none: what stands before a server may say anything. */
const asked = async (url: string, path: string, ms = patienceMs): Promise<Record<string, unknown>> => {
  const answer = await fetch(new URL(path, url), { signal: AbortSignal.timeout(ms) })
  const said: unknown = await answer.json()
  if (!answer.ok || typeof said !== 'object' || said === null) throw new Error(`HTTP ${answer.status} without an answer of a nats-server`)
  return said as Record<string, unknown>
}

/** A server without JetStream says so, and has no copy of anything. */
const figuresIn = ({ mem, connections }: Record<string, unknown>, { storage, disabled }: Record<string, unknown>): { readonly up: false; readonly stuck: false } | Omit<QueueServer & { readonly up: true }, 'name'> => {
  const isWhole = typeof mem === 'number' && typeof connections === 'number' && typeof storage === 'number' && disabled !== true
  return isWhole ? { up: true, memoryBytes: mem, connections, storageBytes: storage } : { up: false, stuck: false }
}

type Cluster = { readonly leader?: string; readonly replicas?: readonly { readonly current?: boolean; readonly offline?: boolean }[] }

/** A server alone has no cluster: what answered is the one copy. */
export const replicasIn = (info: Readonly<Record<string, unknown>> | null | undefined): QueueServers['replicas'] => {
  if (info === undefined || info === null || info.error !== undefined) return undefined
  const { leader, replicas = [] } = (info.cluster ?? { leader: 'it' }) as Cluster
  const current = replicas.filter((one) => one.current === true && one.offline !== true).length + (leader === undefined || leader === '' ? 0 : 1)
  const offline = replicas.filter((one) => one.offline === true).length
  return { current, offline, behind: replicas.length + 1 - current - offline }
}
