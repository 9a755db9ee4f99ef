// What becomes of packs that are read wrong, and of what is noted about them when their lane is lost in the middle.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aMessage, delivered, deliverer, simulated } from './fixtures.ts'
import { composeGroup, place } from './group.ts'
import { laneOf } from './lanes.ts'
import { Look } from './look.ts'
import { encodeNote } from './record-wire.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { SimulatedStream } from './simulated-stream.ts'
import { giveOrders } from './steer.ts'
import type { Stream, StoredRecord } from './stream.ts'
import { createSubjects, partOf } from './subjects.ts'

const subjects = createSubjects('simulated')
const left = (stream: SimulatedStream) => stream.all().map(({ subject }) => subject).filter((subject) => !/\.(own|epoch)\./.test(subject))
const packOf = (messages: readonly ReturnType<typeof aMessage>[]) => composeGroup(subjects, 'g', messages.map((message) => place(message, (domain) => domain, 65_536)), true)[0]!
const mails = (count: number) => Array.from({ length: count }, () => aMessage())
/** A process that gets other bytes at its first reading than are there. */
const garbling = (garble: (record: StoredRecord) => StoredRecord) => (view: Stream): Stream => ({ ...view, read: (options) => view.read({ ...options, onRecord: (record) => options.onRecord(garble(record)) }) })
const cutShort = (record: StoredRecord): StoredRecord => (record.subject.includes('.pack.') ? { ...record, payload: record.payload.subarray(0, 90) } : record)

for (const [what, payload] of [['cut short', cutShort], ['changed in its first byte', (record: StoredRecord) => (record.subject.includes('.pack.') ? { ...record, payload: Buffer.concat([Buffer.from([1]), record.payload.subarray(1)]) } : record)]] as const)
  test(`of a pack of 5 that is read ${what} at first, the 2 that an earlier owner has finished are not tried again, and nothing is left`, async (t) => {
    const clock = new SimulatedClock()
    const stream = new SimulatedStream(clock)
    const messages = mails(5)
    const pack = packOf(messages)
    const finished = [1, 3].map((at) => partOf(pack.subject, at).slice('simulated.'.length))
    void stream.view().batch([pack, { subject: subjects.note(subjects.lane(pack.subject), 'dead', 0), payload: encodeNote({ finished }) }])
    await clock.pass(10)
    const tried: string[] = []
    const { stop } = await simulated({ after: { clock, stream }, deliverer: () => deliverer(({ message }) => (tried.push(message), delivered)), view: garbling(payload) })
    t.after(stop)
    await clock.pass(60_000)
    assert.deepEqual(tried.sort(), [0, 2, 4].map((at) => messages[at]!.id).sort())
    assert.deepEqual(left(stream), [])
  })

test('a pack that cannot be read, of which an earlier owner has finished 1, waits on hold as a whole, and its old note goes', async (t) => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock)
  const pack = packOf(mails(5))
  void stream.view().batch([{ ...pack, payload: pack.payload.subarray(0, 90) }, { subject: subjects.note(subjects.lane(pack.subject), 'dead', 0), payload: encodeNote({ finished: [partOf(pack.subject, 2).slice('simulated.'.length)] }) }])
  await clock.pass(10)
  const { stop } = await simulated({ after: { clock, stream }, deliverer: () => deliverer(() => delivered) })
  t.after(stop)
  await clock.pass(60_000)
  assert.deepEqual(left(stream).map((subject) => subject.split('.')[1]), ['held'])
})

/** Its head is no JSON any more, its length the same. */
const spoil = (payload: Buffer, message: string): Buffer => {
  const at = payload.indexOf(`{"message":"${message}`)
  return Buffer.concat([payload.subarray(0, at), Buffer.from('!'), payload.subarray(at + 1)])
}

test('2 of 4 deliveries of a pack that cannot be read wait on hold under names of their own, and an order to delete 1 leaves the other', async (t) => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock)
  const messages = mails(4)
  const pack = packOf(messages)
  void stream.view().publish({ ...pack, payload: spoil(spoil(pack.payload, messages[1]!.id), messages[2]!.id) })
  await clock.pass(10)
  const tried: string[] = []
  const { context, stop } = await simulated({ after: { clock, stream }, deliverer: () => deliverer(({ message }) => (tried.push(message), delivered)) })
  t.after(stop)
  await clock.pass(60_000)
  assert.deepEqual(tried.sort(), [messages[0]!.id, messages[3]!.id].sort())
  const look = new Look(context, { ownerOf: () => undefined })
  const ask = async <T>(question: Promise<T>): Promise<T> => (await clock.pass(5_000), question)
  const ids = (await ask(look.list({ state: 'held' }))).map(({ id }) => id)
  assert.equal(new Set(ids).size, 2)
  const [answer] = await ask(giveOrders(context, look, { order: 'delete' }, [ids[0]!]))
  assert.equal(answer?.done, true)
  await clock.pass(10_000)
  assert.deepEqual((await ask(look.list({ state: 'held' }))).map(({ id }) => id), [ids[1]])
  assert.equal(left(stream).length, 1)
})

test('of a pack in which 1 of 4 cannot be read, and whose second reading is cut short, the other 3 stay in the queue until they have ended', async (t) => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock)
  const messages = mails(4)
  const pack = packOf(messages)
  void stream.view().publish(pack)
  await clock.pass(10)
  const tried: string[] = []
  const first = await simulated({
    after: { clock, stream }, deliverer: () => deliverer(() => new Promise<never>(() => {})),
    view: (view) => ({
      ...garbling((record) => (record.subject.includes('.pack.') ? { ...record, payload: spoil(record.payload, messages[1]!.id) } : record))(view),
      last: async (subject, from) => {
        const found = await view.last(subject, from)
        return found.kind === 'found' ? { ...found, record: cutShort(found.record) } : found
      },
    }),
  })
  await clock.pass(20_000)
  first.stop()
  const second = await simulated({ after: { clock, stream }, pod: 'pod-2', deliverer: () => deliverer(({ message }) => (tried.push(message), delivered)) })
  t.after(second.stop)
  await clock.pass(60_000)
  assert.deepEqual(tried.sort(), [0, 2, 3].map((at) => messages[at]!.id).sort())
  assert.deepEqual(left(stream).map((subject) => subject.split('.')[1]), ['held'])
})

test('of a pack in which 1 of 4 cannot be read, and that is read cut short at first, that 1 waits on hold and the other 3 are delivered', async (t) => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock)
  const messages = mails(4)
  const pack = packOf(messages)
  void stream.view().publish({ ...pack, payload: spoil(pack.payload, messages[1]!.id) })
  await clock.pass(10)
  const tried: string[] = []
  const { stop } = await simulated({ after: { clock, stream }, deliverer: () => deliverer(({ message }) => (tried.push(message), delivered)), view: garbling(cutShort) })
  t.after(stop)
  await clock.pass(60_000)
  assert.deepEqual(tried.sort(), [0, 2, 3].map((at) => messages[at]!.id).sort())
  assert.deepEqual(left(stream).map((subject) => subject.split('.')[1]), ['held'])
})

const notesLeft = (stream: SimulatedStream): number => left(stream).filter((subject) => subject.includes('.done.')).length
/** Everything is delivered at once but what takes an hour. */
const withSlow = (isSlow: (id: string) => boolean) => (clock: SimulatedClock) =>
  deliverer(async ({ message }) => {
    if (isSlow(message)) await new Promise<void>((resolve) => void clock.after(3_600_000, resolve))
    return delivered
  })

test('while 1 delivery of a pack takes an hour, of 4,000 mails after it for 2 lanes that are settled together no notes pile up', async (t) => {
  const messages = mails(5)
  const { clock, stream, accept, stop } = await simulated({ deliverer: withSlow((id) => id === messages[3]!.id) })
  t.after(stop)
  for (const message of messages) accept(message)
  for (let n = 0; n < 2_000; n++) {
    accept(aMessage({ domains: ['one.example', 'two.example'] }))
    await clock.pass(100)
  }
  await clock.pass(60_000)
  assert.ok(notesLeft(stream) < 2_100, `${notesLeft(stream)} notes`)
  await clock.pass(3_600_000)
  assert.deepEqual(left(stream), [])
})

test('a lane that came back with 1 delivery of a pack still waiting keeps no notes of what was delivered since, 300 mails', async (t) => {
  const messages = mails(5)
  const { clock, stream, owner, accept, stop } = await simulated({ deliverer: withSlow((id) => id === messages[3]!.id) })
  t.after(stop)
  for (const message of messages) accept(message)
  await clock.pass(2_000)
  owner.own.lost(owner.own.tenureOf(laneOf('one.example'))!, 'a test')
  await clock.pass(60_000)
  const before = notesLeft(stream)
  assert.ok(before > 0, 'what was finished of the pack is noted')
  for (let n = 0; n < 300; n++) {
    accept(aMessage())
    await clock.pass(1_000)
  }
  await clock.pass(30_000)
  assert.equal(notesLeft(stream), before)
  await clock.pass(3_700_000)
  assert.deepEqual(left(stream), [])
})

test('a lane that another has, lost while what came of 3 of 4 deliveries of a pack was being stored, keeps no notes of 300 mails for other lanes', async (t) => {
  const messages = mails(5)
  const answers = { isLate: true }
  const { clock, stream, owner, accept, stop } = await simulated({
    deliverer: withSlow((id) => id === messages[3]!.id),
    view: (view, clock) => ({
      ...view,
      publish: async (record) => {
        const answer = await view.publish(record)
        if (answers.isLate && record.payload.includes('.pack.')) await new Promise<void>((resolve) => void clock.after(2_000, resolve))
        return answer
      },
    }),
  })
  t.after(stop)
  for (const message of messages) accept(message)
  await clock.pass(1_000)
  const lost = owner.own.tenureOf(laneOf('one.example'))!
  owner.own.lost(lost, 'a test')
  void owner.own.passOn(lost, 7_200_000)
  const other = await simulated({ after: { clock, stream }, pod: 'pod-2', deliverer: () => deliverer(() => delivered) })
  t.after(other.stop)
  await clock.pass(60_000)
  answers.isLate = false
  assert.ok(other.owner.own.tenureOf(lost.lane), 'another has it')
  const ours = Array.from({ length: 100 }, (_, n) => `d${n}.example`).find((domain) => owner.own.tenureOf(laneOf(domain)))!
  for (let n = 0; n < 300; n++) {
    accept(aMessage({ domains: [ours] }))
    await clock.pass(1_000)
  }
  await clock.pass(60_000)
  assert.deepEqual(left(stream), [])
})
