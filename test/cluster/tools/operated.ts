// An API server with our kinds and an operator that runs in this process: what tests of the operator without nodes begin with.
import { createServer, type Server } from 'node:http'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { kinds } from '../../../crds/index.ts'
import { applyObject, createKube, openAccess, pathOf, readOne, type Kube, type KubeObject, type Resource } from '../../../operator/kube/index.ts'
import { startOperator, type RunningOperator } from '../../../operator/main.ts'
import { resources } from '../../../operator/plan/index.ts'
import { until } from '../../tools/until.ts'
import { startApiServer, type ApiServer } from './api-server.ts'

export const core = (kind: string, plural: string, namespaced = true): Resource => ({ group: '', version: 'v1', kind, plural, namespaced })
export const podResource = core('Pod', 'pods')
export const namespaceResource = core('Namespace', 'namespaces', false)
export const resourceOf = (name: string): Resource => {
  const { kind, plural, scope } = kinds.find((one) => one.kind === name)!
  return { group: 'posthouse.dev', version: 'v1alpha1', kind, plural, namespaced: scope === 'Namespaced' }
}
export type Condition = { readonly type: string; readonly status: string; readonly reason: string; readonly message: string; readonly observedGeneration: number }

export type Operated = {
  readonly api: ApiServer
  readonly kube: Kube
  readonly operator: RunningOperator
  /** Why runs of reconcile failed. */
  readonly troubles: readonly string[]
  save(kind: string, name: string, spec: object, namespace?: string): Promise<KubeObject>
  get(resource: Resource, name: string, namespace?: string): Promise<KubeObject | undefined>
  merge(resource: Resource, name: string, change: object, namespace?: string): Promise<unknown>
  condition(kind: string, name: string, type: string, namespace?: string): Promise<Condition | undefined>
  becomes(kind: string, name: string, type: string, reason: string, namespace?: string): Promise<unknown>
  stop(): Promise<void>
}

export const startOperated = async (namespaces: readonly string[]): Promise<Operated> => {
  const api = await startApiServer({ controllerManager: true })
  const kube = createKube(await openAccess(api.kubeconfig))
  const crd: Resource = { group: 'apiextensions.k8s.io', version: 'v1', kind: 'CustomResourceDefinition', plural: 'customresourcedefinitions', namespaced: false }
  const folder = join(import.meta.dirname, '../../../crds')
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.yaml'))) await applyObject(kube, crd, parse(readFileSync(join(folder, file), 'utf8'), { version: '1.1' }) as KubeObject)
  for (const name of namespaces) await applyObject(kube, namespaceResource, { metadata: { name } })
  const troubles: string[] = []
  const settings = { image: 'posthouse:test', natsImage: 'nats:test', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' } as const
  const operator = await startOperator({ kubeconfig: api.kubeconfig, namespace: 'default', identity: 'one', settings, say: ({ event, why }) => void (event === 'RECONCILE_FAILED' && troubles.push(String(why))) })
  await until('the caches', () => operator.synced(), 60_000)
  const get: Operated['get'] = (resource, name, namespace = 'mail') => readOne(kube, resource, { namespace, name })
  const condition: Operated['condition'] = async (kind, name, type, namespace = 'mail') => {
    const live = await get(resourceOf(kind), name, kind === 'RetrySchedule' ? undefined : namespace)
    const { conditions = [] } = (live?.status ?? {}) as { conditions?: Condition[] }
    return conditions.find((one) => one.type === type && one.observedGeneration === live?.metadata.generation)
  }
  return {
    api, kube, operator, troubles, get, condition,
    save: (kind, name, spec, namespace = 'mail') => applyObject(kube, resourceOf(kind), { metadata: { name, ...(kind !== 'RetrySchedule' && { namespace }) }, spec }),
    merge: (resource, name, change, namespace = 'mail') => kube.call({ method: 'PATCH', path: pathOf(resource, { namespace, name }), contentType: 'application/merge-patch+json', body: change }),
    becomes: (kind, name, type, reason, namespace) => until(`${kind} ${name} to be ${type} for ${reason}`, async () => (await condition(kind, name, type, namespace))?.reason === reason, 60_000),
    stop: async () => {
      await operator.stop()
      await api.stop()
    },
  }
}

export type Remains = { readonly ready: number; readonly deferred: number; readonly held: number; readonly empty: boolean }
export type StandIn = { remains: Remains | null; stop(): Promise<void> }

/** Where no node runs pods: one server answers as each of the relay's pods would, with the revision that the snapshot has. */
export const standInForPods = async ({ kube, get }: Operated, relay: string, namespace = 'mail'): Promise<StandIn> => {
  const address = `127.${1 + Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 250)}.${2 + Math.floor(Math.random() * 250)}`
  const standIn: { remains: Remains | null } = { remains: { ready: 0, deferred: 0, held: 0, empty: true } }
  const answer = async (): Promise<object> => {
    const live = await get(resourceOf('MailRelay'), relay, namespace)
    const { revision } = (live?.status ?? {}) as { revision?: string }
    const leaving = live?.metadata.deletionTimestamp !== undefined
    return { revision, durable: { ok: true, reason: 'Durable', text: 'as told' }, ...(leaving && { closing: true, remains: standIn.remains }) }
  }
  const server: Server = createServer((_, response) => void answer().then((body) => response.end(JSON.stringify(body)), () => response.destroy()))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(9464, address, resolve))
  const place = async (): Promise<void> => {
    const { items } = await kube.call<{ items: KubeObject[] }>({ path: pathOf(podResource, { namespace }), query: { labelSelector: `app.kubernetes.io/instance=${relay},app.kubernetes.io/component=relay` } })
    const waiting = items.filter((pod) => (pod.status as { podIP?: string }).podIP === undefined)
    for (const { metadata } of waiting)
      await kube.call({ method: 'PATCH', path: pathOf(podResource, { namespace, name: metadata.name, subresource: 'status' }), contentType: 'application/merge-patch+json', body: { status: { phase: 'Running', podIP: address, podIPs: [{ ip: address }], conditions: [{ type: 'Ready', status: 'True' }] } } }).catch(() => {})
  }
  const timer = setInterval(() => void place().catch(() => {}), 300)
  return Object.assign(standIn, {
    stop: async () => {
      clearInterval(timer)
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

export const deploymentUid = async ({ get }: Operated, name: string): Promise<string | undefined> => (await get(resources.deployment, name))?.metadata.uid
