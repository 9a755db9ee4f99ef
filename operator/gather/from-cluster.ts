// From objects as the API server has them to what the plan is made from; what cannot be read is named and left out. Pure.
import { kindNamed, type AnyManifest, type KindName } from '../../crds/index.ts'
import { titleOf, type Declared, type Secret, type Unread } from '../plan/index.ts'
import type { KubeObject } from '../kube/index.ts'
import { declaredBy } from './from-files.ts'
import { readObject, type ReadObject } from './read-object.ts'
import { restOf, type Rest } from './rest-of.ts'
import { secretRefsIn } from './secret-refs.ts'

export type FromCluster = {
  readonly declared: Declared
  readonly manifests: readonly AnyManifest[]
  /** Objects of another release, or from before their CRD had a rule. */
  readonly mistaken: readonly Unread[]
}

/** Items of a list carry neither apiVersion nor kind: they are given beside. */
export const gatherCluster = (objects: readonly { readonly apiVersion: string; readonly kind: string; readonly object: KubeObject }[], secrets: readonly Secret[], refusedSecrets: ReadonlyMap<string, Error> = new Map()): FromCluster => {
  const mistaken: Unread[] = []
  const unread = new Map<string, { readonly message: string; readonly lends: boolean }>()
  const rests: ReadObject[] = []
  const reads = objects.map(({ apiVersion, kind, object }) => {
    const { read, rest, error } = readSafely(object, apiVersion, kind)
    if (read.kind === 'mistaken' && kindNamed(kind)) {
      const { name, namespace = '', generation = 0 } = object.metadata
      const message = read.mistakes.map(({ path, message: what }) => `${path.map(String).join('.')}: ${what}`).join('; ')
      mistaken.push({ object: { kind: kind as KindName, namespace, name }, generation, status: object.status, ...(error !== undefined && { fault: error }), message })
      if (rest) {
        rests.push({ kind: 'manifest', manifest: rest.manifest })
        unread.set(titleOf(rest.manifest), { message, lends: rest.lends })
      }
    }
    return read
  })
  const manifests = reads.flatMap((read) => (read.kind === 'manifest' ? [read.manifest] : []))
  return { declared: { ...declaredBy([...reads, ...rests]), secrets, refusedSecrets, unread }, manifests, mistaken }
}

/** `rest`: of what is in force and stays as it was; a MailRelay that cannot be read is left alone anyway. */
type Read = { readonly read: ReadObject; readonly rest?: Rest | undefined }

/** What throws is a fault of ours, and is told as one. */
const readSafely = (object: KubeObject, apiVersion: string, kind: string): Read & { readonly error?: unknown } => {
  try {
    return readOnce(object, apiVersion, kind)
  } catch (error) {
    return { read: { kind: 'mistaken', mistakes: [] }, error }
  }
}

/** An object as it came is never changed: what was read from it holds until another one comes in its place. */
const readOnce = (object: KubeObject, apiVersion: string, kind: string): Read => {
  const known = readBefore.get(object)
  if (known) return known
  const whole = { ...object, apiVersion, kind }
  const read = readObject(whole)
  const one: Read = { read, ...(read.kind === 'mistaken' && { rest: restOf(whole) }) }
  readBefore.set(object, one)
  return one
}
const readBefore = new WeakMap<KubeObject, Read>()

/** Every Secret that a manifest names, as namespace/name: a `…SecretRef` anywhere in a spec, of the object's own namespace. */
export const secretsNamed = (manifests: readonly AnyManifest[]): Set<string> => new Set(manifests.flatMap(({ metadata, spec }) => secretRefsIn(spec).map(({ name }) => `${metadata.namespace}/${name}`)))
