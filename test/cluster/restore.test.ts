// A namespace that comes back from a backup, on a real API server: new uids, no status, no owners, Secrets first. What was made once is as it was.
import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { pathOf, type KubeObject, type Resource } from '../../operator/kube/index.ts'
import { resources } from '../../operator/plan/index.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks } from './tools/api-server.ts'
import { resourceOf, startOperatorWorld, type OperatorWorld } from './tools/operator.ts'

const lacks = apiServerLacks()
const skip = lacks.length > 0 && lacks.join('; ')

let operated: OperatorWorld
before(async () => {
  if (skip === false) operated = await startOperatorWorld(['mail'])
})
after(() => operated?.stop())

const manifests = [
  ['MailSender', 'shop', { relayRef: { name: 'main' } }],
  ['MailDomain', 'ours', { domain: 'ours.example', outbound: { dkim: {} } }],
  ['MailRelay', 'main', { hostname: 'mx.example' }],
] as const
const secrets = ['ours-dkim', 'shop-smtp', 'main-ca', 'main-certificate', 'main-queue'] as const
const restored: readonly Resource[] = [resources.secret, resources.service, resources.deployment, resources.statefulSet, resources.networkPolicy]

const listOf = async (resource: Resource): Promise<KubeObject[]> => (await operated.kube.call<{ items: KubeObject[] }>({ path: pathOf(resource, { namespace: 'mail' }) })).items
const dataOf = async (name: string): Promise<unknown> => (await operated.get(resources.secret, name))?.data
const declare = async (): Promise<void> => {
  for (const [kind, name, spec] of manifests) await operated.save(kind, name, spec)
}
const isOwned = ({ metadata }: KubeObject): boolean => metadata.ownerReferences !== undefined

/** As Velero restores an object: name, labels and annotations, and what it says but for its status and what the cluster gave it. */
const asRestored = (object: KubeObject): KubeObject => {
  const { name, labels, annotations = {} } = object.metadata
  const kept = { ...object, status: undefined, metadata: { name, namespace: 'mail', annotations, labels: { ...labels, 'velero.io/restore-name': 'night' } } }
  const { clusterIP } = (object.spec ?? {}) as { clusterIP?: string }
  return clusterIP === undefined || clusterIP === 'None' ? kept : { ...kept, spec: { ...(object.spec as object), clusterIP: undefined, clusterIPs: undefined } }
}

it('5 Secrets that come back without owners before their manifests are taken up as they are, and the objects of the MailRelay with them', { skip }, async () => {
  await declare()
  await operated.becomes('MailRelay', 'main', 'Programmed', 'Pending')
  await until('all Secrets', async () => (await Promise.all(secrets.map(dataOf))).every((data) => data !== undefined), 60_000)
  await until('both DKIM keys', async () => Object.keys((await dataOf('ours-dkim')) as object).filter((name) => name.endsWith('.key')).length === 2, 60_000)
  const before = Object.fromEntries(await Promise.all(secrets.map(async (name) => [name, await dataOf(name)] as const)))
  const backup = await Promise.all(restored.map(async (resource) => [resource, (await listOf(resource)).filter(isOwned)] as const))

  await operated.merge(resourceOf('MailRelay'), 'main', { metadata: { annotations: { 'posthouse.dev/discard-queue': 'true' } } })
  for (const [kind, name] of manifests) await operated.kube.call({ method: 'DELETE', path: pathOf(resourceOf(kind), { namespace: 'mail', name }) })
  await until('nothing left', async () => (await Promise.all(restored.map(listOf))).flat().filter(isOwned).length === 0, 120_000)

  for (const [resource, objects] of backup) for (const object of objects) await operated.kube.call({ method: 'POST', path: pathOf(resource, { namespace: 'mail' }), body: { apiVersion: resource.group === '' ? 'v1' : `${resource.group}/v1`, kind: resource.kind, ...asRestored(object) } })
  await declare()
  await operated.becomes('MailRelay', 'main', 'Programmed', 'Pending')
  await until('all of it to have owners', async () => (await Promise.all(backup.map(async ([resource, objects]) => (await Promise.all(objects.map(({ metadata }) => operated.get(resource, metadata.name)))).every((live) => live !== undefined && isOwned(live))))).every(Boolean), 120_000)
  for (const name of secrets) assert.deepEqual(await dataOf(name), before[name], name)
  assert.deepEqual(operated.troubles, [])
})
