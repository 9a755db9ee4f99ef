// Wiring of the operator: access, caches, the lease, and one queue of work with one piece in it: reconcile everything.
import { Applier } from './apply/index.ts'
import { serveHttp } from './http.ts'
import { createKube, createNotes, Lease, openAccess, requestTitle, watchEnds, WorkQueue, type Access, type Kube, type KubeError, type KubeOptions } from './kube/index.ts'
import { createOperatorMetrics, measure, type OperatorMetrics } from './metrics.ts'
import type { ObjectSettings } from './plan/index.ts'
import { controllerName, reconcile, type ReconcileParts } from './reconcile.ts'
import { Memory } from './memory.ts'
import { Pokes } from './pokes.ts'
import { Faults } from './faults.ts'
import { Passing } from './refusals.ts'
import { KeyMaker } from './key-maker.ts'
import type { LogLine } from './log-events.ts'
import { Prober } from './probe/index.ts'
import { RecordWatch, type RecordWatchOptions } from './record-watch.ts'
import { SecretStore } from './secret-store.ts'
import { createSeldom } from './seldom.ts'
import { TokenIssuerReader } from './token-issuer.ts'
import { ourKinds, secrets, Watched } from './watched.ts'

export type OperatorOptions = {
  readonly settings: ObjectSettings
  /** Where the lease lies. */
  readonly namespace: string
  /** Its name; `posthouse-operator` where not said. */
  readonly lease?: string
  readonly identity: string
  readonly kubeconfig?: string
  /** Folder with the token and CA of a ServiceAccount; the pod's own where absent. */
  readonly serviceAccount?: string
  readonly access?: Access
  readonly watchNamespaces?: readonly string[]
  /** How often a stranger tries every listener, beside after every change; 5m if absent. */
  readonly probeEvery?: string
  /** For tests only: believe the addresses of clients whatever is known of them. */
  readonly believeAll?: boolean
  /** Metrics and health; absent: none. */
  readonly http?: { readonly host: string; readonly port: number }
  /** For tests: how often DNS is looked at. */
  readonly recordTimes?: RecordWatchOptions['times']
  readonly say: (line: LogLine) => void
}

export type RunningOperator = {
  /** Counts what is sent, renewals of the lease apart. */
  readonly kube: Kube
  readonly synced: () => boolean
  /** Runs of reconcile that ended well. */
  readonly runs: () => number
  readonly httpPort: number | undefined
  /** Resolves when this operator no longer acts: it was stopped, or lost its lease. */
  readonly ended: Promise<void>
  stop(): Promise<void>
}

const gatherMs = 200 // a `kubectl apply` of many manifests is one change
const newsMs = 1000 // what DNS says of many domains comes in one by one

export const startOperator = async (options: OperatorOptions): Promise<RunningOperator> => {
  const { say, namespace, identity } = options
  const leaseName = options.lease ?? 'posthouse-operator'
  const metrics = createOperatorMetrics(`${namespace}/${leaseName}`)
  const sayTrouble = seldomly(say)
  const access = options.access ?? (await openAccess(options.kubeconfig, options.serviceAccount))
  const lease = new Lease({ kube: countingKube(access, metrics), namespace, name: leaseName, holder: identity, onTrouble: (error) => sayTrouble({ event: 'LEASE_TROUBLE', why: error.message }) })
  const kube = countingKube(access, metrics, { mayWrite: () => lease.held() })
  const state: State = { runs: 0, leads: false, watched: undefined, queue: undefined, metrics }
  const end = new AbortController()
  const ended = act({ options, kube, lease, state, sayTrouble, signal: end.signal })
  const ready = (): boolean => !state.leads || (state.watched?.synced() ?? false)
  const http = options.http && (await serveHttp({ ...options.http, metrics, ready, beforeScrape: () => gauge(state) }))
  return {
    kube,
    synced: () => state.watched?.synced() ?? false,
    runs: () => state.runs,
    httpPort: http?.port,
    ended,
    stop: async () => {
      end.abort()
      await ended
      await http?.close()
    },
  }
}

const seldomly = (say: OperatorOptions['say']): OperatorOptions['say'] => {
  const seldom = createSeldom()
  return (line) => {
    const times = seldom(JSON.stringify(line), performance.now())
    if (times !== undefined) say({ ...line, ...(times > 1 && { times }) })
  }
}

type State = { runs: number; leads: boolean; watched: Watched | undefined; queue: WorkQueue | undefined; readonly metrics: OperatorMetrics }
type Acting = { readonly options: OperatorOptions; readonly kube: Kube; readonly lease: Lease; readonly state: State; readonly sayTrouble: OperatorOptions['say']; readonly signal: AbortSignal }

/** Waits for the lease, acts while it has it, and lets go of everything. Who lost it ends: a new process begins with nothing half done. */
const act = async ({ options, kube, lease, state, sayTrouble, signal }: Acting): Promise<void> => {
  const { say } = options
  say({ event: 'WAITING_FOR_LEASE' })
  const got = await lease.acquire(signal).then(() => true, () => false)
  if (!got) return
  state.leads = true
  say({ event: 'LEADING' })
  const working = work({ options, kube, state, sayTrouble })
  await lease.keep(signal)
  state.leads = false
  await working.stop()
  if (signal.aborted) await lease.release()
  say({ event: signal.aborted ? 'STOPPED' : 'LEASE_LOST' })
}

const countingKube = (access: Access, metrics: OperatorMetrics, options: Pick<KubeOptions, 'mayWrite'> = {}): Kube =>
  createKube(access, {
    ...options,
    onAnswer: (call, status, seconds) => {
      const { verb, resource } = requestTitle(call)
      metrics.apiRequests.inc({ verb, resource, code: status === 0 ? 'none' : String(status) })
      metrics.apiSeconds.observe({ verb }, seconds)
    },
  })

/** Figures that are read, not counted. */
const gauge = ({ metrics, leads, queue, watched }: State): void => {
  metrics.leader.set(leads ? 1 : 0)
  metrics.workQueue.set(queue?.depth() ?? 0)
  metrics.missedEvents.reset()
  for (const [resource, count] of watched?.foundByList() ?? []) {
    metrics.missedEvents.inc({ resource }, count)
    for (const why of watchEnds) metrics.watchRestarts.inc({ resource, why }, 0) // there from the start, so that the first one is seen as a step
  }
}

const work = ({ options, kube, state, sayTrouble }: Omit<Acting, 'lease' | 'signal'>): { stop(): Promise<void> } => {
  const { say, settings, identity } = options
  const { metrics } = state
  const onTrouble = (what: string) => (error: Error) => sayTrouble({ event: 'API_TROUBLE', what, why: error.message })
  const watched = new Watched({
    kube,
    ...(options.watchNamespaces && { watchNamespaces: options.watchNamespaces }),
    onTrouble: (resource, error: KubeError) => onTrouble(`watch of ${resource.plural}`)(error),
    onRestart: (resource, why) => metrics.watchRestarts.inc({ resource: resource.plural, why }),
    onListed: (resource) => {
      if (resource === secrets) store.listed()
    },
    onChange: (resource, change) => {
      if (resource === secrets) store.changed(change)
      if (change.after === undefined) applier.gone(resource, change.key)
      queue.add('all')
    },
  })
  state.watched = watched
  const applier = new Applier(kube)
  const store = new SecretStore(kube, () => watched, onTrouble('Secrets'))
  const notes = createNotes({ kube, controller: controllerName, instance: identity, now: Date.now, onTrouble: onTrouble('events') })
  const records = new RecordWatch({ changed: () => queue.add('all', newsMs), ...(options.recordTimes && { times: options.recordTimes }) })
  const keys = new KeyMaker({ ready: () => queue.add('all') })
  const prober = new Prober({ every: options.probeEvery ?? '5m', now: Date.now, news: () => queue.add('all'), relayed: (relay, found) => say({ event: 'OPEN_RELAY', relay, ...found }) })
  const strangers = { prober, memory: new Memory(), ...(options.believeAll === true && { believeAll: true }) }
  const faults = new Faults({
    said: (object, error) => say({ event: 'BUG', object, why: error.message, stack: error.stack }),
    met: (object) => metrics.faults.inc({ kind: object.split(' ')[0]! }),
    markOf: (title) => markOf(watched, title),
  })
  const parts: ReconcileParts = { kube, watched, store, applier, tokenIssuer: new TokenIssuerReader(kube, onTrouble('keys of ServiceAccounts')), notes, records, keys, pokes: new Pokes(), faults, passing: new Passing((what, error) => onTrouble(what)(error)), proven: new Map(), ...strangers, settings, now: () => new Date(), say: (line) => (line.event === 'STATUS_REFUSED' ? sayTrouble(line) : say(line)), onSeen: (seen) => measure(metrics, seen) }
  const queue = new WorkQueue({
    gatherMs,
    failed: (_, error, next) => say({ event: 'RECONCILE_FAILED', why: (error as Error).message, stack: (error as Error).stack, nextInMs: Math.round(next) }),
    work: async (key) => {
      if (!watched.synced()) return queue.add(key, 100) // a half filled cache looks like half a cluster
      const lookAgainMs = await counted(metrics, () => reconcile(parts))
      state.runs += 1
      queue.add(key, lookAgainMs)
    },
  })
  state.queue = queue
  queue.add('all')
  return {
    stop: async () => {
      await queue.stop()
      keys.stop()
      await Promise.all([records.stop(), prober.stop()])
      await watched.stop()
    },
  }
}

/** Tells one state of an object of ours from the next. */
const markOf = (watched: Watched, title: string): string => {
  const [kind, key] = title.split(' ') as [string, string]
  const { uid, generation, annotations } = watched.get(ourKinds.find((one) => one.kind === kind)!, key)?.metadata ?? {}
  return JSON.stringify([uid, generation, annotations])
}

const counted = async <T>({ reconciles, reconcileSeconds, lastReconcile }: OperatorMetrics, run: () => Promise<T>): Promise<T> => {
  const end = reconcileSeconds.startTimer()
  try {
    const result = await run()
    reconciles.inc({ result: 'done' })
    lastReconcile.setToCurrentTime()
    return result
  } catch (error) {
    reconciles.inc({ result: 'failed' })
    throw error
  } finally {
    end()
  }
}
