// What a process of an earlier release left in the stream is read by the code of now: an upgrade with mail queued, without the old code at hand.
// The files in left-by/ were written by tools/left-by.ts in a checkout of the commit that they are named for.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { deliverer, delivered, simulated } from '../relay/queue/fixtures.ts'
import { leaveBehind, type LeftRecord } from './tools/left-by.ts'
import { SimulatedClock } from '../relay/queue/simulated-clock.ts'
import { SimulatedStream } from '../relay/queue/simulated-stream.ts'

const folder = join(import.meta.dirname, 'left-by')
const files = readdirSync(folder)
const leftBy = (file: string): LeftRecord[] => JSON.parse(readFileSync(join(folder, file), 'utf8')) as LeftRecord[]

const takenOver = async (left: readonly LeftRecord[]) => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock)
  void stream.view().batch(left.map(({ subject, payload, schedule }) => ({ subject, payload: Buffer.from(payload, 'base64'), ...(schedule && { schedule }) })))
  await clock.pass(10)
  const bodies = new Map<string, string>()
  const twice: string[] = []
  const { metrics, stop } = await simulated({
    after: { clock, stream },
    pod: 'pod-2',
    deliverer: () => deliverer(async ({ id }, body) => {
      const pieces: Buffer[] = []
      for await (const piece of body.open()) pieces.push(piece as Buffer)
      if (bodies.has(id)) twice.push(id)
      bodies.set(id, Buffer.concat(pieces).toString())
      return delivered
    }),
  })
  await clock.pass(300_000)
  const { values } = await metrics.recordsUnreadable.get()
  stop()
  return { bodies, twice, unreadable: values.reduce((sum, { value }) => sum + value, 0), left: stream.all().map(({ subject }) => subject.split('.')[1]!) }
}

for (const [name, left] of [...files.map((file) => [file, () => leftBy(file)] as const), ['this release', leaveBehind] as const])
  test(`of 6 deliveries left by ${name} the 4 that are due, two of them after a minute, are delivered once with their bodies; 1 was delivered before and 1 stays on hold`, async () => {
    const { bodies, twice, unreadable, left: rest } = await takenOver(await left())
    assert.deepEqual([[...bodies.keys()].toSorted(), twice, unreadable], [['chunked.0', 'chunked.1', 'deferred.0', 'noted.1'], [], 0])
    for (const id of ['chunked.0', 'chunked.1']) assert.equal(bodies.get(id), `Received: by test\r\n${'x'.repeat(1500)}`)
    for (const id of ['deferred.0', 'noted.1']) assert.equal(bodies.get(id), 'Received: by test\r\nSubject: hello\r\n\r\nbody\r\n')
    assert.deepEqual([...new Set(rest.filter((kind) => kind !== 'epoch'))].toSorted(), ['held', 'own'])
  })
