// Reads a folder of manifests: every *.yaml and *.yml in it, in order of name; or standard input. Touches files for reading only.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { kindNamed, type AnyManifest } from '../../crds/index.ts'
import { fieldIsNotImplemented, titleOf, type Declared } from '../plan/index.ts'
import { documentsOf, type FileDocument } from './documents.ts'
import type { Mistake } from './mistakes.ts'
import { printPath, type Problem } from './problem.ts'
import { readObject } from './read-object.ts'

export type Gathered = {
  readonly declared: Declared
  readonly problems: readonly Problem[]
  /** Objects that are there and wrong: "MailRelay mail/main". */
  readonly mistaken: ReadonlySet<string>
  /** Where an object stands: "MailRelay mail/main", ['spec', 'hostname']. */
  readonly place: (title: string, path: readonly PropertyKey[]) => Pick<Problem, 'file' | 'document' | 'line'> | undefined
}

/** `path` may also be one file, or `-` for standard input. */
export const readManifests = (path: string): Gathered => {
  const listed = path === '-' ? textsOf(readFileSync(0, 'utf8')) : filesOf(path)
  if ('problem' in listed) return { ...gather([]), problems: [listed.problem, ...(listed.unread ?? [])] }
  const read = listed.files.map(({ file, text }) => documentsOf(file, text))
  const gathered = gather(read.flatMap(({ documents }) => documents))
  return { ...gathered, problems: inOrder([...(listed.unread ?? []), ...read.flatMap(({ problems }) => problems), ...gathered.problems]) }
}

const textsOf = (stream: string): Listed => {
  if (stream.trim() !== '') return { files: textsIn(stream) }
  return { problem: { level: 'error', code: 'NO_MANIFESTS', file: 'standard input', message: 'nothing came in' } }
}

/** `unread`: what somebody may think was read. */
type Listed = ({ readonly files: readonly File[] } | { readonly problem: Problem }) & { readonly unread?: readonly Problem[] }
type File = { readonly file: string; readonly text: string }

/** What `helm template` prints names the file that each part is from: `# Source: chart/templates/relay.yaml`. Lines count from there. */
const textsIn = (stream: string): File[] => {
  const [first = '', ...rest] = stream.split(/^(?:---[ \t]*\r?\n)?# Source: /m)
  const named = rest.map((part) => {
    const end = `${part}\n`.indexOf('\n')
    return { file: part.slice(0, end).trim(), text: part.slice(end + 1) }
  })
  return first.trim() === '' && named.length > 0 ? named : [{ file: 'standard input', text: first }, ...named]
}

const filesOf = (path: string): Listed => {
  const read = (file: string): File => ({ file, text: readFileSync(file, 'utf8') })
  try {
    if (statSync(path).isFile()) return { files: [read(path)] }
    const entries = readdirSync(path, { withFileTypes: true })
    const files = entries.filter((entry) => isYaml(entry.name) && !entry.isDirectory()).map(({ name }) => name).sort().map((name) => read(join(path, name)))
    const unread = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => join(path, name)).filter(holdsManifests).map(notRead)
    if (files.length > 0) return { files, unread }
    return { problem: { level: 'error', code: 'NO_MANIFESTS', file: path, message: 'no *.yaml or *.yml file in this folder' }, unread }
  } catch (error) {
    return { problem: { level: 'error', code: 'FOLDER_UNREADABLE', file: path, message: (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file or folder' : (error as Error).message } }
  }
}

const isYaml = (name: string): boolean => /\.ya?ml$/.test(name)

const holdsManifests = (folder: string): boolean => {
  try {
    return readdirSync(folder).some(isYaml)
  } catch {
    return false // nobody's business here
  }
}

const notRead = (folder: string): Problem => ({ level: 'warning', code: 'NOTED', file: folder, message: `not read: only the files of a folder itself are; check -f ${folder} reads it` })

/** By file, then line. */
export const inOrder = (problems: readonly Problem[]): Problem[] =>
  [...problems].sort((a, b) => a.file.localeCompare(b.file) || (a.line ?? 0) - (b.line ?? 0))

/** What the documents declare; what is wrong is left out and reported. */
export const gather = (documents: readonly FileDocument[]): Gathered => {
  const objects = new Map<string, { readonly document: FileDocument; readonly read: ReturnType<typeof readObject> }>()
  const problems: Problem[] = []
  const mistaken = new Set<string>()
  for (const document of documents) {
    const read = readObject(document.value)
    const title = nameOf(document.value)
    const first = title === undefined ? undefined : objects.get(title)
    if (read.kind === 'mistaken' && title !== undefined) mistaken.add(title)
    if (read.kind === 'mistaken') problems.push(...[...read.mistakes, ...notImplementedIn(document.value)].map((mistake) => problem('error', document, title, mistake)))
    else if (read.kind === 'ignored') problems.push(problem('warning', document, title, read.mistake))
    else if (first) problems.push(problem('error', document, title, twice(first.document)))
    else objects.set(title!, { document, read })
    if (isOurs(document.value)) problems.push(...ambiguousIn(document, title))
  }
  const reads = [...objects.values()].map(({ read }) => read)
  return { declared: declaredBy(reads), problems, mistaken, place: (title, path) => placeIn(objects.get(title)?.document, path) }
}

const isOurs = (value: unknown): value is Pick<AnyManifest, 'kind'> & { readonly spec?: unknown } => kindNamed((value as { kind?: unknown } | null)?.kind as string) !== undefined

/** Of a sound one the plan tells; of one with mistakes it never hears. */
const notImplementedIn = (value: unknown): Mistake[] =>
  isOurs(value) ? fieldIsNotImplemented({ kind: value.kind, spec: value.spec }).map(({ reason, message, path = [] }) => ({ code: 'REFUSED', reason, message, path })) : []

const ambiguousIn = ({ file, document, ambiguous }: FileDocument, object: string | undefined): Problem[] =>
  ambiguous.map(({ word, line }) => ({ level: 'error', code: 'AMBIGUOUS', file, document, line, ...(object !== undefined && { object }), message: `a cluster reads the bare word ${word} as true or false`, suggestion: `write "${word}" in quotes` }))

const placeIn = (document: FileDocument | undefined, path: readonly PropertyKey[]) =>
  document && { file: document.file, document: document.document, line: document.lineOf(path) }

const twice = (first: FileDocument): Mistake => ({ code: 'DUPLICATE', path: [], message: `stands already in ${first.file}, document ${first.document}, line ${first.lineOf([])}` })

const problem = (level: Problem['level'], document: FileDocument, title: string | undefined, { path, ...mistake }: Mistake): Problem => ({
  level,
  file: document.file,
  document: document.document,
  line: document.lineOf(path),
  ...(title !== undefined && { object: title }),
  ...(path.length > 0 && { path: printPath(path) }),
  ...mistake,
})

/** "MailRelay mail/main" of whatever the document holds, even where it is wrong. */
const nameOf = (value: unknown): string | undefined => {
  const { kind, metadata } = (value ?? {}) as { kind?: unknown; metadata?: { name?: unknown; namespace?: unknown } }
  if (typeof kind !== 'string' || typeof metadata?.name !== 'string') return undefined
  const scoped = kind !== 'RetrySchedule' && kind !== 'Namespace'
  const namespace = scoped ? (typeof metadata.namespace === 'string' ? metadata.namespace : 'default') : ''
  return titleOf({ kind, metadata: { namespace, name: metadata.name } })
}

export const declaredBy = (reads: readonly ReturnType<typeof readObject>[]): Declared => {
  const manifests = reads.flatMap((read) => (read.kind === 'manifest' ? [read.manifest] : []))
  const of = <K extends AnyManifest['kind']>(kind: K) => manifests.filter((manifest): manifest is Extract<AnyManifest, { kind: K }> => manifest.kind === kind)
  return {
    relays: of('MailRelay'),
    domains: of('MailDomain'),
    senders: of('MailSender'),
    policies: of('RelayPolicy'),
    routes: of('DeliveryRoute'),
    schedules: of('RetrySchedule'),
    secrets: reads.flatMap((read) => (read.kind === 'secret' ? [read.secret] : [])),
    namespaces: reads.flatMap((read) => (read.kind === 'namespace' ? [read.namespace] : [])),
  }
}
