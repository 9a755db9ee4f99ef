// What no server can be made to answer on demand. The rest of settling is tested against real ones (queue.test.ts) and by the model.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics, silentLog, type Log, type Metrics } from '../report/index.ts'
import type { Context } from './context.ts'
import { usualLimits } from './context.ts'
import type { Entry } from './entry.ts'
import { aMessage, deferred, delivered, deliverer, noNotices, schedule, simulated } from './fixtures.ts'
import type { Removal } from './removal.ts'
import { Settle } from './settle.ts'
import { SimulatedClock } from './simulated-clock.ts'
import type { Found, RawAnswer, Stream } from './stream.ts'
import { createSubjects } from './subjects.ts'
import type { ComposeNotice, Delivery, Settlement, TraceEvent } from './types.ts'
import { composeDsn } from '../notices/dsn.ts'

const subjects = createSubjects('test')
const { envelope } = aMessage()
const entry = (name: string, lane = 3): Entry => ({
  tenure: { lane, epoch: 7, takenAt: 0, state: 'kept' }, subject: `test.ready.3.x.${name}`, seq: 9, at: 0, sizes: { group: 1, batch: 1 }, inline: Buffer.alloc(0),
  head: { version: 1, message: name, n: '0', envelope } as unknown as Entry['head'], delivery: { id: `${name}.0`, message: name, domain: 'one.example' } as Entry['delivery'],
})

const settling = (answers: RawAnswer[], last: Found | ((subject: string) => Found), composeNotice: ComposeNotice = noNotices, log: Log = silentLog): { settle: Settle; clock: SimulatedClock; asked: { times: number }; metrics: Metrics } => {
  const metrics = createMetrics()
  const clock = new SimulatedClock()
  const asked = { times: 0 }
  const answer = () => (asked.times++, Promise.resolve(answers.length > 1 ? answers.shift()! : answers[0]!))
  const stream = { batch: answer, publish: answer, last: (subject: string) => Promise.resolve(typeof last === 'function' ? last(subject) : last) } as unknown as Stream
  const context: Context = { stream, subjects, clock, log, metrics, pod: 'p', incarnation: 'i', composeNotice, newMessageId: () => 'n', siteOf: (domain) => domain, emit: () => {}, limits: usualLimits }
  const removal = { noted: () => {}, finish: () => {}, single: () => {} } as unknown as Removal
  return { clock, asked, metrics, settle: new Settle(context, { removal, lost: () => {}, serverNow: () => clock.now(), onStored: () => {} }) }
}

test('a note whose answer was lost, and which the next owner has tidied away by the 2nd asking, does not hold up what comes after it', async () => {
  const lost: RawAnswer = { kind: 'silence', text: 'timeout' }
  const repeated: RawAnswer = { kind: 'ack', seq: 0, duplicate: true }
  const { settle, clock } = settling([lost, repeated, { kind: 'ack', seq: 50, duplicate: false }], { kind: 'missing' })
  const ends: string[] = []
  void settle.add({ entry: entry('a'), settlement: delivered }).then((as) => ends.push(`a ${as}`))
  await clock.pass(1)
  void settle.add({ entry: entry('b'), settlement: delivered }).then((as) => ends.push(`b ${as}`))
  await clock.pass(10_000)
  assert.deepEqual(ends, ['a stored', 'b stored'])
})

test('a batch of 2 lanes whose answer was lost is stored, and not asked for once more, also where the next owner of the 1st lane has tidied that lane away', async () => {
  const answers: RawAnswer[] = [{ kind: 'silence', text: 'timeout' }, { kind: 'error', code: 10071, text: 'wrong last sequence: 99' }, { kind: 'ack', seq: 50, duplicate: false }]
  const { settle, clock, asked } = settling(answers, (subject) => (subject === subjects.note(4, 'i', 0) ? { kind: 'found', record: { subject, seq: 21, at: 0, payload: Buffer.alloc(0) } } : { kind: 'missing' }))
  const ends: string[] = []
  for (const [name, lane] of [['a', 3], ['b', 4]] as const) void settle.add({ entry: entry(name, lane), settlement: delivered }).then((as) => ends.push(`${name} ${as}`))
  await clock.pass(10_000)
  assert.deepEqual([ends, asked.times], [['a stored', 'b stored'], 2])
})

test('1 outcome that cannot be composed does not take along the 2 that go with it', async () => {
  const { settle, clock } = settling([{ kind: 'ack', seq: 50, duplicate: false }], { kind: 'missing' }, () => {
    throw new RangeError('a bug')
  })
  const ends: string[] = []
  const bounced: Settlement = { notices: [{ kind: 'failed', recipient: { mailbox: { local: 'fred', domain: 'one.example' } }, status: '5.0.0', plain: '' }], trace: [] }
  for (const name of ['a', 'b', 'c']) void settle.add({ entry: entry(name), settlement: name === 'b' ? bounced : delivered }).then((as) => ends.push(`${name} ${as}`))
  await clock.pass(1_000)
  assert.deepEqual(ends, ['a stored', 'b lane-lost', 'c stored'])
})

test('a batch that the servers refuse for 5 minutes is said 5 times, with their words, and is stored when they take it', async () => {
  const refused: RawAnswer = { kind: 'error', code: 10054, text: 'message size exceeds maximum allowed' }
  const lines: unknown[][] = []
  const log = { ...silentLog, warn: (...line: unknown[]) => void lines.push(line) }
  const answers: RawAnswer[] = [...Array.from({ length: 305 }, () => refused), { kind: 'ack', seq: 50, duplicate: false }]
  const { settle, clock } = settling(answers, { kind: 'missing' }, noNotices, log)
  const ends: string[] = []
  void settle.add({ entry: entry('a'), settlement: delivered }).then((as) => ends.push(as))
  await clock.pass(320_000)
  assert.deepEqual(lines.map(([code, fields]) => [code, (fields as { asked: number }).asked, (fields as { why: string }).why]), [60, 120, 180, 240, 300].map((asked) => ['SETTLE_WAITS', asked, '10054 message size exceeds maximum allowed']))
  assert.deepEqual(ends, ['stored'])
})

const fence: RawAnswer = { kind: 'error', code: 10071, text: 'wrong last sequence: 99' }
const ack: RawAnswer = { kind: 'ack', seq: 50, duplicate: false }
const toFred = { mailbox: { local: 'fred', domain: 'one.example' } }
const failed: Settlement = { notices: [{ kind: 'failed', recipient: toFred, status: '5.0.0', plain: 'No.' }], trace: [] }
const ofNobody = (one: Entry): Entry => ({ ...one, head: { ...one.head, envelope: { ...envelope, mailFrom: null } } })
const whole = (one: Entry): Entry => ({ ...one, delivery: { ...one.delivery, envelope: one.head.envelope, recipients: [toFred], arrivedAt: 0, attempt: 1, bytes: 9, schedule } })
const dsn: ComposeNotice = (given) => composeDsn({ hostname: 'mx.example' }, given)

test('of 2 notices that went out in 1 batch and again lane by lane, since another process had 1 of the lanes, 1 is counted: the one that was stored', async () => {
  const { settle, clock, metrics } = settling([fence, ack, fence], { kind: 'missing' }, dsn)
  const ends: string[] = []
  for (const [name, lane] of [['a', 3], ['b', 4]] as const) void settle.add({ entry: whole(entry(name, lane)), settlement: failed }).then((as) => ends.push(`${name} ${as}`))
  await clock.pass(10_000)
  assert.deepEqual(ends, ['a stored', 'b lane-lost'])
  assert.deepEqual((await metrics.bounces.get()).values.filter(({ value }) => value > 0), [{ value: 1, labels: { kind: 'failed' } }])
})

test('1 notice that nobody can be told is counted and said once, with its recipient, whatever its batch was composed for', async () => {
  const said: unknown[] = []
  const { settle, clock, metrics } = settling([fence, ack, ack], { kind: 'missing' }, dsn, { ...silentLog, warn: (...line) => void said.push(line) })
  const ends: string[] = []
  for (const [name, lane] of [['a', 3], ['b', 4]] as const) void settle.add({ entry: whole(name === 'a' ? ofNobody(entry(name, lane)) : entry(name, lane)), settlement: name === 'a' ? failed : delivered }).then((as) => ends.push(`${name} ${as}`))
  await clock.pass(10_000)
  assert.deepEqual([ends, (await metrics.doubleBounces.get()).values[0]!.value], [['a stored', 'b stored'], 1])
  assert.deepEqual(said, [['DOUBLE_BOUNCE', { message: 'a', recipients: ['fred@one.example'], count: 1, toPostmaster: false }]])
})

test('an attempt whose outcome could not be stored, since its lane was lost, stands in the timeline before the 1 that followed', async (t) => {
  const refusing = { is: true }
  const outcomes = ['deferred', 'delivered', 'delivered'] as const
  const lines: string[] = []
  let tries = 0
  const traced = (delivery: Delivery, at: number): Settlement => {
    const kind = outcomes[tries]!
    const trace = [{ at, message: delivery.message, delivery: delivery.id, kind, pod: 'p', text: `try ${++tries}` }]
    refusing.is = tries < outcomes.length
    return kind === 'deferred' ? { ...deferred(delivery, at + 60_000), trace } : { ...delivered, trace }
  }
  const { clock, context, accept, stop } = await simulated({
    deliverer: (clock) => deliverer((delivery) => traced(delivery, clock.now())),
    view: (view) => ({
      ...view,
      publish: (record) => (refusing.is && record.subject.includes('.done.') ? Promise.resolve(fence) : view.publish(record)),
      batch: (records) => (refusing.is && records.some(({ subject }) => subject.includes('.done.')) ? Promise.resolve(fence) : view.batch(records)),
    }),
  })
  t.after(stop)
  Object.assign(context, { emit: ({ kind, text }: TraceEvent) => lines.push(`${kind}: ${text}`) })
  accept(aMessage())
  await clock.pass(120_000)
  const lost = '; its lane was lost before this was stored: it is tried again'
  assert.deepEqual(lines, [`attempt: try 1${lost}`, `delivered: try 2${lost}`, 'delivered: try 3'])
})

test('1 batch whose answer was lost, and whose note the next owner has tidied away by the 2nd asking (10201), is stored and does not hold up what comes after it', async () => {
  const { settle, clock, asked, metrics } = settling([{ kind: 'silence', text: 'timeout' }, { kind: 'error', code: 10201, text: 'batch contains duplicate message id' }, ack], { kind: 'missing' }, dsn)
  const ends: string[] = []
  void settle.add({ entry: whole(entry('a')), settlement: failed }).then((as) => ends.push(`a ${as}`))
  await clock.pass(1)
  void settle.add({ entry: entry('b'), settlement: delivered }).then((as) => ends.push(`b ${as}`))
  await clock.pass(10_000)
  assert.deepEqual([ends, asked.times, (await metrics.bounces.get()).values.find(({ labels }) => labels.kind === 'failed')!.value], [['a stored', 'b stored'], 3, 1])
})
