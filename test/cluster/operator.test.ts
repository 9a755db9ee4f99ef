// The operator against a real API server with its controllers, and no nodes: what it makes, keeps, repairs, removes and says. Pods that run are for the whole cluster.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse } from 'yaml'
import { applyObject, createKube, deleteObject, openAccess, pathOf, readOne, type Kube, type KubeObject, type Resource } from '../../operator/kube/index.ts'
import { createOperatorMetrics } from '../../operator/metrics.ts'
import { startOperator, type RunningOperator } from '../../operator/main.ts'
import { resources } from '../../operator/plan/index.ts'
import { readSnapshotOf } from '../tools/snapshot-secrets.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks, startApiServer, type ApiServer } from './tools/api-server.ts'
import { applyKinds, core, namespaceResource, resourceOf, type Condition } from './tools/operator.ts'

const lease: Resource = { group: 'coordination.k8s.io', version: 'v1', kind: 'Lease', plural: 'leases', namespaced: true }
const crd: Resource = { group: 'apiextensions.k8s.io', version: 'v1', kind: 'CustomResourceDefinition', plural: 'customresourcedefinitions', namespaced: false }
const crdIn = (file: string): KubeObject => parse(readFileSync(join(import.meta.dirname, '../../crds', file), 'utf8'), { version: '1.1' }) as KubeObject

const lacks = apiServerLacks()
describe('the operator on a real API server', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let api: ApiServer
  let kube: Kube
  let operator: RunningOperator
  const troubles: string[] = []
  const start = (identity: string): Promise<RunningOperator> =>
    startOperator({
      kubeconfig: api.kubeconfig,
      namespace: 'default',
      http: { host: '127.0.0.1', port: 0 },
      identity,
      settings: { image: 'posthouse:test', natsImage: 'nats:test', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' },
      say: ({ event, why }) => void (event === 'RECONCILE_FAILED' && troubles.push(String(why))),
    })
  const save = (kind: string, name: string, spec: object, namespace = 'mail'): Promise<KubeObject> => applyObject(kube, resourceOf(kind), { metadata: { name, ...(kind !== 'RetrySchedule' && { namespace }) }, spec })
  const get = (resource: Resource, name: string, namespace = 'mail') => readOne(kube, resource, { namespace, name })
  const condition = async (kind: string, name: string, type: string, namespace = 'mail'): Promise<Condition | undefined> => {
    const live = await get(resourceOf(kind), name, kind === 'RetrySchedule' ? undefined : namespace)
    const { conditions = [] } = (live?.status ?? {}) as { conditions?: Condition[] }
    return conditions.find((one) => one.type === type && one.observedGeneration === live?.metadata.generation)
  }
  const becomes = (kind: string, name: string, type: string, reason: string, namespace?: string) => until(`${kind} ${name} to be ${type} for ${reason}`, async () => (await condition(kind, name, type, namespace))?.reason === reason, 30_000)

  before(async () => {
    api = await startApiServer({ controllerManager: true })
    kube = createKube(await openAccess(api.kubeconfig))
    await applyKinds(kube)
    for (const name of ['mail', 'shop']) await applyObject(kube, namespaceResource, { metadata: { name } })
    operator = await start('one')
    await until('the caches', () => operator.synced(), 60_000)
  })
  after(async () => {
    await operator.stop()
    await api.stop()
  })

  it('makes of the smallest MailRelay its 12 objects and 2 Secrets of its own, and waits for its pods', async () => {
    await save('MailRelay', 'main', { hostname: 'mx.example' })
    await becomes('MailRelay', 'main', 'Programmed', 'Pending')
    const made: readonly (readonly [Resource, string])[] = [
      [resources.serviceAccount, 'main'], [resources.secret, 'main-snapshot-0'], [resources.secret, 'main-snapshot-1'], [resources.secret, 'main-queue'], [resources.service, 'main-queue'], [resources.statefulSet, 'main-queue'],
      [resources.disruptionBudget, 'main-queue'], [resources.service, 'main'], [resources.networkPolicy, 'main'], [resources.networkPolicy, 'main-queue'], [resources.deployment, 'main'], [resources.disruptionBudget, 'main'],
      [resources.secret, 'main-ca'], [resources.secret, 'main-certificate'],
    ]
    for (const [resource, name] of made) assert.deepEqual((await get(resource, name))?.metadata.ownerReferences?.map(({ kind, name: owner }) => [kind, owner]), [['MailRelay', 'main']], `${resource.kind} ${name}`)
  })

  const writesNothing = async (ms: number): Promise<void> => {
    const writes = (): string => JSON.stringify({ ...operator.kube.sent, GET: 0 })
    let settled = { writes: '', since: 0 } // what DNS says of the domains comes in one by one
    await until('5 s without a write', () => {
      if (writes() !== settled.writes) settled = { writes: writes(), since: performance.now() }
      return performance.now() - settled.since > 5000
    }, 120_000)
    const runs = operator.runs()
    await sleep(ms)
    assert.equal(writes(), settled.writes)
    assert.ok(operator.runs() > runs, 'it looked')
  }

  it('writes 0 times in 5 s when nothing changes, but for its Lease', async () => {
    const seen = async () => ((await get(resourceOf('MailRelay'), 'main'))!.status as { replicas: number }).replicas
    await until('2 pods, though no node runs them', async () => (await seen()) === 2, 60_000)
    await writesNothing(5000)
  })

  it('repairs what somebody changed or deleted, and leaves the 1 label of another', async () => {
    await kube.call({ method: 'PATCH', path: pathOf(resources.deployment, { namespace: 'mail', name: 'main' }), contentType: 'application/merge-patch+json', body: { metadata: { labels: { theirs: 'yes' } }, spec: { replicas: 7 } } })
    await until('2 replicas again', async () => ((await get(resources.deployment, 'main'))!.spec as { replicas: number }).replicas === 2)
    assert.equal((await get(resources.deployment, 'main'))?.metadata.labels?.theirs, 'yes')
    const service = (await get(resources.service, 'main'))!
    await deleteObject(kube, resources.service, service)
    await until('a Service again', async () => (await get(resources.service, 'main'))?.metadata.uid !== service.metadata.uid && (await get(resources.service, 'main')) !== undefined)
  })

  it('puts a domain and a sender into the snapshot, the credentials into a Secret of the sender, and says so in 2 statuses', async () => {
    await save('MailDomain', 'browncow', { domain: 'browncow.example', outbound: { dkim: { algorithms: ['ed25519'] } }, allowedSenders: { namespaces: { from: 'All' } } })
    await save('MailSender', 'app', { relayRef: { name: 'main' }, from: ['orders@browncow.example'] })
    await becomes('MailSender', 'app', 'Ready', 'Ready')
    const snapshot = await readSnapshotOf(kube, 'mail', 'main')
    assert.deepEqual([snapshot.domains.map(({ domain }) => domain), snapshot.senders.map(({ name }) => name), snapshot.domains[0]!.dkim.length], [['browncow.example'], ['app'], 1])
    const secret = await get(resources.secret, 'app-smtp')
    assert.deepEqual(Object.keys(secret!.data as object).sort(), ['ca.crt', 'host', 'password', 'port', 'salt', 'uri', 'username'])
    assert.deepEqual(((await get(resourceOf('MailSender'), 'app'))!.status as { binding: object }).binding, { name: 'app-smtp' })
  })

  it('keeps a password over a restart of the operator, of which 1 leads at a time', async () => {
    const before = (await get(resources.secret, 'app-smtp'))!.data
    const two = await start('two')
    assert.equal(two.runs(), 0)
    await operator.stop()
    operator = two
    await until('the other to lead', () => two.runs() > 1, 60_000)
    assert.deepEqual((await get(resources.secret, 'app-smtp'))!.data, before)
  })

  it('makes another password for another value of the annotation, with the one before right for 24 hours; of a deleted Secret nothing is right', async () => {
    const plain = async (): Promise<Record<string, string>> => Object.fromEntries(Object.entries(((await get(resources.secret, 'app-smtp'))?.data ?? {}) as Record<string, string>).map(([name, text]) => [name, Buffer.from(text, 'base64').toString()]))
    const auth = async () => (await readSnapshotOf(kube, 'mail', 'main')).senders.find(({ name }) => name === 'app')!.auth!
    const [first, firstAuth] = [await plain(), await auth()]
    await kube.call({ method: 'PATCH', path: pathOf(resourceOf('MailSender'), { namespace: 'mail', name: 'app' }), contentType: 'application/merge-patch+json', body: { metadata: { annotations: { 'posthouse.dev/rotate-credentials': '1' } } } })
    await until('the password before in the snapshot', async () => (await auth()).previous?.hash === firstAuth.hash)
    const second = await plain()
    assert.notEqual(second.password, first.password)
    assert.ok(second.uri!.includes(second.password!))
    assert.ok(Math.abs(Date.parse((await auth()).previous!.until) - Date.now() - 24 * 3_600_000) < 60_000)
    assert.match((await condition('MailSender', 'app', 'CredentialsReady'))!.message, /the password before is right until/)
    await deleteObject(kube, resources.secret, (await get(resources.secret, 'app-smtp'))!)
    await until('a Secret again', async () => ![undefined, second.password].includes((await plain()).password))
    await until('1 password in the snapshot', async () => (await auth()).previous === undefined && (await auth()).hash !== firstAuth.hash)
  })

  it('an invalid change to a MailRelay changes nothing that runs, and the condition says what is wrong', async () => {
    const before = (await get(resources.deployment, 'main'))!.spec
    await save('MailRelay', 'main', { hostname: 'mx.example', replicas: 5, retryScheduleName: 'gone' })
    await becomes('MailRelay', 'main', 'Ready', 'RetryScheduleNotFound')
    await sleep(1000)
    assert.deepEqual((await get(resources.deployment, 'main'))!.spec, before)
    await save('MailRelay', 'main', { hostname: 'mx.example', replicas: 2 })
    await becomes('MailRelay', 'main', 'Ready', 'Pending')
  })

  it('refuses the 2nd that claims a domain and a namespace that is not admitted, names both sides, and tells all 4 in an Event', async () => {
    await save('MailDomain', 'thief', { domain: 'browncow.example' })
    await save('MailSender', 'stranger', { relayRef: { name: 'main', namespace: 'mail' }, from: ['boss@browncow.example'] }, 'shop')
    await becomes('MailDomain', 'thief', 'Ready', 'DomainConflict')
    await becomes('MailSender', 'stranger', 'Ready', 'NotAdmitted', 'shop')
    assert.match((await condition('MailDomain', 'thief', 'Accepted'))!.message, /MailDomain mail\/browncow/)
    const contested = async (kind: string, name: string) => (await condition(kind, name, 'Contested'))?.message ?? ''
    await until('both sides to name them', async () => (await contested('MailDomain', 'browncow')).startsWith('MailDomain mail/thief is refused') && (await contested('MailRelay', 'main')).startsWith('MailSender shop/stranger is refused'))
    const events = async (namespace: string) => (await kube.call<{ items: { reason: string; regarding: { name: string } }[] }>({ path: `/apis/events.k8s.io/v1/namespaces/${namespace}/events` })).items.map(({ reason, regarding }) => `${regarding.name} ${reason}`)
    const wanted = ['thief DomainConflict', 'browncow DomainConflict', 'stranger NotAdmitted', 'main NotAdmitted'] // the refused, and whoever holds or does not admit
    await until('Events on both sides', async () => {
      const told = [...(await events('mail')), ...(await events('shop'))]
      return wanted.every((event) => told.includes(event))
    })
    assert.equal((await condition('MailDomain', 'browncow', 'Ready'))!.reason, 'Ready')
  })

  it('goes on when the API server was away for 5 s: what was changed then is there', async () => {
    let gone = false
    void operator.ended.then(() => (gone = true))
    await api.interrupt()
    await sleep(5000)
    await api.resume()
    const back = Date.now()
    // on a slow machine the server is back after the lease has run out: then the operator has ended, or is about to, and a new one begins as in a pod
    const renewed = async (): Promise<boolean> => Date.parse(((await get(lease, 'posthouse-operator', 'default'))!.spec as { renewTime: string }).renewTime) > back
    await until('the operator to renew its lease, or to have ended', async () => gone || (await renewed()), 60_000)
    if (gone) {
      await operator.stop()
      operator = await start('after the outage')
    }
    await save('RelayPolicy', 'late', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'no', match: { rcptTo: ['*@far.example'] }, action: 'Deny' }] })
    await becomes('RelayPolicy', 'late', 'Ready', 'Ready')
    assert.deepEqual((await readSnapshotOf(kube, 'mail', 'main')).policies.map(({ name }) => name), ['late'])
  })

  it('has moved every metric but 5 that move when something goes wrong or for a moment', async () => {
    const page = await (await fetch(`http://127.0.0.1:${operator.httpPort}/metrics`)).text()
    const moved = new Set([...page.matchAll(/^(posthouse_operator_[a-z_]+?)(?:_count)?(?:\{[^}]*\})? (?!0$)[\d.e+-]+$/gm)].map(([, name]) => name!))
    const exceptional = ['posthouse_operator_faults_total', 'posthouse_operator_missed_events_total', 'posthouse_operator_watch_restarts_total', 'posthouse_operator_work_queue_depth', 'posthouse_operator_queue_nodes']
    const names = (await createOperatorMetrics('a/b').registry.getMetricsAsJSON()).map(({ name }) => name).filter((name) => name.startsWith('posthouse_') && !exceptional.includes(name))
    assert.deepEqual(names.filter((name) => !moved.has(name)), [])
    assert.match(page, /^posthouse_operator_relay_condition\{relay="mail\/main",condition="Accepted",status="True",reason="[A-Za-z]+",lease="default\/posthouse-operator"\} 1$/m)
  })

  it('writes 0 times in 10 s with domains, keys, senders and policies, 2 of them refused, though it looks', () => writesNothing(10_000))

  it('a Secret that may not be changed holds up 1 sender, who keeps the password it has, and nobody else', async () => {
    const place = { namespace: 'mail', name: 'app-smtp' }
    const patch = (path: string, body: object) => kube.call({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body })
    const hash = async () => (await readSnapshotOf(kube, 'mail', 'main')).senders.find(({ name }) => name === 'app')!.auth!.hash
    const before = await hash()
    await patch(pathOf(resources.secret, place), { immutable: true })
    await patch(pathOf(resourceOf('MailSender'), { namespace: 'mail', name: 'app' }), { metadata: { annotations: { 'posthouse.dev/rotate-credentials': '2' } } })
    await until('the refusal to be told', async () => (await condition('MailSender', 'app', 'CredentialsReady'))?.reason === 'NotApplied', 30_000)
    assert.match((await condition('MailSender', 'app', 'Ready'))!.message, /^the API server refuses it: .*app-smtp.*immutable/)
    await save('RelayPolicy', 'late', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'later', match: { rcptTo: ['*@far.example'] }, action: 'Deny' }] })
    await until('the policy in the snapshot', async () => (await readSnapshotOf(kube, 'mail', 'main')).policies[0]?.rules[0]?.name === 'later', 30_000)
    assert.equal(await hash(), before)
    await deleteObject(kube, resources.secret, (await get(resources.secret, 'app-smtp'))!)
    await becomes('MailSender', 'app', 'Ready', 'Ready')
    await until('another password in the snapshot', async () => (await hash()) !== before)
  })

  it('a Deployment that is refused and a Service of somebody else hold up their 2 relays, say so, and nobody else', async () => {
    const theirs = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'old', namespace: 'shop', labels: { app: 'postfix' } }, spec: { selector: { app: 'postfix' }, ports: [{ port: 25 }] } }
    await kube.call({ method: 'POST', path: pathOf(resources.service, { namespace: 'shop' }), body: theirs })
    await save('MailRelay', 'old', { hostname: 'old.example' }, 'shop')
    await save('MailRelay', 'odd', { hostname: 'odd.example', pods: { tolerations: [{ key: 'a', operator: 'Nonsense' }] } }, 'shop')
    await becomes('MailRelay', 'old', 'Programmed', 'NameTaken', 'shop')
    await becomes('MailRelay', 'odd', 'Programmed', 'NotApplied', 'shop')
    assert.match((await condition('MailRelay', 'old', 'Ready', 'shop'))!.message, /^Service shop\/old is there already/)
    assert.match((await condition('MailRelay', 'odd', 'Ready', 'shop'))!.message, /^the API server refuses it: .*Nonsense/)
    const { spec, metadata } = (await get(resources.service, 'old', 'shop'))! as KubeObject & { spec: { selector: object } }
    assert.deepEqual([spec.selector, metadata.labels, metadata.ownerReferences], [{ app: 'postfix' }, { app: 'postfix' }, undefined])
    assert.equal((await get(resources.deployment, 'odd', 'shop')), undefined)
    assert.notEqual(await get(resources.deployment, 'old', 'shop'), undefined) // only what is refused is missing
    await save('RelayPolicy', 'late', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'last', match: { rcptTo: ['*@far.example'] }, action: 'Deny' }] })
    await until('the policy in the snapshot of another', async () => (await readSnapshotOf(kube, 'mail', 'main')).policies[0]?.rules[0]?.name === 'last', 30_000)
    await save('MailRelay', 'odd', { hostname: 'odd.example' }, 'shop')
    await until('its Deployment', async () => (await get(resources.deployment, 'odd', 'shop')) !== undefined, 30_000)
    for (const name of ['old', 'odd']) {
      await kube.call({ method: 'PATCH', path: pathOf(resourceOf('MailRelay'), { namespace: 'shop', name }), contentType: 'application/merge-patch+json', body: { metadata: { annotations: { 'posthouse.dev/discard-queue': 'true' } } } })
      await deleteObject(kube, resourceOf('MailRelay'), (await get(resourceOf('MailRelay'), name, 'shop'))!)
    }
    await until('both relays to be gone', async () => (await get(resourceOf('MailRelay'), 'old', 'shop')) === undefined && (await get(resourceOf('MailRelay'), 'odd', 'shop')) === undefined, 60_000)
  })

  it('beside kinds of a later release says which 1 field of a domain it cannot read, and keeps the other domain in force', async () => {
    const later = crdIn('mail-domain.yaml') as KubeObject & { spec: { versions: { schema: { openAPIV3Schema: { properties: { spec: { properties: Record<string, object> } } } } }[] } }
    later.spec.versions[0]!.schema.openAPIV3Schema.properties.spec.properties.future = { type: 'string' }
    await applyObject(kube, crd, later)
    await until('the API server to know the field', () => save('MailDomain', 'later', { domain: 'later.example', future: 'of a later release' }).then(({ spec }) => 'future' in (spec as object), () => false), 30_000, 500)
    // the kinds may be ahead of the operator, where they are installed on their own; a watch from before would be told nothing of the field
    await operator.stop()
    operator = await start('of the release before')
    await becomes('MailDomain', 'later', 'Ready', 'Unreadable')
    assert.match((await condition('MailDomain', 'later', 'Accepted'))!.message, /future/)
    const inForce = async (): Promise<string[]> => (await readSnapshotOf(kube, 'mail', 'main')).domains.map(({ domain }) => domain)
    assert.deepEqual(await inForce(), ['browncow.example'])
    await kube.call({ method: 'PATCH', path: pathOf(resourceOf('MailDomain'), { namespace: 'mail', name: 'later' }), contentType: 'application/merge-patch+json', body: { spec: { future: null } } })
    await becomes('MailDomain', 'later', 'Accepted', 'Accepted')
    await until('it in the snapshot', async () => (await inForce()).includes('later.example'))
    await applyObject(kube, crd, crdIn('mail-domain.yaml'))
  })

  it('keeps the kind of queue that a MailRelay has: the other is refused in words, and 5 objects and 3 volumes stay', async () => {
    // the default, which nobody wrote, has to be taken out by name
    const other = kube.call({ method: 'PATCH', path: pathOf(resourceOf('MailRelay'), { namespace: 'mail', name: 'main' }), contentType: 'application/merge-patch+json', body: { spec: { queue: { managed: null, external: { servers: ['nats://n.example:4222'] } } } } })
    await assert.rejects(other, /spec\.queue: .*managed cannot become external, nor external managed, for mail would stay behind: make another MailRelay, and delete this one when its queue is empty/)
    const runs = operator.runs()
    await save('RelayPolicy', 'late', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'no', match: { rcptTo: ['*@farther.example'] }, action: 'Deny' }] })
    await until('2 more runs', () => operator.runs() > runs + 1, 60_000)
    for (const resource of [resources.secret, resources.service, resources.statefulSet, resources.disruptionBudget, resources.networkPolicy]) assert.notEqual(await get(resource, 'main-queue'), undefined, resource.kind)
    const claims = await kube.call<{ items: KubeObject[] }>({ path: pathOf(core('PersistentVolumeClaim', 'persistentvolumeclaims'), { namespace: 'mail' }) })
    assert.equal(claims.items.length, 3)
  })

  it('had no run of reconcile that failed for another reason than the API server being away', () => {
    assert.deepEqual(troubles.filter((why) => !/ECONNREFUSED|socket hang up|ECONNRESET|no answer|apiserver not ready|etcdserver|shutting down|Timeout/i.test(why)), [])
  })
})
