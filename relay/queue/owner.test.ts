// Records that cannot be read while the servers do not answer. What becomes of them otherwise is in more.test.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aMessage, delivered, deliverer, simulated } from './fixtures.ts'
import { laneOf } from './lanes.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { SimulatedStream } from './simulated-stream.ts'

test('a record that cannot be read is put on hold also where the leader did not answer the first 3 times it was asked for it', async (t) => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock)
  void stream.view().publish({ subject: 'simulated.ready.7.bulk.x.0', payload: Buffer.from([1, 0, 1, 0, 1]) })
  await clock.pass(10)
  const asked = { times: 0 }
  const isSilent = (subject: string, from: string): boolean => subject.includes('.ready.') && from === 'leader' && ++asked.times <= 3
  const { stop } = await simulated({
    after: { clock, stream },
    deliverer: () => deliverer(() => delivered),
    view: (view) => ({ ...view, last: (subject, from) => (isSilent(subject, from) ? Promise.resolve({ kind: 'unknown', why: 'no leader' }) : view.last(subject, from)) }),
  })
  t.after(stop)
  await clock.pass(30_000)
  assert.deepEqual(stream.all().map(({ subject }) => subject.split('.')[1]).filter((kind) => kind === 'ready' || kind === 'held'), ['held'])
})

test('1 record of a newer format that none of 2 processes can read does not keep the rest of its lane from being delivered', async (t) => {
  const tried: string[] = []
  const parts = () => deliverer(({ domain }) => (tried.push(domain), delivered))
  const first = await simulated({ deliverer: parts })
  const { clock, stream, accept } = first
  const second = await simulated({ after: { clock, stream }, deliverer: parts, pod: 'pod-2' })
  t.after(() => (first.stop(), second.stop()))
  await clock.pass(60_000)
  const newer = `simulated.ready.${laneOf('one.example')}.bulk.z.0`
  void stream.view().publish({ subject: newer, payload: Buffer.from([9, 0, 0]) })
  await clock.pass(5_000)
  accept(aMessage({ domains: ['one.example'] }))
  await clock.pass(180_000)
  assert.deepEqual(tried, ['one.example'])
  assert.ok(stream.all().some(({ subject }) => subject === newer), 'it is left alone')
})

test('a record that is read wrong once is no record set aside: 0 are counted where the second reading is good, and 1 where it is put on hold, also when its first owner could not store that', async (t) => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock)
  const faults = { garbles: true, refuses: false }
  const tried: string[] = []
  const { accept, metrics, stop } = await simulated({
    after: { clock, stream },
    deliverer: () => deliverer(({ domain }) => (tried.push(domain), delivered)),
    view: (view) => ({
      ...view,
      read: (options) => view.read({ ...options, onRecord: (record) => options.onRecord(faults.garbles && record.subject.includes('.ready.') ? { ...record, payload: record.payload.subarray(0, 40) } : record) }),
      batch: (records) => (faults.refuses && records.some(({ subject }) => subject.includes('.held.')) ? Promise.resolve({ kind: 'error', code: 10071, text: 'wrong last sequence: 99' }) : view.batch(records)),
    }),
  })
  t.after(stop)
  const counted = async (): Promise<number> => (await metrics.recordsUnreadable.get()).values[0]!.value
  accept(aMessage())
  await clock.pass(10_000)
  assert.deepEqual([tried, await counted()], [['one.example'], 0])
  Object.assign(faults, { garbles: false, refuses: true })
  void stream.view().publish({ subject: 'simulated.ready.7.bulk.x.0', payload: Buffer.from([1, 0, 1, 0, 1]) })
  await clock.pass(10_000)
  assert.equal(await counted(), 0)
  faults.refuses = false
  await clock.pass(60_000)
  assert.deepEqual([stream.all().filter(({ subject }) => subject.includes('.held.')).length, await counted()], [1, 1])
})

test('a new owner keeps 0 of the 100 deliveries that the notes of the one before him name, once they are removed', async (t) => {
  const first = await simulated({ deliverer: () => deliverer(() => delivered), view: (stream) => ({ ...stream, purge: () => Promise.resolve(undefined), remove: () => Promise.resolve(false) }) })
  const { clock, stream } = first
  for (let n = 0; n < 100; n++) first.accept(aMessage())
  await clock.pass(10_000)
  first.stop()
  const second = await simulated({ after: { clock, stream }, deliverer: () => deliverer(() => delivered), pod: 'pod-2' })
  t.after(second.stop)
  const lane = laneOf('one.example')
  await clock.pass(120_000)
  assert.deepEqual(stream.all().filter(({ subject }) => /\.(ready|done)\./.test(subject)), [])
  assert.deepEqual(second.owner.next.notesOf(lane)!.old, [])
})
