import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { startFakeKube } from '../../test/tools/fake-kube.ts'
import { createKube, pathOf, type KubeObject } from '../kube/index.ts'
import { managedLabels, resources, type Wanted } from '../plan/index.ts'
import { Applier, isEqual, withTimes } from './applier.ts'

const [before, now] = ['2026-01-01T00:00:00Z', '2026-02-02T00:00:00Z']
const condition = (type: string, status: string, time?: string) => ({ type, status, reason: 'R', message: 'm', ...(time !== undefined && { lastTransitionTime: time }) })

describe('the time of a condition', () => {
  it('stays where the status is the same, though reason and message changed, and is now where it changed or is new', () => {
    const old = { conditions: [condition('A', 'True', before), condition('B', 'True', before)] }
    const made = withTimes({ conditions: [{ ...condition('B', 'False'), reason: 'New' }, { ...condition('A', 'True'), message: 'other' }, condition('C', 'True')] }, old, now)
    assert.deepEqual((made as { conditions: { type: string; lastTransitionTime: string }[] }).conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]), [['B', now], ['A', before], ['C', now]])
  })
  it('is kept per relay and per listener, 2 levels deep', () => {
    const old = { relays: [{ namespace: 'x', name: 'r', conditions: [condition('A', 'True', before)] }, { namespace: 'mail', name: 'r', conditions: [condition('A', 'False', before)] }] }
    const made = withTimes({ relays: [{ namespace: 'mail', name: 'r', conditions: [condition('A', 'True')] }, { namespace: 'x', name: 'r', conditions: [condition('A', 'True')] }] }, old, now)
    assert.deepEqual((made as typeof old).relays.map(({ conditions: [one] }) => (one as { lastTransitionTime?: string }).lastTransitionTime), [now, before])
  })
})

it('two values are equal whatever the order of their fields, and not where 1 is longer', () => {
  assert.ok(isEqual({ a: 1, b: [{ c: 2, d: 3 }] }, { b: [{ d: 3, c: 2 }], a: 1 }))
  for (const [a, b] of [[{ a: 1 }, { a: 1, b: 2 }], [[1, 2], [1]], [{ a: [] }, { a: {} }], [null, {}]]) assert.ok(!isEqual(a, b))
})

const services = resources.service
const path = pathOf(services, { namespace: 'mail' })
const owner = { apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', name: 'main', uid: 'u1', controller: true }
const wanted = (port: number): Wanted => ({ resource: services, object: { metadata: { name: 'main', namespace: 'mail', labels: { ...managedLabels }, ownerReferences: [owner] }, spec: { port } } })

describe('an object', () => {
  const start = async (t: TestContext) => {
    const server = await startFakeKube()
    t.after(() => server.close())
    const time = { ms: 0 }
    const applier = new Applier(createKube({ server: server.url, prepare: () => Promise.resolve({ headers: {} }) }), () => time.ms)
    const live = (): KubeObject | undefined => server.objects(path)[0]
    return { server, applier, live, time }
  }

  it('is written once, again when we or somebody else changed it or took its owner, and 0 times in between', async (t) => {
    const { server, applier, live } = await start(t)
    const writes: boolean[] = []
    for (const port of [25, 25, 26, 26]) writes.push(await applier.apply(wanted(port), live()))
    server.put(path, { ...live()!, spec: { port: 1 } })
    for (const port of [26, 26]) writes.push(await applier.apply(wanted(port), live()))
    server.remove(path, 'main')
    writes.push(await applier.apply(wanted(26), live()))
    const generation = { ...live()!, metadata: { ...live()!.metadata, generation: 1 } }
    server.put(path, generation)
    for (const port of [26, 26]) writes.push(await applier.apply(wanted(port), live()))
    server.put(path, { ...generation, metadata: { ...generation.metadata, ownerReferences: [] } })
    writes.push(await applier.apply(wanted(26), live()))
    assert.deepEqual(writes, [true, false, true, false, true, false, true, true, false, true])
  })

  it('is not written over 1 of a stranger that took its place before the watch told, nor over 1 that came after the look for it', async (t) => {
    const { server, applier, live } = await start(t)
    const theirs = { metadata: { name: 'main', namespace: 'mail', labels: { app: 'old-postfix' } }, spec: { port: 2525 } }
    await applier.apply(wanted(25), live())
    const told = live()
    server.remove(path, 'main')
    server.put(path, theirs)
    await assert.rejects(applier.apply(wanted(26), told), { status: 409 })
    assert.deepEqual(live()!.spec, theirs.spec)
    server.remove(path, 'main')
    server.fault = ({ method }) => (method === 'PATCH' ? { first: () => server.put(path, theirs) } : undefined)
    await assert.rejects(applier.apply(wanted(26), undefined), { status: 409 })
    assert.deepEqual(live()!.spec, theirs.spec)
  })

  for (const [whose, metadata] of [['nobody of ours made', { labels: { app: 'old-postfix' } }], ['was made for another MailRelay', { labels: { ...managedLabels }, ownerReferences: [{ ...owner, name: 'other', uid: 'u2' }] }]] as const) {
    it(`that ${whose} is left alone, with 0 writes`, async (t) => {
      const { server, applier } = await start(t)
      server.put(path, { metadata: { name: 'main', namespace: 'mail', ...metadata }, spec: { port: 1 } })
      await assert.rejects(applier.apply(wanted(25), undefined), { code: 'NAME_TAKEN', message: /^Service mail\/main is there already and was not made for this/ })
      assert.deepEqual(server.requests.filter((line) => !line.startsWith('GET')), [])
    })
  }

  it('that is no longer wanted is deleted by 1 request, and by 0 while it is on its way out, as a Service whose load balancer takes its time', async (t) => {
    const { server, applier, live } = await start(t)
    server.put(path, wanted(25).object)
    const leaving = live()!
    await applier.remove(services, leaving)
    await applier.remove(services, { ...leaving, metadata: { ...leaving.metadata, deletionTimestamp: before } })
    assert.deepEqual(server.requests.filter((line) => line.startsWith('DELETE')).length, 1)
  })

  it('that is no longer wanted and that somebody took on before the watch told, by another label, is not deleted', async (t) => {
    const { server, applier, live } = await start(t)
    server.put(path, wanted(25).object)
    const told = live()!
    server.put(path, { ...told, metadata: { ...told.metadata, labels: { app: 'theirs' } } })
    await applier.remove(services, told)
    assert.deepEqual(live()?.metadata.labels, { app: 'theirs' })
    await applier.remove(services, live()!)
    assert.equal(live(), undefined)
  })

  it('of a MailRelay that was made anew under its name is taken on', async (t) => {
    const { server, applier } = await start(t)
    server.put(path, { ...wanted(1).object, metadata: { ...wanted(1).object.metadata, ownerReferences: [{ ...owner, uid: 'u0' }] } })
    assert.equal(await applier.apply(wanted(25), undefined), true)
  })

  it('in whose status somebody else has a condition too is written once, again after a change, and 0 times in between', async (t) => {
    const { server, applier } = await start(t)
    server.put(path, wanted(25).object)
    // as the API server merges them: each manager keeps its own
    const merged = (): KubeObject => ({ ...server.objects(path)[0]!, status: { conditions: [condition('Theirs', 'True', before), condition('Ours', 'True', now)] } })
    const writes: boolean[] = []
    for (let n = 0; n < 3; n++) writes.push(await applier.status(services, merged(), { conditions: [condition('Ours', 'True')] }, now))
    server.put(path, { ...server.objects(path)[0]!, spec: { port: 1 } })
    for (let n = 0; n < 2; n++) writes.push(await applier.status(services, merged(), { conditions: [condition('Ours', 'True')] }, now))
    assert.deepEqual(writes, [true, false, false, true, false])
  })

  it('that the cache still has as it was before our write is written once, and so is its status, in 2 runs each; again when the cache has it from another', async (t) => {
    const { server, applier, live } = await start(t)
    const status = { conditions: [condition('Ready', 'True')] }
    const writes: boolean[] = []
    await applier.apply(wanted(25), undefined)
    const stale = live()!
    for (const _ of ['run', 'run']) writes.push(await applier.apply(wanted(26), stale))
    const staleNow = live()!
    for (const _ of ['run', 'run']) writes.push(await applier.status(services, staleNow, status, now))
    server.put(path, staleNow) // with a version of its own
    writes.push(await applier.status(services, live()!, status, now))
    server.put(path, stale)
    writes.push(await applier.apply(wanted(26), live()))
    assert.deepEqual(writes, [true, false, true, false, true, true])
  })

  it('that a backup of etcd puts back to the version we wrote over, after the cache had ours, is written once more, and so is its status', async (t) => {
    const { applier, live } = await start(t)
    const status = { conditions: [condition('Ready', 'True')] }
    const writes: boolean[] = []
    await applier.apply(wanted(25), undefined)
    for (const write of [(cached: KubeObject) => applier.apply(wanted(26), cached), (cached: KubeObject) => applier.status(services, cached, status, now)]) {
      const kept = live()!
      writes.push(await write(kept))
      const ours = live()!
      for (const cached of [kept, ours, kept, kept]) writes.push(await write(cached))
    }
    assert.deepEqual(writes, [[true, false, false, true, false], [true, false, false, true, false]].flat())
  })

  it('whose status is refused is not asked for again before 30 s, unless it or the object is another', async (t) => {
    const { server, applier, time } = await start(t)
    server.put(path, wanted(25).object)
    const one = server.objects(path)[0]!
    server.fault = ({ method }) => (method === 'PATCH' ? { status: 422 } : undefined)
    const counts: number[] = []
    for (const [said, live, ms] of [['a', one, 0], ['a', one, 29_000], ['b', one, 29_000], ['b', { ...one, metadata: { ...one.metadata, uid: 'anew' } }, 29_000], ['b', { ...one, metadata: { ...one.metadata, uid: 'anew' } }, 60_000]] as const) {
      time.ms = ms
      await assert.rejects(applier.status(services, live, { said }, now), { status: 422 })
      counts.push(server.requests.filter((line) => line.startsWith('PATCH')).length)
    }
    assert.deepEqual(counts, [1, 1, 2, 3, 4])
  })

  it('whose refusal took 20 s, as by a webhook that hangs, is asked for again after 200 s: it must not take the time of the others; after 300 s at most', async (t) => {
    const { server, applier, live, time } = await start(t)
    const patches = () => server.requests.filter((line) => line.startsWith('PATCH')).length
    const counts: number[] = []
    for (const [took, waited] of [[20_000, 0], [0, 199_000], [90_000, 1_000], [0, 299_000], [0, 1_000]] as const) {
      time.ms += waited
      server.fault = ({ method }) => (method === 'PATCH' ? (time.ms += took, { status: 422 }) : undefined)
      await assert.rejects(applier.apply(wanted(25), live()), { status: 422 })
      counts.push(patches())
    }
    assert.deepEqual(counts, [1, 1, 2, 2, 3])
  })

  it('that is refused is asked for again after 30 s, or at once when it is another', async (t) => {
    const { server, applier, live, time } = await start(t)
    server.fault = ({ method }) => (method === 'PATCH' ? { status: 422 } : undefined)
    const patches = () => server.requests.filter((line) => line.startsWith('PATCH')).length
    const counts: number[] = []
    for (const [port, ms] of [[25, 0], [25, 29_000], [26, 29_000], [26, 60_000]] as const) {
      time.ms = ms
      await assert.rejects(applier.apply(wanted(port), live()), { status: 422 })
      counts.push(patches())
    }
    assert.deepEqual(counts, [1, 1, 2, 3])
  })

  it('of 1,000 that came and went, each with its status, and of 1,000 that were refused for good 300 s ago, 1 is remembered', async (t) => {
    const { server, applier, time } = await start(t)
    const one = (n: number): Wanted => ({ resource: services, object: { ...wanted(25).object, metadata: { ...wanted(25).object.metadata, name: `s${n}` } } })
    for (let n = 0; n < 1000; n++) {
      await applier.apply(one(n), undefined)
      await applier.status(services, server.objects(path)[0]!, { said: 'a' }, now)
      server.remove(path, `s${n}`)
      applier.gone(services, `mail/s${n}`)
    }
    server.fault = ({ method }) => (method === 'PATCH' ? { status: 422 } : undefined)
    for (let n = 0; n < 1000; n++) await assert.rejects(applier.apply(one(n), undefined), { status: 422 })
    time.ms += 301_000
    await assert.rejects(applier.apply(one(0), undefined), { status: 422 })
    assert.equal(applier.size, 1)
  })
})
