import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics, silentLog } from '../report/index.ts'
import { streamConfig } from './durable.ts'
import type { JetStream } from './jetstream.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { Watch } from './watch.ts'

const timeoutMs = 4_000

/** A stream whose leader answers what is asked of it, or lets every question wait for its time-out. */
const aWatch = (streams = 1) => {
  const clock = new SimulatedClock()
  const machine = { set: 0 } // by how much its clock was set since the start
  const servers = { set: 0, answer: true, acknowledged: 0, unstoredSince: undefined as number | undefined, dropped: 0, streams, traceBytes: 0, traced: undefined as number | undefined, traceAnswersAt: 0, firstTracedAt: 0 }
  const logged: string[] = []
  const asked = async <T>(answer: T): Promise<T | undefined> => {
    if (servers.answer) return answer
    await new Promise<void>((resolve) => void clock.after(timeoutMs, resolve))
    return undefined
  }
  const stream = {
    maxPayload: () => undefined,
    api: (subject: string, body?: { readonly max_bytes?: number }) => {
      if (subject === 'STREAM.INFO.mail_trace' && clock.monotonic() < servers.traceAnswersAt) return asked({ error: { code: 503 } })
      if (subject === 'STREAM.INFO.mail_trace') return asked(servers.traced === undefined ? { error: { code: 404 } } : { config: {}, state: { last_seq: servers.traced, first_ts: new Date(servers.firstTracedAt).toISOString() } })
      if (subject === 'STREAM.CREATE.mail_trace') servers.traceBytes = body!.max_bytes!
      const isThere = servers.streams > 0
      if (subject === 'STREAM.CREATE.mail') servers.streams = 1
      if (subject === 'STREAM.INFO.mail' && !isThere) return asked({ error: { code: 404 } })
      return asked({ config: streamConfig('mail', 1), ...(subject === 'STREAM.CREATE.mail' && { did_create: !isThere, created: new Date(clock.now()).toISOString() }) })
    },
    state: () => asked({ bytes: 0, messages: 0, lastSeq: 0, at: clock.now() + servers.set }),
    written: () => 0,
    acknowledged: () => servers.acknowledged,
    unstoredSince: () => servers.unstoredSince,
    reconnect: () => void servers.dropped++,
  } as unknown as JetStream
  const metrics = createMetrics()
  const skews: boolean[] = []
  const ours = { now: () => clock.now() + machine.set, monotonic: () => clock.monotonic(), after: (ms: number, call: () => void) => clock.after(ms, call) }
  const watch = new Watch(stream, { name: 'mail', replicas: 1, trustSync: true, bytesLimit: 1e9, clock: ours, log: { ...silentLog, error: (code: string) => void logged.push(code) }, metrics, onOffset: (_, skewed) => void skews.push(skewed) })
  const outage = () => {
    const since = watch.outage()?.since
    return since === undefined ? undefined : ours.now() - since
  }
  return { clock, machine, servers, watch, outage, logged, metrics, skews }
}

test('an outage counts from the first question without an answer, not from its time-out 4 s later', async (t) => {
  const { clock, servers, watch, outage } = aWatch()
  t.after(() => watch.stop())
  await clock.pass(10_500)
  assert.equal(outage(), undefined)
  servers.answer = false
  await clock.pass(20_000) // the first question is asked after half a second
  assert.equal(outage(), 19_500)
  servers.answer = true
  await clock.pass(10_000)
  assert.equal(outage(), undefined)
})

test('a queue that stores 1 mail per second is not away, though its leader answers no question for 2 minutes', async (t) => {
  const { clock, servers, watch, outage } = aWatch()
  t.after(() => watch.stop())
  await clock.pass(10_500)
  servers.answer = false
  for (let second = 0; second < 120; second++) {
    servers.acknowledged++
    await clock.pass(1_000)
    assert.equal(outage(), undefined)
  }
})

test('an outage is over with the 1st mail stored, and the next one counts from its own start', async (t) => {
  const { clock, servers, watch, outage } = aWatch()
  t.after(() => watch.stop())
  await clock.pass(10_500)
  servers.answer = false
  await clock.pass(40_000)
  servers.acknowledged++ // what was asked before it is still unanswered
  await clock.pass(9_000)
  assert.ok((outage() ?? 0) < 9_000, `out of reach for ${outage()} ms, though a mail was stored 9 s ago`)
})

test('a queue that answers every question and stores nothing for 10 s is out of use, from the first write on, and says why, until something is stored', async (t) => {
  const { clock, servers, watch, outage, logged } = aWatch()
  t.after(() => watch.stop())
  await clock.pass(10_500)
  const before = logged.length
  servers.unstoredSince = clock.now()
  await clock.pass(9_000)
  assert.equal(outage(), undefined)
  await clock.pass(11_000)
  assert.equal(outage(), 20_000)
  assert.match(watch.outage()!.why, /store nothing/)
  assert.deepEqual(logged.slice(before), ['QUEUE_UNREACHABLE'])
  servers.unstoredSince = undefined
  await clock.pass(2_000)
  assert.equal(outage(), undefined)
})

test('after 10 s of an outage the relay connects anew, and then every 10 s: never while the queue answers', async (t) => {
  const { clock, servers, watch } = aWatch()
  t.after(() => watch.stop())
  await clock.pass(60_500)
  assert.equal(servers.dropped, 0)
  servers.answer = false
  const droppedAfter = async (seconds: number) => (await clock.pass(seconds * 1_000), servers.dropped)
  assert.equal(await droppedAfter(10), 0) // the first question is asked after half a second, and then one every 5 s
  assert.equal(await droppedAfter(10), 1)
  assert.equal(await droppedAfter(40), 5)
  servers.answer = true
  assert.equal(await droppedAfter(60), 5)
})

test('a stream that is made where there was none is no news; one that was known and is gone is made anew, and said to be lost, once, in the log and in the metric of an alert', async (t) => {
  const { clock, servers, watch, logged, metrics } = aWatch(0)
  const counted = async (): Promise<number | undefined> => (await metrics.queueLost.get()).values[0]?.value
  t.after(() => watch.stop())
  await clock.pass(60_000)
  assert.deepEqual([watch.durable().ok, servers.streams, logged, await counted()], [true, 1, [], 0])
  servers.streams = 0
  await clock.pass(60_000)
  assert.deepEqual([watch.durable().ok, servers.streams, logged, await counted()], [true, 1, ['QUEUE_LOST'], 1])
})

test('a process that begins after the loss says so too: of a stream that it makes where the timelines tell of 5 mails, and not where they tell of 0', async (t) => {
  for (const [traced, lost] of [[5, 1], [0, 0]] as const) {
    const { clock, servers, watch, logged, metrics } = aWatch(0)
    t.after(() => watch.stop())
    servers.traced = traced
    await clock.pass(60_000)
    assert.deepEqual([watch.durable().ok, logged, (await metrics.queueLost.get()).values[0]?.value], [true, lost === 1 ? ['QUEUE_LOST'] : [], lost])
  }
})

test('a process that begins after the loss says so 1 time also where the timelines have no leader in the first 10 s, and not where the 5 mails they tell of came in these 10 s', async (t) => {
  for (const [since, said] of [[-1_000, ['QUEUE_LOST']], [5_000, []]] as const) {
    const { clock, servers, watch, logged } = aWatch(0)
    t.after(() => watch.stop())
    Object.assign(servers, { traced: 5, traceAnswersAt: clock.monotonic() + 10_000, firstTracedAt: clock.now() + since })
    await clock.pass(120_000)
    assert.deepEqual([watch.durable().ok, logged], [true, said])
  }
})

test('the timelines take a tenth of a queue of 1 GB, not the 1 GiB that a server with such a volume refuses', async (t) => {
  const { clock, servers, watch } = aWatch()
  t.after(() => watch.stop())
  await clock.pass(1_000)
  assert.equal(servers.traceBytes, 100_000_000)
})

test("the servers' time goes on as it was when our clock is set 1 year ahead or back, and when theirs is, until both say the same", async (t) => {
  const { clock, machine, servers, watch, skews } = aWatch()
  t.after(() => watch.stop())
  await clock.pass(10_500)
  const year = 31_536_000_000
  for (const [ours, theirs] of [[year, 0], [-year, 0], [0, year], [0, -year]] as const) {
    Object.assign(machine, { set: ours })
    Object.assign(servers, { set: theirs })
    assert.equal(watch.serverNow(), clock.now())
    await clock.pass(3_000)
    assert.deepEqual([watch.serverNow(), skews.at(-1)], [clock.now(), true])
  }
  Object.assign(machine, { set: year })
  Object.assign(servers, { set: year })
  await clock.pass(3_000)
  assert.deepEqual([watch.serverNow(), skews.at(-1)], [clock.now() + year, false])
})

test('an outage is as long as it is, and the relay connects anew every 10 s, though the clock is set 1 hour ahead or back meanwhile', async (t) => {
  for (const set of [3_600_000, -3_600_000]) {
    const { clock, machine, servers, watch, outage } = aWatch()
    t.after(() => watch.stop())
    await clock.pass(60_500)
    servers.answer = false
    await clock.pass(20_500)
    assert.deepEqual([outage(), servers.dropped], [20_000, 1])
    machine.set = set
    await clock.pass(40_000)
    assert.deepEqual([outage(), servers.dropped], [60_000, 5])
  }
})
