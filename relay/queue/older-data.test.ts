// Servers that come back with an older state of the stream, from a backup, under processes that go on.
import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startTestNats, type TestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { aMessage, delivered, deliverer, openTestQueue } from './fixtures.ts'
import type { Queue } from './types.ts'

const sendTo = async (queue: Queue): Promise<string> => {
  const message = aMessage()
  await until('it to be stored', async () => (await queue.accept(message)).kind === 'stored')
  return message.id
}

for (const [count, after] of [[1, 3], [3, 3], [3, 600]] as const)
  test(`of ${after} mails that come after ${count} ${count === 1 ? 'server was' : 'servers were'} put back to a backup with 200 mails less, each is delivered, though their process was not started again${after > 200 ? ', and the end that it knew is passed at once' : ''}`, async (t) => {
    const nats = await startTestNats(count)
    t.after(() => nats.stop())
    const queue = await openTestQueue(nats)
    t.after(() => queue.close())
    const seen: string[] = []
    await queue.start(deliverer(({ message }) => (seen.push(message), delivered)))
    const send = () => sendTo(queue)
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
    if (after > 200) for (const id of await Promise.all(Array.from({ length: after }, send))) await arrives(id)
    else for (let n = 0; n < after; n++) await arrives(await send())
    assert.ok(queue.counts().lanesOwned > 0)
  })

test('of 100 mails that another process stored on a backup, past the end that this one knew, each is delivered by this one, which never saw the stream shorter', async (t) => {
  const nats = await startTestNats()
  t.after(() => nats.stop())
  const queue = await openTestQueue(nats)
  t.after(() => queue.close())
  const seen: string[] = []
  await queue.start(deliverer(({ message }) => (seen.push(message), delivered)))
  await until('all lanes', () => queue.counts().lanesOwned === 64)
  const folderOf = ({ folder }: TestNats): string => join(folder, 'n0')
  await nats.kill(0)
  cpSync(folderOf(nats), `${nats.folder}/backup`, { recursive: true })
  await nats.restart(0)
  await until('the queue', () => queue.outage() === undefined)
  const known = await Promise.all(Array.from({ length: 10 }, () => sendTo(queue)))
  await until('what this process knows', () => known.every((id) => seen.includes(id)), 60_000)

  await nats.kill(0)
  const other = await startTestNats(1, (folder) => cpSync(`${nats.folder}/backup/jetstream`, join(folder, 'jetstream'), { recursive: true }))
  t.after(() => other.stop())
  const writer = await openTestQueue(other)
  const stored = await Promise.all(Array.from({ length: 100 }, () => sendTo(writer)))
  await writer.close()
  await other.kill(0)
  rmSync(folderOf(nats), { recursive: true })
  cpSync(folderOf(other), folderOf(nats), { recursive: true })
  await nats.restart(0)
  await until('all that was stored to be delivered', () => stored.every((id) => seen.includes(id)), 60_000)
})
