// The one contract between operator and relay: everything a relay process knows about manifests.
// Owned here; the operator imports it. Values are resolved: durations in seconds, sizes in bytes, defaults filled in.
import { z } from 'zod' // parser, types and (for the CRDs) JSON Schema from one source; widely used, MIT

const seconds = z.number().positive()
const name = z.string().min(1)
/** A domain in lower-case A-labels, without a trailing dot. */
const domain = z.string().min(1)
/** `*`, `*@domain`, `*.domain`, `local@domain`; for domain lists `*`, `domain`, `*.domain`. See pattern.ts. */
const pattern = z.string().min(1)
/** "RelayPolicy mail/house-rules": what replies, logs and traces name. */
const manifest = z.string().min(1)

const tlsPolicySchema = z.object({
  mode: z.enum(['None', 'Opportunistic', 'Require', 'Verify']).default('Opportunistic'),
  clientCertificate: name.optional(), // a name in `certificates`
  authority: name.optional(), // another: whose certificates count, and no others do
})

export const listenerLimitsSchema = z.object({
  connections: z.number().int().positive().default(1000), // per relay process
  connectionsPerSource: z.number().int().positive().default(50), // per relay process and client address
  messagesPerConnection: z.number().int().positive().default(1000),
  recipientsPerMessage: z.number().int().positive().default(1000),
  messageBytes: z.number().int().positive().default(50 * 1024 * 1024),
  lineBytes: z.number().int().positive().default(12_288), // one command line; RFC 4954 4 wants 12,288 for AUTH
  headerBytes: z.number().int().positive().default(1024 * 1024),
  headers: z.number().int().positive().default(1000),
  received: z.number().int().positive().default(100), // RFC 5321 6.3
  errors: z.number().int().positive().default(10), // refused commands per connection before 421
  commandSeconds: seconds.default(300), // RFC 5321 4.5.3.2.7
  dataSeconds: seconds.default(180), // between two pieces of DATA
  messageSeconds: seconds.max(2700).default(1800), // the whole of one DATA: half bodies are swept after an hour
  greetingSeconds: seconds.default(30), // TLS handshake, PROXY header
})

/** How a client may say who it is; the last two take a token and nothing else. */
export const authMechanisms = ['PLAIN', 'LOGIN', 'XOAUTH2', 'OAUTHBEARER'] as const
export type AuthMechanism = (typeof authMechanisms)[number]

const listenerSchema = z.object({
  name,
  manifest,
  protocol: z.enum(['SMTP', 'Submission', 'Submissions']),
  port: z.number().int().min(1).max(65535), // what the Service shows
  bindPort: z.number().int().min(1024).max(65535), // what the process opens
  tls: z.object({ certificate: name, minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2') }).optional(),
  auth: z.array(z.enum(authMechanisms)).default([]), // empty: no AUTH on this listener
  proxyProtocol: z.object({ trustedCIDRs: z.array(z.string()) }).optional(),
  foreignDomains: z.array(pattern).default([]),
  sourceAddressPreserved: z.boolean().default(true), // false: no rule may trust an address here
  relayingClosed: z.boolean().default(false), // a stranger relayed here once: addresses count for nothing but to see whether one still could
  bareNewlines: z.enum(['Refuse', 'Normalise']).default('Refuse'), // bare CR or LF in DATA
  limits: listenerLimitsSchema.prefault({}),
})

/** sha256(salt bytes + secret), hex; the secret is 256 random bits, so no slow hash is needed. */
const saltedHash = z.object({ salt: z.string(), hash: z.string() })

export const senderSchema = z.object({
  namespace: name,
  name,
  manifest,
  listeners: z.array(name), // the listeners that admit it
  auth: saltedHash.extend({ username: z.string().min(1), previous: saltedHash.extend({ until: z.string() }).optional() }).optional(), // previous: the password before, until then
  serviceAccount: name.optional(), // of its namespace: its tokens are the credential (relay.tokens)
  from: z.array(pattern), // already reduced to what was admitted
  allowNullSender: z.boolean().default(false),
  limits: z
    .object({
      messagesPerHour: z.number().int().positive().optional(),
      recipientsPerMessage: z.number().int().positive().optional(),
      maxMessageBytes: z.number().int().positive().optional(),
    })
    .prefault({}),
  priority: z.enum(['Transactional', 'Bulk']).default('Transactional'),
})

const nextHopHostSchema = z.object({
  host: z.string().min(1), // name or address literal without brackets
  port: z.number().int().min(1).max(65535).default(25),
  preference: z.number().int().min(0).default(10),
  tls: tlsPolicySchema.prefault({}),
})

const dkimKeySchema = z.object({
  selector: z.string().min(1),
  algorithm: z.enum(['ed25519', 'rsa']),
  privateKey: z.string(), // PEM, PKCS#8
})

export const domainSchema = z.object({
  namespace: name,
  name,
  manifest,
  domain,
  listeners: z.array(name), // listeners that take mail for it
  inbound: z
    .object({
      recipients: z.object({
        mode: z.enum(['Callout', 'List', 'Any']),
        list: z.array(z.string()).default([]), // local parts, or local@domain
        subaddressing: z.boolean().default(false), // user+detail@ is user@
      }),
      hosts: z.array(nextHopHostSchema).optional(), // absent: mx (backup MX: only hosts better than ourselves)
      privateHostsAllowed: z.boolean().default(true), // false outside the relay's namespace, but for its own Services
    })
    .optional(),
  dkim: z.array(dkimKeySchema).default([]), // the keys that sign now
})

const policyRuleSchema = z.object({
  name,
  match: z
    .object({
      sources: z.array(z.string()).optional(), // CIDR
      authenticated: z.boolean().optional(),
      senders: z.array(z.string()).optional(), // namespace/name of MailSenders
      tls: z.boolean().optional(),
      helo: z.array(z.string()).optional(), // domain patterns
      mailFrom: z.array(pattern).optional(), // `<>` matches the null sender
      rcptTo: z.array(pattern).optional(),
    })
    .prefault({}),
  action: z.enum(['Allow', 'Deny', 'Hold']),
  reply: z.string().optional(),
})

const policyLimitSchema = z.object({
  by: z.enum(['source', 'sender', 'domain']), // domain: the recipient's
  connectionsPerMinute: z.number().int().positive().optional(), // by source only
  messagesPerMinute: z.number().int().positive().optional(),
  recipientsPerHour: z.number().int().positive().optional(),
})

export const policySchema = z.object({
  namespace: name,
  name,
  manifest,
  mode: z.enum(['Enforce', 'Warn']).default('Enforce'),
  // ANDed with nothing: the policy holds where any target fits
  targets: z.array(
    z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('MailRelay'), listener: name.optional() }),
      z.object({ kind: z.literal('MailDomain'), domain }),
      z.object({ kind: z.literal('MailSender'), sender: z.string() }), // namespace/name
    ]),
  ),
  mayAllowSources: z.boolean(), // true only in the relay's own namespace
  rules: z.array(policyRuleSchema).default([]),
  limits: z.array(policyLimitSchema).default([]),
})

const smarthostSchema = z.object({
  kind: z.literal('smarthost'),
  host: z.string().min(1),
  port: z.number().int().min(1).max(65535).default(587),
  implicitTls: z.boolean().default(false), // port 465
  credentials: z.object({ username: z.string(), password: z.string() }).optional(),
  preference: z.number().int().min(0).default(10),
  weight: z.number().int().min(1).default(1),
  tls: tlsPolicySchema.prefault({}),
})
const mxHopSchema = z.object({
  kind: z.literal('mx'),
  preference: z.number().int().min(0).default(10),
  weight: z.number().int().min(1).default(1),
  tls: tlsPolicySchema.prefault({}),
})

/** Of a session with a next hop. */
const timedPhases = ['connect', 'greeting', 'tls', 'ehlo', 'auth', 'mail', 'rcpt', 'data', 'block', 'dot', 'idle'] as const

const routeSchema = z.object({
  namespace: name,
  name,
  manifest,
  createdAt: z.string().default('1970-01-01T00:00:00Z'), // oldest wins among equals
  match: z.object({
    recipientDomains: z.array(pattern).default([]),
    senderDomains: z.array(pattern).default([]),
    senders: z.array(z.string()).default([]), // namespace/name
  }),
  nextHops: z.array(z.discriminatedUnion('kind', [smarthostSchema, mxHopSchema])),
  limits: z
    .object({
      connections: z.number().int().positive().optional(),
      messagesPerConnection: z.number().int().positive().optional(),
      ratePerMinute: z.number().int().positive().optional(),
      addressesPerAttempt: z.number().int().positive().optional(),
    })
    .prefault({}),
  timeouts: z.partialRecord(z.enum(timedPhases), seconds).default({}), // how long to wait for the other side
  retrySchedule: name.optional(),
  hold: z.boolean().default(false),
})

/** Of temporary failures, those that a RetrySchedule may name; there is also `Other`. */
export const namedClasses = ['Connect', 'DNS', 'TLS', 'Greylist', 'RateLimited', 'QuotaExceeded'] as const

const backoffSchema = z.object({ initial: seconds, factor: z.number().min(1), max: seconds, jitter: z.number().min(0).max(1) })
const scheduleSchema = z.object({
  name,
  manifest,
  attempts: z.array(seconds).min(1).optional(), // waits from the end of the last attempt; the last repeats
  backoff: backoffSchema.optional(), // exactly one of the two
  giveUpAfter: seconds, // from arrival
  delayNoticeAfter: seconds.optional(),
  overrides: z
    .array(
      z.object({
        when: z.enum(namedClasses),
        attempts: z.array(seconds).min(1).optional(),
        backoff: backoffSchema.optional(),
      }),
    )
    .default([]),
})

/** What tokens of ServiceAccounts are checked with: the cluster's issuer and public keys (JWK, RFC 7517), and the audience that means this relay. */
const tokensSchema = z.object({ issuer: z.string().min(1), audience: z.string().min(1), keys: z.array(z.record(z.string(), z.unknown())).min(1) })

const certificateSchema = z.object({ name, certificate: z.string(), key: z.string() }) // PEM; chain first. Of an authority, the key is empty

export const snapshotSchema = z.object({
  version: z.literal(1),
  relay: z.object({
    namespace: name,
    name,
    manifest,
    hostname: domain, // greeting and EHLO name
    queue: z.string().regex(/^[A-Za-z0-9_-]+$/), // the stream's name and first subject token
    queueReplicas: z.union([z.literal(1), z.literal(3), z.literal(5)]),
    queueBytes: z.number().int().positive(), // size of the volume
    paused: z.boolean().default(false),
    closing: z.boolean().optional(), // being removed: what is queued is delivered, nothing new is accepted
    drainSeconds: seconds.default(60),
    retrySchedule: name,
    resolver: z.object({ nameservers: z.array(z.string()).default([]), dnssec: z.enum(['Off', 'Trusted']).default('Off') }).prefault({}),
    ownAddresses: z.array(z.string()).default([]), // listener and Service addresses: an MX that points here is ourselves
    ownNames: z.array(z.string()).default([]), // other host names of ourselves
    nodeAddresses: z.array(z.string()).default([]), // nodes, gateways and the operator, as addresses or prefixes: whoever comes with one may be anybody, so no Allow rule means them
    blockedRanges: z.array(z.string()).default([]), // pod and Service ranges, beside loopback, private, link-local
    tokens: tokensSchema.optional(), // absent: no token is taken
    postmaster: z.string().optional(), // where double bounces go; absent: dropped and counted
  }),
  listeners: z.array(listenerSchema),
  senders: z.array(senderSchema).default([]),
  domains: z.array(domainSchema).default([]),
  policies: z.array(policySchema).default([]), // in evaluation order
  routes: z.array(routeSchema).default([]),
  schedules: z.array(scheduleSchema).min(1),
  certificates: z.array(certificateSchema).default([]),
})

export type Snapshot = z.infer<typeof snapshotSchema>
export type SnapshotInput = z.input<typeof snapshotSchema>
export type Listener = z.infer<typeof listenerSchema>
export type Sender = z.infer<typeof senderSchema>
export type HostedDomain = z.infer<typeof domainSchema>
export type Policy = z.infer<typeof policySchema>
export type PolicyRule = z.infer<typeof policyRuleSchema>
export type Route = z.infer<typeof routeSchema>
export type Smarthost = z.infer<typeof smarthostSchema>
export type NextHopHost = z.infer<typeof nextHopHostSchema>
export type TlsPolicy = z.infer<typeof tlsPolicySchema>
export type Tokens = z.infer<typeof tokensSchema>
export type Schedule = z.infer<typeof scheduleSchema>
export type DkimKey = z.infer<typeof dkimKeySchema>
