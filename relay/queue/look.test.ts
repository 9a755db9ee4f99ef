import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Context } from './context.ts'
import { aMessage, delivered, deliverer, simulated } from './fixtures.ts'
import { composeGroup, place } from './group.ts'
import { Look } from './look.ts'
import type { Stream } from './stream.ts'

test('while the notes of what is finished cannot be read, 1 delivery that has ended is not shown as waiting: the question fails', async (t) => {
  const { clock, context, accept, stop } = await simulated({ deliverer: () => deliverer(() => delivered), view: neverRemoving })
  t.after(stop)
  accept(aMessage())
  await clock.pass(5_000)
  const ask = async (stream: Stream, question: (look: Look) => Promise<unknown>): Promise<unknown> => {
    let answer: unknown
    void question(new Look({ ...context, stream }, { ownerOf: () => undefined })).then((found) => (answer = found), (error: unknown) => (answer = error))
    await clock.pass(5_000)
    return answer
  }
  for (const question of [(look: Look) => look.summary(), (look: Look) => look.list({})]) {
    assert.deepEqual(await ask(context.stream, question), [])
    assert.equal(((await ask(withoutNotes(context), question)) as { code?: string }).code, 'QUEUE_UNREACHABLE')
  }
})

const neverRemoving = (stream: Stream): Stream => ({ ...stream, purge: () => Promise.resolve(undefined), remove: () => Promise.resolve(false) })

const withoutNotes = ({ stream, subjects }: Context): Stream => ({ ...stream, records: (filter, ...others) => (filter === subjects.all('done') ? Promise.resolve(undefined) : stream.records(filter, ...others)) })

test('1 deferred and 1 held record of a newer release are listed by the names by which show finds them, under the domain where the summary counts them', async (t) => {
  const { clock, context, stop } = await simulated({ deliverer: () => deliverer(() => delivered) })
  t.after(stop)
  const { stream, subjects } = context
  void stream.publish({ subject: subjects.later(3, 'one.example', 'm1-0', 1), payload: Buffer.from([9, 9, 9]) })
  void stream.publish({ subject: subjects.held(3, 'one.example', 'm2-1a', 1), payload: Buffer.from([9, 9, 9]) })
  const look = new Look(context, { ownerOf: () => undefined })
  const ask = async <T>(question: Promise<T>): Promise<T> => (await clock.pass(5_000), question)
  const entries = await ask(look.list({ domain: 'one.example' }))
  assert.deepEqual(entries.map(({ id, state, recipients }) => [id, state, recipients]), [['m1.0', 'deferred', []], ['m2.1a', 'held', []]])
  assert.deepEqual(await ask(look.summary()), [{ domain: 'one.example', ready: 0, deferred: 1, held: 1 }])
  assert.deepEqual(await ask(look.list({ message: 'm1' })), entries.slice(0, 1))
  for (const entry of entries) assert.deepEqual((await ask(look.show(entry.id)))?.entry, entry)
  assert.ok(entries.every((entry) => entry.schedule === undefined && entry.why?.includes('format 9')))
  assert.deepEqual(await ask(look.list({ sender: '<>' })), [])
})

test('a delivery that goes from due to deferred and on hold while 2 are listed stands there once, as it was seen last, and is no 2nd of a list of 2', async (t) => {
  const { clock, context, stop } = await simulated({ deliverer: () => deliverer(() => new Promise(() => {})) })
  t.after(stop)
  const { stream, subjects } = context
  const [ready] = composeGroup(subjects, 'g', [place(aMessage({ id: 'm1' }), (domain) => domain, 1_000)], true)
  const lane = subjects.lane(ready!.subject)
  void stream.publish(ready!)
  // without a note that ends the one before it, as a look sees it that had the notes before that was written
  for (const subject of [subjects.later(lane, 'one.example', 'm1-0', 2), subjects.held(lane, 'one.example', 'm1-0', 3)]) void stream.publish({ ...ready!, subject })
  void stream.publish({ subject: subjects.held(lane, 'one.example', 'm2-0', 1), payload: Buffer.from([9, 9, 9]) })
  for (const limit of [100, 2]) {
    const found = new Look(context, { ownerOf: () => undefined }).list({ limit })
    await clock.pass(5_000)
    assert.deepEqual((await found).map(({ id, state }) => `${id} ${state}`), ['m1.0 held', 'm2.0 held'])
  }
})
