// The snapshot as Secrets: an index and parts, in up to 16 of them. Pure.
import type { MailRelay } from '../../../crds/index.ts'
import { toParts, type Snapshot } from '../../../relay/snapshot/index.ts'
import type { Data } from '../input.ts'
import { metadataOf, resources, type Wanted } from './common.ts'

const most = 16
/** A Secret may hold 1 MiB of what is decoded. */
const roomOfOne = 1_000_000

export const snapshotSecretNames = ({ metadata: { name } }: MailRelay): string[] => Array.from({ length: most }, (_, n) => `${name}-snapshot-${n}`)

/** Parts before the index: who reads half of a change still has the old index, or one that fits. */
export const snapshotSecrets = (relay: MailRelay, snapshot: Snapshot): Wanted[] => dataOf(snapshot).map((data, n) => secretOf(relay, n, data)).toReversed()


/** By Secret; made once for each snapshot, which may have megabytes. */
const dataOf = (snapshot: Snapshot): readonly Data[] => {
  const known = packed.get(snapshot) ?? pack(snapshot)
  packed.set(snapshot, known)
  return known
}
const packed = new WeakMap<Snapshot, readonly Data[]>()

const pack = (snapshot: Snapshot): Data[] => {
  const { index, parts } = toParts(snapshot)
  const bins: Record<string, string>[] = [{}]
  let room = roomOfOne
  for (const [file, text] of parts) {
    const bytes = Buffer.byteLength(text)
    if (bytes > room) {
      bins.push({})
      room = roomOfOne
    }
    room -= bytes
    bins.at(-1)![file] = text
  }
  const withIndex = [{ 'index.json': JSON.stringify(index) }, ...bins]
  if (withIndex.length > most) throw new RangeError(`a snapshot of ${withIndex.length} Secrets, more than ${most}: the plan should have left something out`)
  return withIndex.map((data) => Object.fromEntries(Object.entries(data).map(([file, text]) => [file, Buffer.from(text).toString('base64')])))
}

const secretOf = (relay: MailRelay, n: number, data: Data): Wanted => ({
  resource: resources.secret,
  object: { metadata: metadataOf(relay, 'relay', `-snapshot-${n}`), type: 'Opaque', data },
})
