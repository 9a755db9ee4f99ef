// Wiring of one relay process, in the order a message meets the parts: snapshot, queue, deliver, receive, then the windows to look in.
import { hostname, networkInterfaces } from 'node:os'
import { createDeliverer, scheduleFor } from './deliver/index.ts'
import { type Current, setFigures } from './figures.ts'
import { capacityOf, openQueue } from './queue/index.ts'
import { type ReceiveOptions, type Receiving, startReceiving } from './receive/index.ts'
import { createComposeNotice } from './notices/index.ts'
import { createLog, createMetrics, type Log, type Metrics, type Readiness, startAdmin, startHttp } from './report/index.ts'
import { type Listener, readSnapshot, splitMailbox, type Snapshot, type SnapshotWatch, watchSnapshot } from './snapshot/index.ts'
import { gateways } from './gateways.ts'
import { statusOf } from './status.ts'
import { adminCalls } from './steering.ts'
import type { DurableAccept, Queue, QueueSize } from './queue/index.ts'

export type RelayOptions = {
  readonly snapshotFolder: string
  readonly natsUrls: readonly string[]
  readonly monitorUrls: readonly string[]
  /** Folder that says who we are to the queue's servers, and whom we trust to be them; absent: nobody in particular, without TLS. */
  readonly natsSecrets?: string
  /** No monitoring address is known: that the servers sync to disk is taken on trust, and said so. */
  readonly natsTrustSync?: boolean
  readonly pod: string
  readonly bind: (listener: Listener) => { readonly host: string; readonly port: number }
  readonly http: { readonly host: string; readonly port: number }
  readonly adminSocket: string
  readonly log?: Log
  /** For tests on one machine: the port of MX hosts (default 25), and whether an MX may be loopback. */
  readonly testMx?: { readonly port: number; readonly allowLoopback: boolean }
  /** For tests: how often the queue is kept tidy, and how old a half body is when it goes, in ms. */
  readonly testUpkeepMs?: number
}

export type RunningRelay = {
  readonly revision: () => string
  readonly listeners: () => readonly { readonly listener: string; readonly host: string; readonly port: number }[]
  readonly httpPort: number
  readonly readiness: () => Readiness
  /** Finishes what is in flight within the snapshot's drain time, lets go of its lanes, and ends. */
  stop(): Promise<void>
}

/** Rejects when the snapshot is broken, or an address cannot be opened. An unreachable queue is waited for: the relay is up, and not ready. */
export const startRelay = async (options: RelayOptions): Promise<RunningRelay> => {
  const log = options.log ?? createLog({ pod: options.pod })
  const read = readSnapshot(options.snapshotFolder)
  const current: Current = { ...read, snapshot: knowingItself(read.snapshot, options) }
  const metrics = createMetrics(`${current.snapshot.relay.namespace}/${current.snapshot.relay.name}`)
  const queue = await openItsQueue(options, current, log, metrics)
  const deliverer = createDeliverer({ snapshot: () => current.snapshot, log, metrics, pod: options.pod, now: () => queue.now(), ...(options.testMx && { mxPort: options.testMx.port, allowLoopback: options.testMx.allowLoopback }) })
  queue.setPaused(current.snapshot.relay.paused)
  await queue.start(deliverer)
  const leaving: ReceiveOptions['leaving'] = (now, mail) => ({ schedule: scheduleFor(now, mail) }) // a route on hold is seen at the attempt
  const receiving = await startReceiving({ snapshot: current.snapshot, queue, log, metrics, pod: options.pod, leaving, bind: options.bind, callout: deliverer.callout, asked: deliverer.asked })
  const state = { stopping: false, isNew: true }
  const readiness = () => {
    if (queue.durable().ok && queue.outage() === undefined) state.isNew = false
    return readinessOf(queue, state, Date.now())
  }
  const http = await startHttp({ ...options.http, metrics, readiness, beforeScrape: () => setFigures(metrics, queue, current, Date.now()), status: () => toldTo(current, queue, readiness(), { routes: deliverer.reached(), gateways: gateways(), ...receiving.witnessed() }) })
  const admin = await startAdmin(options.adminSocket, adminCalls(queue, () => statusOf({ pod: options.pod, current, queue, readiness: readiness() }, Date.now()), ({ domain, mailFrom, sender }) => deliverer.heldBy(domain, { mailFrom: splitMailbox(mailFrom) ?? null, ...(sender !== undefined && { sender }) })))
  const watch = follow(options, { current, receiving, queue, log, metrics })
  log.info('START', { revision: current.revision, listeners: receiving.addresses(), http: http.port })
  const stop = async () => {
    state.stopping = true
    log.info('STOP')
    await watch.stop()
    await drainInTime(receiving, queue, current.snapshot.relay.drainSeconds * 1000)
    for (const part of [receiving, deliverer, queue, admin, http]) await part.close()
  }
  return { revision: () => current.revision, listeners: receiving.addresses, httpPort: http.port, readiness, stop }
}

/** Whoever awaits the answer to a final dot makes a duplicate by leaving; a pod has 30 s beyond its drain time before it is killed. */
const leastForDeliveriesMs = 10_000

/** Clients first, then deliveries, within `ms` in all: a pod whose every part took as long would be killed in the middle of the last. */
export const drainInTime = async (receiving: Pick<Receiving, 'drain'>, queue: Pick<Queue, 'drain'>, ms: number, now: () => number = () => performance.now()): Promise<void> => {
  const end = now() + ms
  await receiving.drain(ms)
  await queue.drain(Math.max(end - now(), Math.min(ms, leastForDeliveriesMs)))
}

const openItsQueue = (options: RelayOptions, current: Current, log: Log, metrics: Metrics): Promise<Queue> => {
  return openQueue({
    servers: [...options.natsUrls],
    monitorUrls: [...options.monitorUrls],
    ...(options.natsSecrets !== undefined && { secrets: options.natsSecrets }),
    trustSync: options.natsTrustSync ?? false,
    name: current.snapshot.relay.queue,
    ...sizeOf(current.snapshot),
    pod: options.pod,
    revision: () => current.revision,
    log,
    metrics,
    ...(options.testUpkeepMs !== undefined && { limits: { upkeepEveryMs: options.testUpkeepMs, halfBodyMs: options.testUpkeepMs } }),
    composeNotice: createComposeNotice({ relay: () => current.snapshot.relay, schedule: () => scheduleOf(current.snapshot), log }),
  })
}

const sizeOf = ({ relay: { queueReplicas, queueBytes } }: Snapshot): QueueSize => ({ replicas: queueReplicas, bytesLimit: capacityOf(queueBytes) })

/** With the addresses at which this process takes mail where MX hosts do: an MX that points there is ourselves. */
export const knowingItself = (snapshot: Snapshot, { bind, testMx = { port: 25 } }: Pick<RelayOptions, 'bind'> & { readonly testMx?: { readonly port: number } }): Snapshot => {
  const hosts = snapshot.listeners.map(bind).filter(({ port }) => port === testMx.port).map(({ host }) => host)
  return { ...snapshot, relay: { ...snapshot.relay, ownAddresses: [...snapshot.relay.ownAddresses, ...new Set(hosts.flatMap(addressesAt))] } }
}

/** Of a host to listen at: itself, or every address of this machine. */
const addressesAt = (host: string): string[] => {
  if (host !== '0.0.0.0' && host !== '::') return [host]
  return Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address))
}

type Followed = { readonly current: Current; readonly receiving: Receiving; readonly queue: Queue; readonly log: Log; readonly metrics: Metrics }

/** Swaps in each sound snapshot; a broken one, or one whose listeners cannot be opened, changes nothing. */
const follow = (options: RelayOptions, { current, receiving, queue, log, metrics }: Followed): SnapshotWatch => {
  const refuse = (error: Error) => log.error('SNAPSHOT_REFUSED', { reason: error.message, revision: current.revision })
  const swap = async (given: Snapshot, revision: string) => {
    const snapshot = knowingItself(given, options)
    await receiving.reload(snapshot)
    Object.assign(current, { snapshot, revision })
    queue.setPaused(snapshot.relay.paused)
    queue.resize(sizeOf(snapshot))
    metrics.policyWarnings.keep(snapshot.policies)
    log.info('SNAPSHOT_LOADED', { revision })
  }
  return watchSnapshot(options.snapshotFolder, current.revision, swap, refuse)
}

/** What this process is called in leases, logs and traces: the pod's name, or host and process. */
export const podName = (env: NodeJS.ProcessEnv = process.env): string => env.POD_NAME ?? `${hostname().replace(/[^A-Za-z0-9-]/g, '-')}-${process.pid}`

const outageMs = 60_000

/** Not ready: stopping, not durable, or a queue out of reach for a minute (under that, clients are answered 451). `isNew`: the queue was never seen to be durable; the others serve until it is. */
export const readinessOf = (queue: Pick<Queue, 'durable' | 'outage'>, { stopping, isNew }: { readonly stopping: boolean; readonly isNew: boolean }, now: number): Readiness => {
  if (stopping) return { ready: false, reason: 'stopping: sessions finish, new ones go elsewhere' }
  const outage = queue.outage()
  if (outage && now - outage.since > outageMs) return { ready: false, reason: `the queue has been out of use for ${Math.round((now - outage.since) / 1000)} s: ${outage.why}` }
  const durable = queue.durable()
  // inside the first minute of an outage nothing is known about durability either: stay in, answer 451
  if (isNew || (!durable.ok && !outage)) return { ready: false, reason: `${durable.reason}: ${durable.text}` }
  return { ready: true, reason: outage ? `ready; clients get 451 for the moment: ${outage.why}` : 'ready' }
}

const scheduleOf = (snapshot: Snapshot) => snapshot.schedules.find(({ name }) => name === snapshot.relay.retrySchedule)!

const remainsMs = 1_500 // the operator waits for 2 s, and the rest is worth more to it

/** What the operator asks for; once the relay is to go, also what is left in its queue. */
export const toldTo = async ({ snapshot, revision }: Current, queue: Pick<Queue, 'durable' | 'isFull' | 'outage' | 'remains' | 'servers'>, ready: Readiness, seen: object): Promise<object> => {
  const servers = queue.servers()?.servers.map((server) => ({ name: server.name, up: server.up, stuck: !server.up && server.stuck }))
  const told = { revision, ready, durable: acceptanceOf(queue, Date.now()), ...(servers && { servers }), ...seen }
  if (snapshot.relay.closing !== true) return told
  const remains = await within(queue.remains().catch(() => undefined), remainsMs)
  return { ...told, closing: true, remains: remains ?? null }
}

const within = <T>(answer: Promise<T>, ms: number): Promise<T | undefined> => {
  const { promise: late, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => resolve(undefined), ms)
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

/** Whether mail can be taken so that it is kept. A full queue takes no pod out of the Service: a 452 says more than nobody who answers. */
export const acceptanceOf = (queue: Pick<Queue, 'durable' | 'isFull' | 'outage'>, now: number): DurableAccept => {
  const durable = queue.durable()
  const outage = queue.outage()
  if (durable.ok && outage && now - outage.since > outageMs) return { ok: false, reason: 'Unreachable', text: `the queue is out of use: ${outage.why}` }
  return durable.ok && queue.isFull() ? { ok: false, reason: 'QueueFull', text: 'the queue takes 80 % of what its volume has room for: clients are answered 452 until deliveries have made room' } : durable
}
