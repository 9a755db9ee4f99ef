// Orders of people whose lane changes hands meanwhile. What orders do is in more.test.ts, against a real server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aMessage, deferred, delivered, deliverer, simulated } from './fixtures.ts'
import { Look } from './look.ts'
import { giveOrders } from './steer.ts'
import type { OrderResult } from './types.ts'

test('an order that failed because its lane changed hands can be given again as soon as the same process has the lane', async (t) => {
  const fence = { refuses: false }
  const { clock, context, accept, stop } = await simulated({
    deliverer: (clock) => deliverer((delivery) => (delivery.attempt === 1 ? deferred(delivery, clock.now() + 3_600_000) : delivered)),
    view: (stream) => ({ ...stream, batch: (records) => (fence.refuses && records.some(({ subject }) => subject.includes('.done.')) ? Promise.resolve({ kind: 'error', code: 10071, text: 'wrong last sequence: 99' }) : stream.batch(records)) }),
  })
  t.after(stop)
  const message = aMessage()
  accept(message)
  await clock.pass(5_000)
  const hold = async (): Promise<OrderResult | undefined> => {
    const answers: OrderResult[] = []
    void giveOrders(context, new Look(context, { ownerOf: () => undefined }), { order: 'hold' }, [`${message.id}.0`]).then((results) => answers.push(...results))
    await clock.pass(5_000)
    return answers[0]
  }
  fence.refuses = true
  assert.equal((await hold())?.why, 'its lane has changed hands; try again')
  fence.refuses = false
  await clock.pass(60_000)
  assert.deepEqual(await hold(), { id: `${message.id}.0`, done: true })
})

test('an order to 1 delivery that a newer release put on hold is answered at once: this release cannot read it', async (t) => {
  const { clock, context, stop } = await simulated({ deliverer: () => deliverer(() => delivered) })
  t.after(stop)
  const { stream, subjects } = context
  void stream.publish({ subject: subjects.held(3, 'one.example', 'm1-0', 1), payload: Buffer.from([9, 9, 9]) })
  await clock.pass(1_000)
  const answers: OrderResult[] = []
  void giveOrders(context, new Look(context, { ownerOf: () => undefined }), { order: 'release' }, ['m1.0']).then((results) => answers.push(...results))
  await clock.pass(5_000)
  assert.deepEqual(answers, [{ id: 'm1.0', done: false, why: 'this release cannot read it and leaves it alone; the release that wrote it can' }])
})

test('after an order to 1 delivery that was due in an hour, neither its note stays nor those of the 20 mails delivered since: its schedule is removed, and fires no more', async (t) => {
  const { clock, stream, context, accept, stop } = await simulated({
    deliverer: (clock) => deliverer((delivery) => (delivery.domain === 'later.example' && delivery.attempt === 1 ? deferred(delivery, clock.now() + 3_600_000) : delivered)),
  })
  t.after(stop)
  const message = aMessage({ domains: ['later.example'] })
  accept(message)
  await clock.pass(5_000)
  const answers: OrderResult[] = []
  void giveOrders(context, new Look(context, { ownerOf: () => undefined }), { order: 'retry' }, [`${message.id}.0`]).then((results) => answers.push(...results))
  await clock.pass(5_000)
  for (let count = 0; count < 20; count++) {
    accept(aMessage())
    await clock.pass(1_000)
  }
  await clock.pass(10_000)
  assert.deepEqual([answers, stream.all().map(({ subject }) => subject).filter((subject) => !/\.(own|epoch)\./.test(subject))], [[{ id: `${message.id}.0`, done: true }], []])
})
