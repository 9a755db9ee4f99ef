// The snapshot in a folder, as a pod sees it mounted: written whole, read whole, watched. Touches only that folder.
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromParts, toParts, type SnapshotIndex } from './parts.ts'
import { SnapshotError } from './parse.ts'
import type { Snapshot } from './schema.ts'

const indexFile = 'index.json'

/** Parts first, index last and by rename: a reader sees the old or the new, never a mixture. Mode 0600, for keys are inside. */
export const writeSnapshot = (folder: string, snapshot: Snapshot): string => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  chmodSync(folder, 0o700)
  const { index, parts } = toParts(snapshot)
  for (const [file, text] of parts) replace(join(folder, file), text)
  replace(join(folder, indexFile), JSON.stringify(index))
  for (const file of readdirSync(folder)) if (file.startsWith('part-') && !parts.has(file)) rmSync(join(folder, file), { force: true })
  return index.revision
}

/** Throws SnapshotError when it is not complete or not sound. */
export const readSnapshot = (folder: string): { snapshot: Snapshot; revision: string } => {
  const text = readIfThere(join(folder, indexFile))
  if (text === undefined) throw new SnapshotError(`${join(folder, indexFile)} is not there`)
  const index = parseIndex(text)
  return { snapshot: fromParts(index, (file) => readIfThere(join(folder, file))), revision: index.revision }
}

export type SnapshotWatch = { stop(): void }

/** Looks every `everyMs` (a projected volume changes by symlinks, which file watchers miss); tells of each sound change, and once of each broken one. */
export const watchSnapshot = (folder: string, changed: (snapshot: Snapshot, revision: string) => void, broken: (error: Error) => void, everyMs = 1000): SnapshotWatch => {
  let seen = readIfThere(join(folder, indexFile))
  let complaint = ''
  const look = () => {
    try {
      const text = readIfThere(join(folder, indexFile)) // fails as well: a file that may not be read, no file handle left
      if (text === undefined || text === seen) return
      const { snapshot, revision } = readSnapshot(folder)
      seen = text
      complaint = ''
      changed(snapshot, revision)
    } catch (error) {
      if ((error as Error).message !== complaint) broken(error as Error)
      complaint = (error as Error).message
    }
  }
  const timer = setInterval(look, everyMs)
  return { stop: () => clearInterval(timer) }
}

const replace = (path: string, text: string): void => {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

const parseIndex = (text: string): SnapshotIndex => {
  try {
    const index = JSON.parse(text) as SnapshotIndex
    if (index.version !== 1 || !Array.isArray(index.parts)) throw new SnapshotError(`the snapshot's index has version ${String(index.version)}; this release reads 1`)
    return index
  } catch (error) {
    throw error instanceof SnapshotError ? error : new SnapshotError(`the snapshot's index is not JSON: ${(error as Error).message}`)
  }
}

const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
