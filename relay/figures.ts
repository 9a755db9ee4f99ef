// The metrics that are read at each scrape, not counted: of the queue, its servers, and what the snapshot in force holds.
import { X509Certificate } from 'node:crypto'
import { capacityOf, type Queue } from './queue/index.ts'
import type { Metrics } from './report/index.ts'
import type { Snapshot } from './snapshot/index.ts'

export type Current = { readonly snapshot: Snapshot; readonly revision: string }

export const setFigures = (metrics: Metrics, queue: Queue, { snapshot, revision }: Current, now: number): void => {
  const { inFlight, lanesOwned, bytes } = queue.counts()
  metrics.inFlight.set(inFlight)
  metrics.queueLanes.set(lanesOwned)
  metrics.queueBytes.set(bytes)
  metrics.queueLimit.set(capacityOf(snapshot.relay.queueBytes))
  metrics.queueUp.set(queue.durable().ok && queue.outage() === undefined ? 1 : 0)
  metrics.revisionInfo.reset()
  metrics.revisionInfo.set({ revision }, 1)
  setTotals(metrics, queue, now)
  setServers(metrics, queue)
  metrics.certificateExpiry.reset()
  for (const { name, certificate } of snapshot.certificates) setExpiry(metrics, name, certificate)
}

/** No figure is better than an old one that looks like a quiet queue. */
const setTotals = ({ queueDeliveries, oldestReady }: Metrics, queue: Queue, now: number): void => {
  queueDeliveries.reset()
  oldestReady.reset()
  const totals = queue.totals()
  if (totals === undefined) return oldestReady.remove()
  const { oldestReadyAt, ...counts } = totals
  for (const [state, count] of Object.entries(counts)) queueDeliveries.set({ state }, count)
  oldestReady.set(oldestReadyAt === undefined ? 0 : Math.max(0, now - oldestReadyAt) / 1000)
}

const setServers = (metrics: Metrics, queue: Queue): void => {
  const { serverUp, serverStorage, serverMemory, serverConnections, queueReplicas } = metrics
  for (const gauge of [serverUp, serverStorage, serverMemory, serverConnections, queueReplicas]) gauge.reset()
  const seen = queue.servers()
  for (const server of seen?.servers ?? []) {
    serverUp.set({ server: server.name }, server.up ? 1 : 0)
    if (!server.up) continue
    serverStorage.set({ server: server.name }, server.storageBytes)
    serverMemory.set({ server: server.name }, server.memoryBytes)
    serverConnections.set({ server: server.name }, server.connections)
  }
  for (const [state, count] of Object.entries(seen?.replicas ?? {})) queueReplicas.set({ state }, count)
}

/** The first certificate of the chain is the one that clients see. */
const setExpiry = ({ certificateExpiry }: Metrics, certificate: string, pem: string): void => {
  try {
    certificateExpiry.set({ certificate }, new X509Certificate(pem).validToDate.getTime() / 1000)
  } catch {
    // a certificate that cannot be read is refused where it is used
  }
}
