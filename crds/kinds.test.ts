import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { crdOf } from './crd.ts'
import { drifted } from './generate.ts'
import { jsonSchemaOf, type JsonSchema } from './json-schema.ts'
import { kinds } from './kinds.ts'

type Node = JsonSchema & Record<string, unknown>

/** Every schema below this one with its path. */
const walk = (schema: Node, path: string): (readonly [string, Node])[] => [
  [path, schema],
  ...Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => walk(inner as Node, `${path}.${name}`)),
  ...(schema.items ? walk(schema.items, `${path}[]`) : []),
  ...(schema.additionalProperties ? walk(schema.additionalProperties, `${path}{}`) : []),
]

const fieldsOf = (kind: (typeof kinds)[number]) => {
  const { spec, status } = jsonSchemaOf(kind).properties!
  return [...walk(spec as Node, 'spec'), ...walk(status as Node, 'status')]
}

// the API server refuses these in a structural schema, or pruning would differ from what the files' reader does
const refusedBySchemaRules = ['$ref', '$schema', 'anyOf', 'oneOf', 'allOf', 'not', 'const', 'propertyNames', 'patternProperties', 'prefixItems', 'exclusiveMinimum', 'exclusiveMaximum', 'id', '$defs']

for (const kind of kinds) {
  test(`${kind.kind}: every field has a description and a type, and nothing that a structural schema may not have`, () => {
    for (const [path, field] of fieldsOf(kind)) {
      assert.ok(field.type, `${path} has a type`)
      const isEntry = path.endsWith('{}') || (path.endsWith('[]') && field.type !== 'object') // its list describes it
      if (!isEntry) assert.ok(field.description, `${path} has a description`)
      for (const key of refusedBySchemaRules) assert.ok(!(key in field), `${path} has no ${key}`)
      assert.ok(!(field.properties && field.additionalProperties), `${path} is either closed or a map`)
    }
  })

  test(`${kind.kind}: every list, map, text and number is bounded, and every list says how it is merged`, () => {
    for (const [path, field] of fieldsOf(kind)) {
      if (field.type === 'string' && !field.enum) assert.ok(field.maxLength, `${path} has a maxLength`)
      if (field.type === 'array') assert.ok(field.maxItems && ['atomic', 'map'].includes(String(field['x-kubernetes-list-type'])), `${path} has maxItems and a list type`)
      if (field.additionalProperties) assert.ok(field.maxProperties, `${path} has maxProperties`)
      if (field.type === 'integer' || field.type === 'number') assert.ok(Math.abs(field.maximum ?? 0) < Number.MAX_SAFE_INTEGER, `${path} has no bound that is none`)
    }
  })

  test(`${kind.kind}: no member of an exactly-one-of has a default`, () => {
    for (const [path, field] of fieldsOf(kind)) {
      const rule = field['x-kubernetes-validations']?.map(({ message }) => /^exactly one of (.*) must be set$/.exec(message)?.[1]).find((found) => found !== undefined)
      for (const member of rule?.split(', ') ?? []) assert.equal(field.properties?.[member]?.default, undefined, `${path}.${member}`)
    }
  })

  test(`${kind.kind}: keys of keyed lists are required members`, () => {
    for (const [path, field] of fieldsOf(kind)) {
      for (const key of (field['x-kubernetes-list-map-keys'] as string[] | undefined) ?? []) assert.ok(field.items?.required?.includes(key), `${path}: ${key}`)
    }
  })

  test(`${kind.kind}: the example of its manual page is a manifest of it`, () => {
    const { spec } = parse(kind.example) as { spec: unknown }
    assert.deepEqual(kind.spec.safeParse(spec).error?.issues ?? [], [])
  })

  test(`${kind.kind}: every default is accepted by the schema it stands in`, () => {
    const { spec } = parse(kind.example) as { spec: unknown }
    const once = kind.spec.parse(spec)
    assert.deepEqual(kind.spec.parse(once), once)
  })
}

test('all 6 kinds are in category mail, one served and stored version each, and only RetrySchedule is cluster-scoped', () => {
  const crds = kinds.map((kind) => crdOf(kind) as { spec: { scope: string; names: { kind: string; categories: string[]; shortNames: string[] }; versions: { name: string; storage: boolean; subresources: object }[] } })
  assert.deepEqual(crds.map(({ spec }) => [spec.names.kind, spec.scope, spec.names.shortNames[0]]), [
    ['MailRelay', 'Namespaced', 'mrelay'],
    ['MailDomain', 'Namespaced', 'mdomain'],
    ['MailSender', 'Namespaced', 'msender'],
    ['RelayPolicy', 'Namespaced', 'rpolicy'],
    ['DeliveryRoute', 'Namespaced', 'droute'],
    ['RetrySchedule', 'Cluster', 'rsched'],
  ])
  for (const { spec } of crds) {
    assert.deepEqual(spec.names.categories, ['mail'])
    assert.deepEqual(spec.versions.map(({ name, storage }) => [name, storage]), [['v1alpha1', true]])
    assert.ok('status' in spec.versions[0]!.subresources)
  }
  assert.ok('scale' in crds[0]!.spec.versions[0]!.subresources)
})

test('the generated CRDs and manual pages are those of the schemas (npm run crds writes them)', () => assert.deepEqual(drifted(), []))
