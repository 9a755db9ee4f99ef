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

/** `stop` resolves when a change being taken is taken or refused. */
export type SnapshotWatch = { stop(): Promise<void> }

/** What could not be put in force (a port that another still holds) is tried again, at this many looks' distance. */
const looksBetweenTries = 10

/**
 * Looks every `everyMs` (a projected volume changes by symlinks, which file watchers miss), and tells of each sound change, one at a time, and once of each
 * fault. `inForce`: the revision that was read before, so that what changed between that and the first look counts as well.
 */
export const watchSnapshot = (folder: string, inForce: string, changed: (snapshot: Snapshot, revision: string) => Promise<void> | void, broken: (error: Error) => void, everyMs = 1000): SnapshotWatch => {
  let revision = inForce
  let seen: string | undefined
  let refused: { readonly revision: string; looks: number } | undefined
  let complaint = ''
  const take = async (): Promise<void> => {
    const text = readIfThere(join(folder, indexFile)) // fails as well: a file that may not be read, no file handle left
    if (text === undefined || text === seen) return
    const named = parseIndex(text).revision
    if (named === refused?.revision && --refused.looks > 0) return
    if (named !== revision) {
      const read = readSnapshot(folder)
      refused = { revision: read.revision, looks: looksBetweenTries }
      await changed(read.snapshot, read.revision)
      revision = read.revision
    }
    seen = text
    refused = undefined
    complaint = ''
  }
  const complain = (error: Error): void => {
    if (error.message !== complaint) broken(error)
    complaint = error.message
  }
  let taking: Promise<void> | undefined
  const timer = setInterval(() => void (taking ??= take().catch(complain).finally(() => (taking = undefined))), everyMs)
  return {
    stop: async () => {
      clearInterval(timer)
      await taking
    },
  }
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
