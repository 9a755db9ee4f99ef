// Servers that come back with an older state of the stream, from a backup, under processes that go on.
import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startTestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { aMessage, delivered, deliverer, openTestQueue } from './fixtures.ts'

for (const count of [1, 3] as const)
  test(`of 3 mails that come after ${count} ${count === 1 ? 'server was' : 'servers were'} put back to a backup with 200 records less, each is delivered, though their process was not started again`, async (t) => {
    const nats = await startTestNats(count)
    t.after(() => nats.stop())
    const queue = await openTestQueue(nats)
    t.after(() => queue.close())
    const seen: string[] = []
    await queue.start(deliverer(({ message }) => (seen.push(message), delivered)))
    const send = async (): Promise<string> => {
      const message = aMessage()
      await until('it to be stored', async () => (await queue.accept(message)).kind === 'stored')
      return message.id
    }
    const arrives = async (id: string): Promise<unknown> => until(`${id} to be delivered`, () => seen.includes(id), 60_000)
    await until('all lanes', () => queue.counts().lanesOwned === 64)
    await arrives(await send())
    const all = [...nats.servers.keys()]
    const whileDown = async (work: (data: string, backup: string) => void): Promise<void> => {
      await Promise.all(all.map((index) => nats.kill(index)))
      for (const index of all) work(join(nats.folder, `n${index}`), join(nats.folder, `backup${index}`))
      await Promise.all(all.map((index) => nats.restart(index)))
    }
    await whileDown((data, backup) => cpSync(data, backup, { recursive: true }))
    await until('the queue', () => queue.outage() === undefined)
    for (const id of await Promise.all(Array.from({ length: 200 }, send))) await arrives(id)

    await whileDown((data, backup) => {
      rmSync(data, { recursive: true })
      cpSync(backup, data, { recursive: true })
    })
    for (let n = 0; n < 3; n++) await arrives(await send())
    assert.ok(queue.counts().lanesOwned > 0)
  })
