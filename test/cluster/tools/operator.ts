// An operator beside a real API server, with our kinds in it: what the tests that need no nodes begin with.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { kinds } from '../../../crds/index.ts'
import { applyObject, createKube, openAccess, pathOf, readOne, type Kube, type KubeObject, type Resource } from '../../../operator/kube/index.ts'
import { startOperator, type OperatorOptions, type RunningOperator } from '../../../operator/main.ts'
import { until } from '../../tools/until.ts'
import { startApiServer, type ApiServer } from './api-server.ts'

export type Condition = { readonly type: string; readonly status: string; readonly reason: string; readonly message: string; readonly observedGeneration: number; readonly lastTransitionTime: string }

export type OperatorWorld = {
  readonly api: ApiServer
  readonly kube: Kube
  readonly operator: RunningOperator
  /** Why runs of reconcile failed. */
  readonly troubles: readonly string[]
  save(kind: string, name: string, spec: object, namespace?: string): Promise<KubeObject>
  get(resource: Resource, name: string, namespace?: string): Promise<KubeObject | undefined>
  merge(resource: Resource, name: string, change: object, namespace?: string): Promise<unknown>
  /** Of the newest generation only. */
  condition(kind: string, name: string, type: string, namespace?: string): Promise<Condition | undefined>
  becomes(kind: string, name: string, type: string, reason: string, namespace?: string): Promise<unknown>
  stop(): Promise<void>
}

export const resourceOf = (name: string): Resource => {
  const { kind, plural, scope } = kinds.find((one) => one.kind === name)!
  return { group: 'posthouse.dev', version: 'v1alpha1', kind, plural, namespaced: scope === 'Namespaced' }
}

export const core = (kind: string, plural: string, namespaced = true): Resource => ({ group: '', version: 'v1', kind, plural, namespaced })
export const namespaceResource = core('Namespace', 'namespaces', false)

export const applyKinds = async (kube: Kube): Promise<void> => {
  const crd: Resource = { group: 'apiextensions.k8s.io', version: 'v1', kind: 'CustomResourceDefinition', plural: 'customresourcedefinitions', namespaced: false }
  const folder = join(import.meta.dirname, '../../../crds')
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.yaml'))) await applyObject(kube, crd, parse(readFileSync(join(folder, file), 'utf8'), { version: '1.1' }) as KubeObject)
}

/** `namespaces`: made, the first is where objects go that name none. */
export const startOperatorWorld = async (namespaces: readonly [string, ...string[]], options: Partial<OperatorOptions> = {}): Promise<OperatorWorld> => {
  const api = await startApiServer({ controllerManager: true })
  const kube = createKube(await openAccess(api.kubeconfig))
  await applyKinds(kube)
  for (const name of namespaces) await applyObject(kube, namespaceResource, { metadata: { name } })
  const troubles: string[] = []
  const operator = await startOperator({
    kubeconfig: api.kubeconfig,
    namespace: 'default',
    identity: 'test',
    settings: { image: 'posthouse:test', natsImage: 'nats:test', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' },
    say: ({ event, why }) => void (event === 'RECONCILE_FAILED' && troubles.push(String(why))),
    ...options,
  })
  await until('the caches', () => operator.synced(), 60_000)
  const spaceOf = (kind: string, namespace = namespaces[0]) => (kind === 'RetrySchedule' ? {} : { namespace })
  const get: OperatorWorld['get'] = (resource, name, namespace = namespaces[0]) => readOne(kube, resource, { name, ...(resource.namespaced && { namespace }) })
  const condition: OperatorWorld['condition'] = async (kind, name, type, namespace) => {
    const live = await get(resourceOf(kind), name, namespace)
    const { conditions = [] } = (live?.status ?? {}) as { conditions?: Condition[] }
    return conditions.find((one) => one.type === type && one.observedGeneration === live?.metadata.generation)
  }
  return {
    api, kube, operator, troubles, get, condition,
    save: (kind, name, spec, namespace) => applyObject(kube, resourceOf(kind), { metadata: { name, ...spaceOf(kind, namespace) }, spec }),
    merge: (resource, name, change, namespace = namespaces[0]) => kube.call({ method: 'PATCH', path: pathOf(resource, { namespace, name }), contentType: 'application/merge-patch+json', body: change }),
    becomes: (kind, name, type, reason, namespace) => until(`${kind} ${name} to be ${type} for ${reason}`, async () => (await condition(kind, name, type, namespace))?.reason === reason, 60_000),
    stop: async () => {
      await operator.stop()
      await api.stop()
    },
  }
}
