// What is left of a body that never became a message. How bodies are written and read is in more.test.ts, against a real server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChunkedWriter } from './body-writer.ts'
import { usualLimits, type Context } from './context.ts'
import { silentLog } from '../report/index.ts'
import { createRoom } from './room.ts'
import { SimulatedClock } from './simulated-clock.ts'
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
