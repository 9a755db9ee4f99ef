// Before a story: whatever an earlier one left, finished or not, is taken away. Only in a cluster that is ours; nothing here waits for a
// finalizer, for what would have ended it may be gone.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { kinds } from '../../../crds/index.ts'
import { until } from '../../tools/until.ts'
import { helm } from './helm.ts'
import type { Kubectl } from './kubectl.ts'
import type { Joined } from './shared.ts'

const system = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease'])
type Item = { readonly metadata: { readonly name: string; readonly namespace?: string; readonly finalizers?: readonly string[] } }
type List = { readonly items: readonly Item[] }

/** True where there was something to take away. */
export const cleanSlate = async (cluster: Joined): Promise<boolean> => {
  const { own, kubectl } = cluster
  if (!own) return false
  const namespaces = (await itemsOf(kubectl, 'namespaces')).map(({ metadata: { name } }) => name).filter((name) => !system.has(name))
  const releases = JSON.parse(await helm(cluster, 'list', '--all-namespaces', '--all', '--output', 'json')) as { name: string; namespace: string }[]
  for (const { name, namespace } of releases) await helm(cluster, 'uninstall', name, '--namespace', namespace, '--no-hooks', '--ignore-not-found')
  // first whoever would make their pods anew: those would take their time to go, and the namespace a minute more
  await Promise.all(namespaces.map((name) => kubectl.may('delete', 'deployments,statefulsets,replicasets,jobs', '--all', '--namespace', name, '--wait=false')))
  await Promise.all(namespaces.map((name) => kubectl.may('delete', 'pods', '--all', '--namespace', name, '--grace-period=1', '--timeout=60s')))
  await freeOurs(kubectl)
  await kubectl.may('delete', 'retryschedules', '--all', '--wait=false')
  if (namespaces.length === 0) return false
  await kubectl.may('delete', 'namespaces', ...namespaces, '--wait=false')
  await until('the namespaces of the story before to be gone', () => areGone(kubectl, namespaces), 120_000, 300)
  await kubectl.may('delete', 'persistentvolumes', '--all', '--wait=false')
  rmSync(join(own.folder, 'volumes'), { recursive: true, force: true, maxRetries: 10 })
  return true
}

/** An API server that does not answer says nothing of them. */
export const areGone = async (kubectl: Kubectl, namespaces: readonly string[]): Promise<boolean> => {
  const { code, stdout } = await kubectl.may('get', 'namespaces', ...namespaces, '--ignore-not-found', '--output', 'name')
  return code === 0 && stdout.trim() === ''
}

/** Our own objects go without whoever would have let them go. */
const freeOurs = async (kubectl: Kubectl): Promise<void> => {
  for (const { plural } of kinds)
    for (const { metadata } of await itemsOf(kubectl, `${plural}.posthouse.dev`, '--all-namespaces')) {
      if (metadata.finalizers === undefined) continue
      await kubectl.may('patch', `${plural}.posthouse.dev`, metadata.name, ...(metadata.namespace === undefined ? [] : ['--namespace', metadata.namespace]), '--type=merge', '--patch', '{"metadata":{"finalizers":null}}')
    }
}

const itemsOf = async (kubectl: Kubectl, ...what: string[]): Promise<readonly Item[]> => {
  const { code, stdout } = await kubectl.may('get', ...what, '--output', 'json')
  return code === 0 ? (JSON.parse(stdout) as List).items : []
}
