// Bodies of unstored mail against the memory they may take: pure room, and the whole with a real server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { createAccept } from './accept.ts'
import { systemClock } from './clock.ts'
import { usualLimits, type Context } from './context.ts'
import type { QueueError } from './errors.ts'
import { aMessage, openTestQueue } from './fixtures.ts'
import { openJetStream } from './jetstream.ts'
import { createRoom } from './room.ts'

test('a room of 100 keeps 25 for those who go on, lets in who waits longest, and says no when patience is over', async () => {
  const room = createRoom(100, systemClock)
  assert.equal(await room.take(75, 10, 'begins'), true)
  assert.equal(room.has(1, 'begins'), false)
  assert.equal(await room.take(1, 10, 'begins'), false)
  const [first, second] = [room.take(20, 10_000, 'begins'), room.take(5, 10_000, 'begins')]
  assert.equal(await room.take(25, 10, 'goes-on'), true)
  assert.equal(room.used(), 100)
  room.give(50)
  assert.deepEqual(await Promise.all([first, second]), [true, true])
  assert.equal(room.used(), 75)
})

test('something bigger than the room passes alone', async () => {
  const room = createRoom(100, systemClock)
  assert.equal(await room.take(500, 10), true)
  assert.equal(await room.take(1, 10), false)
  room.give(500)
  assert.equal(await room.take(1, 10), true)
})

test('a mail that finds no room for the 10 ms in which its client waits is refused for want of memory, and not as by a full queue, which is another matter for who is on call', async () => {
  const room = createRoom(100, systemClock)
  await room.take(100, 10, 'goes-on')
  const context = { clock: systemClock, limits: usualLimits, siteOf: (domain: string) => domain } as unknown as Context
  assert.deepEqual(await createAccept(context, room, () => undefined, () => false).accept(aMessage(), 10), { kind: 'refused', why: 'memory' })
})

for (const [count, megabytes] of [[60, 2], [500, 0.25]] as const)
  test(`${count} bodies of ${megabytes} MB that are written at the same time are all stored, in bounded memory, and none waits for the others to end`, async (t) => {
    const nats = await startTestNats()
    const queue = await openTestQueue(nats, { name: 'room' })
    t.after(async () => {
      await queue.close()
      await nats.stop()
    })
    await until('durable', () => queue.durable().ok)
    const piece = Buffer.concat([Buffer.from('Subject: big\r\n\r\n'), Buffer.alloc(64 * 1024, 'x')]).subarray(0, 64 * 1024)
    const write = async (_: unknown, n: number): Promise<number> => {
      const body = queue.newBody(`m${n}`)
      for (let k = 0; k < megabytes * 16; k++) await body.write(piece)
      const ended = await body.end()
      return 'chunked' in ended ? ended.chunked.bytes : ended.inline.length
    }
    const began = performance.now()
    const sizes = await Promise.all(Array.from({ length: count }, write))
    t.diagnostic(`${((performance.now() - began) / 1000).toFixed(1)} s`)
    assert.deepEqual(new Set(sizes), new Set([megabytes * 1024 * 1024]))
  })

test('30 bodies of 2 MB written at the same time stop at 80 % of a queue that has room for 20 MB, and leave nothing behind', async (t) => {
  const nats = await startTestNats()
  const queue = await openTestQueue(nats, { name: 'small', bytesLimit: 20 * 2 ** 20, trace: { days: 1, bytes: 1_000_000 } })
  const stream = openJetStream({ servers: nats.urls, name: 'small' })
  t.after(async () => {
    await stream.close()
    await queue.close()
    await nats.stop()
  })
  await until('durable', () => queue.durable().ok)
  const piece = Buffer.concat([Buffer.from('Subject: big\r\n\r\n'), Buffer.alloc(64 * 1024, 'x')]).subarray(0, 64 * 1024)
  const write = async (_: unknown, n: number): Promise<string> => {
    const body = queue.newBody(`m${n}`)
    try {
      for (let k = 0; k < 32; k++) {
        await body.write(piece)
        taken += piece.length
      }
      await body.end()
      return 'kept'
    } catch (error) {
      most = Math.max(most, (await stream.state())?.bytes ?? 0) // before any of it goes again
      await body.abandon()
      return (error as QueueError).code
    }
  }
  let [taken, most] = [0, 0]
  const ends = await Promise.all(Array.from({ length: 30 }, write))
  t.diagnostic(`${ends.filter((end) => end === 'kept').length} kept, most in the stream ${(most / 2 ** 20).toFixed(1)} MiB`)
  assert.deepEqual(new Set(ends), new Set(['QUEUE_FULL']))
  assert.ok(taken > 10 * 2 ** 20, `${taken} bytes taken before they were refused`)
  assert.ok(most > 0 && most < 18 * 2 ** 20, `${most} bytes in the stream`)
  await until('nothing left', async () => ((await stream.state())?.bytes ?? Infinity) < 100_000)
})
