// What the stream is given to store. That timelines come back in order is in more.test.ts, against a real server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics, silentLog } from '../report/index.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { SimulatedStream } from './simulated-stream.ts'
import { TraceStream } from './trace-stream.ts'

const mostPayload = 1_048_576

test('1,000 lines of 1,000 characters with 3 octets each, of one message, are stored in records that a server takes', async () => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock)
  const traces = new TraceStream({ stream: stream.view(), name: 'r', clock, log: silentLog, metrics: createMetrics() })
  for (let at = 0; at < 1_000; at++) traces.emit({ at, message: 'm', kind: 'attempt', pod: 'p', text: '漢'.repeat(1_000) })
  await clock.pass(2_000)
  assert.ok(stream.all().every(({ payload }) => payload.length <= mostPayload))
  let found = 0
  void traces.of('m').then(({ length }) => (found = length))
  await clock.pass(2_000)
  assert.equal(found, 1_000)
})

test('1 line that no record can hold is lost, and not those that come after it', async () => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock).view()
  const refuse = () => Promise.reject(new RangeError('max_payload size exceeded'))
  const traces = new TraceStream({ stream: { ...stream, publish: (record) => (record.payload.length > mostPayload ? refuse() : stream.publish(record)) }, name: 'r', clock, log: silentLog, metrics: createMetrics() })
  const lines = [['m', 'x'.repeat(2_000_000)], ['m', 'y']] as const
  for (const [message, text] of lines) {
    traces.emit({ at: 0, message, kind: 'attempt', pod: 'p', text })
    await clock.pass(2_000)
  }
  const found: string[] = []
  void traces.of('m').then((events) => found.push(...events.map(({ text }) => text)))
  await clock.pass(2_000)
  assert.deepEqual(found, ['y'])
})

test('2 lines whose first answer from the servers was lost stand once each in the timeline', async () => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock).view()
  let lost = 0
  const traces = new TraceStream({ stream: { ...stream, publish: async (record) => (await stream.publish(record), ++lost === 1 ? { kind: 'silence', text: 'timeout' } : { kind: 'ack', seq: 2, duplicate: false }) }, name: 'r', clock, log: silentLog, metrics: createMetrics() })
  for (const text of ['x', 'y']) traces.emit({ at: 0, message: 'm', kind: 'attempt', pod: 'p', text })
  await clock.pass(2_000)
  const found: string[] = []
  void traces.of('m').then((events) => found.push(...events.map(({ text }) => text)))
  await clock.pass(2_000)
  assert.deepEqual([lost, found], [2, ['x', 'y']])
})

test('a timeline begins with what was accepted, also where it was tried 1 ms before the process that took it heard that it is stored', async () => {
  const clock = new SimulatedClock()
  const traces = new TraceStream({ stream: new SimulatedStream(clock).view(), name: 'r', clock, log: silentLog, metrics: createMetrics() })
  for (const [at, kind] of [[2, 'held'], [3, 'accepted'], [5, 'bounced'], [4, 'released']] as const) traces.emit({ at, message: 'm', kind, pod: 'p', text: '' })
  await clock.pass(2_000)
  const found: string[] = []
  void traces.of('m').then((events) => found.push(...events.map(({ kind }) => kind)))
  await clock.pass(2_000)
  assert.deepEqual(found, ['accepted', 'held', 'released', 'bounced'])
})
