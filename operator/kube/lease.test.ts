import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { withFakeKube, type FakeKube } from '../../test/tools/fake-kube.ts'
import { until } from '../../test/tools/until.ts'
import { applyObject, createKube, Lease, pathOf, readOne, type Kube, type KubeError, type KubeObject, type Resource } from './index.ts'

const things: Resource = { group: 'test.example', version: 'v1', kind: 'Thing', plural: 'things', namespaced: true }
const path = pathOf(things, { namespace: 'mail' })
const thing = (name: string): KubeObject => ({ metadata: { name, namespace: 'mail' } })

describe('a lease', () => {
  const times = { lastsMs: 20_000, renewWithinMs: 14_000, everyMs: 20 }
  const never = new AbortController().signal
  /** Time passes when a test says so: a machine that stalls loses no lease here. */
  const clock = { now: 0 }
  const lease = (kube: Kube, holder: string, lasting: Partial<typeof times> = {}, now = (): number => clock.now): Lease => new Lease({ kube, namespace: 'mail', name: 'operator', holder, times: { ...times, ...lasting }, now })
  const renewals = ({ requests }: FakeKube): number => requests.filter((line) => line.startsWith('PUT ')).length
  it('has 1 holder; when it cannot renew it says so before another of 2 begins', async (t) => {
    const { server, kube } = await withFakeKube(t)
    const log: string[] = []
    const act = async (holder: string): Promise<void> => {
      const own = lease(kube, holder)
      await own.acquire(never)
      log.push(`${holder} begins`)
      await own.keep(never)
      log.push(`${holder} stops`)
    }
    const first = act('one')
    await until('the first to begin', () => log.length === 1)
    const end = new AbortController()
    t.after(() => end.abort())
    const second = lease(kube, 'two').acquire(end.signal).then(() => log.push('two begins'))
    for (let n = 0; n < 15; n++) {
      const renewed = renewals(server)
      clock.now += 2_000
      await until('another renewal', () => renewals(server) > renewed)
    }
    assert.deepEqual(log, ['one begins'])
    server.fault = ({ method }) => (method === 'PUT' ? { status: 500 } : undefined)
    clock.now += 14_000
    await first
    server.fault = () => undefined
    const asked = server.requests.length
    await until('the other to ask again', () => server.requests.length > asked + 1)
    assert.deepEqual(log, ['one begins', 'one stops'])
    clock.now += 20_001
    await second
    assert.deepEqual(log, ['one begins', 'one stops', 'two begins'])
  })
  it('that is released goes to another at once, not after its 60 s', async (t) => {
    const { kube } = await withFakeKube(t)
    const long = { lastsMs: 60_000, renewWithinMs: 40_000 }
    const one = lease(kube, 'one', { ...long, everyMs: 20_000 }) // the time it has for the release
    await one.acquire(never)
    const two = lease(kube, 'two', long)
    const waiting = two.acquire(AbortSignal.timeout(20_000))
    await one.release()
    await waiting
    assert.equal(two.held(), true)
  })
  it('that could not be renewed for 14 s lets no write through, not even the repeat of one begun before, and reads as ever', async (t) => {
    const { server, kube } = await withFakeKube(t)
    const own = lease(kube, 'one')
    assert.equal(own.held(), false)
    await own.acquire(never)
    const fenced = createKube({ server: server.url, prepare: () => Promise.resolve({ headers: {} }) }, { random: () => 0, mayWrite: () => own.held() })
    clock.now += 13_999
    await applyObject(fenced, things, thing('a'))
    server.fault = ({ method }) => (method === 'PATCH' ? ((clock.now += 1), { status: 503 }) : undefined)
    await assert.rejects(applyObject(fenced, things, thing('b')), (error: KubeError) => error.reason === 'LeaseLost')
    server.fault = () => undefined
    assert.equal(own.held(), false)
    await assert.rejects(applyObject(fenced, things, thing('c')), (error: KubeError) => error.reason === 'LeaseLost')
    assert.equal((await readOne(fenced, things, { namespace: 'mail', name: 'a' }))?.metadata.name, 'a')
    assert.equal(server.objects(path).length, 1)
  })
  it('that is lost while credentials are read lets 0 writes through', async (t) => {
    const { server } = await withFakeKube(t)
    let holds = true
    const slow = createKube({ server: server.url, prepare: () => Promise.resolve((holds = false)).then(() => ({ headers: {} })) }, { mayWrite: () => holds })
    await assert.rejects(applyObject(slow, things, thing('a')), { reason: 'LeaseLost' })
    assert.equal(server.objects(path).length, 0)
  })
  it('is kept though 1 renewal is never answered: another is begun after half of its 8 s', async (t) => {
    const { server, kube } = await withFakeKube(t)
    const own = lease(kube, 'one', { lastsMs: 12_000, renewWithinMs: 8_000 }, () => performance.now())
    await own.acquire(never)
    const end = new AbortController()
    let kept = true
    const keeping = own.keep(end.signal).then(() => (kept = end.signal.aborted))
    let hung = 0
    server.fault = () => (hung++ === 0 ? 'hang' : undefined)
    await until('renewals after it', () => hung > 5 || !kept)
    assert.deepEqual([kept, own.held()], [true, true])
    end.abort()
    await keeping
  })
  it('of 5 who claim it in the same moment goes to 1', async (t) => {
    const { server, kube } = await withFakeKube(t)
    const end = new AbortController()
    const holders: string[] = []
    const all = ['a', 'b', 'c', 'd', 'e'].map((name) => lease(kube, name).acquire(end.signal).then(() => void holders.push(name)).catch(() => undefined))
    await until('a holder', () => holders.length > 0)
    const asked = server.requests.length
    await until('the others to ask again and again', () => server.requests.length > asked + 20)
    end.abort()
    await Promise.all(all)
    assert.equal(holders.length, 1)
  })
})
