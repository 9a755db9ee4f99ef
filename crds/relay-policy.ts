// RelayPolicy: ordered rules and limits, attached to a relay, a domain or a sender.
import { z } from 'zod'
import { allowIsBounded, cidr, labelName, objectName, senderName } from './common.ts'
import { age, ready, reason, type Kind, type Manifest } from './kind.ts'
import { addressOrNullPattern, addressPattern, domainPattern } from './pattern.ts'
import { keyed, ordered, proven, type Rule } from './schema.ts'
import { conditions, observedGeneration } from './status.ts'

const targetRef = proven(
  z.strictObject({
    kind: z.enum(['MailRelay', 'MailDomain', 'MailSender']).describe('Kind of the target.'),
    name: objectName('Name of the target, in the namespace of this object.'),
    sectionName: labelName('One listener of a MailRelay.').optional(),
  }),
  'What the policy holds for.',
  [
    {
      cel: "!has(self.sectionName) || self.kind == 'MailRelay'",
      message: 'sectionName names a listener: it goes with kind MailRelay only',
      holds: ({ kind, sectionName }) => sectionName === undefined || kind === 'MailRelay',
      at: ['sectionName'],
    },
  ],
)

const match = z
  .strictObject({
    sources: ordered(cidr('An address range.'), 64, 'Client addresses.').min(1).optional(),
    authenticated: z.boolean().describe('Whether the client is an identified MailSender.').optional(),
    senders: ordered(senderName, 64, 'MailSenders: a name of this namespace, or namespace/name.').min(1).optional(),
    tls: z.boolean().describe('Whether the connection is encrypted.').optional(),
    helo: ordered(domainPattern('A domain pattern.'), 64, 'Name that the client gave in HELO or EHLO.').min(1).optional(),
    mailFrom: ordered(addressOrNullPattern('An address pattern; <> is the null sender.'), 256, 'Envelope sender.').min(1).optional(),
    rcptTo: ordered(addressPattern, 256, 'Recipient.').min(1).optional(),
  })
  .describe('What the rule looks at; all that is given must fit. Absent: everything fits.')

const rule = proven(
  z.strictObject({
    name: labelName('Name of the rule; replies, logs and traces use it.'),
    match: match.prefault({}),
    action: z
      .enum(['Allow', 'Deny', 'Hold', 'Redirect'])
      .describe('Deny: refuse. Hold: accept and keep until a person decides. Allow: end this policy; with sources, in the namespace of the MailRelay, it also lets those addresses relay. Redirect: not implemented yet.'),
    reply: z.string().min(1).max(200).regex(/^[ -~]+$/, 'printable ASCII').describe('Words for the client of a Deny.').optional(),
  }),
  'One rule.',
  [allowIsBounded],
)

const uniqueNames: Rule<readonly { name: string }[]> = {
  cel: 'self.all(a, self.exists_one(b, a.name == b.name))',
  message: 'two rules have the same name',
  holds: (rules) => new Set(rules.map(({ name }) => name)).size === rules.length,
}

const limit = proven(
  z.strictObject({
    by: z.enum(['source', 'sender', 'domain']).describe('What is counted: each client address, each MailSender, each recipient domain.'),
    connectionsPerMinute: z.int().min(1).max(1_000_000).describe('Connections a minute; by source only, and with a MailRelay among the targets, since a connection has no domain or sender yet. Over it the answer is 421 4.7.1.').optional(),
    messagesPerMinute: z.int().min(1).max(10_000_000).describe('Messages a minute; over it the answer is 450 4.7.1.').optional(),
    recipientsPerHour: z.int().min(1).max(1_000_000_000).describe('Recipients an hour; over it the answer is 450 4.7.1.').optional(),
  }),
  'One limit, over all relay pods together.',
  [
    {
      cel: 'has(self.connectionsPerMinute) || has(self.messagesPerMinute) || has(self.recipientsPerHour)',
      message: 'at least one of connectionsPerMinute, messagesPerMinute, recipientsPerHour',
      holds: (value) => (value.connectionsPerMinute ?? value.messagesPerMinute ?? value.recipientsPerHour) !== undefined,
    },
    {
      cel: "!has(self.connectionsPerMinute) || self.by == 'source'",
      message: 'connectionsPerMinute goes with by: source only',
      holds: ({ by, connectionsPerMinute }) => connectionsPerMinute === undefined || by === 'source',
      at: ['connectionsPerMinute'],
    },
  ],
)

const spec = proven(
  z.strictObject({
    targetRefs: ordered(targetRef, 16, 'What the policy holds for; where several fit, it holds once.').min(1),
    rules: proven(z.array(rule).max(64), 'Rules in order; the first that fits decides for this policy.', [uniqueNames], { 'x-kubernetes-list-type': 'atomic' }).default([]),
    limits: keyed(limit, 'by', 3, 'Limits; an answer to what is over one of them has the name of this policy.').default([]),
    mode: z.enum(['Enforce', 'Warn']).default('Enforce').describe('Warn: only log and count what Enforce would do.'),
  }),
  'What the policy says.',
  [
    {
      cel: '(has(self.rules) && self.rules.size() > 0) || (has(self.limits) && self.limits.size() > 0)',
      message: 'rules or limits: a policy without either says nothing',
      holds: ({ rules, limits }) => rules.length > 0 || limits.length > 0,
    },
    {
      cel: "!has(self.limits) || !self.limits.exists(l, has(l.connectionsPerMinute)) || self.targetRefs.exists(t, t.kind == 'MailRelay')",
      message: 'a limit on connections needs a MailRelay among the targets: a connection has no domain or sender yet',
    },
  ],
)

const status = z
  .strictObject({
    observedGeneration: observedGeneration.optional(),
    conditions: conditions.optional(),
    targets: ordered(
      z
        .strictObject({
          kind: z.string().max(63).describe('Kind of the target.'),
          name: z.string().max(253).describe('Name of the target.'),
          sectionName: z.string().max(63).describe('Listener of the target.').optional(),
          conditions: conditions.optional(),
        })
        .describe('One target.'),
      16,
      'What became of the policy at each target. Conditions: Accepted, Enforced (False with reason Overridden where another part decides first; the message names it).',
    ).optional(),
  })
  .describe('What the operator found. Conditions: Ready, Accepted.')

export const relayPolicy = {
  kind: 'RelayPolicy',
  plural: 'relaypolicies',
  singular: 'relaypolicy',
  shortName: 'rpolicy',
  scope: 'Namespaced',
  description: 'Ordered allow, deny and hold rules and limits, attached to a MailRelay, a MailDomain or a MailSender of the same namespace. The sources of an Allow rule are bounded: /8 or longer in private IPv4 space, /24 in public; /32 and /48 in IPv6.',
  spec,
  status,
  nameRules: [],
  selectable: ['.spec.mode'],
  columns: [{ name: 'Mode', type: 'string', jsonPath: '.spec.mode', description: 'Enforce or Warn.' }, ready, reason, age],
  example: `metadata: {name: house-rules, namespace: mail}
spec:
  targetRefs: [{kind: MailRelay, name: main}]
  rules:
  - {name: no-spoofing, match: {authenticated: false, mailFrom: ["*@browncow.example"]}, action: Deny, reply: mail from us comes from us}
  limits: [{by: source, connectionsPerMinute: 60}]
`,
} as const satisfies Kind

export type RelayPolicy = Manifest<'RelayPolicy', z.infer<typeof spec>>
