// For crds-of-before.test.ts: what the CRDs in a folder take. It prints that of a checkout of a release:
//   node test/tools/crd-bounds.ts CHECKOUT/crds > test/crds-of/COMMIT.json
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

type Schema = {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly additionalProperties?: Schema
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string }[]
} & Readonly<Record<string, unknown>>
/** By path: what a value there has to keep to. */
export type Bounds = Readonly<Record<string, Readonly<Record<string, unknown>>>>

const limits = ['type', 'format', 'pattern', 'enum', 'minimum', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems', 'maxProperties', 'required'] as const

const boundsOf = (schema: Schema, path: string): [string, Readonly<Record<string, unknown>>][] => {
  const rules = schema['x-kubernetes-validations']?.map(({ rule }) => rule)
  const own = Object.fromEntries(limits.flatMap((name) => (schema[name] === undefined ? [] : [[name, schema[name]]])))
  const below = [...Object.entries(schema.properties ?? {}), ...(schema.items ? [['[]', schema.items] as const] : []), ...(schema.additionalProperties ? [['*', schema.additionalProperties] as const] : [])]
  return [[path, { ...own, ...(rules && { rules }) }], ...below.flatMap(([name, inner]) => boundsOf(inner, `${path}.${name}`))]
}

export const boundsIn = (folder: string): Bounds =>
  Object.fromEntries(readdirSync(folder).filter((file) => file.endsWith('.yaml')).flatMap((file) => {
    const { spec } = parse(readFileSync(join(folder, file), 'utf8')) as { spec: { names: { kind: string }; versions: readonly [{ schema: { openAPIV3Schema: Schema } }] } }
    return boundsOf(spec.versions[0].schema.openAPIV3Schema, spec.names.kind)
  }))

if (import.meta.main) console.log(`{\n${Object.entries(boundsIn(process.argv[2]!)).map(([path, bounds]) => `${JSON.stringify(path)}: ${JSON.stringify(bounds)}`).join(',\n')}\n}`)
