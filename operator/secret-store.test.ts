import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { startFakeKube } from '../test/tools/fake-kube.ts'
import { Applier } from './apply/index.ts'
import { createKube, pathOf, type Kube, type KubeObject } from './kube/index.ts'
import { SecretStore } from './secret-store.ts'
import { secrets, type Watched } from './watched.ts'

const path = pathOf(secrets, { namespace: 'mail' })
const encoded = (text: string): string => Buffer.from(text).toString('base64')

const start = async (t: TestContext) => {
  const server = await startFakeKube()
  t.after(() => server.close())
  const find = (name: string): KubeObject | undefined => server.objects(path).find(({ metadata }) => metadata.name === name)
  const troubles: string[] = []
  const store = new SecretStore(createKube({ server: server.url, prepare: () => Promise.resolve({ headers: {} }) }, { random: () => 0 }), () => ({ get: (_: unknown, key: string) => find(key.split('/')[1]!) }) as unknown as Watched, ({ message }) => troubles.push(message))
  const put = (name: string, text: string): void => server.put(path, { metadata: { name, namespace: 'mail' }, data: { a: encoded(text) } })
  return { server, store, put, troubles }
}

describe('a Secret that is not let read', () => {
  it('though its version is new holds as it was read last, beside 1 other that is read anew', async (t) => {
    const { server, store, put, troubles } = await start(t)
    for (const name of ['one', 'two']) put(name, 'old')
    await store.read(['mail/one', 'mail/two'])
    for (const name of ['one', 'two']) put(name, 'new')
    server.fault = ({ path: asked }) => (asked.endsWith('/one') ? { status: 403 } : undefined)
    assert.deepEqual(Object.fromEntries((await store.read(['mail/one', 'mail/two'])).found), { 'mail/one': { a: 'old' }, 'mail/two': { a: 'new' } })
    assert.match(troubles.join(), /secrets\/one/)
  })
  for (const status of [403, 500]) {
    it(`and never was, by ${status}, is no Secret that is missing: it is named beside 1 other that is read, and by itself throws`, async (t) => {
      const { server, store, put } = await start(t)
      for (const name of ['one', 'two']) put(name, 'old')
      server.fault = ({ path: asked }) => (asked.endsWith('/one') ? { status } : undefined)
      const { found, refused } = await store.read(['mail/one', 'mail/two'])
      assert.deepEqual([[...found.keys()], [...refused].map(([key, { code }]) => [key, code])], [['mail/two'], [['mail/one', 'SECRET_REFUSED']]])
      await assert.rejects(store.one('mail/one'), { code: 'SECRET_REFUSED' })
    })
  }
  for (const status of [503, 504]) {
    it(`for the API server is away, by ${status}, throws: nothing is known of any`, async (t) => {
      const { server, store, put } = await start(t)
      put('one', 'old')
      server.fault = () => ({ status })
      await assert.rejects(store.read(['mail/one']), { status })
    })
  }
})

describe('a Secret that is deleted', () => {
  it('while it is read is not there, now and 1 time after', async () => {
    const state: { live: KubeObject | undefined } = { live: { metadata: { name: 'one', namespace: 'mail', resourceVersion: '1' }, data: { a: encoded('old') } } }
    const read = async (): Promise<unknown> => {
      const { live } = state
      state.live = undefined
      store.changed({ key: 'mail/one', before: live, after: undefined })
      return live
    }
    const store = new SecretStore({ call: read } as unknown as Kube, () => ({ get: () => state.live }) as unknown as Watched, () => {})
    assert.deepEqual([await store.one('mail/one'), await store.one('mail/one')], [undefined, undefined])
  })
})

describe('a Secret that we write', () => {
  const ours = { metadata: { name: 'one', namespace: 'mail', labels: { 'app.kubernetes.io/name': 'posthouse', 'app.kubernetes.io/managed-by': 'posthouse' } } }
  const storing = async (t: TestContext) => {
    const { server, store } = await start(t)
    const applier = new Applier(createKube({ server: server.url, prepare: () => Promise.resolve({ headers: {} }) }, { random: () => 0 }))
    const now = (): unknown => server.objects(path)[0]!.data
    return { store, now, put: (text: string) => server.put(path, { ...ours, data: { a: encoded(text) } }), keep: (kept: { a: string } | undefined, text: string) => store.keep(applier, ours, kept, { a: text }) }
  }
  it('is not written over where it was put there since we looked, though 1 other has read it by now', async (t) => {
    const { store, now, put, keep } = await storing(t)
    const before = (await store.one('mail/one')) as undefined
    put('theirs')
    await store.one('mail/one')
    await assert.rejects(keep(before, 'new'), { status: 409 })
    assert.deepEqual(now(), { a: encoded('theirs') })
  })
  it('is not written over where it was changed since we read it, and is at the 2nd try', async (t) => {
    const { store, now, put, keep } = await storing(t)
    put('old')
    const read = async (): Promise<{ a: string }> => (await store.one('mail/one')) as { a: string }
    const before = await read()
    put('theirs')
    await assert.rejects(keep(before, 'new'), { status: 409 })
    assert.deepEqual(now(), { a: encoded('theirs') })
    await keep(await read(), 'newer')
    assert.deepEqual(now(), { a: encoded('newer') })
  })
})
