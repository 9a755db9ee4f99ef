// The whole queue of one process against one real server.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestNats, type TestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { aMessage, deferred, delivered, deliverer, openTestQueue } from './fixtures.ts'
import { openJetStream } from './jetstream.ts'
import type { Queue } from './types.ts'

let nats: TestNats
const open: Queue[] = []
before(async () => {
  nats = await startTestNats()
})
after(async () => {
  for (const queue of open) await queue.close()
  await nats.stop()
})
const aQueue = async (name: string, more = {}) => {
  const queue = await openTestQueue(nats, { name, ...more })
  open.push(queue)
  await until('durable', () => queue.durable().ok)
  return queue
}

test('accepts 200 messages at once, delivers each of them once, and leaves nothing behind', async () => {
  const queue = await aQueue('basic')
  const seen: string[] = []
  await queue.start(deliverer((delivery) => (seen.push(delivery.message), delivered)))
  const messages = Array.from({ length: 200 }, (_, n) => aMessage({ domains: [`d${n % 7}.example`, `e${n % 3}.example`] }))
  const answers = await Promise.all(messages.map((message) => queue.accept(message)))
  assert.deepEqual(new Set(answers.map(({ kind }) => kind)), new Set(['stored']))
  await until('all delivered', () => seen.length === 400)
  const stream = openJetStream({ servers: nats.urls, name: 'basic' })
  await until('connected', () => stream.connected())
  open.push({ close: () => stream.close() } as Queue)
  await until('nothing left but leases and epochs', async () => [...(await stream.subjects('basic.>'))!.keys()].every((subject) => /^basic\.(own|epoch)\./.test(subject)))
  assert.equal(seen.length, 400)
  assert.equal(new Set(seen).size, 200)
})

test('a deferred delivery waits as a schedule and comes back with its second attempt and the same bytes', async () => {
  const queue = await aQueue('later')
  const attempts: { attempt: number; body: string; arrivedAt: number }[] = []
  await queue.start(
    deliverer(async (delivery, body) => {
      attempts.push({ attempt: delivery.attempt, body: (await body.head()).toString(), arrivedAt: delivery.arrivedAt })
      return delivery.attempt === 1 ? deferred(delivery, Date.now() + 1_500) : delivered
    }),
  )
  assert.equal((await queue.accept(aMessage())).kind, 'stored')
  await until('the second attempt', () => attempts.length === 2)
  assert.deepEqual(attempts.map(({ attempt }) => attempt), [1, 2])
  assert.equal(attempts[0]!.body, 'Received: by test\r\nSubject: hello\r\n\r\nbody\r\n')
  assert.equal(attempts[1]!.body, attempts[0]!.body)
  assert.equal(attempts[1]!.arrivedAt, attempts[0]!.arrivedAt)
})

test('after a drain another process has all 64 lanes and delivers what is queued', async () => {
  const first = await aQueue('drain')
  await first.start(deliverer(() => delivered))
  await until('all lanes', () => first.counts().lanesOwned === 64)
  const second = await aQueue('drain', { pod: 'pod-2' })
  let seen = 0
  await second.start(deliverer(() => (seen++, delivered)))
  first.setPaused(true)
  for (let n = 0; n < 20; n++) assert.equal((await first.accept(aMessage({ domains: [`d${n}.example`] }))).kind, 'stored')
  await first.drain(5_000)
  assert.equal(first.counts().lanesOwned, 0)
  await until('the second has all lanes', () => second.counts().lanesOwned === 64)
  await until('all delivered', () => seen === 20)
})
