// A person, a restore, slow watches, a server in trouble and operators that are killed, at random; when all is calm, it is as if nothing of it had been. Seeds: POSTHOUSE_SEEDS=1,2,3
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startFakeKube, type Fault, type FakeKube } from '../test/tools/fake-kube.ts'
import { chance } from '../test/tools/mails.ts'
import { sleep, until } from '../test/tools/until.ts'
import type { KubeObject } from './kube/index.ts'
import { startOperator, type RunningOperator } from './main.ts'

const at = (plural: string): string => `/apis/posthouse.dev/v1alpha1/${plural === 'retryschedules' ? '' : 'namespaces/mail/'}${plural}`
const core = (plural: string): string => `/api/v1/namespaces/mail/${plural}`
const secrets = core('secrets')
const ourPlurals = ['mailrelays', 'maildomains', 'mailsenders', 'relaypolicies', 'deliveryroutes', 'retryschedules']
const madePaths = [secrets, core('services'), core('serviceaccounts'), '/apis/apps/v1/namespaces/mail/deployments', '/apis/apps/v1/namespaces/mail/statefulsets', '/apis/policy/v1/namespaces/mail/poddisruptionbudgets', '/apis/networking.k8s.io/v1/namespaces/mail/networkpolicies']
const settings = { image: 'posthouse:1', natsImage: 'nats:2', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' } as const

type Variant = readonly [plural: string, name: string, specs: readonly object[]]
const dkim = { algorithms: ['ed25519'], rotation: { every: '90d', overlap: '7d' } }
const world: readonly Variant[] = [
  ['mailrelays', 'main', [{ hostname: 'mx.example', queue: { managed: { replicas: 1 } } }, { hostname: 'mx.example', replicas: 3, queue: { managed: { replicas: 1 } } }]],
  ['mailrelays', 'side', [{ hostname: 'side.example', queue: { external: { servers: ['nats://n.example:4222'] } } }, { hostname: 'other-side.example', queue: { external: { servers: ['nats://n.example:4222'] } } }]],
  ['maildomains', 'ours', [{ domain: 'ours.example', outbound: { dkim } }, { domain: 'ours.example', outbound: { dkim: { ...dkim, rotation: { every: '90d', overlap: '8d' } } } }]],
  ['maildomains', 'second', [{ domain: 'second.example', outbound: { dkim: { algorithms: ['ed25519'] } } }, { domain: 'third.example', outbound: { dkim: { algorithms: ['ed25519'] } } }]],
  ['mailsenders', 'app', [{ relayRef: { name: 'main' } }, { relayRef: { name: 'side' } }]],
  ['mailsenders', 'acct', [{ relayRef: { name: 'main' }, identity: { serviceAccountName: 'robot' } }, { relayRef: { name: 'main' } }]],
  ['mailsenders', 'taken', [{ relayRef: { name: 'main' } }]],
  ['relaypolicies', 'p', [{ targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'a', action: 'Deny' }] }, { targetRefs: [{ kind: 'MailRelay', name: 'side' }], rules: [{ name: 'b', action: 'Deny' }] }]],
  ['deliveryroutes', 'r', [{ relayRefs: [{ name: 'main' }], match: { recipientDomains: ['away.example'] }, nextHops: [{ host: '127.0.0.1' }] }]],
  ['retryschedules', 's', [{}]],
]

/** What is made once, of a Secret by its name. */
const precious = ({ metadata: { name }, data = {} }: KubeObject): [string, string][] =>
  Object.entries(data as Record<string, string>).filter(([key]) => (name.endsWith('-dkim') && key.endsWith('.key')) || (name.endsWith('-smtp') && key === 'password') || (name.endsWith('-ca') && key === 'ca.key') || (name.endsWith('-queue') && key === 'password'))

class Model {
  readonly server: FakeKube
  readonly chance: () => number
  readonly said: string[] = []
  readonly lost: string[] = []
  readonly kept = new Map<string, Map<string, string>>()
  readonly stopping: Promise<void>[] = []
  operator: RunningOperator | undefined
  isCalm = false
  killAt = Infinity
  writes = 0
  #mark = { isDead: false }
  #held = new Set<string>()
  #count = 0

  constructor(server: FakeKube, seed: number) {
    this.server = server
    this.chance = chance(seed).next
    server.fault = (request) => this.#fault(request)
    server.put('/api/v1/namespaces', { metadata: { name: 'mail' } })
    server.put(core('serviceaccounts'), { metadata: { name: 'robot', namespace: 'mail' } })
    server.put(core('services'), { metadata: { name: 'other', namespace: 'mail' }, spec: { theirs: true } })
    server.put(secrets, { metadata: { name: 'taken-smtp', namespace: 'mail' }, data: { theirs: 'eA==' } })
  }
  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.chance() * items.length)]!
  }
  find(path: string, name: string): KubeObject | undefined {
    return this.server.objects(path).find(({ metadata }) => metadata.name === name)
  }

  /** Nothing that was made once may be another or gone, unless we took it away. */
  look(): void {
    const there = new Map(this.server.objects(secrets).map((one) => [one.metadata.name, one]))
    for (const [name, fields] of this.kept) {
      const now = new Map(there.has(name) ? precious(there.get(name)!) : [])
      for (const [field, value] of fields) if (now.get(field) !== value && !(name.endsWith('-smtp') && there.has(name) && !now.has(field))) this.lost.push(`${name} ${field} ${now.has(field) ? 'is another' : 'is gone'} (after: ${this.said.slice(-6).join(' | ')})`)
    }
    for (const [name, one] of there) this.kept.set(name, new Map(precious(one)))
  }
  #fault({ method, path, query }: { method: string; path: string; query: URLSearchParams }): Fault {
    this.look()
    if (path.includes('/leases')) return undefined
    const isWrite = method !== 'GET'
    if (isWrite) this.writes += 1
    if (isWrite && this.writes >= this.killAt) {
      this.killAt = Infinity
      this.said.push(`kill at ${method} ${path}`)
      setImmediate(() => void this.begin())
      return this.chance() < 0.5 ? 'lost' : 'reset'
    }
    if (this.isCalm) return undefined
    const name = path.startsWith(`${secrets}/`) && method === 'PATCH' ? path.split('/').at(-1)! : ''
    if (this.backups.has(name) && !this.find(secrets, name) && this.chance() < 0.5) return this.chance() < 0.5 ? { first: () => this.restore(name) } : (setImmediate(() => this.restore(name)), { status: 503 })
    const luck = this.chance()
    if (isWrite && luck < 0.03) return 'lost'
    if (isWrite && luck < 0.05) return { status: 409 }
    if (luck < 0.07) return { status: 503 }
    if (luck < 0.08) return { status: 429, retryAfter: 0 }
    if (luck < 0.09 && query.get('watch') === null) return 'reset'
    return isWrite && luck < 0.15 ? { first: () => this.act() } : undefined
  }

  async begin(): Promise<void> {
    this.#mark.isDead = true
    if (this.operator) this.stopping.push(this.operator.stop())
    const mark = { isDead: false }
    this.#mark = mark
    this.server.remove('/apis/coordination.k8s.io/v1/namespaces/mail/leases', 'posthouse-operator')
    const access = { server: this.server.url, prepare: () => (mark.isDead ? Promise.reject(new Error('dead')) : Promise.resolve({ headers: {} })) }
    this.#count += 1
    this.operator = await startOperator({ access, namespace: 'mail', identity: `o${this.#count}`, settings, watchNamespaces: ['mail'], say: () => {} })
  }

  put([plural, name, specs]: Variant, spec: object): void {
    const before = this.find(at(plural), name)
    if (before?.metadata.deletionTimestamp !== undefined) return
    this.said.push(`put ${plural} ${name} ${specs.indexOf(spec)}`)
    this.server.put(at(plural), { ...before, metadata: { ...before?.metadata, name, ...(plural !== 'retryschedules' && { namespace: 'mail' }), generation: (before?.metadata.generation ?? 0) + 1 }, spec })
  }
  delete([plural, name]: Variant): void {
    const before = this.find(at(plural), name)
    if (!before || before.metadata.deletionTimestamp !== undefined) return
    this.said.push(`delete ${plural} ${name}`)
    if ((before.metadata.finalizers ?? []).length === 0) this.server.remove(at(plural), name)
    else this.server.put(at(plural), { ...before, metadata: { ...before.metadata, generation: (before.metadata.generation ?? 0) + 1, annotations: { 'posthouse.dev/discard-queue': 'true' }, deletionTimestamp: new Date().toISOString() } })
  }
  /** As the garbage collector. */
  collect(): void {
    const there = new Set(ourPlurals.flatMap((plural) => this.server.objects(at(plural)).map(({ metadata }) => metadata.uid)))
    for (const path of madePaths)
      for (const { metadata: { name, ownerReferences = [] } } of this.server.objects(path)) if (ownerReferences.length > 0 && ownerReferences.every(({ uid }) => !there.has(uid))) this.take(path, name)
  }
  take(path: string, name: string): void {
    this.look()
    this.said.push(`take ${path.split('/').at(-1)!} ${name}`)
    this.server.remove(path, name)
    if (path === secrets) this.kept.delete(name)
  }
  /** A backup of one Secret, from before: with no owner. */
  readonly backups = new Map<string, KubeObject>()
  backUp(): void {
    for (const one of this.server.objects(secrets)) if (precious(one).length > 0) this.backups.set(one.metadata.name, { ...one, metadata: { name: one.metadata.name, namespace: 'mail', labels: one.metadata.labels! } })
  }
  restore(name = this.pick([...this.backups.keys()])): void {
    if (name === undefined || this.find(secrets, name)) return
    this.said.push(`restore ${name}`)
    this.server.put(secrets, this.backups.get(name)!)
    this.look()
  }

  /** One thing that somebody does. */
  act(): void {
    this.look()
    const luck = this.chance()
    const one = this.pick(world)
    if (luck < 0.3) this.put(one, this.pick(one[2]))
    else if (luck < 0.4) this.delete(one)
    else if (luck < 0.48) {
      this.delete(one)
      this.collect()
      if (this.chance() < 0.5) this.put(one, this.pick(one[2]))
    }
    else if (luck < 0.55) this.collect()
    else if (luck < 0.6) this.backUp()
    else if (luck < 0.75) this.restore()
    else if (luck < 0.8) {
      const some = this.server.objects(this.pick(madePaths)).filter(({ metadata: { labels = {} } }) => labels['app.kubernetes.io/managed-by'] === 'posthouse')
      const path = madePaths.find((p) => some[0] && this.server.objects(p).includes(some[0]))
      if (path) this.take(path, this.pick(some).metadata.name)
    } else if (luck < 0.92) this.hold()
    else if (luck < 0.96) this.server.endWatches(this.pick(['end', 'half', 'reset', { error: 500 }] as const))
    else {
      this.server.compact()
      this.server.endWatches({ error: 410 })
    }
  }
  hold(): void {
    const path = this.pick([...ourPlurals.map(at), ...madePaths, secrets, secrets, secrets, secrets, secrets, secrets])
    if (this.#held.has(path)) return
    this.#held.add(path)
    const release = this.server.hold(path)
    setTimeout(() => (this.#held.delete(path), release()), this.chance() * 1500)
  }

  async calm(): Promise<void> {
    await until('watches that tell', () => this.#held.size === 0)
    this.isCalm = true
    this.killAt = Infinity
    for (const one of world) {
      await until(`${one[1]} not to be on its way out`, () => (this.collect(), this.find(at(one[0]), one[1])?.metadata.deletionTimestamp === undefined), 300_000)
      this.put(one, one[2][0]!)
    }
    await this.rest()
  }
  /** 0 writes in 3 runs. */
  async rest(): Promise<void> {
    let seen = { writes: -1, runs: 0, operator: this.operator }
    await until('0 writes in 3 runs', () => {
      this.collect()
      const runs = this.operator?.runs() ?? 0
      if (this.writes !== seen.writes || this.operator !== seen.operator) seen = { writes: this.writes, runs, operator: this.operator }
      return runs >= seen.runs + 3
    }, 300_000)
  }
  /** All that is there, without what is made by chance. */
  state(): Record<string, unknown> {
    const uids = new Map(ourPlurals.flatMap((plural) => this.server.objects(at(plural)).map(({ metadata }) => [metadata.uid, metadata.name])))
    const bare = ({ metadata: { labels, ownerReferences = [] }, spec, data, type }: KubeObject) => ({ labels, owners: ownerReferences.map(({ uid, kind }) => `${kind} ${uids.get(uid)}`), type, spec: JSON.parse(JSON.stringify(spec ?? null, (key, value: unknown) => (key === 'posthouse.dev/config' || key === 'annotations' ? undefined : value))) as unknown, keys: Object.keys(data ?? {}).map((key) => key.replace(/[0-9]{6}-[0-9]{8}/, 'N').replace(/part-[0-9a-f]+/, 'part')).toSorted() })
    const made = madePaths.flatMap((path) => this.server.objects(path).map((one) => [`${path} ${one.metadata.name}`, bare(one)] as const))
    const told = ourPlurals.flatMap((plural) => this.server.objects(at(plural)).map(({ metadata, status }) => [`${plural} ${metadata.name}`, { isCurrent: (status as { observedGeneration?: number } | undefined)?.observedGeneration === metadata.generation, conditions: JSON.parse(JSON.stringify(status ?? null, (key, value: unknown) => (['lastTransitionTime', 'observedGeneration', 'message', 'dnsRecords', 'revision', 'records', 'text', 'value', 'selector'].includes(key) ? undefined : typeof value === 'string' ? value.replace(/[0-9]{6}-[0-9]{8}/, 'N') : value))) as unknown }] as const))
    return Object.fromEntries([...made, ...told].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }
  async end(): Promise<void> {
    this.isCalm = true
    await Promise.all([...this.stopping, this.operator?.stop()])
    await this.server.close()
  }
}

const calmState = async (): Promise<Record<string, unknown>> => {
  const model = new Model(await startFakeKube(), 0)
  model.isCalm = true
  await model.begin()
  await model.calm()
  const state = model.state()
  await model.end()
  return state
}

const live = async (model: Model): Promise<void> => {
  if (model.chance() < 0.5) model.hold()
  await model.begin()
  for (const one of world) model.put(one, one[2][0]!)
  for (let step = 0; step < 40; step++) {
    if (model.chance() < 0.08) model.killAt = model.writes + Math.ceil(model.chance() * 15)
    if (step === 8) model.backUp()
    model.act()
    await sleep(model.chance() * 150)
  }
  await model.calm()
}

const seeds = (process.env.POSTHOUSE_SEEDS ?? '1,2').split(',').map(Number)
describe('what 10 manifests come to', { concurrency: true }, () => {
  const wanted = calmState()
  for (const seed of seeds) {
    it(`is the same after 40 changes, with watches that lag, a server in trouble, Secrets put back and operators killed, by seed ${seed}; 0 of what is made once is lost, and 0 is written at rest`, async () => {
      const model = new Model(await startFakeKube(), seed)
      try {
        await live(model)
        assert.deepEqual(model.lost, [], `seed ${seed}`)
        assert.deepEqual(model.state(), await wanted, `seed ${seed}`)
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}\nafter:\n${model.said.join('\n')}`, { cause: error })
      } finally {
        await model.end()
      }
    })
  }
})
