// One contract for the stream, held by the simulated one and by the real server, one and three: what the model test proves on
// the one is only worth something while the others behave the same.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestNats, type TestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { systemClock } from './clock.ts'
import { makeStream, streamConfig } from './durable.ts'
import { openJetStream, type JetStream } from './jetstream.ts'
import { SimulatedStream } from './simulated-stream.ts'
import type { NewRecord, Stream, StoredRecord } from './stream.ts'

const bytes = (text: string): Buffer => Buffer.from(text)
const ready = (n: number, more: Partial<NewRecord> = {}): NewRecord => ({ subject: `c.ready.1.bulk.g.${n}`, payload: bytes(`r${n}`), ...more })

const contract = (name: string, open: () => Promise<Stream>, close: () => Promise<void>) =>
  describe(name, () => {
    let stream: Stream
    before(async () => {
      stream = await open()
    })
    after(close)

    test('a batch of 3 is stored with consecutive sequences, the answer names the last', async () => {
      const answer = await stream.batch([ready(0), ready(1), ready(2)])
      assert.equal(answer.kind, 'ack')
      const records = (await stream.records('c.ready.1.>', 10))!
      assert.deepEqual(records.map(({ payload }) => payload.toString()), ['r0', 'r1', 'r2'])
      assert.deepEqual(records.map(({ seq }) => (answer.kind === 'ack' ? answer.seq : 0) - seq), [2, 1, 0])
    })

    test('the same id again is a duplicate, alone (ack) and in a batch (10201), also when its record was purged', async () => {
      const one = { subject: 'c.held.1.a.b.0', payload: bytes('x'), id: 'same-1' }
      assert.equal((await stream.publish(one)).kind, 'ack')
      const again = await stream.publish({ ...one })
      assert.ok(again.kind === 'ack' && again.duplicate)
      const batch = [{ ...one, subject: 'c.held.1.a.b.1', id: 'same-2' }, { ...one, subject: 'c.held.1.a.b.2', id: undefined }].map(({ id, ...record }) => ({ ...record, ...(id !== undefined && { id }) }))
      assert.equal((await stream.batch(batch)).kind, 'ack')
      await stream.purge('c.held.1.a.b.*', 1e9)
      const refused = await stream.batch(batch)
      assert.ok(refused.kind === 'error' && refused.code === 10201, JSON.stringify(refused))
    })

    test('written only if absent: the second time is refused with 10071 and the last sequence', async () => {
      const record = { subject: 'c.body.m.1', payload: bytes('chunk'), expect: { last: 0 } }
      const first = await stream.publish(record)
      assert.equal(first.kind, 'ack')
      const second = await stream.publish(record)
      assert.ok(second.kind === 'error' && second.code === 10071, JSON.stringify(second))
      assert.equal(Number(/(\d+)$/.exec(second.text)![1]), first.kind === 'ack' ? first.seq : -1)
    })

    test('1 record with an id and a fence: the same again is a duplicate; behind a newer fence it is that or refused with 10071, and another is refused', async () => {
      const newFence = async () => ({ of: 'c.epoch.4', last: ((await stream.publish({ subject: 'c.epoch.4', payload: bytes('e') })) as { seq: number }).seq })
      const note = { subject: 'c.done.4.i.1', payload: bytes('n'), id: 'i.1', expect: await newFence() }
      assert.equal((await stream.publish(note)).kind, 'ack')
      const again = await stream.publish(note)
      assert.ok(again.kind === 'ack' && again.duplicate, JSON.stringify(again))
      await newFence()
      const late = await stream.publish(note)
      assert.ok(late.kind === 'ack' ? late.duplicate : late.kind === 'error' && late.code === 10071, JSON.stringify(late)) // one server looks at the fence first, three at the id
      const refused = await stream.publish({ ...note, subject: 'c.done.4.i.2', id: 'i.2' })
      assert.ok(refused.kind === 'error' && refused.code === 10071, JSON.stringify(refused))
      assert.deepEqual([...(await stream.subjects('c.done.4.>'))!.keys()], ['c.done.4.i.1'])
      await stream.purge('c.done.4.>', 1e9)
    })

    test('one failed fence of two refuses the whole batch and stores nothing of it', async () => {
      const epoch = async (lane: number) => ((await stream.publish({ subject: `c.epoch.${lane}`, payload: bytes('e') })) as { seq: number }).seq
      const [one, two] = [await epoch(1), await epoch(2)]
      const batch = (secondFence: number) => [
        { subject: 'c.done.1.i.1', payload: bytes('n'), expect: { last: 0 } },
        { subject: 'c.done.2.i.1', payload: bytes('n'), expect: { last: secondFence, of: 'c.epoch.2' } },
        { subject: 'c.later.1.d.x.1', payload: bytes('l'), expect: { last: one, of: 'c.epoch.1' } },
      ]
      const refused = await stream.batch(batch(two - 1))
      assert.ok(refused.kind === 'error' && refused.code === 10071, JSON.stringify(refused))
      assert.equal((await stream.subjects('c.done.>'))!.size, 0)
      assert.equal((await stream.batch(batch(two))).kind, 'ack')
      assert.equal((await stream.subjects('c.done.>'))!.size, 2)
    })

    test('a lease renewed with its own sequence lives on; left alone it is gone after its 1 s, and 0 is expected again', async () => {
      const lease = (last: number, ttlSeconds: number): NewRecord => ({ subject: `c.own.${ttlSeconds}`, payload: bytes('me'), ttlSeconds, expect: { last } })
      const renewed = async (ttlSeconds: number): Promise<boolean> => {
        const taken = await stream.publish(lease(0, ttlSeconds))
        if (taken.kind !== 'ack') return false
        const renewal = await stream.batch([lease(taken.seq, ttlSeconds), { ...lease(0, ttlSeconds), subject: `c.own.other${taken.seq}` }])
        return renewal.kind === 'ack' && renewal.seq > taken.seq
      }
      assert.ok(await renewed(600))
      assert.equal((await stream.publish(lease(0, 600))).kind, 'error')
      await until('a renewal within its 1 s', () => renewed(1)) // on a slow machine it may have lapsed
      await until('the lease has lapsed', async () => (await stream.last('c.own.1', 'leader')).kind === 'missing')
      assert.equal((await stream.publish(lease(0, 1))).kind, 'ack')
    })

    test('a schedule due in 1.5 s replaces itself with its target, payload and all; in a batch as well', async () => {
      const waiting = async (inMs: number): Promise<boolean> => {
        const at = Date.now() + inMs
        await stream.batch(['one', 'two'].map((name) => ({ subject: `c.later.5.d.${name}.${inMs}`, payload: bytes(`p ${name}`), schedule: { at, target: `c.ready.5.bulk.${name}.${inMs}` } })))
        const found = (await stream.subjects('c.later.5.>'))!.size
        if (Date.now() >= at) return false
        assert.equal(found, 2)
        return true
      }
      const fired = async (): Promise<string[]> => {
        await until('both fired', async () => (await stream.subjects('c.ready.5.>'))!.size === 2 && (await stream.subjects('c.later.5.>'))!.size === 0)
        return (await stream.records('c.ready.5.>', 5))!.map(({ payload }) => payload.toString()).sort()
      }
      for (let inMs = 1_500; !(await waiting(inMs)); inMs *= 2) { // a slow machine may look too late
        await fired()
        await stream.purge('c.ready.5.>', 1e9)
      }
      assert.deepEqual(await fired(), ['p one', 'p two'])
    })

    test('a schedule due in 20 s that is purged is gone', async () => {
      const answer = (await stream.publish({ subject: 'c.later.6.d.x.1', payload: bytes('p'), schedule: { at: Date.now() + 20_000, target: 'c.ready.6.bulk.x.1' } })) as { seq: number }
      assert.equal(await stream.purge('c.later.6.d.x.1', answer.seq + 1), 1)
      assert.equal((await stream.subjects('c.later.6.>'))!.size, 0)
    })

    test('a purge removes what its filter matches below its sequence, across lanes, and nothing newer', async () => {
      const record = (lane: number, group: string, n: number) => ({ subject: `c.ready.${lane}.bulk.${group}.${n}`, payload: bytes('x') })
      const { seq } = (await stream.batch([record(7, 'gg', 0), record(8, 'gg', 0), record(8, 'gg', 1), record(8, 'hh', 0)])) as { seq: number }
      await stream.publish(record(8, 'gg', 2))
      assert.equal(await stream.purge('c.ready.*.*.gg.*', seq + 1), 3)
      assert.deepEqual([...(await stream.subjects('c.ready.8.>'))!.keys()].sort(), ['c.ready.8.bulk.gg.2', 'c.ready.8.bulk.hh.0'])
      assert.equal(await stream.purge('c.ready.*.*.gg.*', seq + 1), 0)
    })

    test('1 record is removed by its sequence, once, and nothing else of its subject', async () => {
      const { seq } = (await stream.publish({ subject: 'c.body.one.0', payload: bytes('x') })) as { seq: number }
      await stream.publish({ subject: 'c.body.one.1', payload: bytes('y') })
      assert.equal(await stream.remove(seq), true)
      assert.equal(await stream.remove(seq), false)
      assert.deepEqual(await stream.last('c.body.one.0', 'leader'), { kind: 'missing' })
      assert.deepEqual([...(await stream.subjects('c.body.one.>'))!.keys()], ['c.body.one.1'])
    })

    test('a cursor on two filters gives old and new in stream order, as many as wanted and no more', async () => {
      const seen: StoredRecord[] = []
      await stream.publish({ subject: 'c.ready.9.bulk.a.0', payload: bytes('1') })
      await stream.publish({ subject: 'c.epoch.9', payload: bytes('2') })
      await stream.publish({ subject: 'c.ready.10.bulk.a.0', payload: bytes('not ours') })
      const reader = stream.read({ filters: ['c.ready.9.>', 'c.epoch.9'], from: 1, onRecord: (record) => void seen.push(record) })
      reader.want(3)
      await until('the two that are there', () => seen.length === 2)
      await stream.publish({ subject: 'c.ready.9.bulk.a.1', payload: bytes('3') })
      await stream.publish({ subject: 'c.ready.9.bulk.a.2', payload: bytes('4') })
      await until('the one wanted', () => seen.length === 3)
      await new Promise((resolve) => setTimeout(resolve, 200))
      assert.deepEqual(seen.map(({ payload }) => payload.toString()), ['1', '2', '3'])
      reader.want(1)
      await until('the last', () => seen.length === 4)
      assert.ok(seen.every(({ seq }, index) => index === 0 || seq > seen[index - 1]!.seq))
      reader.stop()
    })

    test('what is told is heard by who listens; a question nobody listens to is answered so', async () => {
      const heard: string[] = []
      const deaf = stream.hear('c.beat.*', (data, reply) => (heard.push(data.toString()), reply(bytes('yes'))))
      await until('heard', () => (stream.tell('c.beat.x', bytes('hello')), heard.includes('hello')))
      assert.equal((await stream.ask('c.beat.y', bytes('there?'), 5_000)).toString(), 'yes')
      deaf()
      await until('nobody', async () => (await stream.ask('c.beat.y', bytes('there?'), 1_000)) === 'nobody')
    })
  })

void contract('simulated', () => Promise.resolve(new SimulatedStream(systemClock).view()), () => Promise.resolve())

for (const count of [1, 3] as const) {
  let nats: TestNats
  let stream: JetStream
  const open = async () => {
    nats = await startTestNats(count)
    stream = openJetStream({ servers: nats.urls, name: 'c' })
    await until('the stream', async () => (await makeStream(stream, streamConfig('c', count)))?.config !== undefined)
    // The server that made it answers before the others know who listens to its subjects: until then nobody does
    await until('a record taken', async () => (await stream.publish({ subject: 'c.epoch.0', payload: bytes('e') })).kind === 'ack')
    return stream
  }
  const close = async () => {
    await stream.close()
    await nats.stop()
  }
  void contract(`nats-server, ${count}`, open, close)
}
