// Fills a stream with deferred deliveries, as many attempts would have left them: a later record with its schedule, and a body, each.
import { openJetStream } from '../../relay/queue/jetstream.ts'
import { laneOf, newMessageId } from '../../relay/queue/lanes.ts'
import { alone, encodeBodyStart, encodeDelivery } from '../../relay/queue/record-wire.ts'
import type { DeliveryHead } from '../../relay/queue/record.ts'
import type { NewRecord } from '../../relay/queue/stream.ts'
import { createSubjects, deliveryToken, type Subjects } from '../../relay/queue/subjects.ts'
import { until } from '../tools/until.ts'

export type Seed = { readonly urls: readonly string[]; readonly name: string; readonly count: number; readonly domains: number; readonly dueAt: (n: number) => number }

const perBatch = 400 // deliveries, two records each

/** Resolves when all are stored. */
export const seedDeferred = async ({ urls, name, count, domains, dueAt }: Seed): Promise<void> => {
  const stream = openJetStream({ servers: [...urls], name, timeoutMs: 60_000 })
  await until('connected', () => stream.connected())
  const subjects = createSubjects(name)
  for (let from = 0; from < count; from += perBatch) {
    const numbers = Array.from({ length: Math.min(perBatch, count - from) }, (_, index) => from + index)
    const answer = await stream.batch(numbers.flatMap((n) => recordsOf(subjects, `d${n % domains}.example`, dueAt(n))))
    if (answer.kind !== 'ack') throw new Error(`not stored: ${JSON.stringify(answer)}`)
  }
  await stream.close()
}

const first = Buffer.from('Received: by bench\r\nSubject: waits\r\n\r\nbody\r\n')

const recordsOf = (subjects: Subjects, domain: string, at: number): NewRecord[] => {
  const message = newMessageId()
  const token = deliveryToken(message, '0')
  const lane = laneOf(domain)
  const body = { id: token, chunks: 0, bytes: first.length, sha256: '', shared: 1 }
  const head: DeliveryHead = {
    message, n: '0', domain, recipients: [{ mailbox: { local: 'reader', domain } }], attempt: 2, turn: 1, arrivedAt: Date.now(), bytes: first.length, delayNoticed: false, body, nextAt: at,
    envelope: { mailFrom: { local: 'sender', domain: 'load.example' }, body: '7BIT', smtputf8: false, source: '127.0.0.1', listener: 'mx', class: 'transactional', because: 'the bench' },
    schedule: { name: 'bench', manifest: 'bench', attempts: [3600], giveUpAfter: 432_000, overrides: [] },
    last: { at: Date.now(), why: 'connection refused', class: 'Connect' },
  }
  return [
    { subject: subjects.later(lane, domain, token, 1), payload: encodeDelivery(alone, head), schedule: { at, target: subjects.ready(lane, 'transactional', token, 1) } },
    { subject: subjects.body(token, 0), payload: encodeBodyStart({ pointer: body, first: [first] }) },
  ]
}
