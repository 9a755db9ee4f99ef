// What changes while a relay runs, on a real API server: pod templates stay as they are, what is no longer wanted goes, and a snapshot grows until an object no longer fits.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { applyObject, pathOf, type KubeObject } from '../../operator/kube/index.ts'
import { certificateFor, newAuthority } from '../../operator/make/index.ts'
import { resources } from '../../operator/plan/index.ts'
import { readSnapshotOf } from '../tools/snapshot-secrets.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks } from './tools/api-server.ts'
import { core, resourceOf, startOperatorWorld, type OperatorWorld } from './tools/operator.ts'

const mx = { name: 'mx', protocol: 'SMTP', port: 25, tls: { secretRef: { name: 'mx-tls' } } }
const submission = { name: 'submission', protocol: 'Submission', port: 587 }
const relay = { hostname: 'mx.example', listeners: [mx, submission] }

const lacks = apiServerLacks()
describe('what changes while a relay runs', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let operated: OperatorWorld
  const encoded = (data: Readonly<Record<string, string>>): object => Object.fromEntries(Object.entries(data).map(([name, text]) => [name, Buffer.from(text).toString('base64')]))
  const certificate = (): object => {
    const { certificate: chain, key } = certificateFor(['mx.example'], newAuthority(new Date()), new Date())
    return { type: 'kubernetes.io/tls', data: encoded({ 'tls.crt': chain, 'tls.key': key }) }
  }
  const revision = async (): Promise<string | undefined> => ((await operated.get(resourceOf('MailRelay'), 'main'))!.status as { revision?: string } | undefined)?.revision
  const templates = async (): Promise<string> => JSON.stringify(await Promise.all([[resources.deployment, 'main'], [resources.statefulSet, 'main-queue']].map(async ([resource, name]) => ((await operated.get(resource as typeof resources.deployment, name as string))!.spec as { template: unknown }).template)))
  /** After another snapshot is on its way. */
  const unchanged = async (what: string, change: () => Promise<unknown>): Promise<void> => {
    const [before, then] = [await templates(), await revision()]
    await change()
    await until(`another revision after ${what}`, async () => (await revision()) !== then, 30_000)
    await sleep(500)
    assert.equal(await templates(), before, what)
  }

  before(async () => {
    operated = await startOperatorWorld(['mail'])
    await operated.kube.call({ method: 'POST', path: pathOf(resources.secret, { namespace: 'mail' }), body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'mx-tls' }, ...certificate() } })
    await operated.save('MailRelay', 'main', relay)
    await operated.becomes('MailRelay', 'main', 'Programmed', 'Pending')
  })
  after(() => operated.stop())

  it('policies, routes, senders, domains, DKIM keys, schedules, certificates and passwords change 0 pod templates', async () => {
    const save = (...given: Parameters<OperatorWorld['save']>) => () => operated.save(...given)
    await unchanged('a policy', save('RelayPolicy', 'p', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'r', match: { mailFrom: ['*@spam.example'] }, action: 'Deny' }] }))
    await unchanged('a route', save('DeliveryRoute', 'r', { match: { recipientDomains: ['partner.example'] }, nextHops: [{ smarthost: { host: 'smtp.partner.example' } }] }))
    await unchanged('a domain with a DKIM key', save('MailDomain', 'd', { domain: 'd.example', outbound: { dkim: { algorithms: ['ed25519'] } } }))
    await unchanged('a second DKIM key', save('MailDomain', 'd', { domain: 'd.example', outbound: { dkim: { algorithms: ['ed25519', 'rsa'] } } }))
    await unchanged('a sender', save('MailSender', 's', { relayRef: { name: 'main' }, from: ['a@d.example'] }))
    await unchanged('a schedule', async () => {
      await operated.save('RetrySchedule', 'patient', { attempts: ['5m'], giveUpAfter: '3d' })
      await operated.save('MailRelay', 'main', { ...relay, retryScheduleName: 'patient' })
    })
    await unchanged('another certificate', () => operated.merge(resources.secret, 'mx-tls', certificate()))
    await unchanged('a listener\'s limits', () => operated.save('MailRelay', 'main', { ...relay, listeners: [{ ...mx, limits: { connections: 7 } }, submission] }))
    await unchanged('a sender\'s password, gone', async () => operated.kube.call({ method: 'DELETE', path: pathOf(resources.secret, { namespace: 'mail', name: 's-smtp' }) }))
  })

  it('a listener that goes takes its port from 3 objects, and 1 template changes', async () => {
    const before = await templates()
    await operated.save('MailRelay', 'main', { ...relay, listeners: [mx] })
    const ports = async (): Promise<unknown[]> => {
      const [service, policy, deployment] = await Promise.all([operated.get(resources.service, 'main'), operated.get(resources.networkPolicy, 'main'), operated.get(resources.deployment, 'main')])
      const { template } = deployment!.spec as { template: { spec: { containers: [{ ports: { containerPort: number }[] }] } } }
      return [(service!.spec as { ports: { port: number }[] }).ports.map(({ port }) => port), (policy!.spec as { ingress: [{ ports: { port: number }[] }] }).ingress[0].ports.map(({ port }) => port), template.spec.containers[0].ports.map(({ containerPort }) => containerPort)]
    }
    await until('1 listener', async () => JSON.stringify(await ports()) === JSON.stringify([[25], [2525, 9464], [2525, 9464]]), 30_000)
    assert.notEqual(await templates(), before)
  })

  it('storage of another size changes 0 objects that cannot be changed, the smallest of 3 volumes counts, and 3 servers become 5, not 1', async () => {
    const queue = (managed: object): Promise<KubeObject> => operated.save('MailRelay', 'main', { ...relay, queue: { managed } })
    await queue({ replicas: 3, storage: { size: '40Gi' } })
    const counts = (gibibytes: number) => until(`a queue that counts on ${gibibytes} GiB`, async () => (await readSnapshotOf(operated.kube, 'mail', 'main')).relay.queueBytes === gibibytes * 2 ** 30, 30_000)
    await counts(40)
    const volume = { metadata: { name: 'not-grown' }, spec: { capacity: { storage: '10Gi' }, accessModes: ['ReadWriteOnce'], persistentVolumeReclaimPolicy: 'Retain', hostPath: { path: '/nowhere' } } }
    await applyObject(operated.kube, core('PersistentVolume', 'persistentvolumes', false), volume)
    await counts(10) // 1 of 3 claims, which still ask for 10, is bound to it
    for (const replicas of [1, 5, 3]) {
      const said = await queue({ replicas, storage: { size: '40Gi' } }).then(() => 'taken', (error: Error) => error.message)
      if (replicas === 5) assert.equal(said, 'taken')
      else assert.match(said, /can only grow from 3 to 5: for another number make another MailRelay/)
    }
    await until('5 servers', async () => ((await operated.get(resources.statefulSet, 'main-queue'))!.spec as { replicas: number }).replicas === 5, 30_000)
    assert.deepEqual(operated.troubles, [])
  })

  it('a new value of 1 annotation gives the servers a second login, and the relay keeps its own until they all run with it', async () => {
    const secret = async () => Object.keys((await operated.get(resources.secret, 'main-queue'))!.data as object)
    const template = async () => ((await operated.get(resources.statefulSet, 'main-queue'))!.spec as { template: { metadata: { annotations: Record<string, string> } } }).template.metadata.annotations['posthouse.dev/config']
    const [before, config] = [(await operated.get(resources.secret, 'main-queue'))!.data as Record<string, string>, await template()]
    await operated.merge(resourceOf('MailRelay'), 'main', { metadata: { annotations: { 'posthouse.dev/rotate-queue-login': 'now' } } })
    await until('a second login', async () => (await secret()).includes('next-password'), 30_000)
    await until('another configuration in the template', async () => (await template()) !== config, 30_000)
    assert.equal(((await operated.get(resources.secret, 'main-queue'))!.data as Record<string, string>).password, before.password)
  })

  it('the snapshot grows by parts until 1 MailDomain no longer fits, which is told so and alone left out', async () => {
    const list = Array.from({ length: 10_000 }, (_, n) => `somebody-with-a-long-name-${n}`)
    let count = 0
    const add = async (): Promise<void> => {
      const name = `big-${String(count += 1).padStart(2, '0')}`
      await operated.save('MailDomain', name, { domain: `${name}.example`, inbound: { recipients: { mode: 'List', list }, deliverTo: { hosts: [{ host: 'store.example' }] } } })
      await sleep(1_001) // the older ones go first, and ages have seconds
    }
    const bytes = Buffer.byteLength(JSON.stringify(list))
    const fits = Math.floor((8 * 2 ** 20) / bytes)
    for (let n = 0; n <= fits; n++) await add()
    const last = `big-${String(count).padStart(2, '0')}`
    await operated.becomes('MailDomain', last, 'Accepted', 'SnapshotTooBig')
    await operated.becomes('MailDomain', 'big-01', 'Accepted', 'Accepted')
    const { domains } = await readSnapshotOf(operated.kube, 'mail', 'main')
    assert.deepEqual(domains.map(({ domain }) => domain).filter((domain) => domain.startsWith('big-')).length, count - 1)
    assert.ok((await operated.get(resources.secret, 'main-snapshot-8')) !== undefined, 'parts in Secrets')
    await operated.kube.call({ method: 'DELETE', path: pathOf(resourceOf('MailDomain'), { namespace: 'mail', name: 'big-01' }) })
    await operated.becomes('MailDomain', last, 'Accepted', 'Accepted')
    assert.deepEqual(operated.troubles, [])
  })

  it('a relay that goes takes all with it, and 0 objects of its own stay but the volumes', async () => {
    await operated.merge(resourceOf('MailRelay'), 'main', { metadata: { annotations: { 'posthouse.dev/discard-queue': 'true' } } })
    await operated.kube.call({ method: 'DELETE', path: pathOf(resourceOf('MailRelay'), { namespace: 'mail', name: 'main' }) })
    const left = async (): Promise<string[]> => {
      const all = await Promise.all(Object.values(resources).map(async (resource) => (await operated.kube.call<{ items: KubeObject[] }>({ path: pathOf(resource, { namespace: 'mail' }), query: { labelSelector: 'app.kubernetes.io/managed-by=posthouse' } })).items.map(({ metadata }) => `${resource.kind} ${metadata.name}`)))
      return all.flat().filter((name) => !/^Secret (d-dkim|s-smtp)$/.test(name)) // of the MailDomain and the MailSender, which are still there
    }
    await until('nothing left', async () => (await left()).length === 0, 60_000)
  })
})
