// How much waits, what moves, who serves it.
import type { Dashboard } from './panel.ts'

const total = 'sum by (relay) (max by (relay, state) (posthouse_queue_deliveries{relay=~"$relay",state=~"ready|deferred"}))'

export const queue: Dashboard = {
  uid: 'posthouse-queue',
  title: 'Posthouse / Queue',
  about: 'What waits in the queue of each MailRelay, whether it moves, and how full its volume is.',
  relays: true,
  rows: [
    {
      title: 'Now',
      panels: [
        { title: 'Waiting', about: 'Deliveries that are due or deferred, in the whole queue. What is usual depends on your mail; growth that does not end is a next hop that is away: kubectl posthouse queue.', unit: 'short', queries: [[total, '{{relay}}']], figure: { good: 'low', warn: 10_000, bad: 100_000 } },
        { title: 'Due for longest', about: 'How long the oldest delivery has waited that is due now. Above some minutes deliveries are paused, a lane has no owner, or a DeliveryRoute gives its hosts little at a time.', unit: 's', queries: [['max by (relay) (posthouse_queue_oldest_ready_seconds{relay=~"$relay"})', '{{relay}}']], figure: { good: 'low', warn: 120, bad: 600 } },
        { title: 'Volume used', about: 'Bytes of the queue as a share of what its volume has room for, which is half its size. At 80 % accepting stops with 452 4.3.1.', unit: 'percentunit', queries: [['max by (relay) (posthouse_queue_bytes{relay=~"$relay"}) / max by (relay) (posthouse_queue_limit_bytes{relay=~"$relay"})', '{{relay}}']], figure: { good: 'low', warn: 0.6, bad: 0.8 } },
        { title: 'Lanes served', about: 'Of 64. Mail in a lane that nobody serves is not delivered.', unit: 'none', queries: [['sum by (relay) (posthouse_queue_lanes_owned{relay=~"$relay"})', '{{relay}}']], figure: { good: 'high', warn: 64, bad: 60 } },
      ],
    },
    {
      title: 'Over time',
      panels: [
        { title: 'Deliveries by state', about: 'ready: due now. deferred: waits for its next attempt. held: a person or a policy holds it.', unit: 'short', stacked: true, queries: [['sum by (state) (max by (relay, state) (posthouse_queue_deliveries{relay=~"$relay"}))', '{{state}}']] },
        { title: 'In and out', about: 'Messages accepted, and recipients that are done with, a second. Out below in for long: the queue grows.', unit: 'reqps', queries: [['sum(rate(posthouse_messages_accepted_total{relay=~"$relay"}[$__rate_interval]))', 'accepted'], ['sum by (outcome) (rate(posthouse_delivery_attempts_total{relay=~"$relay",outcome=~"delivered|refused|unroutable|expired"}[$__rate_interval]))', '{{outcome}}']] },
        { title: 'Bytes', about: 'Of the queue stream, and the mark at which accepting stops.', unit: 'bytes', queries: [['max by (relay) (posthouse_queue_bytes{relay=~"$relay"})', '{{relay}}'], ['0.8 * max by (relay) (posthouse_queue_limit_bytes{relay=~"$relay"})', '{{relay}} stops at']] },
        { title: 'Due for longest', about: 'A steady climb means that nothing is tried at all.', unit: 's', queries: [['max by (relay) (posthouse_queue_oldest_ready_seconds{relay=~"$relay"})', '{{relay}}']] },
        { title: 'Lanes by process', about: 'How the 64 lanes lie over the processes; a step is a pod that came or went.', unit: 'none', stacked: true, queries: [['sum by (relay, instance) (posthouse_queue_lanes_owned{relay=~"$relay"})', '{{relay}} {{instance}}']] },
        { title: 'What should not be', about: 'Queues that were lost, records that could not be understood or whose mail is not there (held: posthouse queue list --state held), purges that removed too much, deliveries whose schedule did not fire, lines of the trace that were lost. Within an hour.', unit: 'short', queries: [['sum(increase(posthouse_queue_lost_total{relay=~"$relay"}[1h]))', 'lost queues'], ['sum(increase(posthouse_queue_records_unreadable_total{relay=~"$relay"}[1h]))', 'unreadable records'], ['sum(increase(posthouse_queue_purge_faults_total{relay=~"$relay"}[1h]))', 'purge faults'], ['sum(increase(posthouse_queue_overdue_total{relay=~"$relay"}[1h]))', 'overdue deliveries'], ['sum(increase(posthouse_trace_events_lost_total{relay=~"$relay"}[1h]))', 'trace lines lost']] },
      ],
    },
  ],
}
