// JSON schemas for kubeconform, one file for each kind: of three versions of Kubernetes (from the OpenAPI document of its own module), of our CRDs, and of
// the CRDs of others that the chart makes objects of. What modules hold is made once into the cache; versions and sums are pinned here.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { cacheFolder } from '../../../cli/standalone/find-nats-server.ts'
import { runChild } from '../../tools/child.ts'

type Schema = { readonly [word: string]: unknown }
type Module = { readonly path: string; readonly version: string; readonly sum: string }
type Crd = { readonly spec: { readonly group: string; readonly names: { readonly kind: string }; readonly versions: readonly { readonly name: string; readonly schema?: { readonly openAPIV3Schema: Schema } }[] } }

const kubernetes: Readonly<Record<string, Module>> = {
  '1.33': { path: 'k8s.io/kubernetes', version: 'v1.33.13', sum: 'h1:bmH31xUdSzeA5vk0wZAK9MZp11mdLuzUSeKk0qN3hPQ=' },
  '1.34': { path: 'k8s.io/kubernetes', version: 'v1.34.4', sum: 'h1:Yy6R4QB8C9kJPp25GFqEvX5XQwY5qzKeqD0Xx6oAcmk=' },
  '1.35': { path: 'k8s.io/kubernetes', version: 'v1.35.4', sum: 'h1:o/8dBC/pHVpYoGV4OAIytAlNPZbdYVTXJHoYvXC4qzM=' },
}
const others: readonly { readonly module: Module; readonly files: readonly string[] }[] = [
  {
    module: { path: 'github.com/prometheus-operator/prometheus-operator', version: 'v0.85.0', sum: 'h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=' },
    files: ['podmonitors', 'servicemonitors', 'prometheusrules'].map((plural) => `example/prometheus-operator-crd/monitoring.coreos.com_${plural}.yaml`),
  },
  { module: { path: 'github.com/cert-manager/cert-manager', version: 'v1.21.2', sum: 'h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=' }, files: ['deploy/crds/cert-manager.io_certificates.yaml'] },
]

export const kubernetesVersions = Object.keys(kubernetes)
/** As --kubernetes-version and --kube-version want it. */
export const patchVersionOf = (minor: string): string => kubernetes[minor]!.version.slice(1)
const ours = join(import.meta.dirname, '../../../crds')

/** Where kubeconform finds them, as values of -schema-location. `folder`: for what is made of our own CRDs, which change. */
export const schemaLocations = async (minor: string, folder: string): Promise<string[]> => {
  const own = join(folder, 'posthouse')
  writeAll(own, readdirSync(ours).filter((name) => name.endsWith('.yaml')).flatMap((name) => schemasOfCrds(readFileSync(join(ours, name), 'utf8'))))
  return [await ofKubernetes(minor), await ofOthers(), own].map((one) => `${one}/{{ .ResourceKind }}-{{ .Group }}-{{ .ResourceAPIVersion }}.json`)
}

/** The CRDs of others, for an API server. */
export const crdsOfOthers = async (): Promise<string[]> => {
  const texts: string[] = []
  for (const { module, files } of others) {
    const source = await download(module)
    texts.push(...files.map((file) => readFileSync(join(source, file), 'utf8')))
  }
  return texts
}

const ofKubernetes = (minor: string): Promise<string> =>
  once(`kubernetes-${patchVersionOf(minor)}`, async () => {
    const source = await download(kubernetes[minor]!)
    return schemasOfSwagger(JSON.parse(readFileSync(join(source, 'api/openapi-spec/swagger.json'), 'utf8')) as Swagger)
  })

const ofOthers = (): Promise<string> => once('others', async () => (await crdsOfOthers()).flatMap(schemasOfCrds))

type Named = { readonly name: string; readonly schema: Schema }

/** Made anew when this file changes. */
const once = async (what: string, make: () => Promise<Named[]>): Promise<string> => {
  const mark = createHash('sha256').update(readFileSync(import.meta.filename)).digest('hex').slice(0, 12)
  const folder = join(cacheFolder(), 'cluster', 'schemas', `${what}-${mark}`)
  if (existsSync(folder)) return folder
  const making = `${folder}.${process.pid}`
  writeAll(making, await make())
  try {
    renameSync(making, folder) // all or nothing
  } catch {
    rmSync(making, { recursive: true, force: true }) // another process was quicker
  }
  return folder
}

const writeAll = (folder: string, schemas: readonly Named[]): void => {
  mkdirSync(folder, { recursive: true })
  for (const { name, schema } of schemas) writeFileSync(join(folder, name), JSON.stringify(schema))
}

/** Where the module lies; its sum is that of everything in it. */
const download = async ({ path, version, sum }: Module): Promise<string> => {
  const { stdout, output, code } = await runChild('go', ['mod', 'download', '-json', `${path}@${version}`], { mayFail: true, forMs: 600_000, env: { GOFLAGS: '-mod=mod', GOWORK: 'off' } })
  if (code !== 0) throw new Error(`go mod download ${path}@${version} failed: ${output.slice(0, 1000)}`)
  const found = JSON.parse(stdout) as { readonly Dir: string; readonly Sum: string }
  if (found.Sum !== sum) throw new Error(`${path}@${version} has the sum ${found.Sum}, and ${sum} is pinned in test/cluster/tools/schemas.ts`)
  return found.Dir
}

const fileName = (group: string, version: string, kind: string): string => `${kind.toLowerCase()}-${group === '' ? version : group}-${version}.json`
const withIdentity = (schema: Schema, apiVersion: string, kind: string): Schema => ({
  ...schema,
  properties: { ...(schema.properties as object), apiVersion: { const: apiVersion }, kind: { const: kind } },
  required: [...new Set([...((schema.required as string[] | undefined) ?? []), 'apiVersion', 'kind', 'metadata'])],
})

export type Swagger = { readonly definitions: Readonly<Record<string, Schema>> }
type GroupVersionKind = { readonly group: string; readonly version: string; readonly kind: string }

/** Of every kind with metadata of its own; each file holds what it refers to. */
export const schemasOfSwagger = ({ definitions }: Swagger): Named[] => {
  const strictly = new Map(Object.entries(definitions).map(([name, schema]) => [name, ofSwagger(schema) as Schema]))
  return Object.entries(definitions).flatMap(([name, { properties, 'x-kubernetes-group-version-kind': names }]) => {
    const [first, ...more] = (names ?? []) as GroupVersionKind[]
    if (first === undefined || more.length > 0 || !('metadata' in ((properties as object | undefined) ?? {})) || first.kind.endsWith('List')) return []
    const { group, version, kind } = first
    const needed = [...reach(name, strictly)].map((one) => [one, strictly.get(one)!] as const)
    return [{ name: fileName(group, version, kind), schema: { ...withIdentity(strictly.get(name)!, group === '' ? version : `${group}/${version}`, kind), definitions: Object.fromEntries(needed) } }]
  })
}

/** An unknown field is a mistake; numbers may stand for quantities and ports. */
const ofSwagger = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(ofSwagger)
  if (value === null || typeof value !== 'object') return value
  const { description, format } = value as Schema
  const rest = wordsOf(value as Schema, ofSwagger)
  if (format === 'int-or-string') return { type: ['string', 'integer'] }
  if (typeof description === 'string' && description.startsWith('Quantity is a fixed-point')) return { type: ['string', 'number'] }
  return { ...rest, ...('properties' in rest && !('additionalProperties' in rest) && { additionalProperties: false }) }
}

/** A schema's own words, without those that kubeconform has no use for. */
const wordsOf = (schema: Schema, by: (value: unknown) => unknown): Schema => {
  const kept = Object.entries(schema).filter(([word]) => !word.startsWith('x-kubernetes-') && !['default', 'format', 'nullable', 'description'].includes(word))
  return Object.fromEntries(kept.map(([word, inner]) => [word, word === 'properties' ? mapped(inner as Schema, by) : by(inner)]))
}
const mapped = (members: Schema, by: (value: unknown) => unknown): Schema => Object.fromEntries(Object.entries(members).map(([name, value]) => [name, by(value)]))

const reach = (name: string, definitions: ReadonlyMap<string, Schema>, seen = new Set<string>()): Set<string> => {
  for (const [, next] of JSON.stringify(definitions.get(name)).matchAll(/"#\/definitions\/([^"]+)"/g)) {
    if (seen.has(next!)) continue
    seen.add(next!)
    reach(next!, definitions, seen)
  }
  return seen
}

/** Of each version of a CRD; its CEL rules and formats are for the API server. */
export const schemasOfCrds = (text: string): Named[] => {
  const { spec: { group, names: { kind }, versions } } = parse(text, { version: '1.1' }) as Crd
  return versions.flatMap(({ name, schema }) => (schema === undefined ? [] : [{ name: fileName(group, name, kind), schema: withIdentity(ofCrd(schema.openAPIV3Schema) as Schema, `${group}/${name}`, kind) }]))
}

const ofCrd = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(ofCrd)
  if (value === null || typeof value !== 'object') return value
  const schema = value as Schema
  const rest = wordsOf(schema, ofCrd)
  if (schema['x-kubernetes-int-or-string'] === true) return { type: ['string', 'integer'] }
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true || !('properties' in rest) || 'additionalProperties' in rest
  return { ...rest, ...(schema.nullable === true && { type: [rest.type, 'null'] }), ...(!open && { additionalProperties: false }) }
}
