// A kind's zod schema as the structural OpenAPI v3 schema that a CustomResourceDefinition holds. Pure.
import { z } from 'zod'
import type { Kind } from './kind.ts'

export type JsonSchema = {
  readonly type?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly additionalProperties?: JsonSchema
  readonly enum?: readonly string[]
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly maxItems?: number
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message: string }[]
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
}

/** The schema of a whole object of the kind. */
export const jsonSchemaOf = ({ description, spec, status, nameRules }: Kind): JsonSchema => ({
  type: 'object',
  description,
  required: ['spec'],
  properties: {
    apiVersion: { type: 'string', description: 'Group and version of the kind.' },
    kind: { type: 'string', description: 'Name of the kind.' },
    metadata: { type: 'object' },
    spec: structural(z.toJSONSchema(spec, { target: 'openapi-3.0', io: 'input' })),
    status: structural(z.toJSONSchema(status, { target: 'openapi-3.0', io: 'input' })),
  },
  ...(nameRules.length > 0 && { 'x-kubernetes-validations': nameRules.map(({ cel, message }) => ({ rule: cel, message })) }),
})

type Loose = Record<string, unknown>

/** What the API server refuses goes: closed objects (it prunes by itself), empty lists of rules, bounds that are no bounds. */
const structural = (schema: Loose): JsonSchema => {
  const kept = Object.entries(schema).filter(([key, value]) => !isNoise(key, value))
  return Object.fromEntries(kept.map(([key, value]) => [key, inner(key, value)]))
}

const isNoise = (key: string, value: unknown): boolean =>
  (key === 'additionalProperties' && (value === false || isEmpty(value))) ||
  (key === 'properties' && isEmpty(value)) ||
  (key === 'x-kubernetes-validations' && (value as unknown[]).length === 0) ||
  ((key === 'maximum' || key === 'minimum') && Math.abs(value as number) === Number.MAX_SAFE_INTEGER)

const inner = (key: string, value: unknown): unknown => {
  if (key === 'properties') return Object.fromEntries(Object.entries(value as Loose).map(([name, child]) => [name, structural(child as Loose)]))
  return key === 'items' || key === 'additionalProperties' ? structural(value as Loose) : value
}

const isEmpty = (value: unknown): boolean => typeof value === 'object' && value !== null && Object.keys(value).length === 0
