// What the person on call is told, of a queue in memory.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createFakeQueue } from '../test/tools/fake-queue.ts'
import type { Queue, QueueEntry } from './queue/index.ts'
import type { Snapshot } from './snapshot/index.ts'
import { statusOf } from './status.ts'

const now = 1_000_000_000
const domain = (name: string, deferred: number, held = 0) => ({ domain: name, ready: 0, deferred, held })
const statusWith = (more: Partial<Queue>, { paused = false, readiness = { ready: true, reason: 'ready' } } = {}) => {
  const queue: Queue = {
    ...createFakeQueue(),
    counts: () => ({ ready: 0, inFlight: 0, lanesOwned: 40, bytes: 1_000 }),
    peers: () => [{ pod: 'a', revision: 'r1', lanes: 40 }, { pod: 'b', revision: 'r1', lanes: 24 }],
    count: async () => ({ ready: 0, deferred: 7, held: 1 }),
    summary: async () => [domain('a.example', 4), domain('b.example', 0, 1)],
    list: async (filter) => [{ why: `waits: ${filter.domain} ${filter.state}`, said: '450 later' } as QueueEntry],
    ...more,
  }
  const snapshot = { relay: { manifest: 'MailRelay mail/main', queueBytes: 10_000_000_000, paused } } as Snapshot
  return statusOf({ pod: 'a', current: { snapshot, revision: 'r1' }, queue, readiness }, now)
}

describe('the status of a relay', () => {
  it('needs 0 people where mail waits for its next attempt and one is on hold, and has a reason for each domain', async () => {
    const { needs, backlog, lanes } = await statusWith({})
    assert.deepEqual([needs, lanes], [[], { served: 64, of: 64 }])
    assert.deepEqual(backlog!.domains.map(({ why }) => why), ['waits: a.example deferred', 'waits: b.example held'])
  })

  it('names the 5 largest domains of 7', async () => {
    const { backlog } = await statusWith({ summary: async () => Array.from({ length: 7 }, (_, n) => domain(`${n}.example`, 9 - n)) })
    assert.deepEqual(backlog!.domains.map(({ domain: name }) => name), ['0.example', '1.example', '2.example', '3.example', '4.example'])
  })

  it('reads no ready records by domain where 10,001 are due, and says so', async () => {
    let asked: unknown
    const { backlog } = await statusWith({ count: async () => ({ ready: 10_001, deferred: 0, held: 0, oldestReadyAt: now - 1_000 }), summary: async (how) => ((asked = how), []) })
    assert.deepEqual([asked, backlog!.readyByDomain], [{ withoutReady: true }, false])
  })

  const cases: [string, Parameters<typeof statusWith>, RegExp][] = [
    ['is not ready', [{}, { readiness: { ready: false, reason: 'stopping' } }], /not ready: stopping/],
    ['is ready through a short outage', [{ outage: () => ({ since: now, why: 'the servers do not answer' }) }], /answered 451 \(the servers do not answer\)/],
    ['is not durable', [{ durable: () => ({ ok: false, reason: 'NotSynced', text: 'sync_interval is not always' }) }], /not durable: sync_interval/],
    ['has 2 servers of which 1 hangs', [{ servers: () => ({ servers: [{ name: 'main-queue-0', up: false, stuck: false }, { name: 'main-queue-1', up: false, stuck: true }], replicas: undefined }) }], / without a word about its streams: main-queue-1; only a new start helps/],
    ['is full', [{ isFull: () => true }], /full: clients are answered 452/],
    ['does not say what waits', [{ count: async () => undefined }], /does not say what waits/],
    ['has 24 lanes that nobody serves', [{ peers: () => [{ pod: 'a', revision: 'r1', lanes: 40 }] }], /24 of 64 lanes are served by nobody/],
    ['is paused', [{}, { paused: true }], /paused: spec\.paused of MailRelay mail\/main/],
    ['has mail that was due 11 minutes ago', [{ count: async () => ({ ready: 1, deferred: 0, held: 0, oldestReadyAt: now - 660_000 }) }], /due for more than ten minutes/],
  ]
  for (const [what, given, words] of cases)
    it(`needs 1 person where the relay ${what}`, async () => {
      const { needs } = await statusWith(...given)
      assert.equal(needs.length, 1, needs.join('; '))
      assert.match(needs[0]!, words)
    })
})
