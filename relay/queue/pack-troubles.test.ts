// What becomes of packs that are read wrong, and of what is noted about them when their lane is lost in the middle.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aMessage, delivered, deliverer, simulated } from './fixtures.ts'
import { composeGroup, place } from './group.ts'
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
