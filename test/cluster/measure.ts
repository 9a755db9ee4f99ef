// How the operator does with 1,000 MailDomains (each with DKIM keys) and 1,000 MailSenders (each with credentials), against a real API server:
//   node test/cluster/measure.ts [count]
// Prints how long until all are in force, how long one change takes, how many requests a minute at rest costs, and the memory.
import { setTimeout as sleep } from 'node:timers/promises'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { kinds } from '../../crds/index.ts'
import { applyObject, createKube, openAccess, type Kube, type KubeObject, type Resource } from '../../operator/kube/index.ts'
import { startChild } from '../tools/child.ts'
import { until } from '../tools/until.ts'
import { startApiServer } from './tools/api-server.ts'

const count = Number(process.argv[2] ?? 1000)
const root = join(import.meta.dirname, '../..')
const resourceOf = (name: string): Resource => {
  const { kind, plural, scope } = kinds.find((one) => one.kind === name)!
  return { group: 'posthouse.dev', version: 'v1alpha1', kind, plural, namespaced: scope === 'Namespaced' }
}
const [domains, senders, relays] = ['MailDomain', 'MailSender', 'MailRelay'].map(resourceOf) as [Resource, Resource, Resource]
const namespace = 'mail'
const object = (name: string, spec: object): KubeObject => ({ metadata: { name, namespace }, spec })
const domain = (n: number, change: object = {}): KubeObject => object(`d${n}`, { domain: `d${n}.example`, outbound: { dkim: { algorithms: ['ed25519', 'rsa'] } }, ...change })
const sender = (n: number): KubeObject => object(`s${n}`, { relayRef: { name: 'main' }, from: [`app@d${n}.example`] })

const prepare = async (kube: Kube): Promise<void> => {
  const crd: Resource = { group: 'apiextensions.k8s.io', version: 'v1', kind: 'CustomResourceDefinition', plural: 'customresourcedefinitions', namespaced: false }
  for (const file of readdirSync(join(root, 'crds')).filter((name) => name.endsWith('.yaml'))) await applyObject(kube, crd, parse(readFileSync(join(root, 'crds', file), 'utf8')) as KubeObject)
  await applyObject(kube, { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }, { metadata: { name: namespace } })
  await until('the kinds', () => applyObject(kube, relays, object('main', { hostname: 'mx.example' })).then(() => true, () => false), 30_000)
}

type Listed = { readonly items: readonly (KubeObject & { readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly observedGeneration?: number }[] } })[] }
const readyCount = async (kube: Kube, { plural }: Resource): Promise<number> => {
  const { items } = await kube.call<Listed>({ path: `/apis/posthouse.dev/v1alpha1/namespaces/${namespace}/${plural}`, timeoutMs: 60_000 })
  return items.filter(({ status, metadata }) => status?.conditions?.some(({ type, status: is, observedGeneration }) => type === 'Ready' && is === 'True' && observedGeneration === metadata.generation)).length
}

const api = await startApiServer()
try {
  const kube = createKube(await openAccess(api.kubeconfig))
  await prepare(kube)
  console.log(`writing ${count} MailDomains and ${count} MailSenders`)
  for (let n = 0; n < count; n += 20) await Promise.all(Array.from({ length: Math.min(20, count - n) }, async (_, m) => (await applyObject(kube, domains, domain(n + m)), applyObject(kube, senders, sender(n + m)))))

  const began = performance.now()
  const args = ['bin/posthouse.mjs', 'operator', '--image', 'posthouse:measure', '--nats-image', 'nats:measure', '--namespace', 'default', '--kubeconfig', api.kubeconfig, '--http', '127.0.0.1:0']
  const operator = startChild(process.execPath, args, { cwd: root, log: join(api.folder, 'operator.log') })
  const memory = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${operator.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  let peak = 0
  const watch = setInterval(() => (peak = Math.max(peak, memory())), 200)
  await until('all of them to be ready', async () => (await readyCount(kube, domains)) === count && (await readyCount(kube, senders)) === count, 300_000, 500)
  console.log(`first convergence: ${((performance.now() - began) / 1000).toFixed(1)} s (bar: 30 s)`)

  await sleep(5000)
  const changed = performance.now()
  await applyObject(kube, domains, domain(1, { inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: 'store.example' }] } } }))
  const revision = async (): Promise<unknown> => (await kube.call<{ status?: { revision?: string } }>({ path: `/apis/posthouse.dev/v1alpha1/namespaces/${namespace}/mailrelays/main` })).status?.revision
  const before = await revision()
  await until('a new revision', async () => (await revision()) !== before, 60_000, 50)
  console.log(`one change: ${((performance.now() - changed) / 1000).toFixed(1)} s (bar: 2 s)`)

  clearInterval(watch)
  console.log(`memory: peak ${peak.toFixed(0)} MiB, now ${memory().toFixed(0)} MiB (bar: 300 MB)`)
  await operator.stop()
} finally {
  await api.stop()
}
