// The generated YAML, as a cluster gets it: what every CRD must have, field by field.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'

type Schema = {
  readonly type?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly additionalProperties?: Schema
  readonly required?: readonly string[]
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly maxLength?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly 'x-kubernetes-list-type'?: string
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message?: string }[]
}
type Crd = {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly names: { readonly kind: string; readonly plural: string; readonly shortNames: readonly string[]; readonly categories: readonly string[] }
    readonly versions: readonly [{
      readonly schema: { readonly openAPIV3Schema: Schema }
      readonly subresources: { readonly scale?: Readonly<Record<string, string>> }
      readonly selectableFields: readonly { readonly jsonPath: string }[]
      readonly additionalPrinterColumns: readonly { readonly name: string; readonly type: string; readonly jsonPath: string; readonly description?: string }[]
    }]
  }
}

const crds = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.yaml')).map((file) => parse(readFileSync(join(import.meta.dirname, file), 'utf8'), { version: '1.1' }) as Crd)
const schemaOf = ({ spec }: Crd): Schema => spec.versions[0].schema.openAPIV3Schema

const walk = (schema: Schema, path = ''): (readonly [string, Schema])[] => [
  [path, schema],
  ...Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => walk(inner, `${path}.${name}`)),
  ...(schema.items ? walk(schema.items, `${path}[]`) : []),
  ...(schema.additionalProperties ? walk(schema.additionalProperties, `${path}{}`) : []),
]

/** The schema at a path such as .status.conditions[?(@.type=='Ready')].status; undefined where there is none. */
const at = (crd: Crd, path: string): Schema | undefined =>
  path.replaceAll(/\[\?\(@\.type=='\w+'\)\]/g, '[]').split('.').slice(1).reduce<Schema | undefined>((schema, step) => {
    const inner = schema?.properties?.[step.replace('[]', '')]
    return step.endsWith('[]') ? inner?.items : inner
  }, schemaOf(crd))

test('there are 6, of 6 kinds, each with a short name of its own in category mail', () => {
  assert.equal(new Set(crds.map(({ spec }) => spec.names.kind)).size, 6)
  assert.equal(new Set(crds.flatMap(({ spec }) => spec.names.shortNames)).size, 6)
  for (const { spec } of crds) assert.deepEqual(spec.names.categories, ['mail'])
})

for (const crd of crds) {
  const { kind } = crd.spec.names
  const fields = walk(schemaOf(crd)).filter(([path]) => !path.startsWith('.metadata'))

  test(`${kind}: each of its ${fields.length} fields has a description; lists, texts and maps have bounds; lists say how they are merged`, () => {
    for (const [path, field] of fields) {
      const isEntry = path.endsWith('{}') || (path.endsWith('[]') && field.type !== 'object')
      assert.ok(isEntry || (field.description?.length ?? 0) > 0, `${path} has a description`)
      const isName = path === '.apiVersion' || path === '.kind'
      if (field.type === 'string' && !field.enum && !isName) assert.ok(field.maxLength, `${path} has a maxLength`)
      if (field.type === 'array') assert.ok(field.maxItems && ['atomic', 'map', 'set'].includes(field['x-kubernetes-list-type'] ?? ''), `${path} has maxItems and a list type`)
      if (field.additionalProperties) assert.ok(field.maxProperties, `${path} has maxProperties`)
    }
  })

  test(`${kind}: every rule has a message, and the message is no CEL`, () => {
    for (const [path, field] of fields) for (const { rule, message } of field['x-kubernetes-validations'] ?? []) assert.ok(message && message !== rule && !message.includes('self.'), `${path}: ${rule}`)
  })

  test(`${kind}: all its conditions are list-maps by type, with status, reason, message, lastTransitionTime and observedGeneration`, () => {
    const lists = fields.filter(([path]) => path.endsWith('.conditions'))
    assert.ok(lists.some(([path]) => path === '.status.conditions'))
    for (const [path, list] of lists) {
      assert.deepEqual([list['x-kubernetes-list-type'], list['x-kubernetes-list-map-keys']], ['map', ['type']], path)
      assert.deepEqual(Object.keys(list.items?.properties ?? {}).sort(), ['lastTransitionTime', 'message', 'observedGeneration', 'reason', 'status', 'type'], path)
    }
  })

  test(`${kind}: its columns, selectable fields and scale paths lead to fields that are there`, () => {
    const { additionalPrinterColumns, selectableFields, subresources } = crd.spec.versions[0]
    for (const { name, jsonPath, description } of additionalPrinterColumns) assert.ok((jsonPath.startsWith('.metadata.') || at(crd, jsonPath)) && description, `${name}: ${jsonPath}`)
    assert.deepEqual(additionalPrinterColumns.map(({ name }) => name).filter((name) => ['Ready', 'Reason', 'Age'].includes(name)), ['Ready', 'Reason', 'Age'])
    assert.ok(selectableFields.length > 0)
    for (const { jsonPath } of selectableFields) assert.ok(['string', 'boolean', 'integer'].includes(at(crd, jsonPath)?.type ?? ''), jsonPath)
    for (const path of Object.values(subresources.scale ?? {})) assert.ok(at(crd, path), path)
    assert.equal(subresources.scale !== undefined, kind === 'MailRelay')
  })
}
