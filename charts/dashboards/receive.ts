// Who connects, what is accepted, what is refused and why.
import type { Dashboard } from './panel.ts'

export const receive: Dashboard = {
  uid: 'posthouse-receive',
  title: 'Posthouse / Receive',
  about: 'Connections, accepted and refused mail of each MailRelay, by listener.',
  relays: true,
  rows: [
    {
      title: 'Now',
      panels: [
        { title: 'Accepting', about: '1 while at least one process reaches a queue that keeps its promise; else clients get 451.', unit: 'none', queries: [['max by (relay) (posthouse_queue_up{relay=~"$relay"})', '{{relay}}']], figure: { good: 'high', warn: 1, bad: 0.5 } },
        { title: 'Accepted', about: 'Messages a second that got their 250.', unit: 'reqps', queries: [['sum by (relay) (rate(posthouse_messages_accepted_total{relay=~"$relay"}[$__rate_interval]))', '{{relay}}']], figure: { good: 'high', warn: 0, bad: -1 } },
        { title: '95 % get their 250 within', about: 'From the end of DATA. Mostly the fsync of the disks behind the queue.', unit: 's', queries: [['histogram_quantile(0.95, sum by (relay, le) (rate(posthouse_accept_seconds_bucket{relay=~"$relay"}[$__rate_interval])))', '{{relay}}']], figure: { good: 'low', warn: 0.5, bad: 2 } },
        { title: 'First certificate ends in', about: 'Of the certificates in the snapshot in force. Under 7 days whoever renews it does not.', unit: 's', queries: [['min by (relay) (posthouse_certificate_expiry_timestamp_seconds{relay=~"$relay"}) - time()', '{{relay}}']], figure: { good: 'high', warn: 604_800, bad: 86_400 } },
      ],
    },
    {
      title: 'Mail',
      panels: [
        { title: 'Accepted by listener', about: 'Messages a second.', unit: 'reqps', stacked: true, queries: [['sum by (relay, listener) (rate(posthouse_messages_accepted_total{relay=~"$relay"}[$__rate_interval]))', '{{relay}} {{listener}}']] },
        { title: 'Refused by status', about: 'Commands refused a second, by enhanced status (RFC 3463). 5.7.1: strangers; 4.7.1: limits; 4.3.0: the queue; 4.3.1: its volume is full. The log code REFUSED names the rule.', unit: 'reqps', stacked: true, queries: [['sum by (status) (rate(posthouse_messages_refused_total{relay=~"$relay"}[$__rate_interval]))', '{{status}}']] },
        { title: 'Bytes accepted', about: 'Of messages that got their 250, a second. With some hundred bytes more for each, the rate at which the volume of the queue can fill.', unit: 'bytes', queries: [['sum by (relay) (rate(posthouse_message_accepted_bytes_total{relay=~"$relay"}[$__rate_interval]))', '{{relay}}']] },
        { title: 'Time to the 250', about: 'From the end of DATA: half, 95 % and 99 % of the messages.', unit: 's', queries: [0.5, 0.95, 0.99].map((q) => [`histogram_quantile(${q}, sum by (le) (rate(posthouse_accept_seconds_bucket{relay=~"$relay"}[$__rate_interval])))`, `${q * 100} %`] as const) },
      ],
    },
    {
      title: 'Connections',
      panels: [
        { title: 'Open', about: 'By listener. Near limits.connections of the listener times the pods: raise it or add replicas.', unit: 'short', queries: [['sum by (relay, listener) (posthouse_smtp_connections_open{relay=~"$relay"})', '{{relay}} {{listener}}']] },
        { title: 'New', about: 'A second, by result: refused ones hit a limit.', unit: 'reqps', queries: [['sum by (listener, result) (rate(posthouse_smtp_connections_total{relay=~"$relay"}[$__rate_interval]))', '{{listener}} {{result}}']] },
        { title: 'Policies in Warn mode', about: 'What Enforce would have done, a second. At zero for long enough: switch it to Enforce.', unit: 'reqps', queries: [['sum by (policy, rule) (rate(posthouse_policy_warnings_total{relay=~"$relay"}[$__rate_interval]))', '{{policy}} {{rule}}']] },
        { title: 'Snapshots in force', about: 'Processes by revision. Two for more than a minute: one does not reload.', unit: 'none', stacked: true, queries: [['count by (relay, revision) (posthouse_snapshot_info{relay=~"$relay"})', '{{relay}} {{revision}}']] },
      ],
    },
  ],
}
