// From one document to one object that may be planned with, or to everything that is wrong with it. Pure.
import { z } from 'zod'
import { apiVersion, group, jsonSchemaOf, kindNamed, kinds, type AnyManifest, type JsonSchema, type Kind } from '../../crds/index.ts'
import type { Namespace, Secret } from '../plan/index.ts'
import { mistakesOf, type Mistake } from './mistakes.ts'
import { didYouMean } from '../near-miss.ts'

export type ReadObject =
  | { readonly kind: 'manifest'; readonly manifest: AnyManifest }
  | { readonly kind: 'secret'; readonly secret: Secret }
  | { readonly kind: 'namespace'; readonly namespace: Namespace }
  | { readonly kind: 'ignored'; readonly mistake: Mistake }
  | { readonly kind: 'mistaken'; readonly mistakes: readonly Mistake[] }

export const readObject = (value: unknown): ReadObject => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return mistaken(wrong('NOT_AN_OBJECT', [], 'expected a map with apiVersion, kind, metadata and spec'))
  const { apiVersion: version, kind } = value as { apiVersion?: unknown; kind?: unknown }
  if (typeof kind !== 'string') return mistaken(wrong('NOT_AN_OBJECT', ['kind'], `kind is missing: one of ${ourKinds.join(', ')}, Secret, Namespace`))
  if (version === 'v1' && kind === 'Secret') return readSecret(value)
  if (version === 'v1' && kind === 'Namespace') return readNamespace(value)
  const found = kindNamed(kind)
  if (found) return version === apiVersion ? readManifest(found, value) : mistaken(wrong('WRONG_VERSION', ['apiVersion'], `${kind} has apiVersion ${apiVersion}, found ${JSON.stringify(version) ?? 'none'}`))
  return unknownKind(version, kind)
}

const ourKinds = kinds.map(({ kind }) => kind)
const wrong = (code: Mistake['code'], path: readonly PropertyKey[], message: string, suggestion?: string): Mistake => ({ code, path, message, ...(suggestion !== undefined && { suggestion }) })
const mistaken = (...mistakes: readonly Mistake[]): ReadObject => ({ kind: 'mistaken', mistakes })

const unknownKind = (version: unknown, kind: string): ReadObject => {
  const ours = typeof version !== 'string' || version.startsWith(`${group}/`)
  const known = version === 'v1' ? ['Secret', 'Namespace'] : ourKinds
  const near = didYouMean(kind, known)
  if (ours || near !== undefined) return mistaken(wrong('UNKNOWN_KIND', ['kind'], `unknown kind ${kind}`, near ?? `known: ${ourKinds.join(', ')}, Secret, Namespace`))
  return { kind: 'ignored', mistake: wrong('IGNORED_KIND', ['kind'], `${version} ${kind} is not read here`) }
}

const text = z.record(z.string(), z.string())
const metadataFields = {
  name: z.string().min(1).max(253).regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/, 'lower-case letters, digits, - and .'),
  namespace: z.string().min(1).max(63).regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, 'lower-case letters, digits and -').optional(),
  labels: text.optional(),
  annotations: text.optional(),
  creationTimestamp: z.string().nullish(),
  generation: z.int().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  generateName: z.string().optional(),
  selfLink: z.string().optional(),
  finalizers: z.array(z.string()).optional(),
  ownerReferences: z.array(z.unknown()).optional(),
  managedFields: z.array(z.unknown()).optional(),
  deletionTimestamp: z.string().optional(),
  deletionGracePeriodSeconds: z.number().optional(),
}
const metadata = z.strictObject(metadataFields)
const metadataSchema: JsonSchema = { properties: Object.fromEntries(Object.keys(metadataFields).map((field) => [field, {}])) }

const readManifest = (kind: Kind, value: object): ReadObject => {
  const parsed = wholeOf(kind).safeParse(value)
  if (!parsed.success) {
    const schema = jsonSchemaOf(kind)
    return mistaken(...mistakesOf(parsed.error, { ...schema, properties: { ...schema.properties, metadata: metadataSchema } }, value))
  }
  const { metadata: given, spec, status } = parsed.data
  const namespace = kind.scope === 'Cluster' ? '' : (given.namespace ?? 'default')
  const { name, labels = {}, annotations = {}, generation, creationTimestamp, deletionTimestamp } = given
  const manifest = { kind: kind.kind, metadata: { name, namespace, labels, annotations, generation, creationTimestamp: creationTimestamp ?? undefined, ...(deletionTimestamp !== undefined && { deletionTimestamp }) }, spec, status }
  return { kind: 'manifest', manifest: manifest as AnyManifest }
}

const wholeOf = (kind: Kind) => {
  const known = wholes.get(kind) ?? z.strictObject({ apiVersion: z.string(), kind: z.string(), metadata: metadataOf(kind), spec: kind.spec, status: z.unknown().optional() })
  wholes.set(kind, known)
  return known
}
const wholes = new Map<Kind, z.ZodObject<{ apiVersion: z.ZodString; kind: z.ZodString; metadata: typeof metadata; spec: Kind['spec']; status: z.ZodOptional<z.ZodUnknown> }, z.core.$strict>>()

const metadataOf = (kind: Kind): typeof metadata => {
  const named = kind.nameRules.reduce((schema, { holds, message }) => (holds ? schema.refine(({ name }) => holds(name), { message, path: ['name'] }) : schema), metadata)
  if (kind.scope === 'Namespaced') return named
  return named.refine(({ namespace }) => namespace === undefined, { message: `a ${kind.kind} belongs to no namespace: leave it out`, path: ['namespace'] })
}

const secretSchema = z.looseObject({ metadata, data: text.nullish(), stringData: text.nullish() })

const readSecret = (value: object): ReadObject => {
  const parsed = secretSchema.safeParse(value)
  if (!parsed.success) return mistaken(...mistakesOf(parsed.error, { properties: { metadata: metadataSchema } }, value))
  const { metadata: given, data, stringData } = parsed.data
  const decoded = Object.entries(data ?? {}).map(([key, encoded]) => [key, decode(encoded)] as const)
  const broken = decoded.filter(([, plain]) => plain === undefined)
  if (broken.length > 0) return mistaken(...broken.map(([key]) => wrong('BAD_SECRET', ['data', key], 'not base64', 'write it as plain text under stringData')))
  const secret = { namespace: given.namespace ?? 'default', name: given.name, data: { ...(Object.fromEntries(decoded) as Record<string, string>), ...stringData } }
  return { kind: 'secret', secret }
}

const decode = (encoded: string): string | undefined => {
  const bare = encoded.replace(/\s/g, '')
  return /^[A-Za-z0-9+/]*={0,2}$/.test(bare) && bare.length % 4 === 0 ? Buffer.from(bare, 'base64').toString('utf8') : undefined
}

const readNamespace = (value: object): ReadObject => {
  const parsed = z.looseObject({ metadata }).safeParse(value)
  if (!parsed.success) return mistaken(...mistakesOf(parsed.error, { properties: { metadata: metadataSchema } }, value))
  const { name, labels = {} } = parsed.data.metadata
  return { kind: 'namespace', namespace: { name, labels } }
}
