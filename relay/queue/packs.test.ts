// Mail that was accepted together lies in records of up to 64 deliveries. The rest of what the queue promises for them is in model.test.ts.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { startTestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { aMessage, deferred, delivered, deliverer, openTestQueue, simulated } from './fixtures.ts'
import { composeGroup, place } from './group.ts'
import { openJetStream } from './jetstream.ts'
import { laneOf } from './lanes.ts'
import { Look } from './look.ts'
import { packBytes, partsOf } from './packs.ts'
import { decodeDelivery } from './record-wire.ts'
import { giveOrders } from './steer.ts'
import { createSubjects } from './subjects.ts'
import type { Deliverer } from './types.ts'

const subjects = createSubjects('r')
const stored = (records: readonly { subject: string; payload: Buffer }[]) => records.map((record, n) => ({ ...record, seq: n + 1, at: 0 }))
const left = (stream: { all(): { subject: string }[] }) => stream.all().map(({ subject }) => subject).filter((subject) => !/\.(own|epoch)\./.test(subject))
/** Mail that arrives at once: the first goes by itself, the others together while that is on its way. */
const mails = (count: number) => Array.from({ length: count }, () => aMessage())

test('200 mails of both classes for 2 lanes lie in 5 records of at most 64, and come out as they were', () => {
  const messages = Array.from({ length: 200 }, (_, n) => aMessage({ domains: [n % 50 === 0 ? 'two.example' : 'one.example'], class: n % 2 === 0 ? 'bulk' : 'transactional', body: Buffer.from(`mail ${n}`) }))
  const placed = messages.map((message) => place(message, (domain) => domain, 65_536))
  const records = composeGroup(subjects, 'g', placed, true)
  assert.deepEqual(records.map(({ subject }) => subject.split('.').slice(3).join('.')).sort(), ['pack.g.0.4', 'pack.g.0.64', 'pack.g.1.64', 'pack.g.2.64', 'pack.g.3.4'])
  const parts = stored(records).flatMap(partsOf)
  assert.equal(new Set(parts.map(({ subject }) => subject)).size, 200)
  const found = parts.map(({ payload }) => decodeDelivery(payload))
  assert.deepEqual(found.map(({ head, inline }) => `${head.message} ${inline.toString()}`).sort(), messages.map(({ id, headers, body }) => `${id} ${headers.toString()}${'inline' in body ? body.inline.toString() : ''}`).sort())
  for (const { sizes } of found) assert.equal(sizes.batch, records.length)
})

test('50 mails of 40 KB lie in records of at most 256 KB, one of 60 KB beside them in none that is larger', () => {
  const messages = Array.from({ length: 50 }, (_, n) => aMessage({ body: Buffer.alloc(n === 20 ? 60_000 : 40_000, 'x') }))
  const records = composeGroup(subjects, 'g', messages.map((message) => place(message, (domain) => domain, 65_536)), true)
  assert.ok(records.length < 12, `${records.length} records`)
  for (const { payload } of records) assert.ok(payload.length <= packBytes, `${payload.length} bytes`)
})

test('50 mails to 100 recipients each, with long addresses, lie in records of at most 256 KB', () => {
  const mailbox = { local: 'l'.repeat(64), domain: `${'d'.repeat(60)}.${'e'.repeat(60)}.${'f'.repeat(60)}.example` }
  const recipients = Array.from({ length: 100 }, () => ({ mailbox, orcpt: `rfc822;${'\\'.repeat(480)}` }))
  const placed = Array.from({ length: 50 }, () => {
    const message = aMessage()
    return place({ ...message, deliveries: message.deliveries.map((delivery) => ({ ...delivery, recipients })) }, (domain) => domain, 65_536)
  })
  const records = composeGroup(subjects, 'g', placed, true)
  assert.ok(records.length < 50, `${records.length} records`)
  for (const { payload } of records) assert.ok(payload.length <= packBytes, `${payload.length} bytes`)
})

test('a pack that is cut short, or holds another number than its subject says, is unreadable as a whole', () => {
  const [record] = composeGroup(subjects, 'g', mails(3).map((message) => place(message, (domain) => domain, 65_536)), true)
  const pack = stored([record!])[0]!
  assert.equal(partsOf(pack).length, 3)
  assert.throws(() => partsOf({ ...pack, payload: pack.payload.subarray(0, -1) }), { code: 'RECORD_UNREADABLE' })
  assert.throws(() => partsOf({ ...pack, subject: subjects.pack(1, 'g', 0, 4) }), { code: 'RECORD_UNREADABLE' })
})

test('of 30 mails in packs with 1 that hangs, the next owner tries that 1 alone, and nothing is left when it has ended', async (t) => {
  const tried: string[] = []
  const messages = mails(30)
  const slow = messages[12]!
  const { clock, stream, accept, stop } = await simulated({ deliverer: () => deliverer(({ message }) => (tried.push(message), message === slow.id ? new Promise<never>(() => {}) : delivered)) })
  for (const message of messages) accept(message)
  await clock.pass(5_000)
  assert.equal(tried.length, 30)
  assert.ok(left(stream).some((subject) => subject.includes('.pack.')), 'the pack of the one that hangs is kept')
  stop()
  const next = await simulated({ after: { clock, stream }, pod: 'pod-2', deliverer: () => deliverer(({ message }) => (tried.push(message), delivered)) })
  t.after(next.stop)
  await clock.pass(120_000)
  assert.deepEqual(tried.slice(30), [slow.id])
  assert.deepEqual(left(stream), [])
})

test('a pack that is read wrong once is delivered by its second reading; one that cannot be read at all waits on hold with its bytes', async (t) => {
  const tried: string[] = []
  const faults = { garbles: true }
  const { clock, stream, accept, stop } = await simulated({
    deliverer: () => deliverer(({ message }) => (tried.push(message), delivered)),
    view: (view) => ({ ...view, read: (options) => view.read({ ...options, onRecord: (record) => options.onRecord(faults.garbles && record.subject.includes('.pack.') ? { ...record, payload: record.payload.subarray(0, 90) } : record) }) }),
  })
  t.after(stop)
  for (const message of mails(20)) accept(message)
  await clock.pass(10_000)
  assert.equal(new Set(tried).size, 20)
  assert.equal(tried.length, 20)
  void stream.view().publish({ subject: 'simulated.ready.7.pack.x.0.2', payload: Buffer.from([2, 0, 0, 0, 9, 1]) })
  await clock.pass(120_000)
  assert.deepEqual(left(stream).map((subject) => subject.split('.')[1]), ['held'])
})

test('while 1 delivery of a pack takes an hour, the notes of 3,000 mails after it do not pile up', async (t) => {
  const { clock, stream, accept, stop } = await simulated({
    deliverer: (clock) => deliverer(async ({ message }) => {
      if (message === slow.id) await new Promise<void>((resolve) => void clock.after(3_600_000, resolve))
      return delivered
    }),
  })
  t.after(stop)
  const messages = mails(5)
  const slow = messages[3]!
  for (const message of messages) accept(message)
  for (let n = 0; n < 3_000; n++) {
    accept(aMessage())
    await clock.pass(100)
  }
  await clock.pass(60_000)
  const notes = left(stream).filter((subject) => subject.includes('.done.')).length
  assert.ok(notes > 0 && notes < 1_100, `${notes} notes`)
  await clock.pass(3_600_000)
  assert.deepEqual(left(stream), [])
})

test('who looks at 6 deliveries in records together sees each by itself, and an order to 1 of them is obeyed and leaves the others alone', async (t) => {
  const tried: string[] = []
  const gate = { open: false }
  const waiting: Deliverer = { ...deliverer(({ message }) => (tried.push(message), delivered)), admit: () => ({ kind: gate.open ? 'now' : 'wait' }) }
  const { clock, stream, context, accept, stop } = await simulated({ deliverer: () => waiting })
  t.after(stop)
  const messages = mails(6)
  for (const message of messages) accept(message)
  await clock.pass(1_000)
  const look = new Look(context, { ownerOf: () => undefined })
  const ask = async <T>(question: Promise<T>): Promise<T> => (await clock.pass(5_000), question)
  assert.deepEqual(await ask(look.summary()), [{ domain: 'one.example', ready: 6, deferred: 0, held: 0 }])
  assert.deepEqual((await ask(look.list({}))).map(({ id }) => id).sort(), messages.map(({ id }) => `${id}.0`).sort())
  const [answer] = await ask(giveOrders(context, look, { order: 'delete' }, [`${messages[4]!.id}.0`]))
  assert.equal(answer?.done, true)
  assert.deepEqual(await ask(look.summary()), [{ domain: 'one.example', ready: 5, deferred: 0, held: 0 }])
  gate.open = true
  await clock.pass(60_000)
  assert.deepEqual(tried.sort(), messages.filter((_, n) => n !== 4).map(({ id }) => id).sort())
  assert.deepEqual(left(stream), [])
})

test('of 20,000 deliveries in packs no more than the window and one pack are held at once', async (t) => {
  let most = 0
  let tried = 0
  const { clock, stream, owner, accept, stop } = await simulated({
    limits: { windowCount: 500 },
    deliverer: (clock) => deliverer(async () => {
      tried++
      await new Promise<void>((resolve) => void clock.after(50, resolve))
      return delivered
    }),
  })
  t.after(stop)
  const look = () => (most = Math.max(most, owner.next.counts().ready + owner.next.counts().inFlight))
  for (let n = 0; n < 20_000; n++) {
    accept(aMessage())
    if (n % 1_000 === 0) await clock.pass(10)
    look()
  }
  for (let n = 0; n < 2_000 && left(stream).some((subject) => subject.includes('.ready.')); n++) {
    await clock.pass(100)
    look()
  }
  assert.equal(tried, 20_000)
  assert.ok(most > 400 && most <= 500 + 64, `${most}`)
})

const olderBeat = Buffer.from(JSON.stringify({ pod: 'older', incarnation: 'o1', revision: '', serving: false, lanes: [] }))

test('while a process of an older release lives, what waits in packs of 40 mails goes on by itself, and so does 1 in flight when its lane is let go: no pack is left, and each of the others was tried once', async (t) => {
  const tried: string[] = []
  const messages = mails(40)
  const slow = messages[1]!
  const gate = { open: 10 }
  const hanging: Deliverer = {
    ...deliverer((delivery, _body, signal) => {
      tried.push(delivery.message)
      return delivery.message === slow.id ? new Promise((resolve) => signal.addEventListener('abort', () => resolve(deferred(delivery, 0)))) : delivered
    }),
    admit: () => ({ kind: gate.open-- > 0 ? 'now' : 'wait' }),
  }
  const first = await simulated({ deliverer: () => hanging })
  const { clock, stream } = first
  const packs = () => stream.all().filter(({ subject }) => subject.includes('.pack.'))
  for (const message of messages) first.accept(message)
  await clock.pass(1_000)
  assert.ok(packs().length > 0 && tried.length === 10, 'some were tried, the others wait in packs')
  gate.open = 0
  let end = () => {}
  const beat = () => {
    stream.view().tell('simulated.beat.older', olderBeat)
    end = clock.after(1_000, beat)
  }
  beat()
  await clock.pass(5_000)
  assert.equal(packs().length, 1, 'that of the one in flight')
  void first.owner.drain(2_000)
  await clock.pass(10_000)
  first.stop()
  assert.deepEqual(packs(), [])
  for (const { payload } of stream.all().filter(({ subject }) => subject.includes('.ready.'))) assert.equal(payload[0], 1)
  end()
  const next = await simulated({ after: { clock, stream }, pod: 'pod-2', deliverer: () => deliverer(({ message }) => (tried.push(message), delivered)) })
  t.after(next.stop)
  await clock.pass(60_000)
  assert.deepEqual(tried.filter((id) => id !== slow.id).sort(), messages.map(({ id }) => id).filter((id) => id !== slow.id).sort())
  assert.deepEqual(left(stream), [])
})

test('a process packs nothing before it has listened for 4 s, nor until 4 s after it last heard one of an older release', async (t) => {
  const { clock, stream, owner, stop } = await simulated({ deliverer: () => deliverer(() => delivered) }) // 3 s ago
  t.after(stop)
  assert.equal(owner.own.heartbeat.mayPack(), false)
  await clock.pass(1_500)
  assert.equal(owner.own.heartbeat.mayPack(), true)
  stream.view().tell('simulated.beat.older', olderBeat)
  await clock.pass(3_000)
  assert.equal(owner.own.heartbeat.mayPack(), false)
  await clock.pass(2_000)
  assert.equal(owner.own.heartbeat.mayPack(), true)
})

test('of 64 readers that share the window each asks for 16 records at a time when 300 have come with 1 delivery each', async (t) => {
  const open = new Map<string, number>() // what each has asked for and not got
  let most = 0
  const { clock, owner, accept, stop } = await simulated({
    deliverer: () => deliverer(() => delivered),
    view: (view) => ({
      ...view,
      read: (options) => {
        const name = options.filters.join(' ')
        const count = (by: number) => open.set(name, (open.get(name) ?? 0) + by)
        const reader = view.read({ ...options, onRecord: (record) => (count(-1), options.onRecord(record)) })
        return { ...reader, want: (more) => (count(more), reader.want(more)) }
      },
    }),
  })
  t.after(stop)
  for (const lane of owner.own.lanes()) void owner.next.gained([owner.own.tenureOf(lane)!])
  await clock.pass(5_000)
  for (let n = 0; n < 300; n++) {
    accept(aMessage())
    await clock.pass(20)
    if (n > 250) most = Math.max(most, open.get(`simulated.ready.${laneOf('one.example')}.> simulated.epoch.${laneOf('one.example')}`)!)
  }
  assert.ok(most >= 16, `${most}`)
})

/** A queue that delivers nothing yet; `packs`: how many lie there. */
const pausedOnRealServer = async (t: TestContext) => {
  const nats = await startTestNats()
  const queue = await openTestQueue(nats, { name: 'packs' })
  const stream = openJetStream({ servers: nats.urls, name: 'packs' })
  t.after(async () => {
    await queue.close()
    await stream.close()
    await nats.stop()
  })
  await until('durable', () => queue.durable().ok)
  queue.setPaused(true)
  return { queue, stream, packs: async () => (await stream.subjects('packs.ready.*.pack.>'))!.size }
}

test('of mails in packs of which all are delivered but 1, which is at work, 1 is counted as ready', async (t) => {
  const { queue, packs } = await pausedOnRealServer(t)
  const ended = new Set<string>()
  let slow = ''
  await queue.start(deliverer(({ message }) => (message === slow ? new Promise<never>(() => {}) : (ended.add(message), delivered))))
  const all: string[] = []
  const accept = async () => {
    const more = mails(60)
    await Promise.all(more.map((message) => queue.accept(message)))
    all.push(...more.map(({ id }) => id))
  }
  await until('together in records', async () => (await accept(), (await packs()) > 0), 60_000, 1_000) // not before the others were listened to
  slow = all.at(-1)!
  queue.setPaused(false)
  await until('the others are delivered', () => ended.size === all.length - 1)
  await until('1 to be counted', async () => (await queue.count())?.ready === 1)
  assert.ok((await packs()) > 0, 'its pack is kept')
})

test('of 100 mails accepted at once by a real server each is counted, and none is in a pack while a process of an older release lives', async (t) => {
  const { queue, stream, packs } = await pausedOnRealServer(t)
  await queue.start(deliverer((delivery) => deferred(delivery, Date.now() + 600_000)))
  const accept = () => Promise.all(Array.from({ length: 100 }, () => queue.accept(aMessage())))
  let accepted = 0
  const acceptMore = async () => (await accept(), (accepted += 100))
  await until('together in records', async () => (await acceptMore()) > 0 && (await packs()) > 0, 60_000, 1_000)
  await until('each is counted', async () => (await queue.count())?.ready === accepted)
  const older = setInterval(() => stream.tell('packs.beat.older', olderBeat), 500)
  t.after(() => clearInterval(older))
  await until('it is heard', () => queue.peers().length === 2)
  await until('what was in packs waits by itself', async () => (await packs()) === 0)
  await acceptMore()
  await until('each is counted', async () => (await queue.count())?.ready === accepted)
  assert.equal(await packs(), 0)
})
