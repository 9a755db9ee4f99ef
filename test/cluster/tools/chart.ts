// The chart as helm renders it, for tests. Runs helm; touches no cluster.
import { rmSync, writeFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { KubeObject } from '../../../operator/kube/index.ts'
import { runChild } from '../../tools/child.ts'
import { programPath } from './build.ts'
import { kubernetesVersions, patchVersionOf } from './schemas.ts'

export const chartFolder = join(import.meta.dirname, '../../../charts/posthouse')

export type Rendered = { readonly code: number; readonly output: string; readonly text: string }

/** `helm template` of a release named posthouse in the namespace posthouse. */
export const render = async (values: object, { version = kubernetesVersions.at(-1)!, chart = chartFolder }: { readonly version?: string; readonly chart?: string } = {}): Promise<Rendered> => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-values-'))
  try {
    const file = join(folder, 'values.yaml')
    writeFileSync(file, JSON.stringify(values))
    const { code, output, stdout } = await runChild(programPath('helm'), ['template', 'posthouse', chart, '--namespace', 'posthouse', '--kube-version', patchVersionOf(version), '--values', file], { mayFail: true })
    return { code, output, text: stdout }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export const objectsIn = (text: string): KubeObject[] => parseAllDocuments(text, { version: '1.1' }).flatMap((document) => ((document as { toJS(): unknown }).toJS() as KubeObject | null) ?? [])

/** Throws with what helm said where it refuses. */
export const renderObjects = async (values: object, how: Parameters<typeof render>[1] = {}): Promise<KubeObject[]> => {
  const { code, output, text } = await render(values, how)
  if (code !== 0) throw new Error(output)
  return objectsIn(text)
}
