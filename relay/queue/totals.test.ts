import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestNats, type TestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { aMessage, deferred, deliverer, openTestQueue } from './fixtures.ts'
import { openJetStream } from './jetstream.ts'
import { createSubjects } from './subjects.ts'
import { createTotals } from './totals.ts'

let nats: TestNats
before(async () => {
  nats = await startTestNats()
})
after(() => nats.stop())

test('counts 2 deferred, 3 held and then 1 ready delivery of the whole queue, with no consumer left behind', async () => {
  const queue = await openTestQueue(nats, { name: 'totals' })
  const stream = openJetStream({ servers: nats.urls, name: 'totals' })
  try {
    await until('durable', () => queue.durable().ok)
    await queue.start(deliverer((delivery) => deferred(delivery, Date.now() + 600_000)))
    await queue.accept(aMessage({ domains: ['a.example', 'b.example'] }))
    await queue.accept(aMessage({ domains: ['c.example', 'd.example', 'e.example'], hold: 'a test' }))
    const all = () => Promise.all(['later', 'held', 'ready'].map((kind) => stream.count(`totals.${kind}.>`)))
    await until('all are in their places', async () => (await all()).join() === '2,3,0')
    const consumers = async () => ((await stream.api('STREAM.INFO.totals'))!.state as { consumer_count: number }).consumer_count
    const before = await consumers()
    const totals = createTotals(stream, createSubjects('totals'), { monotonic: () => performance.now() })
    assert.equal(totals(), undefined) // it does not wait
    await until('known', () => totals() !== undefined)
    assert.deepEqual(totals(), { ready: 0, deferred: 2, held: 3 })
    assert.equal(await consumers(), before)
    queue.setPaused(true)
    await queue.accept(aMessage())
    await until('one is ready', async () => (await all())[2] === 1)
    let later = 0
    const afterwards = createTotals(stream, createSubjects('totals'), { monotonic: () => (later += 15_000) })
    await until('since when it waits', () => afterwards()?.oldestReadyAt !== undefined)
    assert.ok(Math.abs(Date.now() - afterwards()!.oldestReadyAt!) < 60_000)
  } finally {
    await queue.close()
    await stream.close()
  }
})

test('asks once in 15 s however often it is looked at, keeps the last answer through an outage, and gives up on it after 3 minutes', async () => {
  let asked = 0
  let answer: number | undefined = 7
  let now = 0
  const totals = createTotals({ count: async () => (asked++, answer), records: async () => [], subjects: async () => new Map() }, createSubjects('t'), { monotonic: () => now })
  for (let n = 0; n < 10; n++) totals()
  assert.equal(asked, 3)
  await until('known', () => totals() !== undefined)
  answer = undefined
  now = 15_000
  assert.deepEqual(totals(), { ready: 7, deferred: 7, held: 7 })
  assert.equal(asked, 6)
  now = 180_000
  assert.notEqual(totals(), undefined)
  now = 180_001
  assert.equal(totals(), undefined)
})
