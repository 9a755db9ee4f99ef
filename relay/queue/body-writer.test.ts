// What is left of a body that never became a message. How bodies are written and read is in more.test.ts, against a real server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collected } from '../../test/tools/heap.ts'
import { ChunkedWriter } from './body-writer.ts'
import { usualLimits, type Context } from './context.ts'
import { silentLog } from '../report/index.ts'
import type { QueueError } from './errors.ts'
import { createRoom } from './room.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { Pace } from './pace.ts'
import { noFaults, SimulatedStream } from './simulated-stream.ts'
import { createSubjects } from './subjects.ts'
import { sweepChunks } from './upkeep.ts'

test('of an abandoned body of 3 chunks, the answer to the 3rd of which was lost, nothing is left after the sweep', async () => {
  const clock = new SimulatedClock()
  let asked = 0
  const stream = new SimulatedStream(clock, { ...noFaults, fault: () => ({ kind: ++asked === 3 ? 'answer-lost' : 'none' }) })
  const context = { stream: stream.view(), subjects: createSubjects('b'), clock, log: silentLog, limits: usualLimits } as unknown as Context
  const writer = new ChunkedWriter(context, { room: createRoom(9e6, clock), volumeTakesMore: () => true }, 'half')
  void writer.write(Buffer.alloc(usualLimits.inlineBytes + 3 * 512 * 1024))
  await clock.pass(10_000)
  assert.equal(stream.all().length, 3)
  void writer.abandon()
  await clock.pass(1_000)
  void sweepChunks(context, clock.now() + usualLimits.halfBodyMs)
  await clock.pass(1_000)
  assert.deepEqual(stream.all().map(({ subject }) => subject), [])
})

test('of an abandoned body of 3 chunks, of whose purge the servers hear only when they are asked a 3rd time, nothing is left without a sweep', async () => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock, noFaults)
  let purges = 0
  const view = stream.view((call) => ({ kind: call.startsWith('purge') && ++purges < 3 ? 'question-lost' : 'none' }))
  const context = { stream: view, subjects: createSubjects('b'), clock, log: silentLog, limits: usualLimits } as unknown as Context
  const writer = new ChunkedWriter(context, { room: createRoom(9e6, clock), volumeTakesMore: () => true }, 'refused')
  void writer.write(Buffer.alloc(usualLimits.inlineBytes + 3 * 512 * 1024))
  await clock.pass(10_000)
  assert.equal(stream.all().length, 3)
  void writer.abandon()
  await clock.pass(60_000)
  assert.deepEqual([stream.all().map(({ subject }) => subject), purges], [[], 3])
})

for (const [swept, end] of [[true, 'QUEUE_UNREACHABLE'], [false, 'taken']] as const)
  test(`a body whose first 2 chunks came before all clocks were set 1 hour ahead, or its machine slept for so long, is ${swept ? 'not taken when they were swept meanwhile' : 'taken when they are there'}`, async () => {
    const clock = new SimulatedClock()
    const stream = new SimulatedStream(clock, noFaults)
    const context = { stream: stream.view(), subjects: createSubjects('b'), clock, log: silentLog, limits: usualLimits } as unknown as Context
    const writer = new ChunkedWriter(context, { room: createRoom(9e6, clock), volumeTakesMore: () => true }, 'slept')
    assert.equal(await settled(clock, writer.write(Buffer.alloc(usualLimits.inlineBytes + 2 * 512 * 1024)), 2_000), 'taken')
    await clock.pass(usualLimits.halfBodyMs)
    if (swept) void sweepChunks(context, clock.now())
    await clock.pass(1_000)
    assert.equal(stream.all().length, swept ? 0 : 2)
    assert.equal(await settled(clock, writer.write(Buffer.alloc(512 * 1024)), 2_000), 'taken')
    assert.equal(await settled(clock, writer.end().then(() => {}), 2_000), end)
  })

const settled = async (clock: SimulatedClock, writing: Promise<void>, ms: number): Promise<string> => {
  let end = 'waits'
  writing.then(() => (end = 'taken'), (error: QueueError) => (end = error.code))
  for (let passed = 0; passed < ms; passed += 1_000) await clock.pass(1_000)
  return end
}

for (const [what, count, bytes, then] of [
  ['570 KB of a body, and then nothing', 42, 570_000, ['taken', 'taken']],
  ['60 KB of a header section, and then nothing', 300, 60_000, ['MEMORY_SHORT', 'taken']],
] as const)
  test(`${count} clients that send ${what} do not keep a mail of 2 KB waiting for a minute`, async () => {
    const clock = new SimulatedClock()
    const context = { stream: new SimulatedStream(clock, noFaults).view(), subjects: createSubjects('b'), clock, log: silentLog, limits: usualLimits } as unknown as Context
    const room = createRoom(usualLimits.unstoredBytes, clock)
    const writers = Array.from({ length: count }, (_, n) => new ChunkedWriter(context, { room, volumeTakesMore: () => true }, `m${n}`))
    const first = writers.map((writer) => writer.write(Buffer.alloc(bytes, 'x')).catch(() => {}))
    await clock.pass(2_000)
    const small = new ChunkedWriter(context, { room, volumeTakesMore: () => true }, 'small')
    assert.equal(await settled(clock, small.write(Buffer.alloc(2_000, 'x')), 55_000), 'taken')
    await small.abandon()
    await Promise.all(first)
    assert.deepEqual([await settled(clock, writers[0]!.write(Buffer.from('more')), 1_000), await settled(clock, writers[1]!.write(Buffer.from('more')), 1_000)], then) // who was slow goes on, or has to come again
    await Promise.all(writers.map((writer) => settled(clock, writer.abandon(), 1_000)))
    assert.equal(room.used(), 0)
  })

/** Writers of bodies in a room of the usual size, and how long mail that is written there waits. */
const aRoom = (volumeTakesMore = (): boolean => true) => {
  const clock = new SimulatedClock()
  const context = { stream: new SimulatedStream(clock, noFaults).view(), subjects: createSubjects('b'), clock, log: silentLog, limits: usualLimits } as unknown as Context
  const room = createRoom(usualLimits.unstoredBytes, clock)
  return { clock, room, writer: (id: string) => new ChunkedWriter(context, { room, volumeTakesMore }, id) }
}
const withHeader = (bytes: number): Buffer => Buffer.concat([Buffer.from('Subject: x\r\n\r\n'), Buffer.alloc(bytes, 'x')])

test('of 42 clients that paused for 15 s while nothing was short, and whose 400 KB can be stored, 0 are sent away when memory becomes short', async () => {
  const { clock, room, writer } = aRoom()
  const paused = Array.from({ length: 42 }, (_, n) => writer(`m${n}`))
  for (const one of paused) await one.write(withHeader(400_000))
  await clock.pass(15_000)
  const fresh = writer('fresh')
  assert.deepEqual([room.has(8_000_000, 'begins'), await settled(clock, fresh.write(withHeader(8_000_000)), 10_000)], [false, 'taken'])
  assert.deepEqual(new Set(await Promise.all(paused.map((one) => settled(clock, one.write(Buffer.from('more')), 1_000)))), new Set(['taken']))
})

test('1 client that paused for 15 s with all but the head of its mail in the volume goes on where 42 others can store more than the mail that waits needs', async () => {
  const { clock, writer } = aRoom()
  const stored = writer('stored')
  const sending = stored.write(withHeader(65_536 + 524_288 - 14))
  await clock.pass(1_000)
  await sending
  for (let n = 0; n < 42; n++) await writer(`m${n}`).write(withHeader(400_000))
  await clock.pass(15_000)
  assert.equal(await settled(clock, writer('fresh').write(withHeader(4_000_000)), 10_000), 'taken')
  assert.equal(await settled(clock, stored.write(Buffer.from('more')), 1_000), 'taken')
})

test('of 300 clients that send half a header section and then nothing, 1 is sent away when 1 mail waits for memory, and 0 when it waits for half a second', async () => {
  const { clock, room, writer } = aRoom()
  const slow = Array.from({ length: 300 }, (_, n) => writer(`m${n}`))
  for (const one of slow) await one.write(Buffer.alloc(60_000, 'x'))
  await clock.pass(15_000)
  const first = writer('first').write(Buffer.alloc(2_000, 'x'))
  await clock.pass(500)
  await slow[299]!.abandon()
  await first
  assert.equal(room.used(), 299 * 60_000 + 2_000)
  const second = writer('second')
  assert.equal(await settled(clock, second.write(Buffer.alloc(60_000, 'x')), 5_000), 'taken')
  const ends = await Promise.all(slow.slice(0, 299).map((one) => one.write(Buffer.from('x')).then(() => 'taken', (error: QueueError) => error.code)))
  assert.equal(ends.filter((end) => end !== 'taken').length, 1)
})

test('of 42 bodies that the volume has no room for, and whose clients say nothing more, the memory is given back when others wait', async () => {
  const { clock, writer } = aRoom(() => false)
  const slow = Array.from({ length: 42 }, (_, n) => writer(`m${n}`))
  for (const one of slow) await one.write(withHeader(428_000))
  assert.equal(await settled(clock, writer('small').write(withHeader(40_000)), 30_000), 'taken')
})

test('of a client that leaves while its 64 KB wait for memory, 0 bytes of the room stay taken', async () => {
  const clock = new SimulatedClock()
  const context = { stream: new SimulatedStream(clock, noFaults).view(), subjects: createSubjects('b'), clock, log: silentLog, limits: usualLimits } as unknown as Context
  const room = createRoom(100_000, clock)
  const [first, second] = ['m1', 'm2'].map((id) => new ChunkedWriter(context, { room, volumeTakesMore: () => true }, id)) as [ChunkedWriter, ChunkedWriter]
  await first.write(Buffer.alloc(64_000, 'x'))
  const waits = settled(clock, second.write(Buffer.alloc(64_000, 'x')), 5_000)
  await second.abandon()
  await first.abandon()
  assert.deepEqual([await waits, room.used()], ['QUEUE_CLOSED', 0])
})

test('who sent 10 MB at once is behind a pace of 2 bytes a ms after 10 s of nothing, who sends 20 KB each 9 s never is, 1 byte a second is after 11', () => {
  const after = (bytes: number, everyMs: number, times: number): boolean => {
    const pace = new Pace({ bytesPerMs: 2, ms: 10_000 })
    pace.came(10_000_000, 0)
    for (let n = 0; n < times; n++) pace.came(bytes, everyMs)
    return pace.isBehind(everyMs)
  }
  assert.deepEqual([after(0, 10_000, 0), after(0, 10_001, 0), after(20_000, 9_000, 100), after(1, 1_000, 9), after(1, 1_000, 10)], [false, true, false, false, true])
})

/** What is left of the tests before would hide what grows here. */
const held = async (): Promise<number> => {
  const { heapUsed, external } = await collected()
  return (heapUsed + external) / 1e6
}

test('2 bodies that come octet by octet, 100,000 of them, hold less than 8 MB together', async () => {
  const clock = new SimulatedClock()
  const context = { stream: new SimulatedStream(clock, noFaults).view(), subjects: createSubjects('b'), clock, log: silentLog, limits: usualLimits } as unknown as Context
  const room = createRoom(usualLimits.unstoredBytes, clock)
  const before = await held()
  const bodies = Array.from({ length: 2 }, (_, n) => new ChunkedWriter(context, { room, volumeTakesMore: () => true }, `m${n}`))
  for (const body of bodies) for (let n = 0; n < 100_000; n++) await body.write(Buffer.alloc(1, 'x'))
  const grown = (await held()) - before
  assert.ok(grown < 8, `${grown.toFixed(1)} MB`)
  for (const body of bodies) void body.abandon()
})
