// A site is served by one process, also where its domains lie in lanes of several: real server, two processes' queues.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestNats, type TestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { aMessage, deferred, delivered, openTestQueue } from './fixtures.ts'
import { laneOf } from './lanes.ts'
import type { Deliverer, Delivery, Queue, Settlement } from './types.ts'

const home = 'mx one two'
const domains = Array.from({ length: 40 }, (_, n) => `d${n}.example`)

/** Knows the MX hosts of a domain only once it has tried it, as the real one does; `knows`: tells beforehand. */
const learning = (settle: (delivery: Delivery) => Settlement, knows: boolean): Deliverer & { readonly tried: Delivery[] } => {
  const tried: Delivery[] = []
  const known = new Set<string>(knows ? domains : [])
  return {
    tried,
    site: (domain) => (known.has(domain) ? home : domain),
    admit: () => ({ kind: 'now' }),
    attempt: (delivery) => {
      tried.push(delivery)
      known.add(delivery.domain)
      return Promise.resolve(settle(delivery))
    },
  }
}

const start = async (t: { after(end: () => Promise<void>): void }, deliverers: readonly [Deliverer, Deliverer]): Promise<{ queue: Queue; nats: TestNats }> => {
  const nats = await startTestNats()
  const queues = await Promise.all(['pod-1', 'pod-2'].map((pod) => openTestQueue(nats, { name: 'home', pod })))
  t.after(async () => {
    for (const queue of queues) await queue.close()
    await nats.stop()
  })
  for (const [index, queue] of queues.entries()) {
    await until('durable', () => queue.durable().ok)
    await queue.start(deliverers[index]!)
  }
  await until('each has its lanes', () => queues.every((queue) => queue.counts().lanesOwned > 10) && queues.reduce((sum, queue) => sum + queue.counts().lanesOwned, 0) === 64, 60_000)
  return { queue: queues[0]!, nats }
}

const offer = async (queue: Queue): Promise<void> => {
  const answers = await Promise.all(domains.map((domain) => queue.accept(aMessage({ domains: [domain] }))))
  assert.ok(answers.every(({ kind }) => kind === 'stored'))
}

test('a deferred delivery waits in the home lane of its MX hosts, learnt in its first attempt, and is handed over once', async (t) => {
  const makers = [0, 1].map(() => learning((delivery) => (delivery.attempt === 1 ? deferred(delivery, Date.now() + 1_500) : delivered), false)) as [ReturnType<typeof learning>, ReturnType<typeof learning>]
  const { queue } = await start(t, makers)
  await offer(queue)
  const second = () => makers.flatMap(({ tried }) => tried.filter(({ attempt }) => attempt === 2))
  await until('40 second attempts', () => second().length === domains.length, 60_000)
  assert.deepEqual(new Set(second().map(({ lane }) => lane)), new Set([laneOf(home)]))
  assert.equal(makers.filter(({ tried }) => tried.some(({ attempt }) => attempt === 2)).length, 1, 'one process made them all')
})

test('what a process that knows no better accepted into 40 lanes goes to its home lane before its first attempt: one process has the whole site', async (t) => {
  const makers = [0, 1].map(() => learning(() => delivered, true)) as [ReturnType<typeof learning>, ReturnType<typeof learning>]
  const { nats } = await start(t, makers)
  const stranger = await openTestQueue(nats, { name: 'home', pod: 'pod-3' })
  t.after(() => stranger.close())
  await until('durable', () => stranger.durable().ok)
  await offer(stranger) // serves nothing: its sites are the domains
  await until('40 delivered', () => makers.flatMap(({ tried }) => tried).length === domains.length, 60_000)
  assert.equal(makers.filter(({ tried }) => tried.length > 0).length, 1)
})
