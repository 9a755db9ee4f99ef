// The snapshot as Secrets: an index and parts, in up to 16 of them. Pure.
import type { MailRelay } from '../../../crds/index.ts'
import { maxPartBytes, toParts, type Snapshot } from '../../../relay/snapshot/index.ts'
import type { Data } from '../input.ts'
import { metadataOf, resources, type Wanted } from './common.ts'

const most = 16
/** A Secret may hold 1 MiB of what is decoded: two parts of the largest, so that each but one is filled to two thirds, and 8 MiB take 13. */
const roomOfOne = 2 * maxPartBytes

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
  const bins: { room: number; readonly data: Record<string, string> }[] = []
  for (const [file, text] of parts) {
    const bytes = Buffer.byteLength(text)
    const bin = bins.find(({ room }) => room >= bytes) ?? bins[bins.push({ room: roomOfOne, data: {} }) - 1]!
    bin.room -= bytes
    bin.data[file] = text
  }
  const withIndex: Data[] = [{ 'index.json': JSON.stringify(index) }, ...bins.map(({ data }) => data)]
  if (withIndex.length > most) throw new RangeError(`a snapshot of ${withIndex.length} Secrets, more than ${most}: the plan should have left something out`)
  return withIndex.map((data) => Object.fromEntries(Object.entries(data).map(([file, text]) => [file, Buffer.from(text).toString('base64')])))
}

const secretOf = (relay: MailRelay, n: number, data: Data): Wanted => ({
  resource: resources.secret,
  object: { metadata: metadataOf(relay, 'relay', `-snapshot-${n}`), type: 'Opaque', data },
})
