// The configuration of the servers of a queue as far as it may change: the logins they take, and whether all of them run it. Pure.
import { createHash } from 'node:crypto'
import type { KubeObject } from '../../kube/index.ts'
import type { Data } from '../input.ts'

/** The same for the same configuration and certificates of a server: another one asks for its restart. */
export const configHash = (secrets: Data): string =>
  createHash('sha256').update(JSON.stringify([...loginsIn(secrets), ...['nats.conf', 'tls.crt', 'tls.key', 'ca.crt'].map((name) => secrets[name])])).digest('hex').slice(0, 16)

export type QueueLogin = { readonly username: string; readonly password: string }

/** All that the servers take, in an order that does not change when one becomes the relay's own. */
export const loginsIn = (secrets: Data): QueueLogin[] =>
  ['', 'next-', 'old-'].flatMap((prefix) => loginAt(secrets, prefix) ?? []).toSorted((a, b) => (a.username < b.username ? -1 : 1))

export const loginAt = (secrets: Data, prefix: string): QueueLogin | undefined => {
  const [username, password] = [secrets[`${prefix}username`], secrets[`${prefix}password`]]
  return username === undefined || password === undefined ? undefined : { username, password }
}
export const configAnnotation = 'posthouse.dev/config'

/** The configuration that every server of this StatefulSet runs and is whole with; undefined while they change. */
export const runningConfig = (live: KubeObject | undefined): string | undefined => {
  const { metadata, spec, status } = (live ?? {}) as { readonly metadata?: KubeObject['metadata']; readonly spec?: StatefulSetSpec; readonly status?: StatefulSetStatus }
  if (metadata === undefined || spec === undefined || status === undefined) return undefined
  const isWhole = status.observedGeneration === metadata.generation && status.currentRevision === status.updateRevision && status.updatedReplicas === spec.replicas && status.readyReplicas === spec.replicas
  return isWhole ? spec.template.metadata.annotations?.[configAnnotation] : undefined
}
type StatefulSetSpec = { readonly replicas: number; readonly template: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } } }
type StatefulSetStatus = { readonly observedGeneration?: number; readonly currentRevision?: string; readonly updateRevision?: string; readonly updatedReplicas?: number; readonly readyReplicas?: number }
