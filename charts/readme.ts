// Writes the tables of charts/posthouse/README.md from values.yaml (defaults, descriptions, sections) and values.schema.json (types).
// `--check` writes nothing and fails on a difference. Touches only that README.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const chart = join(import.meta.dirname, 'posthouse')
const readmeFile = join(chart, 'README.md')
const begin = '<!-- made from values.yaml by npm run chart; do not edit -->'
const end = '<!-- end of what is made -->'

export type Schema = { readonly $ref?: string; readonly type?: string | readonly string[]; readonly enum?: readonly string[]; readonly properties?: Readonly<Record<string, Schema>>; readonly definitions?: Readonly<Record<string, Schema>> }
type Tree = { readonly [name: string]: unknown }
export type Row = { readonly path: string; readonly type: string; readonly value: unknown; readonly text: string }
export type Section = { readonly title: string; readonly rows: readonly Row[] }

export const readChart = (): { values: string; schema: Schema } => ({
  values: readFileSync(join(chart, 'values.yaml'), 'utf8'),
  schema: JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')) as Schema,
})

/** Throws where a value has no description, naming each such value. */
export const sectionsOf = ({ values, schema }: { readonly values: string; readonly schema: Schema }): Section[] => {
  const { comments, titles } = commentsIn(values)
  const rows = rowsOf(parse(values) as Tree, schema, { schema, comments, path: '' })
  const bare = rows.filter(({ text }) => text === '').map(({ path }) => path)
  if (bare.length > 0) throw new Error(`values.yaml: no description above ${bare.join(', ')}`)
  const sections: { title: string; rows: Row[] }[] = []
  for (const row of rows) {
    const title = titles.get(row.path.split('.')[0]!)
    if (title !== undefined && sections.at(-1)?.title !== title) sections.push({ title, rows: [] })
    if (sections.length === 0) throw new Error(`values.yaml: ${row.path} stands before the first "## Section"`)
    sections.at(-1)!.rows.push(row)
  }
  return sections
}

type Walk = { readonly schema: Schema; readonly comments: ReadonlyMap<string, string>; readonly path: string }
const changes = new Set(['merge', 'patch'])

/** A value with parts of its own in the schema is told part by part; what changes objects is told once for all. */
const rowsOf = (tree: Tree, here: Schema, walk: Walk): Row[] =>
  Object.entries(tree).flatMap(([name, value]) => {
    const path = walk.path === '' ? name : `${walk.path}.${name}`
    const schema = resolved(here.properties?.[name] ?? {}, walk.schema)
    if (changes.has(name)) return []
    if (isTree(value) && Object.keys(value).length > 0 && schema.properties) return rowsOf(value, schema, { ...walk, path })
    return [{ path, type: typeOf(schema), value, text: walk.comments.get(path) ?? '' }]
  })

const isTree = (value: unknown): value is Tree => value !== null && typeof value === 'object' && !Array.isArray(value)

const resolved = (schema: Schema, root: Schema): Schema => (schema.$ref === undefined ? schema : root.definitions![schema.$ref.slice('#/definitions/'.length)]!)

const typeOf = ({ type, enum: choices }: Schema): string => choices?.join(', ') ?? ({ object: 'map', array: 'list' } as Record<string, string>)[String(type)] ?? String(type ?? 'any')

/** Every value that has `merge` and `patch`, in the order of the file. */
export const changeable = ({ values }: { readonly values: string }): string[] => {
  const under = (tree: Tree, path: string): string[] => [...('merge' in tree && 'patch' in tree ? [path] : []), ...Object.entries(tree).flatMap(([name, value]) => (isTree(value) && !changes.has(name) ? under(value, path === '' ? name : `${path}.${name}`) : []))]
  return under(parse(values) as Tree, '')
}

/** Comments that stand directly above a key, by its path; and the "## Title" that each first-level key stands under. */
const commentsIn = (text: string): { comments: Map<string, string>; titles: Map<string, string> } => {
  const comments = new Map<string, string>()
  const titles = new Map<string, string>()
  const above: { name: string; indent: number }[] = []
  let title: string | undefined
  let comment: string[] = []
  for (const line of text.split('\n')) {
    const said = /^ *# ?(.*)$/.exec(line)
    if (line.startsWith('## ')) title = line.slice(3).trim()
    else if (said) comment.push(said[1]!)
    const key = said ? null : /^( *)([A-Za-z0-9_-]+):/.exec(line)
    if (key) {
      while (above.length > 0 && above.at(-1)!.indent >= key[1]!.length) above.pop()
      above.push({ name: key[2]!, indent: key[1]!.length })
      comments.set(above.map(({ name }) => name).join('.'), comment.join(' '))
      if (above.length === 1 && title !== undefined) titles.set(key[2]!, title)
    }
    if (!said) comment = []
  }
  return { comments, titles }
}

const cell = (text: string): string => text.replaceAll('|', '\\|')
const lineOf = ({ path, type, value, text }: Row): string => `| \`${path}\` | ${cell(type)} | \`${cell(JSON.stringify(value))}\` | ${cell(text)} |`

export const tablesOf = (sections: readonly Section[], objects: readonly string[]): string =>
  [
    ...sections.flatMap(({ title, rows }) => [`### ${title}`, '', '| Value | Type | Default | What |', '|---|---|---|---|', ...rows.map(lineOf), '']),
    '### merge and patch', '', `There are \`merge\` and \`patch\` under ${objects.map((path) => `\`${path}\``).join(', ')}, and in each item of \`certificates\`.`, '',
  ].join('\n')

const between = (readme: string, tables: string): string => {
  const [from, to] = [readme.indexOf(begin), readme.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${readmeFile}: the lines "${begin}" and "${end}" must be there, in this order`)
  return `${readme.slice(0, from)}${begin}\n\n${tables}\n${readme.slice(to)}`
}

/** What the README should be, and what it is. */
export const readme = (): { wanted: string; is: string } => {
  const files = readChart()
  const is = readFileSync(readmeFile, 'utf8')
  return { wanted: between(is, tablesOf(sectionsOf(files), changeable(files))), is }
}

if (import.meta.main) {
  const { wanted, is } = readme()
  const check = process.argv.includes('--check')
  if (wanted !== is) {
    if (check) process.exitCode = 1
    else writeFileSync(readmeFile, wanted)
    process.stdout.write(`${check ? 'differs' : 'written'}: charts/posthouse/README.md\n`)
  }
}
