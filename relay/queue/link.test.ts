// One process whose link to the queue's server does what links do: it is cut in the middle of an answer, or answers are lost on it.
import assert from 'node:assert/strict'
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { after, before, test, type TestContext } from 'node:test'
import { startTestNats, type TestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { aMessage, deferred, delivered, deliverer, openTestQueue } from './fixtures.ts'
import { openJetStream } from './jetstream.ts'

let nats: TestNats
before(async () => {
  nats = await startTestNats()
})
after(() => nats.stop())

/** What becomes of the bytes from the server. */
type Link = { swallows: boolean; /** After so many more of them the connection is cut, and the next one is whole. */ cutAfter: number }

const startProxy = async (url: string, link: Link) => {
  const { port, hostname } = new URL(url)
  const sockets = new Set<Socket>()
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname)
    const end = () => (client.destroy(), server.destroy())
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', end).on('close', end)
    }
    client.on('data', (data: Buffer) => server.write(data))
    server.on('data', (data: Buffer) => {
      if (link.swallows) return
      const part = data.subarray(0, link.cutAfter)
      link.cutAfter -= part.length
      if (part.length < data.length) link.cutAfter = Infinity
      if (!client.destroyed) client.write(part, () => part.length < data.length && end())
    })
  })
  await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve))
  return {
    url: `nats://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    close: () => {
      for (const socket of sockets) socket.destroy()
      proxy.close()
    },
  }
}

/** Mails of 1 to 3 recipients, some of which are put off once, while `trouble` lasts; then everything ends, and how often each came. */
const live = async (t: TestContext, name: string, mails: number, trouble: (link: Link, turn: number) => void) => {
  const link: Link = { swallows: false, cutAfter: Infinity }
  const proxy = await startProxy(nats.urls[0]!, link)
  const queue = await openTestQueue({ ...nats, urls: [proxy.url] }, { name })
  const direct = openJetStream({ servers: nats.urls, name })
  t.after(async () => {
    await queue.close()
    await direct.close()
    proxy.close()
  })
  await until('durable', () => queue.durable().ok)
  const came = new Map<string, number>()
  await queue.start(deliverer((delivery) => {
    if (delivery.domain === 'b.example' && delivery.attempt === 1) return deferred(delivery, Date.now() + 500)
    came.set(delivery.id, (came.get(delivery.id) ?? 0) + 1)
    return delivered
  }))
  await until('its lanes', () => queue.counts().lanesOwned === 64)
  const accepted: string[] = []
  for (let turn = 0; turn < mails; turn++) {
    trouble(link, turn)
    const message = aMessage({ domains: ['a.example', 'b.example', 'c.example'].slice(0, 1 + (turn % 3)), body: Buffer.alloc(turn % 2 === 0 ? 100 : 30_000, 'x') })
    const { kind } = await queue.accept(message, 20_000)
    if (kind === 'stored') accepted.push(...message.deliveries.map((_, n) => `${message.id}.${n}`))
  }
  Object.assign(link, { swallows: false, cutAfter: Infinity })
  await until('all of it', () => accepted.every((id) => came.has(id)), 120_000)
  await until('nothing left', async () => [...(await direct.subjects(`${name}.>`))!.keys()].every((subject) => /\.(own|epoch)\./.test(subject)), 120_000)
  return { accepted: accepted.length, doubled: [...came].filter(([, times]) => times > 1) }
}

test('of 12 mails over a link that is cut in the middle of answers, 37 octets later each time, and swallows them for 2 s twice, each recipient gets 1 copy', async (t) => {
  const { accepted, doubled } = await live(t, 'cut', 12, (link, turn) => {
    link.cutAfter = turn * 37 + 1
    if (turn % 6 !== 5) return
    link.swallows = true
    setTimeout(() => (link.swallows = false), 2_000)
  })
  assert.ok(accepted > 0)
  assert.deepEqual(doubled, [])
})

test('1 mail whose record was lost on its way to the process that serves its lane is delivered, though no other comes after it', async (t) => {
  const link: Link = { swallows: false, cutAfter: Infinity }
  const proxy = await startProxy(nats.urls[0]!, link)
  const queue = await openTestQueue({ ...nats, urls: [proxy.url] }, { name: 'lost' })
  const other = await openTestQueue(nats, { name: 'lost' })
  t.after(async () => {
    await queue.close()
    await other.close()
    proxy.close()
  })
  const came: string[] = []
  await until('durable', () => queue.durable().ok && other.durable().ok)
  await queue.start(deliverer(({ message }) => (came.push(message), delivered)))
  await until('its lanes', () => queue.counts().lanesOwned === 64)
  const send = async (): Promise<string> => {
    const message = aMessage({ domains: ['a.example'] })
    assert.equal((await other.accept(message)).kind, 'stored')
    return message.id
  }
  const first = await send()
  await until('the first', () => came.includes(first))
  link.swallows = true
  const second = await send()
  await new Promise((resolve) => setTimeout(resolve, 300))
  link.swallows = false
  await until('the second', () => came.includes(second), 60_000)
})
