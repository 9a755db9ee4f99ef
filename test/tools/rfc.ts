// `npm run rfc`: which RFC sections the code cites, where, and which scenario names them. Fails where code and docs/rfc.md disagree.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

export type Citations = ReadonlyMap<string, ReadonlySet<string>> // "5321 4.5.3.2" → files

/** "RFC 5321 4.5.3.2", "RFC 5321 appendix C", "RFC 7505"; several sections may follow, joined by commas or "and". */
export const citationsIn = (text: string): string[] =>
  [...text.matchAll(/RFC (\d{3,4})((?:,? (?:and )?(?:appendix [A-Z]|\d+(?:\.\d+)+|\d{1,2}(?![\d.]*\d* ?(?:%|MB|KiB|s\b|minutes|octets))))*)/g)].flatMap(([, rfc, sections]) => {
    const each = [...sections!.matchAll(/appendix [A-Z]|\d+(?:\.\d+)*/g)].map(([section]) => `${rfc} ${section}`)
    return each.length > 0 ? each : [rfc!]
  })

export const citations = (patterns: readonly string[]): Citations => {
  const found = new Map<string, Set<string>>()
  for (const file of globSync([...patterns], { cwd: root }))
    for (const section of citationsIn(readFileSync(join(root, file), 'utf8'))) found.set(section, (found.get(section) ?? new Set()).add(file))
  return found
}

/** The RFCs that docs/rfc.md says we follow. */
export const declaredRfcs = (): string[] => [...readFileSync(join(root, 'docs', 'rfc.md'), 'utf8').matchAll(/^\| (\d{3,4}) \|/gm)].map(([, rfc]) => rfc!)

export const rfcOf = (section: string): string => section.split(' ')[0]!

const code = ['relay/**/*.ts', 'operator/**/*.ts', 'crds/*.ts', 'cli/**/*.ts']
const stories = ['test/scenarios/**/*.{ts,talk,yaml}']

/** What is wrong: cited but not declared, declared but never cited. */
export const disagreements = (): string[] => {
  const cited = new Set([...citations(code).keys()].map(rfcOf))
  const declared = declaredRfcs()
  return [
    ...[...cited].filter((rfc) => !declared.includes(rfc)).map((rfc) => `RFC ${rfc} is cited in the code and missing from docs/rfc.md`),
    ...declared.filter((rfc) => !cited.has(rfc)).map((rfc) => `RFC ${rfc} stands in docs/rfc.md and no code cites it`),
  ]
}

if (import.meta.main) {
  const inStories = citations(stories)
  const byNumber = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true })
  for (const [section, files] of [...citations(code)].sort(([a], [b]) => byNumber(a, b)))
    console.log(`RFC ${section.padEnd(16)} ${[...files].filter((file) => !file.endsWith('.test.ts')).join(' ')}${inStories.has(section) ? `  [${[...inStories.get(section)!].map((file) => file.split('/')[2]).join(' ')}]` : ''}`)
  for (const fault of disagreements()) {
    console.error(fault)
    process.exitCode = 1
  }
}
