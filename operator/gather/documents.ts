// From the text of a YAML file to its documents, each knowing on which line a path stands. Pure.
import { isMap, isScalar, isSeq, LineCounter, parseAllDocuments, visit, type Document, type Node, type YAMLError } from 'yaml' // positions and all errors, not the first; ISC
import type { Problem } from './problem.ts'

export type FileDocument = {
  readonly file: string
  readonly document: number
  readonly value: unknown
  /** Line of the deepest member of `path` that is there. */
  readonly lineOf: (path: readonly PropertyKey[]) => number
  /** Bare words that are text here and true or false in a cluster. */
  readonly ambiguous: readonly { readonly word: string; readonly line: number }[]
}

export const documentsOf = (file: string, text: string): { readonly documents: readonly FileDocument[]; readonly problems: readonly Problem[] } => {
  const lines = new LineCounter()
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, logLevel: 'error' })
  const documents: FileDocument[] = []
  const problems: Problem[] = []
  for (const [index, doc] of (Array.isArray(parsed) ? parsed : []).entries()) {
    const result = read(doc)
    problems.push(...result.errors.map((error) => notYaml(file, index + 1, lines, error)))
    if (result.errors.length > 0 || result.value === null) continue // an empty document is what is left of a trailing ---
    documents.push(...unlisted({ file, document: index + 1, value: result.value, lineOf: (path) => lineOf(doc, lines, path), ambiguous: ambiguousIn(doc, lines) }))
  }
  return { documents, problems }
}

/** Kubernetes reads YAML 1.1, where these are booleans; YAML 1.2 knows only true and false. */
const ambiguousIn = (doc: Document.Parsed, lines: LineCounter): FileDocument['ambiguous'] => {
  const found: { word: string; line: number }[] = []
  visit(doc, {
    Scalar: (key, { type, value, range }) => {
      const isBare = key !== 'key' && type === 'PLAIN' && typeof value === 'string'
      if (isBare && /^(y|n|yes|no|on|off)$/i.test(value)) found.push({ word: value, line: lines.linePos(range?.[0] ?? 0).line })
    },
  })
  return found
}

/** What `kubectl get -o yaml` prints is one List: each of its items is a document of its own. */
const unlisted = (document: FileDocument): FileDocument[] => {
  const { apiVersion, kind, items } = (document.value ?? {}) as { apiVersion?: unknown; kind?: unknown; items?: unknown }
  if (apiVersion !== 'v1' || kind !== 'List' || !Array.isArray(items)) return [document]
  return items.map((value: unknown, index) => ({ ...document, value, lineOf: (path) => document.lineOf(['items', index, ...path]), ambiguous: index === 0 ? document.ambiguous : [] }))
}

type ReadError = { readonly message: string; readonly at: number }

const read = (doc: Document.Parsed): { readonly value?: unknown; readonly errors: readonly ReadError[] } => {
  if (doc.errors.length > 0) return { errors: doc.errors.map((error: YAMLError) => ({ message: error.message, at: error.pos[0] })) }
  try {
    return { value: doc.toJS() as unknown, errors: [] }
  } catch (error) {
    return { errors: [{ message: (error as Error).message, at: strayAlias(doc) ?? doc.range[0] }] }
  }
}

/** Where the first alias without an anchor stands: the parser takes it, reading the value does not. */
const strayAlias = (doc: Document.Parsed): number | undefined => {
  let at: number | undefined
  visit(doc, {
    Alias: (_, alias) => {
      if (alias.resolve(doc) !== undefined) return undefined
      at = alias.range?.[0]
      return visit.BREAK
    },
  })
  return at
}

const notYaml = (file: string, document: number, lines: LineCounter, { message, at }: ReadError): Problem => ({
  level: 'error',
  code: 'NOT_YAML',
  file,
  document,
  line: lines.linePos(at).line,
  message,
  ...(/alias/i.test(message) && { suggestion: 'a pattern that begins with * must stand in quotes' }),
})

const lineOf = (doc: Document, lines: LineCounter, path: readonly PropertyKey[]): number => {
  let node: unknown = doc.contents
  let offset = doc.contents?.range?.[0] ?? doc.range?.[0] ?? 0
  for (const step of path) {
    const next = memberOf(node, step)
    if (next === undefined) break
    offset = next.offset ?? offset
    node = next.node
  }
  return lines.linePos(offset).line
}

const memberOf = (node: unknown, step: PropertyKey): { readonly node: unknown; readonly offset?: number | undefined } | undefined => {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
    return pair && { node: pair.value, offset: (pair.key as Node).range?.[0] }
  }
  const item = isSeq(node) && typeof step === 'number' ? (node.items[step] as Node | undefined) : undefined
  return item && { node: item, offset: item.range?.[0] }
}
