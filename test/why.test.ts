// What holds mail back is known to the process that serves it: real queue, two processes with a deliverer each, a smarthost that hangs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSink } from '../cli/standalone/sink.ts'
import { aMessage, openTestQueue } from '../relay/queue/fixtures.ts'
import { adminCalls } from '../relay/steering.ts'
import { testDeliverer, testSnapshot } from './tools/delivery.ts'
import { startTestNats } from './tools/nats.ts'
import { until } from './tools/until.ts'

test('why names the route of the sender and its 1 connection in use, the 1 of 3 deliveries that is being tried, and that deliveries are paused, whichever of 2 processes is asked', async (t) => {
  const host = await startSink({ hang: 'dot' })
  const nats = await startTestNats()
  const routes = [{ namespace: 'mail', name: 'slow', manifest: 'DeliveryRoute mail/slow', match: { senderDomains: ['sender.example'] }, nextHops: [{ kind: 'smarthost' as const, host: '127.0.0.1', port: host.port }], limits: { connections: 1 } }]
  const deliverers = [0, 1].map(() => testDeliverer(testSnapshot({ routes }), { allowLoopback: true }))
  const queues = await Promise.all(['pod-1', 'pod-2'].map((pod) => openTestQueue(nats, { name: 'why', pod })))
  t.after(async () => {
    await Promise.all([...queues, ...deliverers, host].map((one) => one.close()))
    await nats.stop()
  })
  for (const [index, queue] of queues.entries()) {
    await until('durable', () => queue.durable().ok)
    await queue.start(deliverers[index]!)
  }
  await until('each has its lanes', () => queues.every((queue) => queue.counts().lanesOwned > 10) && queues.reduce((sum, queue) => sum + queue.counts().lanesOwned, 0) === 64, 60_000)
  const messages = [1, 2, 3].map(() => aMessage())
  for (const message of messages) assert.equal((await queues[0]!.accept(message)).kind, 'stored')
  await until('one is on its way', () => host.commands.some((line) => line.endsWith('DATA')))
  for (const queue of queues) {
    const { why } = adminCalls(queue, async () => ({}))
    for (const about of ['one.example', messages[2]!.id]) {
      const { limits } = (await why!({ about })) as { limits: string[] }
      assert.match(limits.join('\n'), /goes by DeliveryRoute mail\/slow: 127\.0\.0\.1:\d+\n1 of 1 connections to DeliveryRoute mail\/slow are in use \(DeliveryRoute mail\/slow\)/)
    }
  }
  const onItsWay = async (queue: (typeof queues)[number]): Promise<string[]> => {
    const found = await Promise.all(messages.map(async ({ id }) => ((await adminCalls(queue, async () => ({})).why!({ about: id })) as { limits: string[] }).limits.join('\n')))
    return found.map((limits, index) => new RegExp(`^${messages[index]!.id}\\.0 is being tried right now, since \\d{4}-`, 'm').test(limits)).flatMap((is, index) => (is ? [messages[index]!.id] : []))
  }
  for (const queue of queues) assert.equal((await onItsWay(queue)).length, 1)
  for (const queue of queues) queue.setPaused(true)
  const { why } = adminCalls(queues[1]!, async () => ({}))
  for (const { id } of messages) assert.match(((await why!({ about: id })) as { limits: string[] }).limits.join('\n'), /^deliveries are paused: spec\.paused of the MailRelay$/m)
})
