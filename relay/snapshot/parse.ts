// From text to a snapshot that may be used, and its revision: the hash that says two relays run the same.
import { createHash } from 'node:crypto'
import { snapshotSchema, type Snapshot, type SnapshotInput } from './schema.ts'

export class SnapshotError extends Error {
  readonly code = 'SNAPSHOT_INVALID'
}

/** Parses and fills in defaults. Throws SnapshotError naming the first paths that are wrong. */
export const parseSnapshot = (value: unknown): Snapshot => {
  const result = snapshotSchema.safeParse(value)
  if (result.success) return result.data
  const faults = result.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || '(root)'}: ${issue.message}`)
  throw new SnapshotError(`the snapshot does not fit its schema: ${faults.join('; ')}`)
}

/** 16 hex digits over the content with keys in order, so that writing it differently changes nothing. */
export const revisionOf = (snapshot: Snapshot | SnapshotInput): string =>
  createHash('sha256').update(canonical(snapshot)).digest('hex').slice(0, 16)

const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined)
  entries.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`
}
