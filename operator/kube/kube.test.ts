// Against a server that misbehaves in every way we know of; what holds for a well-behaved one is shown in test/cluster.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { withFakeKube, type FakeKube, type Fault } from '../../test/tools/fake-kube.ts'
import { until } from '../../test/tools/until.ts'
import { applyObject, applyStatus, Cache, createNotes, deleteObject, listWatch, nameWatch, pathOf, type Change, type Kube, type KubeError, type KubeObject, type Resource, type WatchEnd } from './index.ts'

const things: Resource = { group: 'test.example', version: 'v1', kind: 'Thing', plural: 'things', namespaced: true }
const path = pathOf(things, { namespace: 'mail' })
const thing = (name: string, value = 0): KubeObject => ({ metadata: { name, namespace: 'mail' }, spec: { value } })

type Following = { readonly cache: Cache; readonly changes: Change[]; readonly troubles: KubeError[]; readonly ends: WatchEnd[]; readonly stop: () => Promise<void> }

const follow = (t: TestContext, kube: Kube, more: { silenceMs?: number } = {}): Following => {
  const changes: Change[] = []
  const troubles: KubeError[] = []
  const ends: WatchEnd[] = []
  const cache = new Cache((change) => void changes.push(change))
  const end = new AbortController()
  const ended = listWatch({ kube, resource: things, namespace: 'mail', feed: cache, onTrouble: (error) => void troubles.push(error), onRestart: (why) => void ends.push(why), random: () => 0, ...more }, end.signal)
  const stop = async (): Promise<void> => (end.abort(), ended)
  t.after(stop)
  return { cache, changes, troubles, ends, stop }
}
/** A watch is given so long to begin as well: a test of short silences must not take this process, where it stands still, for a server without an answer. */
const begunInPeace = (kube: Kube): Kube => ({ ...kube, open: (call) => kube.open({ ...call, timeoutMs: 60_000 }) })
/** How often everything was asked for: by a watch that begins with it, or by the first page of a list. */
const asksForAll = ({ requests }: FakeKube): number => requests.filter((line) => line.includes('sendInitialEvents=') || (line.includes('limit=500') && !line.includes('continue='))).length
const valueOf = (cache: Cache, name: string): unknown => (cache.get(`mail/${name}`)?.spec as { value: number } | undefined)?.value

describe('a list-watch', () => {
  it('is told 1,201 objects by the watch it begins with, in 1 request', async (t) => {
    const { server, kube } = await withFakeKube(t)
    for (let n = 0; n < 1201; n++) server.put(path, thing(`t${n}`))
    const { cache, changes } = follow(t, kube)
    await until('all', () => cache.size === 1201)
    server.put(path, thing('t7', 1))
    await until('the change', () => valueOf(cache, 't7') === 1)
    assert.deepEqual([server.requests.length, changes.length, cache.foundByList], [1, 1202, 0])
  })
  it('that is told 2 of 3 objects and then nothing more takes none of them for all, and lists', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.beginnings = 'unmarked'
    for (const name of ['a', 'b', 'c']) server.put(path, thing(name))
    const { cache, troubles } = follow(t, begunInPeace(kube), { silenceMs: 300 })
    await until('the watch', () => server.watches() === 1)
    server.bookmark() // of the ordinary kind
    assert.ok(!cache.synced || server.requests.length > 1)
    await until('the list', () => cache.synced)
    assert.deepEqual([cache.size, troubles, server.requests.filter((line) => line.includes('sendInitialEvents=')).length], [3, [], 1])
  })
  it('whose beginning is cut off after 2 objects begins again, and tells nothing of the 2 before it has the 3rd', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.beginnings = 'unmarked'
    for (const name of ['a', 'b']) server.put(path, thing(name))
    const { cache, changes, troubles } = follow(t, kube)
    await until('the watch', () => server.watches() === 1)
    server.remove(path, 'a')
    for (const name of ['b', 'c', 'd']) server.put(path, thing(name, 1))
    server.beginnings = 'marked'
    server.endWatches('end')
    await until('all', () => cache.synced)
    assert.deepEqual([changes.map(({ key }) => key).toSorted(), troubles.length, asksForAll(server)], [['mail/b', 'mail/c', 'mail/d'], 1, 2])
  })
  it('where it is refused lists 1,201 objects in 3 pages, then tells what is added, changed and removed', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.beginnings = 'refused'
    for (let n = 0; n < 1201; n++) server.put(path, thing(`t${n}`))
    const { cache, changes } = follow(t, kube)
    await until('the list', () => cache.size === 1201)
    assert.equal(server.requests.filter((line) => line.includes('limit=500')).length, 3)
    await until('the watch', () => server.watches() === 1)
    server.put(path, thing('new', 1))
    server.put(path, thing('new', 2))
    server.remove(path, 't7')
    await until('the events', () => changes.length === 1204)
    assert.deepEqual(changes.slice(-3).map(({ key, before, after }) => [key, before !== undefined, after !== undefined]), [['mail/new', false, true], ['mail/new', true, true], ['mail/t7', true, false]])
    assert.equal(cache.foundByList, 0)
  })
  for (const how of ['end', 'half', 'reset', { error: 500 }] as const) {
    it(`goes on from where it was after its watch ended by ${JSON.stringify(how)}, and misses nothing`, async (t) => {
      const { server, kube } = await withFakeKube(t)
      server.put(path, thing('a', 1))
      const { cache } = follow(t, kube)
      await until('the watch', () => server.watches() === 1)
      server.endWatches(how)
      server.put(path, thing('a', 2))
      await until('the change', () => valueOf(cache, 'a') === 2)
      assert.equal(asksForAll(server), 1)
    })
  }
  for (const beginnings of ['marked', 'refused'] as const) {
    it(`begins anew after 410 of a watch and after 410 in an event, and tells 2 changes it could not see and 1 removal; a watch that tells all is ${beginnings}`, async (t) => {
      const { server, kube } = await withFakeKube(t)
      server.beginnings = beginnings
      for (const name of ['a', 'b']) server.put(path, thing(name, 1))
      const { cache } = follow(t, kube)
      await until('the watch', () => server.watches() === 1)
      server.mute()
      server.put(path, thing('a', 2))
      server.remove(path, 'b')
      server.compact()
      server.endWatches('end')
      await until('a new list', () => valueOf(cache, 'a') === 2 && cache.size === 1)
      assert.equal(cache.foundByList, 2)
      await until('the watch', () => server.watches() === 1)
      server.mute()
      server.put(path, thing('a', 3))
      server.compact()
      server.endWatches({ error: 410 })
      await until('another list', () => valueOf(cache, 'a') === 3)
    })
  }
  for (const beginnings of ['marked', 'refused'] as const)
    for (const [how, restored] of [['cut its watch', (server: FakeKube) => server.endWatches('reset')], ['left it open and silent', () => {}]] as const) {
      it(`begins anew when its server went back to a backup 3 versions older and ${how}, and tells 1 change that is undone, 1 removal and 1 change after it; a watch that tells all is ${beginnings}`, async (t) => {
        const { server, kube } = await withFakeKube(t)
        server.beginnings = beginnings
        server.put(path, thing('a', 1))
        const goBack = server.backup()
        const { cache, troubles } = follow(t, kube, { silenceMs: 500 })
        await until('the watch', () => server.watches() === 1)
        server.put(path, thing('b', 1))
        for (const value of [2, 3]) server.put(path, thing('a', value))
        await until('what is lost', () => valueOf(cache, 'a') === 3 && cache.size === 2)
        goBack()
        restored(server)
        await until('what was before', () => valueOf(cache, 'a') === 1 && cache.size === 1)
        server.put(path, thing('a', 4))
        await until('the change', () => valueOf(cache, 'a') === 4)
        assert.equal(troubles.filter(({ message }) => message.includes('went back from version 104 to 101')).length, 1)
      })
    }
  it('reads everything 5 times in no less than 1.5 s from a server whose versions never only grow: its pauses grow', async (t) => {
    const lines = [{ type: 'ADDED', at: '100' }, { type: 'BOOKMARK', at: '100', annotations: { 'k8s.io/initial-events-end': 'true' } }, { type: 'MODIFIED', at: '50' }]
    const text = lines.map(({ type, at, annotations }) => `${JSON.stringify({ type, object: { metadata: { name: 'a', namespace: 'mail', resourceVersion: at, annotations } } })}\n`).join('')
    let read = 0
    const odd = { open: () => (read++, Promise.resolve(Readable.from([Buffer.from(text)]))) } as unknown as Kube
    const began = performance.now()
    const { troubles } = follow(t, odd)
    await until('5 times', () => read >= 5)
    assert.ok(performance.now() - began >= 1_490, `in ${performance.now() - began} ms`)
    assert.ok(troubles.length >= 4)
  })
  it('moves on by bookmarks, so that nothing is told twice when old versions are forgotten', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.put(path, thing('a', 1))
    const { cache } = follow(t, kube)
    await until('the watch', () => server.watches() === 1)
    server.compact()
    server.bookmark()
    await new Promise((resolve) => setTimeout(resolve, 100))
    server.endWatches('end')
    server.put(path, thing('a', 2))
    await until('the change', () => valueOf(cache, 'a') === 2)
    assert.equal(asksForAll(server), 1)
  })
  it('begins another watch after one was silent for 100 ms, 12 times without a pause that grows and with 0 troubles: nothing may have changed', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.put(path, thing('a', 1))
    const { cache, troubles, ends } = follow(t, begunInPeace(kube), { silenceMs: 100 })
    await until('12 watches', () => ends.length >= 12)
    server.put(path, thing('a', 2))
    await until('the change', () => valueOf(cache, 'a') === 2)
    assert.deepEqual([troubles, new Set(ends)], [[], new Set(['silent'])])
  })
  it('takes a watch that is silent for 300 ms for dead and begins another', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.put(path, thing('a', 1))
    const { cache } = follow(t, kube, { silenceMs: 300 })
    await until('the watch', () => server.watches() === 1)
    server.mute()
    server.put(path, thing('a', 2))
    await until('the change', () => valueOf(cache, 'a') === 2)
  })
  it('whose first 7 requests fail in every way is there in the end, and has told of the trouble', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.put(path, thing('a', 1))
    const faults: Fault[] = [{ status: 403 }, { status: 401 }, 'no json', 'reset', 'half', { status: 429, retryAfter: 0 }, { status: 500 }]
    server.fault = ({ count }) => faults[count - 1]
    const { cache, troubles } = follow(t, kube)
    await until('the list', () => valueOf(cache, 'a') === 1, 60_000)
    assert.deepEqual(troubles.map(({ status }) => status).slice(0, 2), [403, 401])
  })
  it('sees each of 300 changes, though its watch is cut 20 times in between', async (t) => {
    const { server, kube } = await withFakeKube(t)
    const { cache } = follow(t, kube)
    await until('the watch', () => server.watches() === 1)
    const hows = ['end', 'half', 'reset'] as const
    for (let n = 0; n < 300; n++) {
      server.put(path, thing(`t${n % 10}`, n))
      if (n % 15 === 14) server.endWatches(hows[n % 3]!)
      if (n % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await until('the last of each', () => Array.from({ length: 10 }, (_, n) => valueOf(cache, `t${n}`)).every((value, n) => value === 290 + n), 60_000)
    assert.equal(cache.foundByList, 0)
  })
})

describe('apply and delete', () => {
  it('apply sends one PATCH as our field manager, with force', async (t) => {
    const { server, kube } = await withFakeKube(t)
    await applyObject(kube, things, thing('a', 3))
    assert.deepEqual(server.requests, [`PATCH ${path}/a?fieldManager=posthouse&force=true`])
    assert.deepEqual(server.objects(path).map(({ spec, kind, apiVersion }) => ({ spec, kind, apiVersion })), [{ spec: { value: 3 }, kind: 'Thing', apiVersion: 'test.example/v1' }])
  })
  it('the status of an object that is gone is no error, and makes 0 objects', async (t) => {
    const { server, kube } = await withFakeKube(t)
    assert.equal(await applyStatus(kube, things, thing('gone'), { x: 1 }), undefined)
    assert.equal(server.objects(path).length, 0)
  })
  it('deleting twice is as good as once', async (t) => {
    const { server, kube } = await withFakeKube(t)
    server.put(path, thing('a'))
    for (let n = 0; n < 2; n++) await deleteObject(kube, things, thing('a'))
    assert.equal(server.objects(path).length, 0)
  })
})

it('the same words about the same object are 1 Event, written again after 10 minutes with a count', async (t) => {
  const { server, kube } = await withFakeKube(t)
  let now = 1_700_000_000_000
  const notes = createNotes({ kube, controller: 'posthouse.dev/operator', instance: 'test', now: () => now, onTrouble: (error) => assert.fail(error) })
  const about = { apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', namespace: 'mail', name: 'main', uid: 'u' }
  const tell = (text: string) => notes.tell({ about, type: 'Warning', reason: 'Conflict', action: 'Plan', text })
  await notes.tell({ about: { ...about, namespace: 'long', name: 'n'.repeat(240) }, type: 'Warning', reason: 'Conflict', action: 'Plan', text: 'a' })
  assert.deepEqual(server.objects('/apis/events.k8s.io/v1/namespaces/long/events').map(({ metadata: { name } }) => name.length <= 253), [true])
  for (const text of ['a', 'a', 'b', 'a']) await tell(text)
  const events = () => server.objects('/apis/events.k8s.io/v1/namespaces/mail/events')
  assert.deepEqual(events().map(({ note }) => note), ['a', 'b'])
  now += 700_000
  await tell('a')
  assert.deepEqual(events().map(({ series }) => (series as { count: number } | undefined)?.count), [2, undefined])
})

for (const [what, letter, characters] of [['1 byte', 'x', 1024], ['2 bytes', '\u00fc', 512], ['4 bytes, 1 of them beside', '\u{1f4e7}', 511]] as const) {
  it(`an Event has at most 1,024 bytes of words, as many as the API server takes, and whole characters: of ${what} each`, async (t) => {
    const { server, kube } = await withFakeKube(t)
    const notes = createNotes({ kube, controller: 'posthouse.dev/operator', instance: 'test', now: Date.now, onTrouble: (error) => assert.fail(error) })
    await notes.tell({ about: { apiVersion: 'v1', kind: 'Pod', namespace: 'mail', name: 'a' }, type: 'Warning', reason: 'Conflict', action: 'Plan', text: `${what.startsWith('4') ? 'x' : ''}${letter.repeat(2000)}` })
    const [event] = server.objects('/apis/events.k8s.io/v1/namespaces/mail/events')
    assert.deepEqual([(event!.note as string).length, event!.note], [characters, `${what.startsWith('4') ? 'x' : ''}${letter.repeat(2000)}`.slice(0, characters)])
  })
}

describe('names that are followed one by one', () => {
  const spaces: Resource = { group: '', version: 'v1', kind: 'Space', plural: 'spaces', namespaced: false }
  const put = (server: FakeKube, name: string, mail: string): void => server.put(pathOf(spaces), { metadata: { name, labels: { mail } } })

  it('are read by name only, 2 of 3, and a change, a removal and a return are told', async (t) => {
    const { server, kube } = await withFakeKube(t)
    for (const name of ['a', 'b', 'c']) put(server, name, 'no')
    const cache = new Cache()
    const end = new AbortController()
    const ended = nameWatch({ kube, resource: spaces, names: ['a', 'b'], feed: cache, everyMs: 20 }, end.signal)
    t.after(async () => (end.abort(), ended))
    await until('a first look', () => cache.synced)
    assert.deepEqual(cache.all().map(({ metadata: { name } }) => name), ['a', 'b'])
    put(server, 'a', 'allowed')
    await until('the label', () => cache.get('a')?.metadata.labels?.mail === 'allowed')
    server.remove(pathOf(spaces), 'a')
    await until('its removal', () => cache.get('a') === undefined)
    put(server, 'a', 'again')
    await until('its return', () => cache.get('a')?.metadata.labels?.mail === 'again')
    assert.deepEqual(server.requests.filter((request) => !/^GET .*\/spaces\/[ab]$/.test(request)), [])
    assert.equal(cache.foundByList, 0)
  })

  it('of which 1 is named 2 times, as by --watch-namespaces a,b,a, count as seen all the same', async (t) => {
    const { server, kube } = await withFakeKube(t)
    for (const name of ['a', 'b']) put(server, name, 'no')
    const cache = new Cache()
    const end = new AbortController()
    const ended = nameWatch({ kube, resource: spaces, names: ['a', 'b', 'a'], feed: cache, everyMs: 20 }, end.signal)
    t.after(async () => (end.abort(), ended))
    await until('a first look', () => cache.synced, 5_000)
    assert.deepEqual(cache.all().map(({ metadata: { name } }) => name), ['a', 'b'])
  })

  it('of which 1 may no longer be read, as with the Role of a namespace that is gone, tell the change of the other; the 1 stays as it was', async (t) => {
    const { server, kube } = await withFakeKube(t)
    for (const name of ['a', 'b']) put(server, name, 'no')
    const cache = new Cache()
    const troubles: KubeError[] = []
    const end = new AbortController()
    const ended = nameWatch({ kube, resource: spaces, names: ['a', 'b'], feed: cache, everyMs: 20, onTrouble: (error) => void troubles.push(error), random: () => 0 }, end.signal)
    t.after(async () => (end.abort(), ended))
    await until('a first look', () => cache.synced)
    server.fault = ({ path: asked }) => (asked.endsWith('/b') ? { status: 403 } : undefined)
    put(server, 'a', 'allowed')
    await until('the label', () => cache.get('a')?.metadata.labels?.mail === 'allowed', 5_000)
    assert.deepEqual([cache.get('b')?.metadata.labels?.mail, troubles[0]?.status], ['no', 403])
  })

  it('a refusal is told and asked again, and until then nothing counts as seen', async (t) => {
    const { server, kube } = await withFakeKube(t)
    put(server, 'a', 'no')
    server.fault = ({ count }) => (count <= 2 ? { status: 403 } : undefined)
    const cache = new Cache()
    const troubles: KubeError[] = []
    const end = new AbortController()
    const ended = nameWatch({ kube, resource: spaces, names: ['a'], feed: cache, everyMs: 20, onTrouble: (error) => void troubles.push(error), random: () => 0 }, end.signal)
    t.after(async () => (end.abort(), ended))
    await until('a look', () => cache.synced)
    assert.deepEqual(troubles.map(({ status }) => status), [403, 403])
  })
})
