// The receiving side alone, on free loopback ports, with a queue in memory: for tests of its dialogs.
import { startReceiving, type ReceiveOptions, type Receiving } from '../../relay/receive/index.ts'
import { createMetrics, silentLog, type Metrics } from '../../relay/report/index.ts'
import { parseSnapshot, type Snapshot, type SnapshotInput } from '../../relay/snapshot/index.ts'
import { makeCertificate, type TestCertificate } from './certificate.ts'
import { createFakeQueue, loginOf, type FakeQueue } from './fake-queue.ts'

export const testSecret = 'correct horse battery staple'
let certificate: TestCertificate | undefined
export const testCertificate = (): TestCertificate => (certificate ??= makeCertificate('mx.test'))

/** One listener of each kind, a hosted domain that takes anybody, one with a list, one sender; change what a test is about. */
export const testSnapshot = (change: (input: SnapshotInput) => void = () => {}): Snapshot => {
  const tls = { certificate: 'main' }
  const input: SnapshotInput = {
    version: 1,
    relay: { namespace: 'mail', name: 'main', manifest: 'MailRelay mail/main', hostname: 'mx.test', queue: 'main', queueReplicas: 1, queueBytes: 1e9, retrySchedule: 'default' },
    listeners: [
      { name: 'mx', manifest: 'MailRelay mail/main', protocol: 'SMTP', port: 25, bindPort: 2525, tls },
      { name: 'submission', manifest: 'MailRelay mail/main', protocol: 'Submission', port: 587, bindPort: 2587, tls, auth: ['PLAIN', 'LOGIN'] },
      { name: 'submissions', manifest: 'MailRelay mail/main', protocol: 'Submissions', port: 465, bindPort: 2465, tls, auth: ['PLAIN', 'LOGIN'] },
    ],
    senders: [{ namespace: 'shop', name: 'shop', manifest: 'MailSender shop/shop', listeners: ['submission', 'submissions'], auth: loginOf('shop', testSecret), from: ['*@shop.example'] }],
    domains: [
      { namespace: 'mail', name: 'hosted', manifest: 'MailDomain mail/hosted', domain: 'hosted.example', listeners: ['mx', 'submission', 'submissions'], inbound: { recipients: { mode: 'Any' } } },
      { namespace: 'mail', name: 'listed', manifest: 'MailDomain mail/listed', domain: 'listed.example', listeners: ['mx'], inbound: { recipients: { mode: 'List', list: ['fred', 'ann@listed.example'], subaddressing: true } } },
      { namespace: 'mail', name: 'asked', manifest: 'MailDomain mail/asked', domain: 'asked.example', listeners: ['mx'], inbound: { recipients: { mode: 'Callout' } } },
    ],
    schedules: [{ name: 'default', manifest: 'RetrySchedule default', attempts: [60], giveUpAfter: 3600 }],
    certificates: [{ name: 'main', ...testCertificate() }],
  }
  change(input)
  return parseSnapshot(input)
}

export type TestReceiver = { readonly receiving: Receiving; readonly queue: FakeQueue; readonly metrics: Metrics; port(listener: string): number; stop(): Promise<void> }

export const startTestReceiver = async (snapshot: Snapshot = testSnapshot(), more: Partial<ReceiveOptions> = {}): Promise<TestReceiver> => {
  const queue = createFakeQueue()
  const metrics = createMetrics()
  const leaving: ReceiveOptions['leaving'] = ({ schedules }) => ({ schedule: schedules[0]! })
  const receiving = await startReceiving({ snapshot, queue, log: silentLog, metrics, pod: 'test', leaving, bind: () => ({ host: '127.0.0.1', port: 0 }), ...more })
  return {
    receiving,
    queue,
    metrics,
    port: (listener) => receiving.addresses().find((opened) => opened.listener === listener)!.port,
    stop: () => receiving.close(),
  }
}

/** AUTH PLAIN's argument for the test sender. */
export const plainLogin = (username = 'shop', secret = testSecret): string => Buffer.from(`\0${username}\0${secret}`).toString('base64')
