// A snapshot as an index and content-addressed parts small enough for Secrets; back only when every part is there and fits. Pure.
import { createHash } from 'node:crypto'
import { parseSnapshot, revisionOf, SnapshotError } from './parse.ts'
import type { Snapshot } from './schema.ts'

/** A Secret holds 1 MiB; half of it leaves room for base64 and names. */
export const maxPartBytes = 512 * 1024
export const maxSnapshotBytes = 8 * 1024 * 1024

export type SnapshotIndex = {
  readonly version: 1
  readonly revision: string
  readonly relay: Snapshot['relay']
  readonly parts: readonly { readonly file: string; readonly sha256: string }[]
  readonly sha256?: string // of all else in it; in those of 0.1.0 at first there was none
}
export type SnapshotParts = { readonly index: SnapshotIndex; readonly parts: ReadonlyMap<string, string> } // file → text

const sections = ['listeners', 'senders', 'domains', 'policies', 'routes', 'schedules', 'certificates'] as const
type Section = (typeof sections)[number]

/** Splits by section and packs whole objects, so that one changed object changes one part. Throws when one object alone is too big. */
export const toParts = (snapshot: Snapshot): SnapshotParts => {
  const parts = new Map<string, string>()
  const listed: { file: string; sha256: string }[] = []
  for (const section of sections)
    for (const items of pack(section, snapshot[section])) {
      const text = `{"section":"${section}","items":[${items.join(',')}]}`
      const sha256 = sha256Of(text)
      const file = `part-${sha256.slice(0, 24)}.json`
      parts.set(file, text)
      listed.push({ file, sha256 })
    }
  return { index: sealed({ version: 1, revision: revisionOf(snapshot), relay: snapshot.relay, parts: listed }), parts }
}

/** The revision says nothing of what is whole: a release that knows other fields than the writer would make another one. */
export const sealed = (index: SnapshotIndex): SnapshotIndex => {
  const { sha256: _, ...rest } = index
  return { ...rest, sha256: sha256Of(JSON.stringify(rest)) }
}

const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex')

/**
 * Throws SnapshotError when the index or a part is altered, a part is missing, the whole does not fit the schema, or says what this release does not know: passed over, a rule could mean more than it does.
 * What an older release did not say has its default; the revision is what the writer called it.
 */
export const fromParts = (index: SnapshotIndex, read: (file: string) => string | undefined): Snapshot => {
  const whole = wholeOf(index, read)
  const snapshot = parseSnapshot(whole)
  const unknown = unknownIn(whole, snapshot)
  if (unknown !== undefined) throw new SnapshotError(`${unknown}: this release does not know it; the one that wrote the snapshot does`)
  return snapshot
}

/** Without what this release does not know. */
export const fromPartsOfAnyRelease = (index: SnapshotIndex, read: (file: string) => string | undefined): Snapshot => parseSnapshot(wholeOf(index, read))

const wholeOf = (index: SnapshotIndex, read: (file: string) => string | undefined): Record<string, unknown> => {
  if (index.sha256 !== undefined && index.sha256 !== sealed(index).sha256) throw new SnapshotError('the index is damaged: it does not fit its own sha256')
  const lists: Record<string, unknown[]> = Object.fromEntries(sections.map((section) => [section, []]))
  for (const { file, sha256 } of index.parts) {
    const text = read(file)
    if (text === undefined) throw new SnapshotError(`part ${file} is not there yet`)
    if (sha256Of(text) !== sha256) throw new SnapshotError(`part ${file} does not fit the index`)
    const { section, items } = JSON.parse(text) as { section: string; items: unknown[] }
    lists[section] = [...(lists[section] ?? []), ...items]
  }
  return { version: index.version, relay: index.relay, ...lists }
}

/** The path of the first member that was left out. */
const unknownIn = (written: unknown, known: unknown): string | undefined => {
  if (written === null || typeof written !== 'object' || typeof known !== 'object') return undefined
  for (const [key, inner] of Object.entries(written)) {
    const read = (known as Record<string, unknown> | null)?.[key]
    if (read === undefined) return key
    const below = unknownIn(inner, read)
    if (below !== undefined) return `${key}.${below}`
  }
  return undefined
}

const pack = (section: Section, objects: readonly object[]): string[][] => {
  const bins: string[][] = []
  let room = 0
  for (const object of objects) {
    const text = JSON.stringify(object)
    const bytes = Buffer.byteLength(text) + 1
    if (bytes > maxPartBytes - 64) throw new SnapshotError(`one of ${section} alone takes ${bytes} bytes, more than ${maxPartBytes}: ${text.slice(0, 80)}…`)
    if (bytes > room) {
      bins.push([])
      room = maxPartBytes - 64
    }
    bins.at(-1)!.push(text)
    room -= bytes
  }
  return bins
}
