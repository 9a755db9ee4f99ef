import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startFakeKube } from '../../test/tools/fake-kube.ts'
import { createKube, pathOf, type KubeObject } from '../kube/index.ts'
import { resources } from '../plan/index.ts'
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

it('an object is written once, again when we or somebody else changed it, and 0 times in between', async (t) => {
  const server = await startFakeKube()
  t.after(() => server.close())
  const applier = new Applier(createKube({ server: server.url, prepare: () => Promise.resolve({ headers: {} }) }))
  const resource = resources.service
  const path = pathOf(resource, { namespace: 'mail' })
  const live = (): KubeObject | undefined => server.objects(path)[0]
  const wanted = (port: number) => ({ resource, object: { metadata: { name: 'main', namespace: 'mail' }, spec: { port } } })
  const writes: boolean[] = []
  for (const port of [25, 25, 26, 26]) writes.push(await applier.apply(wanted(port), live()))
  server.put(path, { ...live()!, spec: { port: 1 } })
  for (const port of [26, 26]) writes.push(await applier.apply(wanted(port), live()))
  server.remove(path, 'main')
  writes.push(await applier.apply(wanted(26), live()))
  assert.deepEqual(writes, [true, false, true, false, true, false, true])
})
