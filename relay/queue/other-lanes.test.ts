// A stream that another release divided into another number of lanes: each delivery lies in a lane that this one does not look for it in.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestNats } from '../../test/tools/nats.ts'
import { sleep, until } from '../../test/tools/until.ts'
import { makeStream, streamConfig } from './durable.ts'
import { delivered, deliverer, openTestQueue } from './fixtures.ts'
import { openJetStream } from './jetstream.ts'

test('a process takes 0 lanes of a stream that has 32 of them, says so, and takes all 64 once it has as many', async () => {
  const nats = await startTestNats(1)
  const stream = openJetStream({ servers: nats.urls, name: 'lanes' })
  const config = streamConfig('lanes', 1)
  const divided = { ...config, metadata: { posthouse_lanes: '32' } }
  await until('the stream', async () => (await makeStream(stream, divided))?.config !== undefined)
  const queue = await openTestQueue(nats, { name: 'lanes', pod: 'pod-a' })
  try {
    await queue.start(deliverer(() => delivered))
    await until('what is wrong', () => /it has 32 lanes, this release 64/.test(queue.durable().text), 60_000)
    await sleep(1_500) // lanes of a stream that fits are taken within half a second
    assert.equal(queue.counts().lanesOwned, 0)
    assert.notEqual((await stream.api('STREAM.UPDATE.lanes', config))?.config, undefined)
    await until('all lanes', () => queue.counts().lanesOwned === 64, 60_000)
  } finally {
    await queue.close()
    await stream.close()
    await nats.stop()
  }
})
