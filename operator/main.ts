// Wiring of the operator: access, caches, the lease, and one queue of work with one piece in it: reconcile everything.
import { createServer } from 'node:http'
import { Applier } from './apply/index.ts'
import { createKube, createNotes, Lease, openAccess, WorkQueue, type Access, type Kube, type KubeError } from './kube/index.ts'
import type { ObjectSettings } from './plan/index.ts'
import { controllerName, reconcile, type ReconcileParts } from './reconcile.ts'
import { RecordWatch, type RecordWatchOptions } from './record-watch.ts'
import { SecretStore } from './secret-store.ts'
import { TokenIssuerReader } from './token-issuer.ts'
import { secrets, Watched } from './watched.ts'

export type OperatorOptions = {
  readonly settings: ObjectSettings
  /** Where the lease lies. */
  readonly namespace: string
  /** Its name; `posthouse-operator` where not said. */
  readonly lease?: string
  readonly identity: string
  readonly kubeconfig?: string
  readonly access?: Access
  readonly watchNamespaces?: readonly string[]
  /** Metrics and health; absent: none. */
  readonly http?: { readonly host: string; readonly port: number }
  /** For tests: how often DNS is looked at. */
  readonly recordTimes?: RecordWatchOptions['times']
  readonly say: (line: { readonly event: string; readonly [field: string]: unknown }) => void
}

export type RunningOperator = {
  readonly kube: Kube
  readonly synced: () => boolean
  /** Runs of reconcile that ended well. */
  readonly runs: () => number
  /** Resolves when this operator no longer acts: it was stopped, or lost its lease. */
  readonly ended: Promise<void>
  stop(): Promise<void>
}

const gatherMs = 200 // a `kubectl apply` of many manifests is one change

export const startOperator = async (options: OperatorOptions): Promise<RunningOperator> => {
  const { say, namespace, identity } = options
  const kube = createKube(options.access ?? (await openAccess(options.kubeconfig)))
  const lease = new Lease({ kube, namespace, name: options.lease ?? 'posthouse-operator', holder: identity, onTrouble: (error) => say({ event: 'LEASE_TROUBLE', why: error.message }) })
  const state = { runs: 0, leads: false, watched: undefined as Watched | undefined }
  const end = new AbortController()
  const ended = act({ options, kube, lease, state, signal: end.signal })
  const http = options.http && (await serveHealth(options.http, state))
  return {
    kube,
    synced: () => state.watched?.synced() ?? false,
    runs: () => state.runs,
    ended,
    stop: async () => {
      end.abort()
      await ended
      await http?.close()
    },
  }
}

type State = { runs: number; leads: boolean; watched: Watched | undefined }
type Acting = { readonly options: OperatorOptions; readonly kube: Kube; readonly lease: Lease; readonly state: State; readonly signal: AbortSignal }

/** Waits for the lease, acts while it has it, and lets go of everything. Who lost it ends: a new process begins with nothing half done. */
const act = async ({ options, kube, lease, state, signal }: Acting): Promise<void> => {
  const { say } = options
  say({ event: 'WAITING_FOR_LEASE' })
  const got = await lease.acquire(signal).then(() => true, () => false)
  if (!got) return
  state.leads = true
  say({ event: 'LEADING' })
  const working = work(options, kube, state)
  await lease.keep(signal)
  state.leads = false
  await working.stop()
  if (signal.aborted) await lease.release()
  say({ event: signal.aborted ? 'STOPPED' : 'LEASE_LOST' })
}

const work = (options: OperatorOptions, kube: Kube, state: State): { stop(): Promise<void> } => {
  const { say, settings, identity } = options
  const onTrouble = (what: string) => (error: Error) => say({ event: 'API_TROUBLE', what, why: error.message })
  const watched = new Watched({
    kube,
    ...(options.watchNamespaces && { watchNamespaces: options.watchNamespaces }),
    onTrouble: (resource, error: KubeError) => onTrouble(`watch of ${resource.plural}`)(error),
    onChange: (resource, change) => {
      if (resource === secrets) store.changed(change)
      queue.add('all')
    },
  })
  state.watched = watched
  const store = new SecretStore(kube, () => watched)
  const notes = createNotes({ kube, controller: controllerName, instance: identity, now: Date.now, onTrouble: onTrouble('events') })
  const records = new RecordWatch({ changed: () => queue.add('all'), ...(options.recordTimes && { times: options.recordTimes }) })
  const parts: ReconcileParts = { kube, watched, store, applier: new Applier(kube), tokenIssuer: new TokenIssuerReader(kube, onTrouble('keys of ServiceAccounts')), notes, records, settings, now: () => new Date() }
  const queue = new WorkQueue({
    gatherMs,
    failed: (_, error, next) => say({ event: 'RECONCILE_FAILED', why: (error as Error).message, stack: (error as Error).stack, nextInMs: Math.round(next) }),
    work: async (key) => {
      if (!watched.synced()) return queue.add(key, 100) // a half filled cache looks like half a cluster
      const lookAgainMs = await reconcile(parts)
      state.runs += 1
      queue.add(key, lookAgainMs)
    },
  })
  queue.add('all')
  return {
    stop: async () => {
      await queue.stop()
      await records.stop()
      await watched.stop()
    },
  }
}

/** /healthz: the process turns. /readyz: it leads and has seen everything, or waits for its turn to lead. */
const serveHealth = async ({ host, port }: { readonly host: string; readonly port: number }, state: State): Promise<{ close(): Promise<void> }> => {
  const server = createServer((request, response) => {
    const ready = !state.leads || (state.watched?.synced() ?? false)
    const [status, text] = request.url === '/readyz' && !ready ? [503, 'reading the cluster\n'] : request.url === '/readyz' || request.url === '/healthz' ? [200, 'ok\n'] : [404, 'here are /healthz, /readyz\n']
    response.writeHead(status, { 'content-type': 'text/plain' }).end(text)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
