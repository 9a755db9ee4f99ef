// Everything the operator watches, in caches: our kinds, what we made of them, and what they refer to.
import { group, kinds, version } from '../crds/index.ts'
import { Cache, KubeError, listWatch, nameWatch, type Change, type Kube, type KubeObject, type Resource, type WatchEnd } from './kube/index.ts'
import { essenceOfNode, nodeAddresses } from './gather/index.ts'
import { isManaged, managedLabels, resources } from './plan/index.ts'

export const ourKinds: readonly Resource[] = kinds.map(({ kind, plural, scope }) => ({ group, version, kind, plural, namespaced: scope === 'Namespaced' }))
export const namespaces: Resource = { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }
export const pods: Resource = { group: '', version: 'v1', kind: 'Pod', plural: 'pods', namespaced: true }
export const { secret: secrets, ...made } = resources

/** Those of queues: how large their volumes are. */
export const claims: Resource = { group: '', version: 'v1', kind: 'PersistentVolumeClaim', plural: 'persistentvolumeclaims', namespaced: true }

export const nodes: Resource = { group: '', version: 'v1', kind: 'Node', plural: 'nodes', namespaced: false }

type Following = { readonly resource: Resource; readonly labelSelector?: string; readonly metadataOnly?: true }
/** `matters`: which changes are told; all where absent. */
type Followed = Following & { readonly matters?: (change: Change) => boolean }

const { serviceAccount: accounts, ...labelled } = made
const managedSelector = Object.entries(managedLabels).map(([label, value]) => `${label}=${value}`).join(',')

const followed: readonly Followed[] = [
  ...ourKinds.map((resource) => ({ resource })),
  { resource: secrets, metadataOnly: true }, // whose contents are read by name, one by one, where a manifest names them
  // of those that are not ours: whether they are there, for MailSenders name them
  { resource: accounts, metadataOnly: true, matters: ({ before, after }) => before === undefined || after === undefined || isManaged(after) },
  ...Object.values(labelled).map((resource) => ({ resource, labelSelector: managedSelector })),
  ...[pods, claims].map((resource) => ({ resource, labelSelector: 'app.kubernetes.io/name=posthouse' })),
]

export type WatchedOptions = {
  readonly kube: Kube
  /** Only these; all where absent. */
  readonly watchNamespaces?: readonly string[]
  readonly onChange: (resource: Resource, change: Change) => void
  /** All there is of it was told at once, before the changes that this shows. */
  readonly onListed?: (resource: Resource) => void
  readonly onTrouble: (resource: Resource, error: KubeError) => void
  readonly onRestart: (resource: Resource, why: WatchEnd) => void
}

export class Watched {
  readonly #caches = new Map<string, Cache[]>()
  readonly #end = new AbortController()
  readonly #ended: Promise<void>[] = []

  /** Only some namespaces are looked after: what belongs to none of them is read, and never written. */
  readonly isNarrowed: boolean

  constructor(options: WatchedOptions) {
    const { watchNamespaces, onChange } = options
    this.isNarrowed = watchNamespaces !== undefined
    for (const { resource, matters = () => true, ...how } of followed) {
      const scopes = watchNamespaces === undefined || !resource.namespaced ? [undefined] : watchNamespaces
      this.#caches.set(resource.plural, scopes.map((namespace) => this.#follow(options, { resource, namespace, ...how }, new Cache((change) => void (matters(change) && onChange(resource, change)), undefined, () => options.onListed?.(resource)))))
    }
    const known = new Cache((change) => onChange(namespaces, change))
    // nobody may list but some of them: each is read by name, which a Role inside it can allow
    this.#caches.set(namespaces.plural, [watchNamespaces === undefined ? this.#follow(options, { resource: namespaces }, known) : this.#followNames(options, watchNamespaces, known)])
    // belong to no namespace: without the right, the pods tell where they run
    this.#caches.set(nodes.plural, watchNamespaces === undefined ? [this.#follow(options, { resource: nodes }, cacheOfNodes(onChange))] : [])
  }

  #follow({ kube, onTrouble, onRestart }: WatchedOptions, following: Following & { readonly namespace?: string | undefined }, feed: Cache): Cache {
    const { resource } = following
    this.#ended.push(listWatch({ kube, ...following, feed, onTrouble: (error) => onTrouble(resource, error), onRestart: (why) => onRestart(resource, why) }, this.#end.signal))
    return feed
  }
  #followNames({ kube, onTrouble }: WatchedOptions, names: readonly string[], feed: Cache): Cache {
    this.#ended.push(nameWatch({ kube, resource: namespaces, names, feed, onTrouble: (error) => onTrouble(namespaces, error) }, this.#end.signal))
    return feed
  }

  synced(): boolean {
    return [...this.#caches.values()].flat().every((cache) => cache.synced)
  }
  all({ plural }: Resource): KubeObject[] {
    return this.#caches.get(plural)!.flatMap((cache) => cache.all())
  }
  get({ plural }: Resource, key: string): KubeObject | undefined {
    for (const cache of this.#caches.get(plural)!) {
      const found = cache.get(key)
      if (found) return found
    }
    return undefined
  }
  /** Changes that no watch had told, found by a list; by resource. */
  foundByList(): ReadonlyMap<string, number> {
    return new Map([...this.#caches].map(([plural, caches]) => [plural, caches.reduce((sum, { foundByList }) => sum + foundByList, 0)]))
  }
  async stop(): Promise<void> {
    this.#end.abort()
    await Promise.all(this.#ended)
  }
}

/** A node reports itself every few minutes: only another address of it is a change. */
const cacheOfNodes = (onChange: WatchedOptions['onChange']): Cache => {
  const addresses = (node: KubeObject | undefined): string => JSON.stringify(node && nodeAddresses([node], []))
  return new Cache((change) => {
    if (addresses(change.before) !== addresses(change.after)) onChange(nodes, change)
  }, essenceOfNode)
}
