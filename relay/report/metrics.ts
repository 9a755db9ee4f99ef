// Every metric in one table; docs/metrics has a page for each and a test holds the two together. Prometheus' naming rules.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client' // the client the field uses, Apache-2.0
import { namedClasses } from '../snapshot/index.ts'
import { boundedWarnings } from './policy-warnings.ts'

/** From a delivery done at once to one given up after its days. */
const ages = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 43_200, 86_400, 172_800, 432_000]
const seconds = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60] // an alert asks for 2

/** `relay`: namespace/name of the MailRelay, a label on every line, so that the pages of several relays can be told apart wherever they are scraped. */
export const createMetrics = (relay?: string) => {
  const registry = new Registry()
  if (relay !== undefined) registry.setDefaultLabels({ relay })
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) => new Counter({ name: `posthouse_${name}`, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) => new Gauge({ name: `posthouse_${name}`, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[] = [], buckets = seconds) => new Histogram({ name: `posthouse_${name}`, help, labelNames, buckets, registers })
  const metrics = {
    registry,
    connections: counter('smtp_connections_total', 'Connections taken, by listener and what became of them.', ['listener', 'result']),
    openConnections: gauge('smtp_connections_open', 'Connections open now, by listener.', ['listener']),
    messagesAccepted: counter('messages_accepted_total', 'Messages stored and answered with 250, by listener.', ['listener']),
    messagesRefused: counter('messages_refused_total', 'Commands refused, by listener and enhanced status.', ['listener', 'status']),
    bytesAccepted: counter('message_accepted_bytes_total', 'Bytes of accepted messages.'),
    acceptSeconds: histogram('accept_seconds', 'From the end of DATA to the 250.'),
    policyWarnings: boundedWarnings(counter('policy_warnings_total', 'What a policy in Warn mode would have done.', ['policy', 'rule'])),
    attempts: counter('delivery_attempts_total', 'Recipients by outcome of an attempt.', ['outcome']),
    attemptSeconds: histogram('delivery_attempt_seconds', 'Time of one delivery attempt.'),
    deliveryAge: histogram('delivery_age_seconds', 'Age of a delivery when an attempt ended, from its 250, by outcome.', ['outcome'], ages),
    deferredClass: counter('delivery_deferred_total', 'Temporary failures by class.', ['class']),
    bounces: counter('bounces_total', 'Delivery status notifications written, by kind.', ['kind']),
    doubleBounces: counter('double_bounces_total', 'Notices that could not be delivered.'),
    remoteConnections: counter('delivery_connections_total', 'Connections opened to next hops, by TLS state.', ['tls']),
    dnsSeconds: histogram('dns_lookup_seconds', 'Time of one DNS look-up, by result.', ['result']),
    queueDeliveries: gauge('queue_deliveries', 'Deliveries in the whole queue, by state.', ['state']),
    queueBytes: gauge('queue_bytes', 'Bytes of the queue stream.'),
    queueLimit: gauge('queue_limit_bytes', 'Bytes that the volume of the queue has room for, half its size; at 80 % of it accepting stops.'),
    oldestReady: gauge('queue_oldest_ready_seconds', 'How long the delivery has waited that is due for longest; 0 where none is due.'),
    queueLanes: gauge('queue_lanes_owned', 'Lanes this process owns.'),
    inFlight: gauge('delivery_in_flight', 'Deliveries being attempted now.'),
    queueUp: gauge('queue_up', '1 while the queue answers and keeps its durability promise.'),
    queueReplicas: gauge('queue_replicas', 'Copies of the queue stream, by state.', ['state']),
    serverUp: gauge('queue_server_up', '1 while a queue server answers at its monitoring port, about its streams too.', ['server']),
    serverStorage: gauge('queue_server_storage_bytes', 'Bytes that streams take on a queue server.', ['server']),
    serverMemory: gauge('queue_server_memory_bytes', 'Resident memory of a queue server.', ['server']),
    serverConnections: gauge('queue_server_connections', 'Client connections of a queue server.', ['server']),
    queueLost: counter('queue_lost_total', 'Streams of the queue that were gone and were made anew, empty.'),
    recordsUnreadable: counter('queue_records_unreadable_total', 'Queue records that could not be understood, or whose mail is not there: put on hold, or left alone as those of a newer release.'),
    overdue: counter('queue_overdue_total', 'Deferred deliveries whose schedule did not fire within a minute, made due by the owner of their lane.'),
    purgeFaults: counter('queue_purge_faults_total', 'Purges that removed more than expected.'),
    traceLost: counter('trace_events_lost_total', 'Trace lines that could not be stored.'),
    certificateExpiry: gauge('certificate_expiry_timestamp_seconds', 'When a certificate of the snapshot in force ends, as Unix time.', ['certificate']),
    revisionInfo: gauge('snapshot_info', 'The snapshot in force, as a label.', ['revision']),
  }
  beginAtZero(metrics)
  return metrics
}

const outcomes = ['delivered', 'deferred', 'refused', 'unroutable', 'expired', 'held'] as const
export type OutcomeLabel = (typeof outcomes)[number]

/** A first increase is seen only where there was a 0 before it: of each label whose values are known beforehand. */
const beginAtZero = ({ attempts, deliveryAge, deferredClass, bounces, remoteConnections, dnsSeconds }: Pick<Metrics, 'attempts' | 'deliveryAge' | 'deferredClass' | 'bounces' | 'remoteConnections' | 'dnsSeconds'>): void => {
  for (const outcome of outcomes) {
    attempts.inc({ outcome }, 0)
    deliveryAge.zero({ outcome })
  }
  for (const name of [...namedClasses, 'Other']) deferredClass.inc({ class: name }, 0)
  for (const kind of ['failed', 'delayed', 'relayed']) bounces.inc({ kind }, 0)
  for (const tls of ['none', 'unverified', 'verified']) remoteConnections.inc({ tls }, 0)
  for (const result of ['records', 'nodata', 'nxdomain', 'failed']) dnsSeconds.zero({ result })
}

/** Of a listener, once it is open; 4.3.1 is what an alert looks at. */
export const beginListener = ({ connections, openConnections, messagesAccepted, messagesRefused }: Pick<Metrics, 'connections' | 'openConnections' | 'messagesAccepted' | 'messagesRefused'>, listener: string): void => {
  for (const result of ['taken', 'refused']) connections.inc({ listener, result }, 0)
  openConnections.inc({ listener }, 0)
  messagesAccepted.inc({ listener }, 0)
  messagesRefused.inc({ listener, status: '4.3.1' }, 0)
}
export type Metrics = ReturnType<typeof createMetrics>
