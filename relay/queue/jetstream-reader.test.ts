// A cursor on a server that has been away. What it does otherwise is in contract.test.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { checkDurable } from './durable.ts'
import { openJetStream } from './jetstream.ts'

test('50 cursors made while 1 server of 3 catches up give none of the 2,000 records that were removed while it was away', async (t) => {
  const nats = await startTestNats(3)
  t.after(() => nats.stop())
  const stream = openJetStream({ servers: nats.urls.slice(0, 2), name: 'away' })
  t.after(() => stream.close())
  await until('durable', async () => (await checkDurable(stream, { name: 'away', replicas: 3, monitorUrls: nats.monitorUrls }))?.ok === true)
  const leader = async () => ((await stream.api('STREAM.INFO.away'))?.cluster as { leader?: string } | undefined)?.leader
  const ready = (from: number, count: number) => Array.from({ length: count }, (_, n) => ({ subject: `away.ready.1.bulk.a.${from + n}`, payload: Buffer.alloc(500) }))
  for (let from = 0; from < 2_000; from += 500) await until('stored', async () => (await stream.batch(ready(from, 500))).kind === 'ack')
  await until('a leader that stays', async () => {
    const now = await leader()
    if (now === 'n2') await stream.api('STREAM.LEADER.STEPDOWN.away')
    return now === 'n0' || now === 'n1'
  })
  await nats.kill(2)
  for (let n = 2_000; n < 4_000; n += 50) await Promise.all(ready(n, 50).map((record) => stream.publish(record)))
  await until('removed', async () => (await stream.purge('away.ready.>', 1_000_000)) !== undefined)
  const back = nats.restart(2)
  const seen: string[] = []
  for (let count = 0; count < 50; count++) {
    const reader = stream.read({ filters: ['away.ready.>'], from: 1, onRecord: ({ subject }) => seen.push(subject) })
    reader.want(1)
    t.after(() => reader.stop())
    await new Promise((resolve) => setTimeout(resolve, 60))
  }
  await back
  assert.deepEqual(seen.slice(0, 3), [])
})
