// Deliveries and snapshots for tests of the delivering side: small, complete, and the same everywhere.
import { Readable } from 'node:stream'
import type { BodySource, Delivery, Recipient, Settlement } from '../../relay/queue/index.ts'
import { createMetrics, silentLog } from '../../relay/report/index.ts'
import { parseSnapshot, splitMailbox, type Mailbox, type Snapshot, type SnapshotInput } from '../../relay/snapshot/index.ts'
import { createDeliverer, type DelivererOptions, type RunningDeliverer } from '../../relay/deliver/index.ts'

export const mailbox = (text: string): Mailbox => splitMailbox(text)!

export const testSnapshot = (change: Partial<SnapshotInput> = {}, relay: Partial<SnapshotInput['relay']> = {}): Snapshot =>
  parseSnapshot({
    version: 1,
    relay: { namespace: 'mail', name: 'main', manifest: 'MailRelay mail/main', hostname: 'mx1.relay.example', queue: 'main', queueReplicas: 1, queueBytes: 1e9, retrySchedule: 'patient', ...relay },
    listeners: [],
    schedules: [{ name: 'patient', manifest: 'RetrySchedule patient', attempts: [60, 300], giveUpAfter: 432_000, delayNoticeAfter: 14_400 }],
    ...change,
  } satisfies SnapshotInput)

export const testMessage = Buffer.from('From: shop <orders@shop.example>\r\nTo: you\r\nSubject: hello\r\n\r\nline one\r\n.a dot first\r\nend\r\n')

export type DeliveryChange = Omit<Partial<Delivery>, 'recipients' | 'envelope'> & { readonly to?: readonly (string | Recipient)[]; readonly envelope?: Partial<Delivery['envelope']>; readonly from?: string | null }

export const testDelivery = ({ to = ['user@dest.example'], envelope, from = 'orders@shop.example', ...rest }: DeliveryChange = {}): Delivery => {
  const recipients = to.map((one) => (typeof one === 'string' ? { mailbox: mailbox(one) } : one))
  return {
    id: 'm1.0', message: 'm1', domain: recipients[0]!.mailbox.domain, recipients, attempt: 1, arrivedAt: Date.now() - 1000, bytes: testMessage.length, delayNoticed: false, lane: 0,
    schedule: testSnapshot().schedules[0]!,
    envelope: { mailFrom: from === null ? null : mailbox(from), body: '7BIT', smtputf8: false, source: '192.0.2.1', listener: 'submission', class: 'transactional', because: 'test', ...envelope },
    ...rest,
  }
}

/** A body at hand; `pieces` makes it come in parts of that size, as a chunked one does. */
export const bodyOf = (bytes: Buffer, pieces?: number): BodySource => ({
  open: () => Readable.from(pieces === undefined ? [bytes] : cut(bytes, pieces)),
  head: () => Promise.resolve(pieces === undefined ? bytes : bytes.subarray(0, Math.min(bytes.length - 1, Math.max(64 * 1024, bytes.indexOf('\r\n\r\n') + 4)))),
})

const cut = (bytes: Buffer, size: number): Buffer[] => Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))

export const testDeliverer = (snapshot: Snapshot, options: Partial<DelivererOptions> = {}): RunningDeliverer =>
  createDeliverer({ snapshot: () => snapshot, log: silentLog, metrics: createMetrics(), pod: 'test', ...options, timeouts: { look: 20, ...options.timeouts } })

/** As the queue does it: a delivery whose site had to be learnt is tried again at once. */
export const attemptOf = async (deliverer: RunningDeliverer, delivery: Delivery, body: BodySource, signal = never()): Promise<Settlement> => {
  const settlement = await deliverer.attempt(delivery, body, signal)
  return settlement === 'other-site' ? attemptOf(deliverer, delivery, body, signal) : settlement
}

export const never = (): AbortSignal => new AbortController().signal
