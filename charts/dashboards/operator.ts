// Whether what is applied takes effect, and what it costs the API server.
import type { Dashboard } from './panel.ts'

export const operator: Dashboard = {
  uid: 'posthouse-operator',
  title: 'Posthouse / Operator',
  about: 'The operator: its runs, its requests, and the state of what it looks after.',
  relays: false,
  rows: [
    {
      title: 'Now',
      panels: [
        { title: 'Leaders', about: '1; of several releases, that with fewest. With 0 nothing that is applied takes effect; mail flows on.', unit: 'none', queries: [['min(sum by (lease) (posthouse_operator_leader))', 'leaders']], figure: { good: 'high', warn: 1, bad: 0.5 } },
        { title: 'Last run', about: 'Since the last run ended well. There is one at least every 30 s.', unit: 's', queries: [['time() - min(max by (lease) (posthouse_operator_last_reconcile_timestamp_seconds))', 'ago']], figure: { good: 'low', warn: 120, bad: 300 } },
        { title: 'Refused manifests', about: 'Objects whose condition Accepted is False: kubectl get maildomains,mailsenders,relaypolicies,deliveryroutes,mailrelays -A', unit: 'none', queries: [['sum(posthouse_operator_objects{condition="Accepted",status="False"}) or vector(0)', 'objects']], figure: { good: 'low', warn: 1, bad: 10 } },
        { title: 'Relays not ready', about: 'MailRelays whose condition Ready is not True.', unit: 'none', queries: [['sum(posthouse_operator_objects{kind="MailRelay",condition="Ready",status!="True"}) or vector(0)', 'relays']], figure: { good: 'low', warn: 1, bad: 2 } },
      ],
    },
    {
      title: 'What it looks after',
      panels: [
        { title: 'Objects by kind', about: 'By their condition Ready.', unit: 'none', stacked: true, queries: [['sum by (kind, status) (posthouse_operator_objects{condition="Ready"})', '{{kind}} Ready {{status}}']] },
        { title: 'Conditions of relays that are not True', about: '1 for each that is False or Unknown: kubectl describe mailrelay says why.', unit: 'none', queries: [['1 - max by (relay, condition) (posthouse_operator_relay_condition{status="True"})', '{{relay}} {{condition}}']] },
        { title: 'Relay pods', about: 'Wanted, ready, and current: those of the ready that run the newest snapshot.', unit: 'none', queries: [['max by (relay, state) (posthouse_operator_relay_pods)', '{{relay}} {{state}}']] },
        { title: 'Queue servers', about: 'Of managed queues: wanted and ready.', unit: 'none', queries: [['max by (relay, state) (posthouse_operator_queue_servers)', '{{relay}} {{state}}']] },
      ],
    },
    {
      title: 'Its work',
      panels: [
        { title: 'Runs', about: 'A second, by result; failed ones are in its log as RECONCILE_FAILED.', unit: 'reqps', queries: [['sum by (result) (rate(posthouse_operator_reconciles_total[$__rate_interval]))', '{{result}}']] },
        { title: 'Time of a run', about: 'Half and 95 %.', unit: 's', queries: [0.5, 0.95].map((q) => [`histogram_quantile(${q}, sum by (le) (rate(posthouse_operator_reconcile_seconds_bucket[$__rate_interval])))`, `${q * 100} %`] as const) },
        { title: 'Requests by verb', about: 'To the API server, a second.', unit: 'reqps', stacked: true, queries: [['sum by (verb) (rate(posthouse_operator_api_requests_total[$__rate_interval]))', '{{verb}}']] },
        { title: 'Writes', about: 'A second, without those of the lease. None while nothing changes.', unit: 'reqps', queries: [['sum by (resource) (rate(posthouse_operator_api_requests_total{verb!~"get|list|watch",resource!="leases"}[$__rate_interval]))', '{{resource}}']] },
        { title: 'Answers that are no success', about: 'A second, by code; none: no answer came. 404 and 409 now and then are usual, 403 is a right that is missing.', unit: 'reqps', queries: [['sum by (code, resource) (rate(posthouse_operator_api_requests_total{code!~"2.."}[$__rate_interval])) or vector(0)', '{{code}} {{resource}}']] },
        { title: 'Time until the API server answered', about: '95 %, by verb.', unit: 's', queries: [['histogram_quantile(0.95, sum by (verb, le) (rate(posthouse_operator_api_request_seconds_bucket[$__rate_interval])))', '{{verb}}']] },
        { title: 'Watches begun anew', about: 'Within an hour, by why. The server ends each every few minutes; failed and expired are troubles on the way to it.', unit: 'short', queries: [['sum by (why) (increase(posthouse_operator_watch_restarts_total[1h]))', '{{why}}']] },
        { title: 'Missed events', about: 'Changes within an hour that no watch had told and a list showed. After an outage of the API server some are usual.', unit: 'short', queries: [['sum by (resource) (increase(posthouse_operator_missed_events_total[1h]))', '{{resource}}']] },
        { title: 'Work waiting', about: 'Pieces of work due or under way. Above 0 for long: a run hangs.', unit: 'none', queries: [['sum(posthouse_operator_work_queue_depth)', 'pieces']] },
      ],
    },
  ],
}
