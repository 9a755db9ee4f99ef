// Bodies, orders, looks, trace and what is set aside: one process against one real server.
import { createHash } from 'node:crypto'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { startTestNats, type TestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { aMessage, deferred, delivered, deliverer, openTestQueue } from './fixtures.ts'
import { bodyOf } from './bodies.ts'
import { openJetStream, type JetStream } from './jetstream.ts'
import { laneOf } from './lanes.ts'
import type { BodyPointer } from './record.ts'
import { encodeBodyStart, encodeDelivery } from './record-wire.ts'
import { Removal } from './removal.ts'
import { createSubjects } from './subjects.ts'
import { sweepChunks, sweepEnds } from './upkeep.ts'
import { createMetrics, silentLog } from '../report/index.ts'
import { systemClock } from './clock.ts'
import { usualLimits, type Context } from './context.ts'
import type { Queue, ComposeNotice, Notice, Order } from './types.ts'
import type { QueueOptions } from './open.ts'

let nats: TestNats
const open: { close(): Promise<void> }[] = []
before(async () => {
  nats = await startTestNats()
})
after(async () => {
  for (const one of open) await one.close()
  await nats.stop()
})
const aQueue = async (name: string, more: Partial<QueueOptions> = {}): Promise<Queue> => {
  const queue = await openTestQueue(nats, { name, ...more })
  open.push(queue)
  await until('durable', () => queue.durable().ok)
  return queue
}
const aStream = async (name: string): Promise<JetStream> => {
  const stream = openJetStream({ servers: nats.urls, name })
  open.push(stream)
  await until('connected', () => stream.connected())
  return stream
}
const nothingLeft = async (stream: JetStream, name: string) =>
  until('nothing left', async () => [...(await stream.subjects(`${name}.>`))!.keys()].every((subject) => /\.(own|epoch)\./.test(subject)))

test('a body of 3 MB goes in chunks, reaches 2 domains byte for byte, and is gone when both have it', async () => {
  const queue = await aQueue('chunks')
  const bytes = randomBytes(3_000_000)
  const seen: Buffer[] = []
  await queue.start(
    deliverer(async (_, body) => {
      const pieces: Buffer[] = []
      for await (const piece of body.open()) pieces.push(piece as Buffer)
      seen.push(Buffer.concat(pieces))
      return delivered
    }),
  )
  const message = aMessage({ domains: ['a.example', 'b.example'] })
  const writer = queue.newBody(message.id)
  for (let at = 0; at < bytes.length; at += 100_000) await writer.write(bytes.subarray(at, at + 100_000))
  const body = await writer.end()
  assert.ok('chunked' in body)
  assert.equal(body.chunked.sha256, createHash('sha256').update(bytes).digest('hex'))
  assert.equal((await queue.accept({ ...message, body })).kind, 'stored')
  await until('both', () => seen.length === 2)
  for (const one of seen) assert.ok(one.equals(Buffer.concat([message.headers, bytes])))
  await nothingLeft(await aStream('chunks'), 'chunks')
})

test('a body of which 1 octet changed on the servers is not delivered: it is held, and says why, in the log, for an alert, and in the timeline', async () => {
  const lines: [string, unknown][] = []
  const metrics = createMetrics()
  const queue = await aQueue('damaged', { metrics, log: { ...silentLog, error: (code, fields) => void lines.push([code, fields?.delivery]) } })
  const stream = await aStream('damaged')
  let whole = 0
  let open = false
  await queue.start(
    deliverer(async (delivery, body) => {
      if (!open) return deferred(delivery, Date.now() + 500)
      for await (const _ of body.open());
      whole++
      return delivered
    }),
  )
  const bytes = randomBytes(1_300_000)
  for (const [id, domain] of [['bad', 'bad.example'], ['good', 'good.example']] as const) {
    const writer = queue.newBody(id)
    await writer.write(bytes)
    assert.equal((await queue.accept({ ...aMessage({ domains: [domain] }), body: await writer.end() })).kind, 'stored')
  }
  const subject = 'damaged.body.bad.1'
  const found = await stream.last(subject, 'leader')
  assert.ok(found.kind === 'found')
  const changed = Buffer.from(found.record.payload)
  changed.writeUInt8(changed.readUInt8(99) ^ 1, 99)
  await stream.remove(found.record.seq)
  assert.equal((await stream.publish({ subject, payload: changed })).kind, 'ack')
  open = true
  await until('the one that is whole', () => whole === 1)
  await until('the other to be held', async () => (await queue.list({ state: 'held' })).length === 1)
  const [held] = await queue.list({ state: 'held' })
  assert.equal(held!.domain, 'bad.example')
  assert.match(held!.why ?? '', /the bytes of the body bad are not those that were accepted/)
  assert.equal(whole, 1)
  assert.deepEqual(lines.filter(([code]) => code !== 'BUG'), [['BODY_LOST', held!.id]]) // BUG: this deliverer lets the error through
  assert.equal((await metrics.recordsUnreadable.get()).values[0]!.value, 1)
  await until('the line in its timeline', async () => (await queue.trace(held!.message)).some(({ kind, text, recipients }) => kind === 'held' && text.startsWith('BODY_DAMAGED: the bytes of the body bad ') && recipients?.join() === 'fred@bad.example'))
})

test('a body whose record an older release wrote, with a hash of other bytes, is read without comparing', async () => {
  const stream = await aStream('older')
  await aQueue('older')
  const context: Context = { stream, subjects: createSubjects('older'), clock: systemClock } as unknown as Context
  const pointer = { id: 'old', chunks: 0, bytes: 5, sha256: 'of other bytes', shared: 1 }
  assert.equal((await stream.publish({ subject: 'older.body.old.0', payload: encodeBodyStart({ pointer, first: [Buffer.from('hello')] }) })).kind, 'ack')
  const read = async (body: BodyPointer): Promise<string> => {
    const pieces: Buffer[] = []
    for await (const piece of bodyOf(context, { body }).open()) pieces.push(piece as Buffer)
    return Buffer.concat(pieces).toString()
  }
  assert.equal(await read(pointer), 'hello')
  assert.equal((await bodyOf(context, { body: pointer }).head()).toString(), 'hello')
  const ofToday = { ...pointer, hashedFrom: 2, sha256: createHash('sha256').update('llo').digest('hex') }
  assert.equal(await read(ofToday), 'hello')
  for (const wrong of [{ ...ofToday, hashedFrom: 1 }, { ...ofToday, bytes: 4 }]) {
    const body = bodyOf(context, { body: wrong })
    await assert.rejects(read(wrong), { code: 'BODY_DAMAGED' })
    await assert.rejects(body.head(), { code: 'BODY_DAMAGED' })
    assert.equal(body.fault()?.code, 'BODY_DAMAGED')
    assert.equal((await bodyOf(context, { body: { ...wrong, chunks: 1 } }).head()).toString(), 'hello')
  }
})

test('chunks without a message: an abandoned body is purged at once, a forgotten one is swept when it is old, not before', async () => {
  const queue = await aQueue('sweep')
  const stream = await aStream('sweep')
  const write = async (id: string) => {
    const writer = queue.newBody(id)
    await writer.write(Buffer.alloc(1_200_000))
    return writer
  }
  const bodies = async () => new Set([...(await stream.subjects('sweep.body.>'))!.keys()].map((subject) => subject.split('.')[2]))
  const forgotten = await write('forgotten')
  await forgotten.end()
  await (await write('abandoned')).abandon()
  assert.deepEqual(await bodies(), new Set(['forgotten']))
  const context = { stream, subjects: createSubjects('sweep'), log: silentLog, limits: usualLimits } as unknown as Context
  assert.equal(await sweepChunks(context, Date.now()), 0)
  assert.equal(await sweepChunks(context, Date.now() + 3_700_000), 1)
  assert.deepEqual(await bodies(), new Set())
})

test('a body whose 2 deliveries have ended is swept with its ends, 1 of them written where the release before did; one that is still needed stays', async () => {
  await aQueue('ends')
  const stream = await aStream('ends')
  const subjects = createSubjects('ends')
  const body = (id: string) => ({ subject: subjects.body(id, 0), payload: encodeBodyStart({ pointer: { id, chunks: 0, bytes: 0, sha256: '', shared: 2 }, first: [] }) })
  const records = [body('over'), body('needed'), ...[subjects.end('over', '0'), 'ends.end.over.1', subjects.end('needed', '0')].map((subject) => ({ subject, payload: Buffer.alloc(0) }))]
  for (const record of records) assert.equal((await stream.publish(record)).kind, 'ack')
  const context: Context = { stream, subjects, clock: systemClock, log: silentLog, metrics: createMetrics(), limits: usualLimits } as unknown as Context
  const removal = new Removal(context)
  await sweepEnds(context, removal)
  await until('the sweeper to be done', () => removal.idle())
  removal.stop()
  assert.deepEqual([...(await stream.subjects('ends.*.>'))!.keys()].filter((subject) => !subject.includes('.own.')).sort(), ['ends.body.needed.0', 'ends.body.needed.end.0'])
})

test('hold, release, retry, postpone, delete and bounce do what they say, and say what they cannot do', async () => {
  const told: string[] = []
  const composeNotice: ComposeNotice = ({ delivery, notices, id }) => {
    told.push(`${delivery.id} ${notices[0]!.kind}`)
    return aMessage({ id, domains: ['sender.example'] })
  }
  const queue = await aQueue('orders', { composeNotice })
  const tried: string[] = []
  await queue.start(
    deliverer((delivery) => {
      tried.push(`${delivery.domain} ${delivery.attempt}`)
      return delivery.attempt === 1 && delivery.domain !== 'sender.example' ? deferred(delivery, Date.now() + 3_600_000) : delivered
    }),
  )
  const ids: Record<string, string> = {}
  for (const name of ['hold', 'retry', 'postpone', 'delete', 'bounce']) {
    const message = aMessage({ domains: [`${name}.example`] })
    await queue.accept(message)
    ids[name] = `${message.id}.0`
  }
  await until('all five wait', async () => (await queue.list({ state: 'deferred' })).length === 5)
  const order = async (what: Order, id: string, until?: number) => (await queue.order({ order: what, by: 'ann', ...(until !== undefined && { until }) }, [id]))[0]!
  const tomorrow = Date.now() + 86_400_000
  assert.deepEqual(await order('postpone', ids.postpone!, tomorrow), { id: ids.postpone, done: true })
  for (const what of ['hold', 'retry', 'delete', 'bounce'] as const) assert.deepEqual(await order(what, ids[what]!), { id: ids[what], done: true })
  await until('the retry has come', () => tried.includes('retry.example 2'))
  await until('the bounce was told and delivered', () => tried.includes('sender.example 1'))
  assert.deepEqual(told, [`${ids.bounce} failed`])
  const waiting = (await queue.list({})).map(({ id, state, why, nextAt }) => [id, state, why, nextAt])
  assert.deepEqual(waiting, [[ids.postpone, 'deferred', 'postponed by a person; before: try later', tomorrow], [ids.hold, 'held', 'put on hold by a person', waiting[1]?.[3]]])
  assert.equal((await order('postpone', ids.hold!, tomorrow)).why, 'it is on hold: it waits for its release, whatever the time')
  assert.equal((await order('retry', ids.hold!)).why, 'it is on hold: release lets it go')
  assert.equal((await order('postpone', ids.postpone!, Date.now() + 1_000)).done, true)
  await until('what was postponed has come when it was told to', () => tried.includes('postpone.example 2'))
  assert.equal((await order('hold', ids.hold!)).why, 'it is on hold already')
  assert.equal((await order('delete', ids.delete!)).done, false)
  assert.equal((await order('release', ids.hold!)).done, true)
  await until('the released one has come', () => tried.includes('hold.example 2'))
  assert.equal(tried.length, 5 + 4)
  assert.deepEqual((await queue.trace(ids.hold!.split('.')[0]!)).flatMap(({ kind, by, recipients }) => (by === undefined ? [] : [[kind, by, recipients]])), [['held', 'ann', ['fred@hold.example']], ['released', 'ann', ['fred@hold.example']]])
})

test('a notice of mail that a person bounced, 1 of it postponed before, names the last attempt and what was said then, and no attempt where there were 0', async () => {
  const told = new Map<string, Notice>()
  const queue = await aQueue('returned', { composeNotice: ({ delivery, notices }) => void told.set(delivery.domain, notices[0]!) })
  const last = { at: 1_700_000_000_000, why: 'mx.full.example said to RCPT: 452-4.2.2 full', class: 'QuotaExceeded', host: 'mx.full.example', said: '452-4.2.2 full\n452 4.2.2 again' }
  await queue.start(deliverer((delivery) => {
    const settlement = deferred(delivery, Date.now() + 3_600_000)
    return { ...settlement, later: { ...settlement.later!, last: delivery.domain === 'full.example' ? last : { at: last.at, why: 'connection refused', class: 'Connect', host: 'mx.down.example' } } }
  }))
  const domains = ['full.example', 'down.example', 'held.example']
  const ids = domains.map((domain) => aMessage({ domains: [domain], ...(domain === 'held.example' && { hold: 'legal-hold' }) }))
  for (const message of ids) await queue.accept(message)
  await until('all 3 wait', async () => (await queue.list({})).filter(({ state }) => state !== 'ready').length === 3)
  assert.equal((await queue.order({ order: 'postpone', until: Date.now() + 7_200_000 }, [`${ids[1]!.id}.0`]))[0]!.done, true)
  for (const { id } of ids) assert.equal((await queue.order({ order: 'bounce' }, [`${id}.0`]))[0]!.done, true)
  const facts = domains.map((domain) => told.get(domain)!).map(({ lastAttemptAt, diagnostic, remote }) => [lastAttemptAt, remote, diagnostic])
  assert.deepEqual(facts, [
    [last.at, 'mx.full.example', 'smtp; 452-4.2.2 full 452 4.2.2 again'], [last.at, 'mx.down.example', 'X-Posthouse; connection refused'], [undefined, undefined, undefined],
  ])
})

test('a release is refused while 1 manifest would hold the mail again, and done when that has ended', async () => {
  let by: string | undefined = 'DeliveryRoute mail/all'
  const tried: string[] = []
  const queue = await aQueue('held-again')
  await queue.start({ ...deliverer((delivery) => (tried.push(delivery.id), delivered)), heldBy: () => by })
  const message = aMessage({ domains: ['far.example'], hold: 'DeliveryRoute mail/all holds mail on this way' })
  await queue.accept(message)
  const release = async () => (await queue.order({ order: 'release' }, [`${message.id}.0`]))[0]!
  await until('the refusal names it', async () => (await release()).why?.startsWith('DeliveryRoute mail/all holds mail on this way, and would hold it again') === true)
  by = undefined
  assert.equal((await release()).done, true)
  await until('it has come', () => tried.length === 1)
})

test('summary, list and show tell what waits for whom and why', async () => {
  const queue = await aQueue('look')
  await queue.start(deliverer((delivery) => deferred(delivery, Date.now() + 3_600_000)))
  for (let n = 0; n < 10; n++) await queue.accept(aMessage({ domains: ['a.example', ...(n < 4 ? ['b.example'] : [])] }))
  await queue.accept(aMessage({ domains: ['c.example'], hold: 'legal-hold' }))
  const summary = [{ domain: 'a.example', ready: 0, deferred: 10, held: 0 }, { domain: 'b.example', ready: 0, deferred: 4, held: 0 }, { domain: 'c.example', ready: 0, deferred: 0, held: 1 }]
  await until('the summary', async () => JSON.stringify(await queue.summary()) === JSON.stringify(summary))
  const [entry] = await queue.list({ domain: 'b.example', limit: 1 })
  assert.equal(entry!.state, 'deferred')
  assert.equal(entry!.why, 'try later')
  assert.equal(entry!.mailFrom, 'joe@sender.example')
  assert.deepEqual(entry!.recipients, ['fred@b.example'])
  assert.equal(entry!.owner, 'pod-1')
  assert.equal(entry!.schedule, 'RetrySchedule test')
  assert.match((await queue.show(entry!.message))!.headers, /Subject: hello/)
  assert.equal(await queue.show('nothing.0'), undefined)
  const message = aMessage({ domains: ['d.example'] })
  await queue.accept({ ...message, envelope: { ...message.envelope, mailFrom: null } })
  await until('the notice waits', async () => (await queue.list({ domain: 'd.example', state: 'deferred' })).length === 1)
  assert.deepEqual((await queue.list({ sender: '<>' })).map(({ domain, mailFrom }) => [domain, mailFrom]), [['d.example', '']])
})

test('the timeline of a message has its lines in order, and the newest line tells which message was last', async () => {
  const queue = await aQueue('traced')
  const event = (message: string, at: number, text: string) => ({ at, message, kind: 'attempt' as const, pod: 'p', text })
  await until('the trace stream', async () => {
    queue.emit(event('m0', 1, 'first'))
    return (await queue.trace('m0')).length > 0
  })
  queue.emit(event('m1', Date.now() + 5, 'two'))
  queue.emit(event('m1', Date.now(), 'one'))
  assert.deepEqual((await queue.trace('m1')).map(({ text }) => text), ['one', 'two'])
  assert.equal(await queue.latest(), 'm1')
  queue.emit({ at: Date.now(), message: 'm2', kind: 'accepted', pod: 'p', text: '', from: 'ann@a.example', recipients: ['bob@b.example'] })
  queue.emit({ at: Date.now(), message: 'm2', kind: 'delivered', pod: 'p', text: '', recipients: ['bob@b.example'] })
  const { messages } = await queue.find({ to: 'bob@b.example', since: Date.now() - 60_000, until: Date.now(), limit: 5 })
  assert.deepEqual(messages.map(({ message, from, became }) => [message, from, became]), [['m2', 'ann@a.example', { delivered: 1 }]])
})

test('a record that cannot be read is put on hold with its bytes, one of a newer format is left alone, the lane goes on', async () => {
  const stream = await aStream('odd')
  const queue = await aQueue('odd')
  const seen: string[] = []
  const newer = encodeDelivery({ group: 1, batch: 1 }, {} as never)
  newer[0] = 9
  await stream.publish({ subject: 'odd.ready.7.bulk.x.0', payload: Buffer.from('rubbish\r\n') })
  await stream.publish({ subject: 'odd.ready.7.bulk.y.0', payload: Buffer.concat([Buffer.from([1]), Buffer.alloc(30)]) })
  await stream.publish({ subject: 'odd.ready.7.bulk.z.0', payload: newer })
  await queue.start(deliverer((delivery) => (seen.push(delivery.domain), delivered)))
  await until('held', async () => (await queue.list({ state: 'held' })).length === 1)
  assert.match((await queue.list({ state: 'held' }))[0]!.why!, /^RECORD_UNREADABLE: it could not be understood: /, 'by the name that docs/queue.md gives')
  assert.deepEqual(await queue.list({ sender: '<>' }), [], 'who sent it is not known')
  const left = await queue.list({ state: 'ready' })
  assert.deepEqual(left.map(({ why }) => /format (114|9), this release knows 1/.exec(why ?? '')?.[1]), ['114', '9'])
  assert.deepEqual(await queue.summary(), [{ domain: '', ready: 2, deferred: 0, held: 1 }])
  assert.match((await queue.order({ order: 'delete' }, [left[0]!.id]))[0]!.why!, /cannot read it and leaves it alone/)
  await queue.accept(aMessage())
  await until('the next one', () => seen.length === 1)
  assert.deepEqual([...(await stream.subjects('odd.ready.7.>'))!.keys()].sort(), ['odd.ready.7.bulk.x.0', 'odd.ready.7.bulk.z.0'])
})

test('a lane with a note of a newer format is not served, which is counted for an alert: what is finished there is not known; the other 63 are', async () => {
  const stream = await aStream('odd2')
  const metrics = createMetrics()
  const queue = await aQueue('odd2', { metrics })
  const lane = laneOf('one.example')
  await stream.publish({ subject: `odd2.done.${lane}.other.0`, payload: Buffer.from([9, 0, 0]) })
  const seen: string[] = []
  await queue.start(deliverer((delivery) => (seen.push(delivery.domain), delivered)))
  await queue.accept(aMessage({ domains: ['one.example', 'two.example'] }))
  await until('passed on', () => queue.counts().lanesOwned === 63)
  await until('the other lane', () => seen.length === 1)
  assert.ok((await metrics.recordsUnreadable.get()).values[0]!.value >= 1)
  assert.notEqual(laneOf('two.example'), lane)
  assert.deepEqual(seen, ['two.example'])
  assert.equal((await stream.subjects(`odd2.ready.${lane}.>`))!.size, 1)
})

test('a message for 1,000 recipients whose addresses fill more than a record is refused, and the 1 behind it is stored at once', async () => {
  const queue = await aQueue('long')
  await until('the queue', async () => (await queue.accept(aMessage())).kind === 'stored')
  const message = aMessage()
  const recipients = Array.from({ length: 1_000 }, (_, n) => ({ mailbox: { local: `user-${n}`, domain: 'a.example' }, orcpt: `utf-8;${'x'.repeat(1_000)}` }))
  const [long, next] = await Promise.all([queue.accept({ ...message, deliveries: message.deliveries.map((one) => ({ ...one, recipients })) }), queue.accept(aMessage())])
  assert.deepEqual([long, next], [{ kind: 'refused', why: 'too-many-recipients' }, { kind: 'stored' }])
})

test('over 80 % of what its volume has room for the queue says full, and accepts again when there is room; that it is full it says until under 75 %', async () => {
  const queue = await aQueue('full', { bytesLimit: 200_000 })
  assert.equal(queue.isFull(), false)
  let go = false
  await queue.start({ ...deliverer(() => delivered), admit: () => (go ? { kind: 'now' } : { kind: 'wait' }) })
  await until('full', async () => (await queue.accept(aMessage({ body: Buffer.alloc(20_000) }))).kind === 'refused')
  assert.deepEqual(await queue.accept(aMessage()), { kind: 'refused', why: 'full' })
  assert.equal(queue.isFull(), true)
  go = true
  await until('room again', async () => (await queue.accept(aMessage())).kind === 'stored')
  await until('it to say so', () => !queue.isFull())
})

test('servers whose syncing cannot be checked are not durable unless trusted, and nothing is accepted', async () => {
  const queue = await openTestQueue(nats, { name: 'sync', monitorUrls: undefined })
  open.push(queue)
  await until('checked', () => queue.durable().reason === 'SyncUnknown')
  assert.deepEqual(await queue.accept(aMessage()), { kind: 'refused', why: 'not-durable' })
  const trusting = await aQueue('sync2', { monitorUrls: undefined, trustSync: true })
  assert.equal((await trusting.accept(aMessage())).kind, 'stored')
})

test('while no server answers a message is unknown, and the queue opens all the same', async () => {
  const queue = await openTestQueue(nats, { name: 'away', servers: ['nats://127.0.0.1:9'] })
  open.push(queue)
  assert.equal((await queue.accept(aMessage(), 500)).kind, 'unknown')
  assert.ok(queue.outage() !== undefined)
})
