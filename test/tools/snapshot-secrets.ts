// The snapshot of a relay as a pod would find it: all its Secrets in one folder, read by the relay's own reader.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readOne, type Kube } from '../../operator/kube/index.ts'
import { resources } from '../../operator/plan/index.ts'
import { readSnapshot, type Snapshot } from '../../relay/snapshot/index.ts'

export const readSnapshotOf = async (kube: Kube, namespace: string, relay: string): Promise<Snapshot> => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-snapshot-'))
  try {
    for (let n = 0; n < 16; n++) {
      const secret = await readOne(kube, resources.secret, { namespace, name: `${relay}-snapshot-${n}` })
      for (const [file, text] of Object.entries((secret?.data ?? {}) as Record<string, string>)) writeFileSync(join(folder, file), Buffer.from(text, 'base64'))
    }
    return readSnapshot(folder).snapshot
  } finally {
    rmSync(folder, { recursive: true })
  }
}
