import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { changeable, readChart, readme, sectionsOf, tablesOf, type Schema } from './readme.ts'

const schema: Schema = { properties: { a: { type: 'object', properties: { b: { $ref: '#/definitions/text' }, merge: {}, patch: {} } }, c: { enum: ['x', 'y'] }, d: { type: 'object' } }, definitions: { text: { type: 'string' } } }
const values = `# of the file

## First
a:
  # what b is,
  # in 2 lines
  b: "1|2"
  merge: {}
  patch: []
## Second
# which
c: x
# free
d: {e: {f: 1}}
`

describe('the README of the chart', () => {
  it('makes of 3 values in 2 sections 3 rows, and tells merge and patch once', () => {
    const sections = sectionsOf({ values, schema })
    assert.deepEqual(sections.map(({ title, rows }) => [title, rows.map(({ path, type, text }) => [path, type, text])]), [
      ['First', [['a.b', 'string', 'what b is, in 2 lines']]],
      ['Second', [['c', 'x, y', 'which'], ['d', 'map', 'free']]],
    ])
    assert.deepEqual(changeable({ values }), ['a'])
    assert.match(tablesOf(sections, ['a']), /\| `a\.b` \| string \| `"1\\\|2"` \| what b is, in 2 lines \|/)
  })

  it('names the 1 value that has no description', () => {
    assert.throws(() => sectionsOf({ values: values.replace('# free\n', ''), schema }), /no description above d$/)
  })

  it('is as `npm run chart` writes it', () => {
    const { wanted, is } = readme()
    assert.equal(is, wanted)
  })

  it('tells every value of the schema, each of which has a default, and 0 that it does not know', () => {
    const { values, schema } = readChart()
    const paths = (of: Schema, tree: unknown, path: string): string[] => {
      const { properties } = of.$ref === undefined ? of : schema.definitions![of.$ref.slice('#/definitions/'.length)]!
      const known = Object.keys(properties ?? {})
      const there = tree !== null && typeof tree === 'object' && !Array.isArray(tree) ? (tree as Record<string, unknown>) : {}
      if (Object.keys(there).length === 0) return [] // what has parts only once somebody sets them
      return [...known.filter((name) => !(name in there)), ...Object.keys(there).filter((name) => properties !== undefined && !known.includes(name))].map((name) => `${path}${name}`).concat(known.flatMap((name) => paths(properties![name]!, there[name], `${path}${name}.`)))
    }
    assert.deepEqual(paths(schema, parse(values), ''), [])
  })
})
