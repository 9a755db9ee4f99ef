import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Context } from './context.ts'
import { aMessage, delivered, deliverer, simulated } from './fixtures.ts'
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
