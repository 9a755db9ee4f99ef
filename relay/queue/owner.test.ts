// Records that cannot be read while the servers do not answer. What becomes of them otherwise is in more.test.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { delivered, deliverer, simulated } from './fixtures.ts'
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
