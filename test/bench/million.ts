// A queue after a long outage of the world: very many deferred deliveries, a large part of them due at the same moment while no relay runs.
// What the servers and a relay then need, and what is left for fresh mail.
import { openJetStream, type JetStream } from '../../relay/queue/jetstream.ts'
import { createSubjects } from '../../relay/queue/subjects.ts'
import { startSmtpSink } from '../tools/postfix.ts'
import { memoryOf } from '../tools/relay-process.ts'
import { until } from '../tools/until.ts'
import { loadOnce, median, offer } from './load.ts'
import { startPosthouseSide, type PosthouseSide } from './posthouse-side.ts'
import { seedDeferred } from './seed.ts'

export type Million = {
  readonly deferred: number
  readonly due: number
  readonly serverRestartSeconds: number
  readonly serverMiB: number
  readonly relayStartSeconds: number
  readonly summarySeconds: number
  readonly listSeconds: number // all deliveries of one domain
  readonly secondsToDeliverDue: number
  readonly relayPeakMiB: { readonly empty: number; readonly full: number } // under the same load
  readonly freshPerSecond: { readonly empty: number; readonly besideDue: number; readonly besideDeferred: number }
}

const domains = 1000
const longMs = 1_800_000

export const million = async (folder: string, { deferred, due, say }: { deferred: number; due: number; say: (line: string) => void }): Promise<Million> => {
  const sink = await startSmtpSink()
  const side = await startPosthouseSide(folder, sink, () => sink.messages())
  try {
    const empty = await freshRate(side, 4)
    const emptyPeak = side.relay().peakMemory()
    await side.relay().stop()
    const stream = openJetStream({ servers: [...side.nats.urls], name: side.fleet.snapshot.relay.queue, timeoutMs: 60_000 })
    await seed(side, stream, { deferred, due, say })
    const serverRestartSeconds = await restartServer(side)
    say(`the server started again in ${serverRestartSeconds.toFixed(1)} s`)
    const before = sink.messages()
    const [relayStartSeconds] = await timed(() => side.fleet.restart(0))
    const began = performance.now()
    const besideDue = await acceptRate(side)
    await until('all that was due to arrive', () => sink.messages() - before >= due, longMs, 100)
    const secondsToDeliverDue = (performance.now() - began) / 1000
    say(`${due} due at once delivered in ${secondsToDeliverDue.toFixed(0)} s`)
    await until('the fresh mail to arrive', async () => ((await stream.count(subjectsOf(side).all('ready'))) ?? 1) === 0, longMs, 500)
    const [summarySeconds] = await timed(() => side.relay().ask('summary'))
    const [listSeconds, listed] = await timed(() => side.relay().ask<unknown[]>('list', { domain: 'd7.example', limit: deferred }))
    if (listed.length !== (deferred - due) / domains) throw new Error(`one domain has ${listed.length} deliveries, not ${(deferred - due) / domains}`)
    const besideDeferred = await freshRate(side, 3)
    const serverMiB = Math.round(memoryOf(side.nats.servers[0]!.pid, 'VmRSS'))
    await stream.close()
    return { deferred, due, serverRestartSeconds, serverMiB, relayStartSeconds, summarySeconds, listSeconds, secondsToDeliverDue, relayPeakMiB: { empty: Math.round(emptyPeak), full: Math.round(side.relay().peakMemory()) }, freshPerSecond: { empty, besideDue, besideDeferred } }
  } finally {
    await side.stop()
    await sink.stop()
  }
}

/** End to end; the first round warms up and does not count. */
const freshRate = async (side: PosthouseSide, rounds: number): Promise<number> => {
  const rates: number[] = []
  for (let round = 0; round < rounds; round++) rates.push((await loadOnce(side, { clients: 100, messages: 10_000, bytes: 4096 })).perSecond)
  return Math.round(median(rates.slice(1)))
}

/** Accepted only: what arrives meanwhile is mostly older mail. */
const acceptRate = async (side: PosthouseSide): Promise<number> => {
  const [seconds] = await timed(() => offer(side.port, { clients: 100, messages: 10_000, bytes: 4096, patienceMs: longMs }))
  return Math.round(10_000 / seconds)
}

const seed = async (side: PosthouseSide, stream: JetStream, { deferred, due, say }: { deferred: number; due: number; say: (line: string) => void }): Promise<void> => {
  const into = { urls: side.nats.urls, name: side.fleet.snapshot.relay.queue, domains }
  const tomorrow = Date.now() + 86_400_000
  const [seconds] = await timed(() => seedDeferred({ ...into, count: deferred - due, dueAt: () => tomorrow }))
  const at = Date.now() + 2_000 + (seconds * 1000 * due) / (deferred - due)
  await seedDeferred({ ...into, count: due, dueAt: () => at })
  say(`${deferred} deferred, ${due} of them due in ${Math.round((at - Date.now()) / 1000)} s`)
  const isReady = async () => ((await stream.count(subjectsOf(side).all('ready'))) ?? 0) >= due
  const [fired] = await timed(() => until('the servers to make ready all that is due', isReady, longMs, 500))
  say(`all of it ready ${fired.toFixed(0)} s later`)
}

/** kill -9, and until the stream answers again. */
const restartServer = async (side: PosthouseSide): Promise<number> => {
  await side.nats.kill(0)
  const [seconds] = await timed(async () => {
    await side.nats.restart(0)
    const stream = openJetStream({ servers: [...side.nats.urls], name: side.fleet.snapshot.relay.queue, timeoutMs: 500 })
    await until('the stream to answer', async () => (await stream.state()) !== undefined, longMs, 50)
    await stream.close()
  })
  return seconds
}

const subjectsOf = (side: PosthouseSide) => createSubjects(side.fleet.snapshot.relay.queue)
const timed = async <T>(what: () => Promise<T>): Promise<[seconds: number, result: T]> => {
  const began = performance.now()
  const result = await what()
  return [(performance.now() - began) / 1000, result]
}
