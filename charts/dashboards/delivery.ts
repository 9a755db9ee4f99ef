// What becomes of mail: delivered, put off, returned; how long it takes, and what stands in the way.
import type { Dashboard } from './panel.ts'

const done = 'delivered|refused|unroutable|expired'

export const delivery: Dashboard = {
  uid: 'posthouse-delivery',
  title: 'Posthouse / Delivery',
  about: 'Attempts and their outcomes, time until delivery, next hops and DNS of each MailRelay.',
  relays: true,
  rows: [
    {
      title: 'Now',
      panels: [
        { title: 'Delivered', about: 'Recipients a second.', unit: 'reqps', queries: [['sum by (relay) (rate(posthouse_delivery_attempts_total{relay=~"$relay",outcome="delivered"}[$__rate_interval]))', '{{relay}}']], figure: { good: 'high', warn: 0, bad: -1 } },
        { title: 'Delivered of those done with', about: 'Within an hour, of all recipients delivered or failed for good. Much below its usual value: a sender with a bad list, or we are on a blocklist.', unit: 'percentunit', queries: [[`sum by (relay) (increase(posthouse_delivery_attempts_total{relay=~"$relay",outcome="delivered"}[1h])) / sum by (relay) (increase(posthouse_delivery_attempts_total{relay=~"$relay",outcome=~"${done}"}[1h]))`, '{{relay}}']], figure: { good: 'high', warn: 0.95, bad: 0.9 } },
        { title: '95 % are delivered within', about: 'From the 250 to the 250 of the next hop, of what was delivered within an hour.', unit: 's', queries: [['histogram_quantile(0.95, sum by (relay, le) (increase(posthouse_delivery_age_seconds_bucket{relay=~"$relay",outcome="delivered"}[1h])))', '{{relay}}']], figure: { good: 'low', warn: 300, bad: 3600 } },
        { title: 'In flight', about: 'Deliveries being attempted now.', unit: 'short', queries: [['sum by (relay) (posthouse_delivery_in_flight{relay=~"$relay"})', '{{relay}}']], figure: { good: 'low', warn: 5000, bad: 20_000 } },
      ],
    },
    {
      title: 'Outcomes',
      panels: [
        { title: 'Attempts by outcome', about: 'Recipients a second. deferred: tried again later. refused, unroutable, expired: the sender is told.', unit: 'reqps', stacked: true, queries: [['sum by (outcome) (rate(posthouse_delivery_attempts_total{relay=~"$relay"}[$__rate_interval]))', '{{outcome}}']] },
        { title: 'Put off, by class', about: 'DNS: the resolver. Connect: the network or the host. TLS: certificates. Greylist: usual, passes. RateLimited: our volume. QuotaExceeded: full mailboxes.', unit: 'reqps', stacked: true, queries: [['sum by (class) (rate(posthouse_delivery_deferred_total{relay=~"$relay"}[$__rate_interval]))', '{{class}}']] },
        { title: 'Notices to senders', about: 'Delivery status notifications a second, by kind; double: those that could not be delivered either.', unit: 'reqps', queries: [['sum by (kind) (rate(posthouse_bounces_total{relay=~"$relay"}[$__rate_interval]))', '{{kind}}'], ['sum(rate(posthouse_double_bounces_total{relay=~"$relay"}[$__rate_interval]))', 'double']] },
        { title: 'Age when delivered', about: 'From the 250 to the 250 of the next hop: half, 95 % and 99 %.', unit: 's', queries: [0.5, 0.95, 0.99].map((q) => [`histogram_quantile(${q}, sum by (le) (rate(posthouse_delivery_age_seconds_bucket{relay=~"$relay",outcome="delivered"}[$__rate_interval])))`, `${q * 100} %`] as const) },
      ],
    },
    {
      title: 'The way there',
      panels: [
        { title: 'Time of an attempt', about: 'Half and 95 %. Slow next hops show here first.', unit: 's', queries: [0.5, 0.95].map((q) => [`histogram_quantile(${q}, sum by (le) (rate(posthouse_delivery_attempt_seconds_bucket{relay=~"$relay"}[$__rate_interval])))`, `${q * 100} %`] as const) },
        { title: 'Connections by TLS', about: 'Opened to next hops a second. Plain ones that should not be: a DeliveryRoute can require TLS.', unit: 'reqps', stacked: true, queries: [['sum by (tls) (rate(posthouse_delivery_connections_total{relay=~"$relay"}[$__rate_interval]))', '{{tls}}']] },
        { title: 'DNS look-ups', about: 'A second, by result. failed: no answer, which delays mail and returns none.', unit: 'reqps', stacked: true, queries: [['sum by (result) (rate(posthouse_dns_lookup_seconds_count{relay=~"$relay"}[$__rate_interval]))', '{{result}}']] },
        { title: 'Time of a DNS look-up', about: '95 %, by result.', unit: 's', queries: [['histogram_quantile(0.95, sum by (result, le) (rate(posthouse_dns_lookup_seconds_bucket{relay=~"$relay"}[$__rate_interval])))', '{{result}}']] },
      ],
    },
  ],
}
