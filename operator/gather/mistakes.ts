// From what zod found to problems a person can act on: path, what was expected, what stands there, the nearest right word. Pure.
import type { z } from 'zod'
import type { JsonSchema } from '../../crds/index.ts'
import { didYouMean } from '../near-miss.ts'
import type { Problem, ProblemCode } from './problem.ts'

export type Mistake = Pick<Problem, 'code' | 'message' | 'suggestion' | 'reason'> & { readonly path: readonly PropertyKey[] }

/** `schema` and `value` are those of the whole object, as the paths are. */
export const mistakesOf = (error: z.ZodError, schema: JsonSchema, value: unknown): Mistake[] =>
  error.issues.flatMap((issue) => mistakeOf(issue, issue.path, schema, value))

const mistakeOf = (issue: z.core.$ZodIssue, path: readonly PropertyKey[], schema: JsonSchema, value: unknown): Mistake[] => {
  const found = valueAt(value, path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownField(path, key, schema))
    case 'invalid_type':
      return [found === undefined ? missing(path, schema) : mistake('WRONG_TYPE', path, `expected ${typeWord(issue.expected)}, found ${show(found)}`)]
    case 'invalid_value':
      return [found === undefined ? missing(path, schema) : wrongValue(path, issue.values.map(String), found)]
    case 'too_big':
    case 'too_small':
      return [mistake('INVALID', path, `expected ${bound(issue)}, found ${show(found)}`)]
    case 'invalid_format':
      return [mistake('INVALID', path, `expected ${issue.message.replace(/^Invalid string: /, '')}, found ${show(found)}`)]
    case 'custom':
      return [mistake('INVALID', path, typeof found === 'object' ? issue.message : `${issue.message}; found ${show(found)}`)]
    case 'invalid_element':
    case 'invalid_key':
    case 'invalid_union':
    case 'not_multiple_of':
      break
  }
  return [mistake('INVALID', path, issue.message)]
}

const mistake = (code: ProblemCode, path: readonly PropertyKey[], message: string, suggestion?: string): Mistake => ({
  code,
  path,
  message,
  ...(suggestion !== undefined && { suggestion }),
})

const unknownField = (path: readonly PropertyKey[], key: string, schema: JsonSchema): Mistake => {
  const known = Object.keys(schemaAt(schema, path)?.properties ?? {})
  const full = [...path, key]
  return mistake('UNKNOWN_FIELD', full, 'unknown field', didYouMean(key, known) ?? `known here: ${known.join(', ')}`)
}

const missing = (path: readonly PropertyKey[], schema: JsonSchema): Mistake => {
  const description = schemaAt(schema, path)?.description
  return mistake('MISSING', path, `missing${description === undefined ? '' : `: ${description}`}`)
}

const wrongValue = (path: readonly PropertyKey[], allowed: readonly string[], found: unknown): Mistake =>
  mistake('WRONG_VALUE', path, `expected ${allowed.length === 1 ? allowed[0] : `one of ${allowed.join(', ')}`}, found ${show(found)}`, didYouMean(String(found), allowed))

const bound = (issue: z.core.$ZodIssueTooBig | z.core.$ZodIssueTooSmall): string => {
  const limit = issue.code === 'too_big' ? `at most ${issue.maximum}` : `at least ${issue.minimum}`
  const units: Record<string, string> = { string: ' characters', array: ' entries', object: ' fields' }
  return `${limit}${units[issue.origin] ?? ''}`
}

const words: Record<string, string> = { int: 'a whole number', number: 'a number', string: 'text', boolean: 'true or false', object: 'a map of fields', array: 'a list', record: 'a map' }
const typeWord = (expected: string): string => words[expected] ?? expected

const show = (value: unknown): string => {
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (value !== null && typeof value === 'object') return 'a map'
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}

const valueAt = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((inner, step) => (inner === null || typeof inner !== 'object' ? undefined : (inner as Record<PropertyKey, unknown>)[step]), value)

const schemaAt = (schema: JsonSchema, path: readonly PropertyKey[]): JsonSchema | undefined =>
  path.reduce<JsonSchema | undefined>((inner, step) => (typeof step === 'number' ? inner?.items : (inner?.properties?.[String(step)] ?? inner?.additionalProperties)), schema)
