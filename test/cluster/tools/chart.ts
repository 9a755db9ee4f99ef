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

export type How = { readonly version?: string; readonly chart?: string; readonly release?: string; readonly namespace?: string }

/** `helm template`, of a release named posthouse in the namespace posthouse where not said otherwise. */
export const render = async (values: object, { version = kubernetesVersions.at(-1)!, chart = chartFolder, release = 'posthouse', namespace = 'posthouse' }: How = {}): Promise<Rendered> => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-values-'))
  try {
    const file = join(folder, 'values.yaml')
    writeFileSync(file, JSON.stringify(values))
    const { code, output, stdout } = await runChild(programPath('helm'), ['template', release, chart, '--namespace', namespace, '--kube-version', patchVersionOf(version), '--values', file], { mayFail: true })
    return { code, output, text: stdout }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export const objectsIn = (text: string): KubeObject[] => parseAllDocuments(text, { version: '1.1' }).flatMap((document) => ((document as { toJS(): unknown }).toJS() as KubeObject | null) ?? [])

/** Throws with what helm said where it refuses. */
export const renderObjects = async (values: object, how: How = {}): Promise<KubeObject[]> => {
  const { code, output, text } = await render(values, how)
  if (code !== 0) throw new Error(output)
  return objectsIn(text)
}
