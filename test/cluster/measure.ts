// How the operator does with 1,000 MailDomains (each with DKIM keys) and 1,000 MailSenders (each with credentials), against a real API server.
// Prints how long until all are in force, from nothing and after a restart, how long one change takes, what a minute at rest asks of the API
// server, and the memory. The processor time is printed beside each, for the clock also counts what else the machine does.
import { setTimeout as sleep } from 'node:timers/promises'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { applyObject, createKube, openAccess, type Kube, type KubeObject, type Resource } from '../../operator/kube/index.ts'
import { argumentsOf, numberAbove0, oneOf } from '../tools/arguments.ts'
import { startChild, type Child } from '../tools/child.ts'
import { startTestDns } from '../tools/dns-server.ts'
import { memoryOf } from '../tools/relay-process.ts'
import { until } from '../tools/until.ts'
import { startApiServer, type ApiServer } from './tools/api-server.ts'
import { applyKinds, namespaceResource, resourceOf } from './tools/operator.ts'
import { requestsOf, writtenBetween } from './tools/requests.ts'

const usage = `npm run measure                  1,000 MailDomains and 1,000 MailSenders on an API server of their own (Linux, as root)
npm run measure -- 100           so many of each
                --only ed25519   DKIM keys of one algorithm: ed25519 or rsa`

const { positionals, values } = argumentsOf(usage, { allowPositionals: true, options: { only: { type: 'string' } } })
const count = numberAbove0('count', positionals[0] ?? '1000', usage)
const every = ['ed25519', 'rsa'] as const
const algorithms = values.only === undefined ? every : [oneOf('--only', values.only, every, usage)]
const root = join(import.meta.dirname, '../..')
const [domains, senders, relays] = ['MailDomain', 'MailSender', 'MailRelay'].map(resourceOf) as [Resource, Resource, Resource]
const namespace = 'mail'
const object = (name: string, spec: object): KubeObject => ({ metadata: { name, namespace }, spec })
const domain = (n: number, change: object = {}): KubeObject => object(`d${n}`, { domain: `d${n}.example`, outbound: { dkim: { algorithms } }, ...change })
const sender = (n: number): KubeObject => object(`s${n}`, { relayRef: { name: 'main' }, from: [`app@d${n}.example`] })

const prepare = async (kube: Kube, nameserver: string): Promise<void> => {
  await applyKinds(kube)
  await applyObject(kube, namespaceResource, { metadata: { name: namespace } })
  await until('the kinds', () => applyObject(kube, relays, object('main', { hostname: 'mx.example', resolver: { nameservers: [nameserver] } })).then(() => true, () => false), 60_000)
  for (let n = 0; n < count; n += 20) await Promise.all(Array.from({ length: Math.min(20, count - n) }, async (_, m) => (await applyObject(kube, domains, domain(n + m)), applyObject(kube, senders, sender(n + m)))))
}

type Operator = { readonly child: Child; peak(): number; memory(): number; processorSeconds(): number }
/** As it runs in a pod: as a ServiceAccount, here with the admin's token. */
const startOperator = (api: ApiServer, name: string): Operator => {
  const account = join(api.folder, 'account')
  mkdirSync(account, { recursive: true })
  writeFileSync(join(account, 'token'), api.token)
  writeFileSync(join(account, 'ca.crt'), api.ca)
  const args = ['bin/posthouse.mjs', 'operator', '--image', 'posthouse:measure', '--nats-image', 'nats:measure', '--namespace', 'default', '--service-account', account, '--http', '127.0.0.1:0']
  const { hostname, port } = new URL(api.url)
  const child = startChild(process.execPath, args, { cwd: root, log: join(api.folder, `${name}.log`), env: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port } })
  const processorSeconds = (): number => {
    const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100 // utime and stime, in the kernel's ticks
  }
  return { child, peak: () => memoryOf(child.pid, 'VmHWM'), memory: () => memoryOf(child.pid, 'VmRSS'), processorSeconds }
}

type Listed = { readonly items: readonly (KubeObject & { readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly observedGeneration?: number }[]; readonly requiredRecords?: readonly { readonly name: string }[] } })[] }
const readyCount = async (kube: Kube, { plural }: Resource): Promise<number> => {
  const { items } = await kube.call<Listed>({ path: `/apis/posthouse.dev/v1alpha1/namespaces/${namespace}/${plural}`, timeoutMs: 60_000 })
  return items.filter(({ status, metadata }) => status?.conditions?.some(({ type, status: is, observedGeneration }) => type === 'Ready' && is === 'True' && observedGeneration === metadata.generation)).length
}
/** MailDomains that have a key of every algorithm. */
const keyedCount = async (kube: Kube): Promise<number> => {
  const { items } = await kube.call<Listed>({ path: `/apis/posthouse.dev/v1alpha1/namespaces/${namespace}/maildomains`, timeoutMs: 60_000 })
  return items.filter(({ status }) => algorithms.every((algorithm) => status?.requiredRecords?.some(({ name }) => name.includes(`-${algorithm}-`)))).length
}
/** MailDomains of which the operator knows what DNS says. */
const observedCount = async (kube: Kube): Promise<number> => {
  const { items } = await kube.call<Listed>({ path: `/apis/posthouse.dev/v1alpha1/namespaces/${namespace}/maildomains`, timeoutMs: 60_000 })
  return items.filter(({ status }) => status?.conditions?.some(({ type, reason }) => type === 'RecordsPublished' && reason === 'RecordsMissing')).length
}
const revision = async (kube: Kube): Promise<unknown> => (await kube.call<{ status?: { revision?: string } }>({ path: `/apis/posthouse.dev/v1alpha1/namespaces/${namespace}/mailrelays/main` })).status?.revision

const seconds = (since: number): string => ((performance.now() - since) / 1000).toFixed(1)

/** Until the snapshot is another one. */
const oneChange = async (kube: Kube, change: KubeObject): Promise<string> => {
  const before = await revision(kube)
  const began = performance.now()
  await applyObject(kube, domains, change)
  await until('a new revision', async () => (await revision(kube)) !== before, 120_000, 50)
  return seconds(began)
}

const inbound = (host: string): object => ({ inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host }] } } })

const firstConvergence = async (kube: Kube, operator: Operator): Promise<void> => {
  const began = performance.now()
  await until('every sender to be ready', async () => (await readyCount(kube, senders)) === count, 600_000, 500)
  console.log(`first convergence, senders in force: ${seconds(began)} s (processor time ${operator.processorSeconds().toFixed(0)} s)`)
  await until('all of them to be ready', async () => (await readyCount(kube, domains)) === count, 600_000, 500)
  console.log(`first convergence, domains too: ${seconds(began)} s (processor time ${operator.processorSeconds().toFixed(0)} s; bar: 30 s)`)
  await until('all keys to be made', async () => (await keyedCount(kube)) === count, 600_000, 500)
  console.log(`all keys made, ${algorithms.join(' and ')}: ${seconds(began)} s (processor time ${operator.processorSeconds().toFixed(0)} s)`)
  await until('every domain to be looked up', async () => (await observedCount(kube)) === count, 600_000, 500)
  console.log(`DNS looked at for each of them: ${seconds(began)} s`)
}

/** There are no pods here: that the open relay probe waits for them is said two minutes after the first snapshot, and then nothing more is. */
const atRest = async (api: ApiServer, kube: Kube): Promise<void> => {
  await until('the probe to say since when it waits', async () => JSON.stringify(await kube.call({ path: `/apis/posthouse.dev/v1alpha1/namespaces/${namespace}/mailrelays/main` })).includes('no stranger has tried listeners mx, submission since'), 600_000, 1000)
  await sleep(5000)
  const before = await requestsOf(api)
  await sleep(60_000)
  const after = await requestsOf(api)
  console.log(`a minute at rest: ${after.writes - before.writes} writes (bar: 0), ${after.reads - before.reads} reads, leases apart`)
  for (const written of writtenBetween(before, after)) console.log(`  ${written}`)
}

const dns = await startTestDns() // nothing is published
const api = await startApiServer()
try {
  const kube = createKube(await openAccess(api.kubeconfig))
  console.log(`${count} MailDomains and ${count} MailSenders`)
  await prepare(kube, dns.nameserver)
  const first = startOperator(api, 'first')
  await firstConvergence(kube, first)
  await sleep(5000)
  console.log(`one change: ${await oneChange(kube, domain(1, inbound('one.example')))} s (bar: 2 s)`)
  await atRest(api, kube)
  console.log(`memory: peak ${first.peak().toFixed(0)} MiB, now ${first.memory().toFixed(0)} MiB (bar: 300 MB)`)
  await first.child.stop()

  const restarted = performance.now()
  const second = startOperator(api, 'second')
  const took = await oneChange(kube, domain(1, inbound('two.example')))
  console.log(`restarted: a change is in force after ${took} s of ${seconds(restarted)} s (processor time ${second.processorSeconds().toFixed(0)} s; bar: 30 s); memory: peak ${second.peak().toFixed(0)} MiB`)
  await second.child.stop()
} finally {
  await api.stop()
  await dns.close()
}
