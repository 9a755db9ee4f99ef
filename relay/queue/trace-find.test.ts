// Finding without an id, over records as a trace stream holds them.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { StoredRecord } from './stream.ts'
import { findTraced, usualBounds } from './trace-find.ts'
import type { TraceEvent, TraceQuestion } from './types.ts'

const line = (message: string, kind: TraceEvent['kind'], at: number, more: Partial<TraceEvent> = {}): TraceEvent => ({ at, message, kind, pod: 'p', text: '', ...more })
const accepted = (n: number, to = `r${n}@far.example`, from = 'Ann@shop.example'): TraceEvent => line(`m${n}`, 'accepted', n * 1_000, { from, recipients: [to] })

/** One line a record, a subject for each message; the first `gone` are not kept any more. */
const over = (lines: readonly TraceEvent[], gone = 0) => {
  const records = lines.map((event, index): StoredRecord => ({ subject: `t.${event.message}`, seq: index + 1, at: event.at, payload: Buffer.from(`${JSON.stringify(event)}\n`) })).slice(gone)
  const asked: number[] = []
  const stream = {
    records: async (filter: string, limit: number, from = 1) => (asked.push(limit), records.filter(({ subject, seq }) => (filter === 't.>' || subject === filter) && seq >= from).slice(0, limit)),
    last: async () => (records.length > 0 ? ({ kind: 'found', record: records.at(-1)! } as const) : ({ kind: 'missing' } as const)),
  }
  const find = (question: Partial<TraceQuestion>, bounds = usualBounds) => findTraced({ stream, all: 't.>', subjectOf: (message) => `t.${message}` }, { since: 0, limit: 20, ...question }, bounds)
  return { asked, find }
}
const hundreds = Array.from({ length: 500 }, (_, n) => accepted(n + 1))

describe('messages are found', () => {
  it('by recipient and by sender in any case, the newest first, with what became of the 2 recipients', async () => {
    const lines = [
      line('m1', 'accepted', 1_000, { from: 'ann@shop.example', recipients: ['bob@far.example', 'eve@else.example'] }),
      accepted(2, 'joe@far.example'),
      line('m1', 'delivered', 3_000, { recipients: ['bob@far.example'] }),
      line('m1', 'deferred', 3_000, { recipients: ['eve@else.example'] }),
      line('m2', 'bounced', 3_500, { recipients: ['joe@far.example'] }),
      accepted(4, 'bob@far.example', 'x@far.example'),
    ]
    const { find } = over(lines)
    assert.deepEqual((await find({ to: 'BOB@far.example' })).messages.map(({ message, became }) => [message, became]), [['m4', { waiting: 1 }], ['m1', { delivered: 1, deferred: 1 }]])
    assert.deepEqual((await find({ from: 'ann@shop.example' })).messages.map(({ message, became }) => [message, became]), [['m2', { bounced: 1 }], ['m1', { delivered: 1, deferred: 1 }]])
    assert.deepEqual(await find({ from: 'ann@shop.example', to: 'nobody@far.example' }), { messages: [], more: false })
  })

  it('once, where 1 of 2 that were accepted was stored twice, and the other is found as well where 2 are asked for', async () => {
    const { find } = over([accepted(1, 'bob@far.example'), accepted(2, 'bob@far.example'), accepted(2, 'bob@far.example')])
    assert.deepEqual((await find({ to: 'bob@far.example', limit: 2 })).messages.map(({ message }) => message), ['m2', 'm1'])
  })

  it('among 500 by the one that was accepted first, and where the stream has lost the first 77, all that is left is looked at', async () => {
    assert.deepEqual((await over(hundreds).find({ to: 'r1@far.example' })).messages.map(({ message }) => message), ['m1'])
    assert.deepEqual(await over(hundreds, 77).find({ to: 'r1@far.example' }), { messages: [], more: false })
    assert.deepEqual((await over(hundreds, 77).find({ to: 'r78@far.example' })).messages.map(({ message }) => message), ['m78'])
  })

  it('at most 3, after a page of 32 records and no more', async () => {
    const { find, asked } = over(hundreds)
    const { messages, more } = await find({ limit: 3 })
    assert.deepEqual([messages.map(({ message }) => message), more, asked[0]], [['m500', 'm499', 'm498'], true, 32])
    assert.equal(asked.length, 1 + 3) // and what became of the 3
  })

  it('between 2 times, without a look at what is newer', async () => {
    const { find, asked } = over(hundreds)
    const { messages } = await find({ since: 200_000, until: 202_000 })
    assert.deepEqual(messages.map(({ message }) => message), ['m202', 'm201', 'm200'])
    assert.ok(asked.filter((limit) => limit === 32).length < 12)
  })

  it('in pages that double from 32 to 512 records while they are small', async () => {
    const { find, asked } = over(Array.from({ length: 2_000 }, (_, n) => accepted(n + 1)))
    assert.deepEqual((await find({ to: 'nobody@far.example' })).messages, [])
    assert.deepEqual(asked, [32, 64, 128, 256, 512, 512, 512])
  })

  it('within bounds of 5,000 bytes, and then it is said how far the look reached', async () => {
    const found = await over(hundreds).find({ to: 'r1@far.example' }, { bytes: 5_000, ms: 10_000 })
    assert.deepEqual([found.messages, found.more], [[], false])
    assert.ok(found.reached! > 400_000 && found.reached! < 500_000)
  })

  it('0 times in a stream without a line, and never where the servers do not answer', async () => {
    assert.deepEqual(await over([]).find({}), { messages: [], more: false })
    const silent = { records: async () => undefined, last: async () => ({ kind: 'unknown', why: 'no answer' }) as const }
    await assert.rejects(findTraced({ stream: silent, all: 't.>', subjectOf: String }, { since: 0, limit: 1 }), { code: 'QUEUE_UNREACHABLE' })
  })
})
