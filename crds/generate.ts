// Writes what follows from the kinds: the CRDs beside them (YAML 1.1, as Kubernetes reads it), and their manual pages. `--check` writes nothing and fails on a difference.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { stringify } from 'yaml'
import { crdOf } from './crd.ts'
import type { Kind } from './kind.ts'
import { kinds } from './kinds.ts'
import { manualOf } from './manual.ts'

const root = join(import.meta.dirname, '..')
const kebab = (name: string): string => name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase()

const yamlOf = (kind: Kind, crd: object): string => `# Generated from crds/${kebab(kind.kind)}.ts by npm run crds; do not edit.\n${stringify(crd, { lineWidth: 0, aliasDuplicateObjects: false, version: '1.1' })}`

const kept = (crd: ReturnType<typeof crdOf>): object => ({ ...crd, metadata: { ...(crd as { metadata: object }).metadata, annotations: { 'helm.sh/resource-policy': 'keep' } } })

/** Path and text of every generated file. */
export const generated = (): ReadonlyMap<string, string> =>
  new Map(
    kinds.flatMap((kind) => [
      [join(root, 'crds', `${kebab(kind.kind)}.yaml`), yamlOf(kind, crdOf(kind))] as const,
      // with the chart they stay when it goes: with them would go every manifest of the kind
      [join(root, 'charts/posthouse/files/crds', `${kebab(kind.kind)}.yaml`), yamlOf(kind, kept(crdOf(kind)))] as const,
      [join(root, 'docs', 'kinds', `${kebab(kind.kind)}.md`), manualOf(kind)] as const,
    ]),
  )

/** Files that differ from what would be written. */
export const drifted = (): string[] =>
  [...generated()].filter(([path, text]) => !existsSync(path) || readFileSync(path, 'utf8') !== text).map(([path]) => relative(root, path))

const write = (): void => {
  for (const [path, text] of generated()) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
}

if (import.meta.main) {
  const different = drifted()
  if (!process.argv.includes('--check')) write()
  else if (different.length > 0) process.exitCode = 1
  for (const path of different) process.stdout.write(`${process.argv.includes('--check') ? 'differs' : 'written'}: ${path}\n`)
}
