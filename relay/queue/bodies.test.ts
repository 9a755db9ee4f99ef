import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bodyOf } from './bodies.ts'
import { delivered, deliverer, simulated } from './fixtures.ts'
import { encodeBodyStart } from './record-wire.ts'
import type { Stream } from './stream.ts'

const pointer = { id: 'b1', chunks: 0, bytes: 4, sha256: '', shared: 1 }
const start = encodeBodyStart({ pointer, first: [Buffer.from('mail')] })

/** What comes of reading the body when the servers have it only from `afterMs` on. */
const readWith = async (afterMs: number): Promise<string> => {
  const { clock, context, stop } = await simulated({ deliverer: () => deliverer(() => delivered) })
  const there = clock.monotonic() + afterMs
  const stream: Stream = { ...context.stream, last: (subject) => Promise.resolve(clock.monotonic() < there ? { kind: 'missing' } : { kind: 'found', record: { subject, seq: 1, at: 0, payload: start } }) }
  let came = 'nothing'
  void bodyOf({ ...context, stream }, { body: pointer }).head().then((bytes) => (came = bytes.toString()), (error: { code?: string }) => (came = error.code ?? 'an error'))
  await clock.pass(20_000)
  stop()
  return came
}

test('a body that the leader stores 2 s after a follower has shown its delivery is read, one that is not there for 5 s is missing', async () => {
  assert.equal(await readWith(2_000), 'mail')
  assert.equal(await readWith(60_000), 'BODY_MISSING')
})
