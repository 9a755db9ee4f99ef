// MailRelay: a fleet of relay pods. The schema is the manual's source and the generated CRD's.
import { z } from 'zod'
import { boundedCidr, hostName, isAddress, labelName, namespaces, objectName, port, secretRef } from './common.ts'
import { duration } from './duration.ts'
import { age, ready, reason, type Kind, type Manifest } from './kind.ts'
import { addressForm, domainPattern } from './pattern.ts'
import { exactlyOneOf, keyed, opaque, ordered, proven } from './schema.ts'
import { size } from './size.ts'
import { conditions, observedGeneration } from './status.ts'

const count = (description: string, max: number) => z.int().min(1).max(max).describe(description)

/** What a process waits for in one go counts as at most a day (waitOf): a timer holds 24, and of a longer one goes off at once. Refused it cannot be: it is in manifests of before. */
const atMostADay = 'More than 1d counts as 1d.'

const listenerLimits = z
  .strictObject({
    connections: count('Connections open at once, per relay process. 1000 if absent.', 100_000).optional(),
    connectionsPerSource: count('Connections open at once from one client address, per relay process. 50 if absent.', 100_000).optional(),
    messagesPerConnection: count('Messages in one connection. 1000 if absent.', 1_000_000).optional(),
    recipientsPerMessage: count('Recipients of one message. 1000 if absent.', 100_000).optional(),
    maxMessageBytes: count('Largest message, in bytes; announced as SIZE. 52428800 (50 MiB) if absent.', 2_147_483_647).optional(),
    maxHeaderBytes: count('Largest header section, in bytes. 1048576 if absent.', 16_777_216).optional(),
    headers: count('Header fields of one message. 1000 if absent.', 100_000).optional(),
    received: count('Received fields after which a message is taken for a loop (RFC 5321 6.3). 100 if absent.', 1000).optional(),
    errors: count('Refused commands in one connection before it is closed with 421. 10 if absent.', 1000).optional(),
    commandTimeout: duration(`Longest wait for a command (RFC 5321 4.5.3.2.7). 5m if absent. ${atMostADay}`).optional(),
    dataTimeout: duration(`Longest wait between two pieces of a message. 3m if absent. ${atMostADay}`).optional(),
    messageTimeout: duration('Longest time for the whole of one message. 30m if absent.', '45m').optional(),
    greetingTimeout: duration(`Longest wait for the PROXY header and for a TLS handshake. 30s if absent. ${atMostADay}`).optional(),
  })
  .describe('Limits of this listener; what is absent keeps its default.')

// the port of the pods for health and metrics is called http, and is 9464
const listenerName = proven(labelName(''), 'Name of the listener; statuses, policies and logs use it.', [
  { cel: "self != 'http'", message: 'http is the name of the port for health and metrics', holds: (name) => name !== 'http' },
  { cel: "!self.contains('--')", message: 'no -- in it: a port in the pod has this name too', holds: (name) => !name.includes('--') },
])
const listenerPort = proven(port(''), 'Port of the Service. The process itself listens on a high port: 25 becomes 2525, others below 1024 become port + 2000.', [
  { cel: 'self != 9464', message: 'pods serve health and metrics at 9464', holds: (number) => number !== 9464 },
])

const listener = proven(
  z.strictObject({
    name: listenerName,
    protocol: z.enum(['SMTP', 'Submission', 'Submissions']).describe('SMTP: mail from other servers (an MX). Submission: mail from our own senders, with STARTTLS (RFC 6409). Submissions: the same with TLS from the first byte (RFC 8314).'),
    port: listenerPort,
    tls: z
      .strictObject({
        secretRef: secretRef('The certificate, as tls.crt (chain) and tls.key. Absent: one is made and signed by a CA of our own.').optional(),
        minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2').describe('Oldest TLS version taken.'),
      })
      .describe('TLS of this listener.')
      .optional(),
    auth: ordered(z.enum(['PLAIN', 'LOGIN', 'XOAUTH2', 'OAUTHBEARER']), 4, 'How senders may identify themselves, over TLS only. XOAUTH2 and OAUTHBEARER (RFC 7628) take ServiceAccount tokens, and are shown to clients where a MailSender has such an identity; PLAIN and LOGIN take passwords, and tokens as passwords. Absent: all of them on Submission and Submissions, none on SMTP. Empty: none.').optional(),
    proxyProtocol: z
      .strictObject({ trustedCIDRs: ordered(boundedCidr('An address range.'), 64, 'Peers whose PROXY header counts; nobody else may send one.') })
      .describe('PROXY protocol v1 and v2, for load balancers that hide the client address.')
      .optional(),
    allowedSenders: z
      .strictObject({
        namespaces: namespaces('Namespaces whose MailSenders may use this listener.').prefault({}),
        foreignDomains: ordered(domainPattern('A domain pattern.'), 64, 'Domains that senders here may use although no MailDomain holds them. A domain that a MailDomain of another namespace holds is meant only by its name, never by a wildcard.').optional(),
      })
      .describe('Whose MailSenders may use this listener.')
      .prefault({}),
    allowedDomains: z
      .strictObject({
        namespaces: namespaces('Namespaces whose MailDomains may attach to this listener.').prefault({}),
        names: ordered(domainPattern('A domain, or *.suffix.'), 256, 'Domains that other namespaces may claim here. Absent: only the namespace of the MailRelay attaches domains.').optional(),
      })
      .describe('Whose MailDomains this listener takes mail for.')
      .prefault({}),
    bareNewlines: z.enum(['Refuse', 'Normalise']).default('Refuse').describe('What becomes of a message that holds a bare CR or LF: refused with 554 5.6.0, or each made a CRLF. Passed on it never is, and only CR LF . CR LF ends a message.'),
    limits: listenerLimits.optional(),
  }),
  'One port that takes mail.',
  [
    {
      cel: "self.protocol != 'SMTP' || !has(self.auth) || self.auth.size() == 0",
      message: 'an SMTP listener has no AUTH; use Submission or Submissions',
      holds: ({ protocol, auth }) => protocol !== 'SMTP' || auth === undefined || auth.length === 0,
      at: ['auth'],
    },
  ],
)

const bindPort = (listener: string): string => `(${listener}.port == 25 ? 2525 : ${listener}.port < 1024 ? ${listener}.port + 2000 : ${listener}.port)`

const listeners = keyed(listener, 'name', 16, 'Ports that take mail. Default: mx on 25 (SMTP) and submission on 587 (Submission).', [
  { cel: 'self.size() > 0', message: 'at least one listener', holds: (list) => list.length > 0 },
  {
    cel: 'self.all(a, self.exists_one(b, a.port == b.port))',
    message: 'two listeners have the same port',
    holds: (list) => new Set(list.map(({ port }) => port)).size === list.length,
  },
  {
    cel: `self.all(a, self.exists_one(b, ${bindPort('a')} == ${bindPort('b')}))`,
    message: 'two listeners would open the same port in the pod: 25 is opened as 2525, others below 1024 as port + 2000',
  },
]).prefault([
  { name: 'mx', protocol: 'SMTP', port: 25 },
  { name: 'submission', protocol: 'Submission', port: 587 },
])

const oneThreeFive = { cel: 'self in [1, 3, 5]', message: '1, 3 or 5', holds: (value: number) => [1, 3, 5].includes(value) }

const queueServers = proven(z.int().default(3), 'How many NATS servers keep each message; 1 keeps no promise when its disk is lost. 3 may become 5, and no other change is taken: a server alone cannot become one of three, and servers that leave would take their share of the votes along.', [
  oneThreeFive,
  { cel: 'self == oldSelf || (oldSelf == 3 && self == 5)', message: 'queue servers can only grow from 3 to 5: for another number make another MailRelay, and delete this one when its queue is empty' },
])

const queueStorage = proven(
  z.strictObject({
    size: size('Size of each server’s volume. It has room for half as much mail, for servers take up to twice its bytes; accepting stops at 80 % of that.', '64Mi').default('10Gi'),
    storageClassName: objectName('StorageClass of the volumes; the cluster’s default if absent. It cannot be changed, nor named later.').optional(),
  }),
  'The volume of each server.',
  [{ cel: 'has(self.storageClassName) ? has(oldSelf.storageClassName) && self.storageClassName == oldSelf.storageClassName : !has(oldSelf.storageClassName)', message: 'volumes that are there keep their StorageClass: for another make another MailRelay, and delete this one when its queue is empty' }],
)

const queue = proven(
  z.strictObject({
    managed: z
      .strictObject({
        replicas: queueServers,
        storage: queueStorage.prefault({}),
      })
      .describe('NATS servers that the operator makes and looks after.')
      .optional(),
    external: z
      .strictObject({
        servers: ordered(z.string().min(1).max(253).regex(/^(nats|tls):\/\/[^\s/]+$/, 'nats://host:port or tls://host:port'), 16, 'The servers.').min(1),
        monitoring: ordered(z.string().min(1).max(253).regex(/^https?:\/\/[^\s/]+$/, 'http://host:port'), 16, 'Their monitoring addresses (http_port of the servers), by which the relay sees that they write to disk before they answer. Absent: that is taken on trust, and DurableAccept says so.').optional(),
        replicas: proven(z.int().default(3), 'How many of the servers keep each message.', [oneThreeFive]),
        size: size('How much the queue may take there. That is room for half as much mail, for servers take up to twice its bytes; accepting stops at 80 % of that.', '64Mi').default('10Gi'),
        credentialsSecretRef: secretRef('Who the relay is to the servers: username and password, or token, or a credentials file as user.creds.').optional(),
        tlsSecretRef: secretRef('CA and, where the servers want one, client certificate, as ca.crt, tls.crt and tls.key.').optional(),
      })
      .describe('NATS servers of your own, 2.15 or newer, with JetStream, file storage and sync_interval: always. A changed Secret is used from the next connection on, without a restart.')
      .optional(),
  }),
  'Where mail waits. Exactly one of managed, external.',
  [
    exactlyOneOf('managed', 'external'),
    { cel: 'has(self.managed) == has(oldSelf.managed)', message: 'managed cannot become external, nor external managed, for mail would stay behind: make another MailRelay, and delete this one when its queue is empty' },
  ],
).prefault({ managed: {} })

const service = proven(
  z.strictObject({
    type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).default('ClusterIP').describe('Type of the Service.'),
    externalTrafficPolicy: z.enum(['Cluster', 'Local']).describe('Local keeps the client’s address; Cluster hides it, and then no rule may trust an address.').optional(),
    annotations: z.record(z.string().max(317), z.string().max(4096)).meta({ description: 'Annotations of the Service.', maxProperties: 64 }).optional(),
    loadBalancerClass: z.string().max(253).describe('Which load balancer makes it.').optional(),
  }),
  'The Service in front of the pods.',
  [
    {
      cel: "!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'",
      message: 'externalTrafficPolicy goes with type NodePort or LoadBalancer: nothing comes from outside to a ClusterIP',
      holds: ({ type, externalTrafficPolicy }) => externalTrafficPolicy === undefined || type !== 'ClusterIP',
      at: ['externalTrafficPolicy'],
    },
    {
      cel: "!has(self.loadBalancerClass) || self.type == 'LoadBalancer'",
      message: 'loadBalancerClass goes with type LoadBalancer',
      holds: ({ type, loadBalancerClass }) => loadBalancerClass === undefined || type === 'LoadBalancer',
      at: ['loadBalancerClass'],
    },
  ],
)

const labels = (description: string) => z.record(z.string().max(317), z.string().max(4096)).meta({ description, maxProperties: 64 })

const pods = z
  .strictObject({
    labels: labels('Further labels.').optional(),
    annotations: labels('Further annotations.').optional(),
    resources: opaque('Requests and limits, as in a container.').optional(),
    nodeSelector: labels('Labels that the node must have. Also of the pods of a managed queue: nodes that can reach their volumes must have them.').optional(),
    tolerations: ordered(opaque('One toleration.'), 32, 'Tolerations, as in a pod. Also of the pods of a managed queue.').optional(),
    affinity: opaque('Affinity, as in a pod.').optional(),
    topologySpreadConstraints: ordered(opaque('One constraint.'), 16, 'Topology spread constraints, as in a pod; without labelSelector they are about the pods of this MailRelay. Absent: other zones are preferred.').optional(),
    priorityClassName: objectName('Priority class. Also of the pods of a managed queue.').optional(),
    imagePullSecrets: ordered(z.strictObject({ name: objectName('Name of the Secret.') }).describe('A Secret.'), 8, 'Secrets for pulling the image. Also of the pods of a managed queue, for that of NATS.').optional(),
  })
  .describe('What the relay pods get beside what the operator sets. Where a managed queue’s pods go and with which Secrets they are pulled is said here too; the rest is of the relay pods alone.')

const addressOfIt = "self.substring(0, self.lastIndexOf(':')).replace('[', '').replace(']', '')"
const portOfIt = "int(self.substring(self.lastIndexOf(':') + 1))"
const isNameserverInCel = `isIP(self) || (self.matches('^([0-9.]+|[[][0-9a-fA-F:]+[]]):[0-9]{1,5}$') && isIP(${addressOfIt}) && ${portOfIt} >= 1 && ${portOfIt} <= 65535)`

const isNameserver = (text: string): boolean => {
  const [, ip6, ip4, port] = /^(?:\[([0-9a-fA-F:]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text) ?? []
  return isAddress(ip6 ?? ip4 ?? text) && (port === undefined || (Number(port) >= 1 && Number(port) <= 65_535))
}

const spec = z
  .strictObject({
    hostname: hostName('Name in the greeting, in EHLO and in Received; DNS should lead from it to the Service and back.'),
    replicas: z.int().min(0).max(100).default(2).describe('Relay pods.'),
    listeners,
    queue,
    service: service.prefault({}),
    retryScheduleName: objectName('RetrySchedule for mail that no DeliveryRoute gives another. Absent: 2m, 5m, 15m, 30m, 1h, 2h, then every 4h; notice after 4h, give up after 5d.').optional(),
    resolver: z
      .strictObject({
        nameservers: ordered(
          proven(z.string().max(64), 'Address, or address:port.', [
            { cel: isNameserverInCel, message: 'an IP address, or address:port ([address]:port for IPv6)', holds: (text) => isNameserver(text) },
          ]),
          8,
          'Name servers to ask. Absent: those of the pod.',
        ).optional(),
        dnssec: z.enum(['Off', 'Trusted']).default('Off').describe('Trusted: the AD bit of these name servers counts, because the way to them is safe; this release has no use for that bit yet. Off stands in quotes: Kubernetes reads the bare word as false.'),
      })
      .describe('How names are looked up.')
      .prefault({}),
    drain: z.strictObject({ timeout: duration(`How long a pod that leaves may finish what is in flight. ${atMostADay}`).default('60s') }).describe('How a pod leaves.').prefault({}),
    postmaster: z.string().max(320).regex(addressForm, 'an address such as postmaster@example.org').describe('Who gets notices that could not be delivered to their sender (absent: they are dropped and counted), and, where its domain is hosted, mail to postmaster without a domain (RFC 5321 4.5.1; else that of the first hosted domain, one of another namespace only where there is no other).').optional(),
    pods: pods.optional(),
    paused: z.boolean().default(false).describe('True: deliveries stop, mail is still accepted.'),
  })
  .describe('What the relay is to be.')

const status = z
  .strictObject({
    observedGeneration: observedGeneration.optional(),
    conditions: conditions.optional(),
    replicas: z.int().min(0).describe('Relay pods there are.').optional(),
    selector: z.string().max(4096).describe('Label selector of the relay pods, for the scale subresource.').optional(),
    revision: z.string().max(64).describe('The snapshot that the pods are to run.').optional(),
    addresses: ordered(z.string().max(253), 32, 'Addresses of the Service.').optional(),
    listeners: keyed(
      z.strictObject({
        name: z.string().max(63).describe('Name of the listener.'),
        attachedSenders: z.int().min(0).describe('MailSenders that may use it.').optional(),
        attachedDomains: z.int().min(0).describe('MailDomains it takes mail for.').optional(),
        closedFor: z.string().max(64).describe('Set while no address may relay here because a stranger could: a mark of the manifests that let it. It goes when they have changed and a stranger was refused.').optional(),
        hiddenFor: z.string().max(64).describe('Set while no address counts here because clients came with that of a node or gateway: a mark of the Service they came through. It goes when that changes.').optional(),
        conditions: conditions.optional(),
      }).describe('One listener.'),
      'name',
      16,
      'What is known about each listener.',
    ).optional(),
  })
  .describe('What the operator found. Conditions: Ready, Accepted, Programmed, DurableAccept, OpenRelayProbe; Contested where others asked in vain to attach; Drained while it is being deleted.')

export const mailRelay = {
  kind: 'MailRelay',
  plural: 'mailrelays',
  singular: 'mailrelay',
  shortName: 'mrelay',
  scope: 'Namespaced',
  description: 'A fleet of relay pods: its listeners and their TLS, who may attach to it, its queue, its Service, its defaults. Nothing relays by default: a fresh MailRelay refuses everyone.',
  spec,
  status,
  selectable: ['.spec.hostname', '.spec.paused', '.spec.retryScheduleName'],
  nameRules: [
    {
      cel: "self.metadata.name.size() <= 40 && !self.metadata.name.contains('.')",
      message: 'the name of a MailRelay has at most 40 characters and no dot: Services and pods are named after it',
      holds: (name: string) => name.length <= 40 && !name.includes('.'),
    },
  ],
  columns: [
    { name: 'Hostname', type: 'string', jsonPath: '.spec.hostname', description: 'Name in the greeting.' },
    { name: 'Replicas', type: 'integer', jsonPath: '.status.replicas', description: 'Relay pods.' },
    ready,
    reason,
    { name: 'Revision', type: 'string', jsonPath: '.status.revision', description: 'Snapshot.', priority: 1 },
    age,
  ],
  scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.selector' },
  example: `metadata: {name: main, namespace: mail}
spec:
  hostname: mx1.browncow.example
`,
} as const satisfies Kind

export type MailRelay = Manifest<'MailRelay', z.infer<typeof spec>>
export type ListenerSpec = MailRelay['spec']['listeners'][number]
