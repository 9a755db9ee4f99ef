// The manual page of a kind, from the descriptions in its schema. Pure.
import { jsonSchemaOf, type JsonSchema } from './json-schema.ts'
import { apiVersion, type Kind } from './kind.ts'

export const manualOf = (kind: Kind): string => {
  const { properties } = jsonSchemaOf(kind)
  return [
    `# ${kind.kind}`,
    '',
    kind.description,
    '',
    `\`${apiVersion}\`, ${kind.scope === 'Cluster' ? 'cluster-scoped' : 'namespaced'}; short name \`${kind.shortName}\`, category \`mail\`; \`--field-selector\` by ${kind.selectable.map((path) => `\`${path.slice(1)}\``).join(', ')}.`,
    '',
    '```yaml',
    `apiVersion: ${apiVersion}`,
    `kind: ${kind.kind}`,
    kind.example.trimEnd(),
    '```',
    ...(kind.nameRules.length > 0 ? ['', ...kind.nameRules.map(({ message }) => `- ${message}`)] : []),
    '',
    '## spec',
    '',
    textOf(properties!.spec!),
    '',
    ...table(properties!.spec!),
    '',
    '## status',
    '',
    textOf(properties!.status!),
    '',
    ...table(properties!.status!),
    '',
  ].join('\n')
}

const table = (schema: JsonSchema): string[] => ['| Field | Type | What it says |', '|---|---|---|', ...rows(schema, '')]

const rows = (schema: JsonSchema, prefix: string): string[] => {
  const required = new Set(schema.required)
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => rowsOf(`${prefix}${name}`, field, required.has(name)))
}

const rowsOf = (name: string, field: JsonSchema, required: boolean): string[] => {
  const line = `| \`${name}\`${required ? ' (required)' : ''} | ${typeOf(field)} | ${cell(textOf(field))} |`
  const inner = field.type === 'array' ? field.items : field
  return [line, ...(inner?.properties ? rows(inner, `${name}${field.type === 'array' ? '[]' : ''}.`) : [])]
}

const textOf = (field: JsonSchema): string => [field.description ?? '', ...rulesOf(field), ...(field.items?.properties ? rulesOf(field.items) : []), ...defaultOf(field)].filter((part) => part !== '').join(' ')

/** Rules that the description does not give already. */
const rulesOf = (schema: JsonSchema): string[] => {
  const said = (schema.description ?? '').toLowerCase()
  const messages = (schema['x-kubernetes-validations'] ?? []).map(({ message }) => message).filter((message) => !said.includes(message.replace(/ must be set$/, '').toLowerCase()))
  return [...new Set(messages)].map((message) => `Rule: ${message}.`)
}

const defaultOf = ({ default: value }: JsonSchema): string[] =>
  value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0) ? [] : [`Default: \`${JSON.stringify(value)}\`.`]

const typeOf = (field: JsonSchema): string => {
  if (field.enum) return field.enum.map((value) => `\`${value}\``).join(', ')
  if (field.type === 'array') return `list of ${typeOf(field.items ?? {})}${field.maxItems === undefined ? '' : `, at most ${field.maxItems}`}`
  if (field.type === 'object' && field.additionalProperties) return 'map'
  const range = field.minimum !== undefined || field.maximum !== undefined ? ` ${field.minimum ?? '…'} to ${field.maximum ?? '…'}` : ''
  return `${field.type ?? 'any'}${range}`
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
