// Every metric of the operator in one table; docs/metrics.md has a row for each and a test holds the two together. Prometheus' naming rules.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { kinds } from '../crds/index.ts'
import { keyOf, serversOf, type ObservedFleet, type Status } from './plan/index.ts'

const seconds = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** `lease`: namespace/name, which tells the operators of one release of the chart from those of another. */
export const createOperatorMetrics = (lease: string) => {
  const registry = new Registry()
  registry.setDefaultLabels({ lease })
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) => new Counter({ name: `posthouse_operator_${name}`, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) => new Gauge({ name: `posthouse_operator_${name}`, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) => new Histogram({ name: `posthouse_operator_${name}`, help, labelNames, buckets: seconds, registers })
  const faults = counter('faults_total', 'Faults of the operator over one object, at each try, by its kind.', ['kind'])
  for (const { kind } of kinds) faults.inc({ kind }, 0) // an alert sees a first one only where there was a 0 before it
  return {
    registry,
    leader: gauge('leader', '1 while this operator acts, 0 while it waits for its turn.'),
    reconciles: counter('reconciles_total', 'Runs from what is declared to what is, by result.', ['result']),
    reconcileSeconds: histogram('reconcile_seconds', 'Time of one run.'),
    faults,
    lastReconcile: gauge('last_reconcile_timestamp_seconds', 'When a run last ended well, as Unix time; 0 before the first.'),
    workQueue: gauge('work_queue_depth', 'Pieces of work that are due or under way.'),
    apiRequests: counter('api_requests_total', 'Requests to the API server, by verb, resource and answer.', ['verb', 'resource', 'code']),
    apiSeconds: histogram('api_request_seconds', 'Time until the API server answered, by verb.', ['verb']),
    watchRestarts: counter('watch_restarts_total', 'Watches begun anew, by resource and why the one before ended.', ['resource', 'why']),
    missedEvents: counter('missed_events_total', 'Changes that no watch had told and a list showed, by resource.', ['resource']),
    objects: gauge('objects', 'Objects of our kinds, by condition and its status.', ['kind', 'condition', 'status']),
    relayCondition: gauge('relay_condition', '1 for the status that a condition of a MailRelay has, with its reason, 0 for the others.', ['relay', 'condition', 'status', 'reason']),
    relayPods: gauge('relay_pods', 'Pods of a MailRelay, by state.', ['relay', 'state']),
    queueServers: gauge('queue_servers', 'NATS servers of a managed queue, by state.', ['relay', 'state']),
    queueNodes: gauge('queue_nodes', 'Nodes on which the ready NATS servers of a managed queue run.', ['relay']),
  }
}
export type OperatorMetrics = ReturnType<typeof createOperatorMetrics>

export type Seen = { readonly statuses: readonly Status[]; readonly views: readonly ObservedFleet[] }

/** What one run saw, in place of what the one before saw: an object that is gone leaves no figure behind. */
export const measure = (metrics: OperatorMetrics, { statuses, views }: Seen): void => {
  for (const gauge of [metrics.objects, metrics.relayCondition, metrics.relayPods, metrics.queueServers, metrics.queueNodes]) gauge.reset()
  for (const { object, status } of statuses)
    for (const { type, status: is, reason } of status.conditions) {
      metrics.objects.inc({ kind: object.kind, condition: type, status: is })
      if (object.kind === 'MailRelay') for (const one of ['True', 'False', 'Unknown']) metrics.relayCondition.set({ relay: `${object.namespace}/${object.name}`, condition: type, status: one, reason: one === is ? reason : '' }, one === is ? 1 : 0)
    }
  for (const fleet of views) measureFleet(metrics, fleet)
}

const measureFleet = ({ relayPods, queueServers, queueNodes }: OperatorMetrics, { view: { relay: manifest }, revision, observed: { pods, queueNodes: nodes } }: ObservedFleet): void => {
  const relay = keyOf(manifest)
  relayPods.set({ relay, state: 'wanted' }, manifest.spec.replicas)
  relayPods.set({ relay, state: 'ready' }, pods.filter(({ ready }) => ready).length)
  relayPods.set({ relay, state: 'current' }, pods.filter((pod) => pod.ready && pod.revision === revision).length)
  if (!manifest.spec.queue.managed) return
  queueServers.set({ relay, state: 'wanted' }, serversOf(manifest))
  queueServers.set({ relay, state: 'ready' }, nodes.length)
  queueNodes.set({ relay }, new Set(nodes).size)
}
