// Many domains, one set of MX hosts: real queue, two processes' deliverers, a real name server, one host that counts its connections.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSink } from '../cli/standalone/sink.ts'
import { createResolver } from '../relay/dns/index.ts'
import { aMessage, openTestQueue } from '../relay/queue/fixtures.ts'
import { testDeliverer, testSnapshot } from './tools/delivery.ts'
import { startTestDns } from './tools/dns-server.ts'
import { startTestNats } from './tools/nats.ts'
import { until } from './tools/until.ts'

const domains = Array.from({ length: 40 }, (_, n) => `d${n}.example`)

test('first mails to 40 domains with one MX host get its 2 connections between them, from two processes', async (t) => {
  const dns = await startTestDns(Object.fromEntries([['mx.example', { a: ['127.0.0.2'] }], ...domains.map((domain) => [domain, { mx: [[10, 'mx.example']] }])]))
  const host = await startSink({ host: '127.0.0.2', port: 0, delayMs: (phase) => (phase === 'dot' ? 50 : 0) })
  const nats = await startTestNats()
  const deliverers = [0, 1].map(() => testDeliverer(testSnapshot(), { resolver: createResolver({ nameservers: () => [dns.nameserver] }), mxPort: host.port, allowLoopback: true, connectionsPerSite: 2, timeouts: { idle: 600_000 } })) // none is closed and opened again while this machine stalls
  const queues = await Promise.all(['pod-1', 'pod-2'].map((pod) => openTestQueue(nats, { name: 'site', pod })))
  t.after(async () => {
    await Promise.all([...queues, ...deliverers, host, dns].map((one) => one.close()))
    await nats.stop()
  })
  for (const [index, queue] of queues.entries()) {
    await until('durable', () => queue.durable().ok)
    await queue.start(deliverers[index]!)
  }
  await until('each has its lanes', () => queues.every((queue) => queue.counts().lanesOwned > 10) && queues.reduce((sum, queue) => sum + queue.counts().lanesOwned, 0) === 64, 60_000)
  const answers = await Promise.all(domains.map((domain) => queues[0]!.accept(aMessage({ domains: [domain] }))))
  assert.ok(answers.every(({ kind }) => kind === 'stored'))
  await until('40 delivered', () => host.count() === domains.length, 60_000)
  assert.ok(host.connections() <= 2, `${host.connections()} connections`)
})
