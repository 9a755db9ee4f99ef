// What the pods of each MailRelay were given last: known, or read back from its Secrets by an operator that has just begun. Reads only.
import type { MailRelay } from '../crds/index.ts'
import { fromPartsOfAnyRelease, type Snapshot, type SnapshotIndex } from '../relay/snapshot/index.ts'
import { KubeError, readOne, type Kube } from './kube/index.ts'
import { isManaged, keyOf, snapshotSecretNames } from './plan/index.ts'
import { isRefusal } from './refusals.ts'
import { secrets, type Watched } from './watched.ts'

export type BeforeParts = { readonly kube: Kube; readonly watched: Watched; readonly proven: ReadonlyMap<string, { readonly snapshot: Snapshot }> }

export const snapshotsBefore = async (relays: readonly MailRelay[], parts: BeforeParts): Promise<Map<string, Snapshot>> => {
  const found = new Map<string, Snapshot>()
  for (const relay of relays) {
    const snapshot = parts.proven.get(keyOf(relay))?.snapshot ?? (await readBack(relay, parts))
    if (snapshot !== undefined) found.set(keyOf(relay), snapshot)
  }
  return found
}

/** undefined: there is none, or none that is whole. */
const readBack = async (relay: MailRelay, { kube, watched }: BeforeParts): Promise<Snapshot | undefined> => {
  const { namespace } = relay.metadata
  const files = new Map<string, string>()
  try {
    for (const name of snapshotSecretNames(relay)) {
      const live = watched.get(secrets, `${namespace}/${name}`)
      const read = live !== undefined && isManaged(live) ? await readOne(kube, secrets, { namespace, name }) : undefined
      for (const [file, encoded] of Object.entries((read?.data ?? {}) as Record<string, string>)) files.set(file, Buffer.from(encoded, 'base64').toString('utf8'))
    }
    const index = files.get('index.json')
    return index === undefined ? undefined : fromPartsOfAnyRelease(JSON.parse(index) as SnapshotIndex, (file) => files.get(file))
  } catch (error) {
    if (error instanceof KubeError && !isRefusal(error)) throw error
    return undefined
  }
}
