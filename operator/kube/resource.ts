// What the API server keeps, and the paths under which it does. Pure.

export type Resource = { readonly group: string; readonly version: string; readonly kind: string; readonly plural: string; readonly namespaced: boolean }

type Meta = {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: readonly string[]
  readonly ownerReferences?: readonly { readonly apiVersion: string; readonly kind: string; readonly name: string; readonly uid: string; readonly controller?: boolean; readonly blockOwnerDeletion?: boolean }[]
}

/** Raw JSON, as the API server has it: nothing is dropped because we do not know it. */
export type KubeObject = { readonly apiVersion?: string; readonly kind?: string; readonly metadata: Meta; readonly [field: string]: unknown }

export type Place = { readonly namespace?: string | undefined; readonly name?: string; readonly subresource?: 'status' | 'scale' | 'finalizers' }

export const apiVersionOf = ({ group, version }: Resource): string => (group === '' ? version : `${group}/${version}`)

/** The path of one object, or of a collection where no name is given. */
export const pathOf = (resource: Resource, { namespace, name, subresource }: Place = {}): string => {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`
  const inside = resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  const own = name === undefined ? '' : `/${encodeURIComponent(name)}`
  return `${root}${inside}/${resource.plural}${own}${subresource === undefined ? '' : `/${subresource}`}`
}

/** `namespace/name`; the bare name where there is no namespace. */
export const keyOfObject = ({ metadata: { namespace, name } }: KubeObject): string => (namespace === undefined || namespace === '' ? name : `${namespace}/${name}`)
