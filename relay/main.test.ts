import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { networkInterfaces } from 'node:os'
import type { Listener, Snapshot } from './snapshot/index.ts'
import { acceptanceOf, drainInTime, knowingItself, readinessOf, toldTo } from './main.ts'

const [old, isNew, stopping] = [{ stopping: false, isNew: false }, { stopping: false, isNew: true }, { stopping: true, isNew: false }]
const queue = (ok: boolean, since?: number) => ({ durable: () => ({ ok, reason: 'NotSynced', text: 'sync_interval is not always' }), outage: () => (since === undefined ? undefined : { since, why: 'the servers do not answer' }) })

describe('readiness', () => {
  it('stays through an outage of 59 s, when clients get 451, and goes at 61 s', () => {
    assert.equal(readinessOf(queue(true, 0), old, 59_000).ready, true)
    assert.equal(readinessOf(queue(false, 0), old, 59_000).ready, true)
    assert.deepEqual(readinessOf(queue(true, 0), old, 61_000), { ready: false, reason: 'the queue has been out of use for 61 s: the servers do not answer' })
  })

  it('is not given to a new process in its 1st minute, while its queue was not yet seen to keep the promise: others serve without a 451', () => {
    assert.deepEqual(readinessOf(queue(false, 0), isNew, 1000), { ready: false, reason: 'NotSynced: sync_interval is not always' })
  })

  it('is refused at once, in 0 s, by a queue that does not keep the promise, and by a stop', () => {
    assert.deepEqual(readinessOf(queue(false), old, 0), { ready: false, reason: 'NotSynced: sync_interval is not always' })
    assert.equal(readinessOf(queue(true), stopping, 0).ready, false)
    assert.equal(readinessOf(queue(true), old, 0).ready, true)
  })
})

test('that the queue is full is told the operator in place of 1 that is durable, and not in place of 1 that is not', () => {
  assert.deepEqual([false, true].map((full) => acceptanceOf({ ...queue(true), isFull: () => full }, 0).reason), ['NotSynced', 'QueueFull'])
  assert.deepEqual(acceptanceOf({ ...queue(false), isFull: () => true }, 0), queue(false).durable())
})

test('the operator is told of an outage once it has lasted 60 s, in words that stay the same', () => {
  const told = (now: number) => acceptanceOf({ ...queue(true, 0), isFull: () => false }, now)
  assert.deepEqual([told(59_000).ok, told(61_000), told(99_000)], [true, told(99_000), { ok: false, reason: 'Unreachable', text: 'the queue is out of use: the servers do not answer' }])
})

test('a relay that is to go says before the 2 s are over for which the operator waits that a server is stuck: what that queue still holds nobody answers; an answer leaves 0 timers', async () => {
  const servers = [{ name: 'main-queue-1', up: false, stuck: true } as const]
  const silent = { ...queue(true, 0), isFull: () => false, servers: () => ({ servers, replicas: undefined }), remains: () => new Promise<never>(() => {}) }
  const current = { snapshot: { relay: { closing: true } } as Snapshot, revision: 'r' }
  const told = (remains: () => Promise<undefined>) => toldTo(current, { ...silent, remains }, { ready: false, reason: '' }, {}) as Promise<Record<string, unknown>>
  const late = new Promise<Record<string, unknown>>((resolve) => setTimeout(resolve, 2_000, { closing: 'late' })) // timers run in order, also where this process stands still
  const { servers: said, closing, remains } = await Promise.race([told(silent.remains), late])
  assert.deepEqual([said, closing, remains], [servers, true, null])
  await late
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = timers()
  assert.deepEqual(await told(() => Promise.reject(new Error('closed'))), await told(() => Promise.resolve(undefined)))
  assert.equal(timers(), before)
})

test('a relay knows itself by the addresses of those of its 3 listeners that are on the port of MX hosts, and by those of the snapshot', () => {
  const snapshot = { relay: { ownAddresses: ['203.0.113.25'] }, listeners: ['mx', 'submission', 'all'].map((name) => ({ name }) as Listener) } as unknown as Snapshot
  const known = (all: number) => knowingItself(snapshot, { bind: ({ name }) => ({ mx: { host: '192.0.2.1', port: 25 }, submission: { host: '192.0.2.2', port: 587 }, all: { host: '0.0.0.0', port: all } })[name]! }).relay.ownAddresses
  assert.deepEqual(known(2525), ['203.0.113.25', '192.0.2.1'])
  assert.deepEqual(known(25), ['203.0.113.25', '192.0.2.1', ...Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address))])
})

for (const [clients, deliveries] of [[0, 300], [100, 200], [300, 10]] as const)
  test(`of a drain time of 300 s, deliveries have ${deliveries} s where clients took ${clients} s: a pod is killed 30 s after its drain time`, async () => {
    let now = 1000
    const asked: number[] = []
    const receiving = { drain: async (ms: number) => (asked.push(ms), void (now += clients * 1000)) }
    await drainInTime(receiving, { drain: async (ms: number) => void asked.push(ms) }, 300_000, () => now)
    assert.deepEqual(asked, [300_000, deliveries * 1000])
  })
