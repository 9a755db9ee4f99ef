// The servers that keep the queue, as the relay processes see them: a managed queue's servers speak no Prometheus of their own.
import type { Dashboard } from './panel.ts'

export const nats: Dashboard = {
  uid: 'posthouse-nats',
  title: 'Posthouse / NATS',
  about: 'The NATS servers behind each queue, as its relay processes see them.',
  relays: true,
  rows: [
    {
      title: 'Now',
      panels: [
        { title: 'Servers that answer', about: 'By their monitoring port.', unit: 'none', queries: [['sum by (relay) (max by (relay, server) (posthouse_queue_server_up{relay=~"$relay"}))', '{{relay}}']], figure: { good: 'high', warn: 1, bad: 0.5 } },
        { title: 'Servers that do not', about: 'One of three may be away; with two away nothing is accepted.', unit: 'none', queries: [['count by (relay) (max by (relay, server) (posthouse_queue_server_up{relay=~"$relay"})) - sum by (relay) (max by (relay, server) (posthouse_queue_server_up{relay=~"$relay"}))', '{{relay}}']], figure: { good: 'low', warn: 1, bad: 2 } },
        { title: 'Copies that are not current', about: 'Of the queue stream. A server that was away catches up within minutes.', unit: 'none', queries: [['sum by (relay) (max by (relay, state) (posthouse_queue_replicas{relay=~"$relay",state!="current"}))', '{{relay}}']], figure: { good: 'low', warn: 1, bad: 2 } },
        { title: 'Nodes', about: 'On which the ready servers of a managed queue run, as the operator sees it. 1: the loss of that node takes the queue with it.', unit: 'none', queries: [['max by (relay) (posthouse_operator_queue_nodes{relay=~"$relay"})', '{{relay}}']], figure: { good: 'high', warn: 2, bad: 1 } },
      ],
    },
    {
      title: 'Servers',
      panels: [
        { title: 'Up', about: 'By server: 0 is a server whose monitoring port does not answer.', unit: 'none', queries: [['max by (relay, server) (posthouse_queue_server_up{relay=~"$relay"})', '{{relay}} {{server}}']] },
        { title: 'Copies by state', about: 'Of the queue stream: current, behind, offline.', unit: 'none', stacked: true, queries: [['sum by (state) (max by (relay, state) (posthouse_queue_replicas{relay=~"$relay"}))', '{{state}}']] },
        { title: 'Storage', about: 'Bytes that streams take on each server: the queue and its trace.', unit: 'bytes', queries: [['max by (relay, server) (posthouse_queue_server_storage_bytes{relay=~"$relay"})', '{{relay}} {{server}}']] },
        { title: 'Memory', about: 'Resident memory of each server. Near the limit of its container it is killed.', unit: 'bytes', queries: [['max by (relay, server) (posthouse_queue_server_memory_bytes{relay=~"$relay"})', '{{relay}} {{server}}']] },
        { title: 'Client connections', about: 'One of each relay process, on whichever server it found.', unit: 'none', stacked: true, queries: [['max by (relay, server) (posthouse_queue_server_connections{relay=~"$relay"})', '{{relay}} {{server}}']] },
        { title: 'Time to the 250', about: 'What the servers cost a client: one group of writes synced to a majority of the disks. 95 %.', unit: 's', queries: [['histogram_quantile(0.95, sum by (relay, le) (rate(posthouse_accept_seconds_bucket{relay=~"$relay"}[$__rate_interval])))', '{{relay}}']] },
      ],
    },
  ],
}
