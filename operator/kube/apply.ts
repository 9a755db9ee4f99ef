// Server-side apply and delete: the fields that are ours, and no others. Writes.
import { KubeError } from './kube-error.ts'
import { onlyMetadata, type Kube } from './request.ts'
import { apiVersionOf, pathOf, type KubeObject, type Resource } from './resource.ts'

const fieldManager = 'posthouse'

/** A version that no object has: an object with it is made, and never written over one that is there by now. */
export const notThere = '1'

/** Makes the object so in every field that is given; fields given before and not now are removed; those of others stay. Returns what the server has, or its metadata. */
export const applyObject = (kube: Kube, resource: Resource, object: KubeObject, answer: 'whole' | 'metadata' = 'whole'): Promise<KubeObject> =>
  kube.call<KubeObject>({
    method: 'PATCH',
    path: pathOf(resource, object.metadata),
    query: { fieldManager, force: true },
    contentType: 'application/apply-patch+yaml',
    body: { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object },
    ...(answer === 'metadata' && { accept: onlyMetadata() }), // the rest we know, and it may be megabytes
  })

/** Returns its metadata; `undefined`: the object is gone. */
export const applyStatus = async (kube: Kube, resource: Resource, { metadata: { namespace, name, uid } }: KubeObject, status: object): Promise<KubeObject | undefined> => {
  try {
    return await kube.call<KubeObject>({
      method: 'PATCH',
      path: pathOf(resource, { namespace, name, subresource: 'status' }),
      query: { fieldManager, force: true },
      contentType: 'application/apply-patch+yaml',
      accept: onlyMetadata(),
      // with the uid, an object made anew under the name does not get the status of the old one
      body: { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata: { name, ...(namespace !== undefined && { namespace }), ...(uid !== undefined && { uid }) }, status },
    })
  } catch (error) {
    if (isGone(error) || (error instanceof KubeError && error.status === 409)) return undefined
    throw error
  }
}

/** Only this very object, not one made anew under its name; gone already is well. `unchanged`: only as it was seen, for somebody may have taken it on since. False: it was gone, or another, or not as it was seen. */
export const deleteObject = async (kube: Kube, resource: Resource, { metadata: { namespace, name, uid, resourceVersion } }: KubeObject, unchanged?: 'unchanged'): Promise<boolean> => {
  try {
    await kube.call({ method: 'DELETE', path: pathOf(resource, { namespace, name }), body: { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', ...(uid !== undefined && { preconditions: { uid, ...(unchanged && { resourceVersion }) } }) } })
    return true
  } catch (error) {
    if (!isGone(error) && !(error instanceof KubeError && error.status === 409)) throw error
    return false
  }
}

export const readOne = async (kube: Kube, resource: Resource, place: { readonly namespace?: string | undefined; readonly name: string }): Promise<KubeObject | undefined> => {
  try {
    return await kube.call<KubeObject>({ path: pathOf(resource, place) })
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

const isGone = (error: unknown): boolean => error instanceof KubeError && error.status === 404
