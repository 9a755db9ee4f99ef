// Several processes on one queue: what one leaves behind, by a crash or by leaving, another goes on with.
import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startTestNats, type TestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { aMessage, delivered, deliverer, openTestQueue } from './fixtures.ts'
import type { Queue } from './types.ts'

let nats: TestNats
const open: Queue[] = []
const children: ChildProcess[] = []
before(async () => {
  nats = await startTestNats(3)
})
after(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const queue of open) await queue.close()
  await nats.stop()
})

/** A process of its own that takes lanes and never ends an attempt; it reports what it holds. */
const startChild = async (name: string, pod: string): Promise<{ child: ChildProcess; state: { lanes: number; inFlight: number } }> => {
  const child = fork(join(import.meta.dirname, 'takeover-process.ts'), [name, pod, ...nats.urls, '--', ...nats.monitorUrls], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  children.push(child)
  const state = { lanes: 0, inFlight: 0 }
  child.on('message', (message) => Object.assign(state, message))
  return { child, state }
}

test('kill -9 of the process that serves all lanes: another takes them and delivers all of 200 accepted messages', async () => {
  const { child, state } = await startChild('crash', 'pod-a')
  await until('the child has all lanes', () => state.lanes === 64, 60_000)
  const survivor = await openTestQueue(nats, { name: 'crash', pod: 'pod-b' })
  open.push(survivor)
  await until('durable', () => survivor.durable().ok)
  const seen = new Map<string, number>()
  await survivor.start(deliverer(({ message }) => (seen.set(message, (seen.get(message) ?? 0) + 1), delivered)))
  const messages = Array.from({ length: 200 }, (_, n) => aMessage({ domains: [`d${n % 50}.example`] }))
  const answers = await Promise.all(messages.map((message) => survivor.accept(message)))
  assert.ok(answers.every(({ kind }) => kind === 'stored'))
  await until('the child has some in flight', () => state.inFlight > 50)
  const killedAt = Date.now()
  child.kill('SIGKILL')
  await until('all delivered', () => messages.every(({ id }) => seen.has(id)), 150_000)
  assert.ok(Date.now() - killedAt < 150_000)
  assert.equal(survivor.counts().lanesOwned, 64)
  assert.ok([...seen.values()].every((times) => times === 1))
})

test('kill -9 of one nats-server of three, the leader once among them: 300 messages accepted meanwhile all arrive', async () => {
  const queue = await openTestQueue(nats, { name: 'servers', pod: 'pod-a' })
  open.push(queue)
  await until('durable', () => queue.durable().ok)
  const seen = new Set<string>()
  await queue.start(deliverer(({ message }) => (seen.add(message), delivered)))
  const stored: string[] = []
  for (const index of [0, 1, 2]) {
    const messages = Array.from({ length: 100 }, (_, n) => aMessage({ domains: [`d${n % 20}.example`] }))
    const answers = messages.map(async (message, n) => {
      await new Promise((resolve) => setTimeout(resolve, n * 20))
      if ((await queue.accept(message, 60_000)).kind === 'stored') stored.push(message.id)
    })
    await nats.kill(index)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    await nats.restart(index)
    await Promise.all(answers)
  }
  assert.ok(stored.length >= 290, `${stored.length} of 300 were stored`)
  await until('all that were stored arrive', () => stored.every((id) => seen.has(id)), 150_000)
})
