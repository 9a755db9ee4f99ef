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
      const sha256 = createHash('sha256').update(text).digest('hex')
      const file = `part-${sha256.slice(0, 24)}.json`
      parts.set(file, text)
      listed.push({ file, sha256 })
    }
  return { index: { version: 1, revision: revisionOf(snapshot), relay: snapshot.relay, parts: listed }, parts }
}

/** Throws SnapshotError when a part is missing, altered, or the whole does not fit the schema or its revision. */
export const fromParts = (index: SnapshotIndex, read: (file: string) => string | undefined): Snapshot => {
  const snapshot = fromPartsOfAnyRelease(index, read)
  if (revisionOf(snapshot) !== index.revision) throw new SnapshotError(`the parts make revision ${revisionOf(snapshot)}, the index says ${index.revision}`)
  return snapshot
}

/** Without its revision, which is another one where a release has come to know of more than who wrote it. */
export const fromPartsOfAnyRelease = (index: SnapshotIndex, read: (file: string) => string | undefined): Snapshot => {
  const whole: Record<string, unknown[]> = Object.fromEntries(sections.map((section) => [section, []]))
  for (const { file, sha256 } of index.parts) {
    const text = read(file)
    if (text === undefined) throw new SnapshotError(`part ${file} is not there yet`)
    if (createHash('sha256').update(text).digest('hex') !== sha256) throw new SnapshotError(`part ${file} does not fit the index`)
    const { section, items } = JSON.parse(text) as { section: Section; items: unknown[] }
    whole[section]?.push(...items)
  }
  return parseSnapshot({ version: index.version, relay: index.relay, ...whole })
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
