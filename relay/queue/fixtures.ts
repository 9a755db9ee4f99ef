// For tests of this folder: messages, and a deliverer that settles at once.
import { createAccept } from './accept.ts'
import { usualLimits, type Context, type Limits } from './context.ts'
import { Owner } from './owner.ts'
import { createRoom } from './room.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { noFaults, SimulatedStream, type Chance } from './simulated-stream.ts'
import { createSubjects } from './subjects.ts'
import type { Stream } from './stream.ts'
import type { ComposeNotice, Deliverer, Delivery, NewMessage, Settlement } from './types.ts'
import { newMessageId } from './lanes.ts'
import { openQueue, type QueueOptions } from './open.ts'
import { createMetrics, silentLog } from '../report/index.ts'
import type { TestNats } from '../../test/tools/nats.ts'

export const schedule = { name: 'test', manifest: 'RetrySchedule test', attempts: [60], giveUpAfter: 86_400, overrides: [] }

export const aMessage = (given: { domains?: readonly string[]; body?: Buffer; id?: string; hold?: string; class?: 'transactional' | 'bulk'; sender?: string } = {}): NewMessage => ({
  id: given.id ?? newMessageId(),
  envelope: { mailFrom: { local: 'joe', domain: 'sender.example' }, body: '7BIT', smtputf8: false, source: '127.0.0.1', listener: 'mx', class: given.class ?? 'transactional', because: 'a test', ...(given.sender !== undefined && { sender: given.sender }) },
  deliveries: (given.domains ?? ['one.example']).map((domain) => ({ domain, recipients: [{ mailbox: { local: 'fred', domain } }], schedule, ...(given.hold !== undefined && { hold: given.hold }) })),
  headers: Buffer.from('Received: by test\r\n'),
  body: { inline: given.body ?? Buffer.from('Subject: hello\r\n\r\nbody\r\n') },
})

export const delivered: Settlement = { notices: [], trace: [] }
export const deferred = (delivery: Delivery, at: number): Settlement => ({
  later: { recipients: delivery.recipients, at, delayNoticed: false, last: { at: Date.now(), why: 'try later' }, countsAsAttempt: true },
  notices: [],
  trace: [],
})

export const noNotices: ComposeNotice = () => undefined

export const deliverer = (attempt: (delivery: Delivery, ...others: [Parameters<Deliverer['attempt']>[1], AbortSignal]) => Promise<Settlement> | Settlement): Deliverer => ({
  site: (domain) => domain,
  admit: () => ({ kind: 'now' }),
  attempt: async (delivery, body, signal) => attempt(delivery, body, signal),
})

export const openTestQueue = (nats: TestNats, given: Partial<QueueOptions> = {}) =>
  openQueue({
    servers: nats.urls,
    monitorUrls: nats.monitorUrls,
    name: 'test',
    replicas: nats.urls.length === 3 ? 3 : 1,
    bytesLimit: 1e9,
    pod: 'pod-1',
    revision: () => 'r1',
    log: silentLog,
    metrics: createMetrics(),
    composeNotice: noNotices,
    ...given,
  })

/** One process's parts against a simulated stream, on a clock that passes when told to; it has its lanes. */
export const simulated = async (given: { deliverer: (clock: SimulatedClock) => Deliverer; chance?: Partial<Chance>; limits?: Partial<Limits>; composeNotice?: ComposeNotice; /** What this process sees of the stream. */ view?: (stream: Stream, clock: SimulatedClock) => Stream; /** Goes on where another has been. */ after?: { readonly clock: SimulatedClock; readonly stream: SimulatedStream }; pod?: string; /** By how much its idea of the servers' time is wrong, in ms. */ ahead?: number }) => {
  const clock = given.after?.clock ?? new SimulatedClock()
  const stream = given.after?.stream ?? new SimulatedStream(clock, { ...noFaults, ...given.chance })
  const { pod = 'pod-1', ahead = 0, view = (stream) => stream } = given
  const metrics = createMetrics()
  const context: Context = {
    stream: view(stream.view(), clock), subjects: createSubjects('simulated'), clock, log: silentLog, metrics, pod, incarnation: `${pod}i`, composeNotice: given.composeNotice ?? noNotices, newMessageId, siteOf: (domain) => domain, emit: () => {},
    limits: { ...usualLimits, ...given.limits },
  }
  const owner = new Owner(context, { deliverer: given.deliverer(clock), paused: () => false, serverNow: () => clock.now() + ahead, revision: () => '', lanesFit: () => true })
  const { accept } = createAccept(context, createRoom(1e6, clock), () => undefined, () => true)
  owner.own.start()
  await clock.pass(3_000)
  return { clock, stream, context, owner, metrics, accept: (message: NewMessage) => void accept(message, 30_000), stop: () => owner.stop() }
}
