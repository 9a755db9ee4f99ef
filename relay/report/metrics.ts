// Every metric in one table; docs/metrics has a page for each and a test holds the two together. Prometheus' naming rules.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client' // the client the field uses, Apache-2.0

const seconds = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export const createMetrics = () => {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) => new Counter({ name: `posthouse_${name}`, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) => new Gauge({ name: `posthouse_${name}`, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) => new Histogram({ name: `posthouse_${name}`, help, labelNames, buckets: seconds, registers })
  return {
    registry,
    connections: counter('smtp_connections_total', 'Connections taken, by listener and what became of them.', ['listener', 'result']),
    openConnections: gauge('smtp_connections_open', 'Connections open now, by listener.', ['listener']),
    messagesAccepted: counter('messages_accepted_total', 'Messages stored and answered with 250, by listener.', ['listener']),
    messagesRefused: counter('messages_refused_total', 'Commands refused, by listener and enhanced status.', ['listener', 'status']),
    bytesAccepted: counter('message_accepted_bytes_total', 'Bytes of accepted messages.'),
    acceptSeconds: histogram('accept_seconds', 'From the end of DATA to the 250.'),
    policyWarnings: counter('policy_warnings_total', 'What a policy in Warn mode would have done.', ['policy', 'rule']),
    attempts: counter('delivery_attempts_total', 'Recipients by outcome of an attempt.', ['outcome']),
    attemptSeconds: histogram('delivery_attempt_seconds', 'Time of one delivery attempt.'),
    deferredClass: counter('delivery_deferred_total', 'Temporary failures by class.', ['class']),
    bounces: counter('bounces_total', 'Delivery status notifications written, by kind.', ['kind']),
    doubleBounces: counter('double_bounces_total', 'Notices that could not be delivered.'),
    remoteConnections: counter('delivery_connections_total', 'Connections opened to next hops, by TLS state.', ['tls']),
    dnsSeconds: histogram('dns_lookup_seconds', 'Time of one DNS look-up, by result.', ['result']),
    queueDeliveries: gauge('queue_deliveries', 'Deliveries in the whole queue, by state.', ['state']),
    queueBytes: gauge('queue_bytes', 'Bytes of the queue stream.'),
    queueLanes: gauge('queue_lanes_owned', 'Lanes this process owns.'),
    inFlight: gauge('delivery_in_flight', 'Deliveries being attempted now.'),
    queueUp: gauge('queue_up', '1 while the queue answers and keeps its durability promise.'),
    recordsUnreadable: counter('queue_records_unreadable_total', 'Queue records set aside because they could not be understood.'),
    purgeFaults: counter('queue_purge_faults_total', 'Purges that removed more than expected.'),
    traceLost: counter('trace_events_lost_total', 'Trace lines that could not be stored.'),
    revisionInfo: gauge('snapshot_info', 'The snapshot in force, as a label.', ['revision']),
  }
}
export type Metrics = ReturnType<typeof createMetrics>
