// For each alert a world in which it fires, and one beside it in which it does not: what promtool's unit tests are made of. Data.

/** Series as promtool writes them: "a+bxn" begins at a and grows by b, n times, once a minute. */
export type World = { readonly series: Readonly<Record<string, string>>; readonly at: string }
/** `alsoFires`: another way to the same alert. */
export type AlertCase = { readonly fires: World; readonly alsoFires?: World; readonly quiet: World; readonly labels: string }

const relay = 'relay="mail/main"'
const of = (name: string, labels = ''): string => `posthouse_${name}{${relay}${labels === '' ? '' : `,${labels}`}}`
const condition = (type: string, status: string, reason: string): string => `posthouse_operator_relay_condition{${relay},condition="${type}",status="${status}",reason="${reason}"}`
const ofAnother = (series: string): string => series.replace(relay, 'relay="mail/other"')
const probe = (status: string, reason: string): string => condition('OpenRelayProbe', status, reason)
const pods = (state: string): string => `posthouse_operator_relay_pods{${relay},state="${state}"}`
const deliveries = (state: string): string => of('queue_deliveries', `state="${state}"`)
const attempts = (outcome: string): string => of('delivery_attempts_total', `outcome="${outcome}"`)
const lookups = (result: string): string => of('dns_lookup_seconds_count', `result="${result}"`)
const always = (value: number): string => `${value}x600`
const byRelay = relay

const slow = (le: string, perMinute: number) => [of('accept_seconds_bucket', `le="${le}"`), `0+${perMinute}x600`] as const
/** Nothing within a second: what lies between two bounds is guessed. */
const accepts = (within2: number, within5: number): Record<string, string> => Object.fromEntries([slow('1', 0), slow('2', within2), slow('5', within5), slow('+Inf', within5)])
const oldMail = (young: number, all: number, delivered?: number): Record<string, string> => ({
  [of('delivery_age_seconds_bucket', 'outcome="deferred",le="86400.0"')]: `0+${young}x600`,
  [of('delivery_age_seconds_count', 'outcome="deferred"')]: `0+${all}x600`,
  ...(delivered !== undefined && { [of('delivery_age_seconds_count', 'outcome="delivered"')]: `0+${delivered}x600` }),
})
const servers = (state: string): string => `posthouse_operator_queue_servers{${relay},state="${state}"}`
const onNodes = (nodes: number, wanted: number, ready: number): Record<string, string> => ({ [`posthouse_operator_queue_nodes{${relay}}`]: always(nodes), [servers('wanted')]: always(wanted), [servers('ready')]: always(ready) })
const bytes = (used: number): Record<string, string> => ({ [of('queue_bytes')]: always(used), [of('queue_limit_bytes')]: always(100) })

export const alertCases: Readonly<Record<string, AlertCase>> = {
  PosthouseQueueUnreachable: {
    labels: byRelay,
    fires: { at: '5m', series: { [of('queue_up', 'pod="a"')]: always(0), [of('queue_up', 'pod="b"')]: always(0), [condition('DurableAccept', 'False', 'Unreachable')]: '_ 1x600' } }, // the operator says the same a minute later
    // another pod still reaches it; that of another relay answers and keeps no promise, which is another alert
    quiet: { at: '5m', series: { [of('queue_up', 'pod="a"')]: always(0), [of('queue_up', 'pod="b"')]: always(1), [ofAnother(of('queue_up'))]: always(0), [ofAnother(condition('DurableAccept', 'False', 'SyncNotAlways'))]: always(1) } },
  },
  PosthouseQueueNotDurable: {
    labels: byRelay,
    fires: { at: '5m', series: { [condition('DurableAccept', 'False', 'SyncNotAlways')]: always(1) } },
    // full and unreachable are other alerts; of another relay one pod, started after its servers' monitoring port was closed, finds no promise, and another takes mail
    quiet: { at: '5m', series: { [condition('DurableAccept', 'False', '')]: always(0), [condition('DurableAccept', 'False', 'QueueFull')]: always(1), [condition('DurableAccept', 'False', 'Unreachable')]: always(1), [ofAnother(condition('DurableAccept', 'False', 'SyncUnknown'))]: always(1), [ofAnother(of('queue_up', 'pod="a"'))]: always(1), [ofAnother(of('queue_up', 'pod="b"'))]: always(0) } },
  },
  PosthouseQueueFull: {
    labels: byRelay,
    fires: { at: '5m', series: bytes(81) },
    alsoFires: { at: '13m', series: { ...bytes(79), [of('messages_refused_total', 'status="4.3.1"')]: '0x10 1x30' } }, // a single large mail that there is no room for
    quiet: { at: '5m', series: { ...bytes(79), [of('messages_refused_total', 'status="5.7.1"')]: '0+5x600' } },
  },
  PosthouseQueueFilling: { labels: byRelay, fires: { at: '15m', series: bytes(61) }, quiet: { at: '15m', series: bytes(81) } }, // then it is full, which is another alert
  PosthouseAcceptSlow: { labels: byRelay, fires: { at: '40m', series: accepts(50, 100) }, quiet: { at: '40m', series: accepts(97, 100) } },
  PosthouseNoPodReady: {
    labels: byRelay,
    fires: { at: '5m', series: { [pods('wanted')]: always(3), [pods('ready')]: always(0) } },
    quiet: { at: '5m', series: { [pods('wanted')]: always(0), [pods('ready')]: always(0) } }, // scaled to nothing on purpose
  },
  PosthousePodsNotReady: {
    labels: byRelay,
    fires: { at: '20m', series: { [pods('wanted')]: always(3), [pods('ready')]: always(2) } },
    quiet: { at: '20m', series: { [pods('wanted')]: always(3), [pods('ready')]: '2x10 3x300' } },
  },
  PosthouseCertificateExpires: {
    labels: `${byRelay},certificate="secret:mail/mx-tls"`,
    fires: { at: '2h', series: { [of('certificate_expiry_timestamp_seconds', 'certificate="secret:mail/mx-tls"')]: always(6 * 86_400) } },
    quiet: { at: '2h', series: { [of('certificate_expiry_timestamp_seconds', 'certificate="secret:mail/mx-tls"')]: always(8 * 86_400) } },
  },
  PosthouseOpenRelay: {
    labels: `${byRelay},reason="StrangerRelayed"`,
    fires: { at: '2m', series: { [probe('False', 'StrangerRelayed')]: always(1) } },
    quiet: { at: '2m', series: { [probe('False', '')]: always(0), [probe('False', 'ProbeFailed')]: always(1) } },
  },
  PosthouseProbeFailed: {
    labels: byRelay,
    fires: { at: '20m', series: { [probe('False', 'ProbeFailed')]: always(1) } },
    quiet: { at: '20m', series: { [probe('True', 'StrangersRefused')]: always(1), [probe('False', 'ProbeFailed')]: '1x10 _x300' } },
  },
  PosthouseQueueGrowing: {
    labels: byRelay,
    fires: { at: '100m', series: { [deliveries('deferred')]: '400x60 3000x600', [deliveries('ready')]: always(100) } },
    quiet: { at: '100m', series: { [deliveries('deferred')]: '100x60 900x600', [deliveries('held')]: always(9000) } }, // few, and what people hold does not count
  },
  PosthouseDeliveryStalled: { labels: byRelay, fires: { at: '20m', series: { [of('queue_oldest_ready_seconds')]: '0+60x600' } }, quiet: { at: '20m', series: { [of('queue_oldest_ready_seconds')]: always(500) } } },
  PosthouseOldMail: {
    labels: byRelay,
    fires: { at: '7h', series: oldMail(2, 4, 10) },
    alsoFires: { at: '7h', series: oldMail(2, 4) }, // its processes have delivered nothing since they began: that series is not there
    quiet: { at: '7h', series: oldMail(200, 201, 100) },
  },
  PosthouseLanesWithoutOwner: {
    labels: byRelay,
    fires: { at: '10m', series: { [of('queue_lanes_owned', 'pod="a"')]: always(32), [of('queue_lanes_owned', 'pod="b"')]: always(20), [of('queue_up')]: always(1) } },
    quiet: { at: '10m', series: { [of('queue_lanes_owned', 'pod="a"')]: always(0), [of('queue_up')]: always(0) } }, // the queue is away, which is another alert
  },
  PosthouseBounces: {
    labels: byRelay,
    fires: { at: '60m', series: { [attempts('delivered')]: '0+20x600', [attempts('refused')]: '0+3x600', [attempts('expired')]: '0+1x600' } },
    quiet: { at: '60m', series: { [attempts('delivered')]: '0+200x600', [attempts('refused')]: '0+10x600', [attempts('deferred')]: '0+500x600' } },
  },
  PosthouseDnsFailing: {
    labels: byRelay,
    fires: { at: '30m', series: { [lookups('records')]: '0+10x600', [lookups('failed')]: '0+5x600' } },
    quiet: { at: '30m', series: { [lookups('records')]: '0+10x600', [lookups('nxdomain')]: '0+90x600', [lookups('failed')]: '0+5x600' } },
  },
  PosthouseQueueLost: {
    labels: byRelay,
    fires: { at: '30m', series: { [of('queue_lost_total', 'pod="a"')]: '0x10 1x100', [of('queue_lost_total', 'pod="b"')]: always(0) } }, // one process makes it anew
    alsoFires: { at: '30m', series: { [of('queue_lost_total', 'pod="new"')]: '_x10 1x100', [of('queue_lost_total', 'pod="old"')]: '0x20' } }, // one that begins after the loss finds it before it is first scraped
    quiet: { at: '100m', series: { [of('queue_lost_total')]: '0x5 1x24 _x20 1x200' } }, // more than an hour ago, though an hour ago nothing was scraped
  },
  PosthouseQueueServerDown: {
    labels: `${byRelay},server="main-queue-1"`,
    fires: { at: '10m', series: { [of('queue_server_up', 'server="main-queue-1",pod="a"')]: always(0), [of('queue_server_up', 'server="main-queue-0",pod="a"')]: always(1) } },
    quiet: { at: '10m', series: { [of('queue_server_up', 'server="main-queue-1",pod="a"')]: always(0), [of('queue_server_up', 'server="main-queue-1",pod="b"')]: always(1) } }, // one pod sees it
  },
  PosthouseQueueCopyBehind: {
    labels: byRelay,
    fires: { at: '20m', series: { [of('queue_replicas', 'state="current"')]: always(2), [of('queue_replicas', 'state="behind"')]: always(0), [of('queue_replicas', 'state="offline"')]: always(1) } },
    quiet: { at: '20m', series: { [of('queue_replicas', 'state="current"')]: always(3), [of('queue_replicas', 'state="behind"')]: always(0), [of('queue_replicas', 'state="offline"')]: always(0) } },
  },
  PosthouseQueueSingleNode: {
    labels: byRelay,
    fires: { at: '2h', series: onNodes(1, 3, 3) },
    // a server alone; of another relay 1 of 3 runs, and where the others will is not known
    quiet: { at: '2h', series: { ...onNodes(1, 1, 1), ...Object.fromEntries(Object.entries(onNodes(1, 3, 1)).map(([series, values]) => [ofAnother(series), values])) } },
  },
  PosthouseQueueFault: {
    labels: byRelay,
    fires: { at: '30m', series: { [of('queue_records_unreadable_total')]: '0x10 1x100' } },
    alsoFires: { at: '30m', series: { [of('queue_records_unreadable_total', 'pod="new"')]: '_x10 1x100', [of('queue_records_unreadable_total', 'pod="old"')]: '0x20' } }, // a release that cannot read what the one before wrote finds it as it starts, before it is first scraped
    quiet: { at: '100m', series: { [of('queue_records_unreadable_total')]: '1x30 _x20 1x200', [of('queue_purge_faults_total')]: always(0) } },
  },
  PosthouseOperatorAway: { labels: '', fires: { at: '10m', series: { 'posthouse_operator_leader{lease="a/b",pod="a"}': always(0) } }, quiet: { at: '10m', series: { 'posthouse_operator_leader{lease="a/b",pod="a"}': always(0), 'posthouse_operator_leader{lease="a/b",pod="b"}': always(1) } } },
  PosthouseOperatorNotReconciling: {
    labels: 'lease="a/b"',
    fires: { at: '20m', series: { 'posthouse_operator_last_reconcile_timestamp_seconds{lease="a/b",pod="a"}': always(30) } },
    alsoFires: { at: '20m', series: { 'posthouse_operator_last_reconcile_timestamp_seconds{lease="a/b",pod="a"}': always(30), 'posthouse_operator_last_reconcile_timestamp_seconds{lease="b/b",pod="a"}': '0+60x600' } }, // another release is well
    quiet: { at: '20m', series: { 'posthouse_operator_last_reconcile_timestamp_seconds{lease="a/b",pod="a"}': '0+60x600', 'posthouse_operator_last_reconcile_timestamp_seconds{lease="a/b",pod="b"}': always(0) } }, // the other waits for its turn
  },
  PosthouseOperatorFault: {
    labels: 'kind="MailDomain"',
    fires: { at: '30m', series: { 'posthouse_operator_faults_total{pod="a",kind="MailDomain"}': '0+1x60' } },
    quiet: { at: '60m', series: { 'posthouse_operator_faults_total{pod="a",kind="MailDomain"}': always(3) } }, // met long ago
  },
  PosthousePodsBehind: {
    labels: byRelay,
    fires: { at: '15m', series: { [pods('ready')]: always(3), [pods('current')]: always(2) } },
    quiet: { at: '15m', series: { [pods('wanted')]: always(3), [pods('ready')]: always(2), [pods('current')]: always(2) } },
  },
  PosthouseManifestRefused: {
    labels: 'kind="MailSender"',
    fires: { at: '40m', series: { 'posthouse_operator_objects{kind="MailSender",condition="Accepted",status="False"}': always(1) } },
    quiet: { at: '40m', series: { 'posthouse_operator_objects{kind="MailSender",condition="Accepted",status="True"}': always(9), 'posthouse_operator_objects{kind="MailSender",condition="Ready",status="False"}': always(1) } },
  },
  PosthouseRecordsMissing: {
    labels: '',
    fires: { at: '7h', series: { 'posthouse_operator_objects{kind="MailDomain",condition="RecordsPublished",status="False"}': always(2) } },
    quiet: { at: '7h', series: { 'posthouse_operator_objects{kind="MailDomain",condition="RecordsPublished",status="True"}': always(2) } },
  },
}
