// DeliveryRoute: how mail for a set of domains leaves.
import { z } from 'zod'
import { hostOrAddress, objectName, port, secretRef, senderName, tlsPolicy } from './common.ts'
import { duration } from './duration.ts'
import { age, ready, reason, type Kind, type Manifest } from './kind.ts'
import { domainPattern } from './pattern.ts'
import { exactlyOneOf, ordered, proven } from './schema.ts'
import { conditions, observedGeneration, relayStatuses } from './status.ts'


const match = z
  .strictObject({
    recipientDomains: ordered(domainPattern('A domain pattern.'), 1000, 'Domains of recipients.').optional(),
    senderDomains: ordered(domainPattern('A domain pattern.'), 1000, 'Domains of envelope senders.').optional(),
    senders: ordered(senderName, 256, 'MailSenders: a name of this namespace, or namespace/name.').optional(),
  })
  .describe('Which mail takes this route; all that is given must fit, and a list that is empty is as none. Absent: all mail. The most specific route wins: by recipientDomains (exact, longest suffix, any), then senders, then senderDomains; then the oldest, then the name.')

const nextHop = proven(
  z.strictObject({
    mx: z.strictObject({}).describe('The MX hosts of the recipient’s domain.').optional(),
    smarthost: z
      .strictObject({
        host: hostOrAddress('Host name or address.'),
        port: port('Its port; on 465 TLS begins with the first byte.').default(587),
        credentialsSecretRef: secretRef('What to log in with, as username and password; sent only over verified TLS.').optional(),
      })
      .describe('A server that takes the mail from here.')
      .optional(),
    preference: z.int().min(0).max(65535).default(10).describe('Lower is tried first.'),
    weight: z.int().min(1).max(1000).default(1).describe('Share among those of equal preference.'),
    tls: tlsPolicy('TLS towards this next hop.').prefault({}),
  }),
  'One next hop. Exactly one of mx, smarthost.',
  [
    exactlyOneOf('mx', 'smarthost'),
    {
      cel: "!has(self.smarthost) || !has(self.smarthost.credentialsSecretRef) || (has(self.tls) && has(self.tls.mode) && self.tls.mode in ['Verify', 'DANE', 'MTASTS'])",
      message: 'credentials are sent only over verified TLS: set tls.mode to Verify',
      holds: ({ smarthost, tls }) => smarthost?.credentialsSecretRef === undefined || ['Verify', 'DANE', 'MTASTS'].includes(tls.mode),
      at: ['tls', 'mode'],
    },
  ],
)

const wait = (of: string, usual: string) => duration(`${of} ${usual} if absent.`, '1d').optional()

const timeouts = z
  .strictObject({
    connect: wait('The TCP connection.', '30s'),
    greeting: wait('The first 220.', '5m'),
    tls: wait('STARTTLS, and the TLS handshake.', '1m'),
    ehlo: wait('The answer to EHLO or HELO.', '5m'),
    auth: wait('Each answer to AUTH.', '1m'),
    mail: wait('The answer to MAIL.', '5m'),
    rcpt: wait('The answer to each RCPT.', '5m'),
    data: wait('The 354 to DATA.', '2m'),
    block: wait('Each piece of the message to be taken.', '3m'),
    dot: wait('The answer after the message. Shorter means mail delivered twice where a host is slow (RFC 1047).', '10m'),
    idle: wait('How long a connection without mail is kept.', '10s'),
  })
  .describe('How long to wait for the other side, phase by phase (RFC 5321 4.5.3.2).')

const spec = z
  .strictObject({
    relayRefs: ordered(z.strictObject({ name: objectName('Name of the MailRelay.') }).describe('One MailRelay.'), 16, 'The MailRelays it holds for, of its own namespace. Absent: all of them.').optional(),
    match: match.prefault({}),
    nextHops: ordered(nextHop, 16, 'Where the mail goes, by preference.').min(1).default([{ mx: {}, preference: 10, weight: 1, tls: { mode: 'Opportunistic' } }]),
    limits: z
      .strictObject({
        connections: z.int().min(1).max(10_000).describe('Connections at once to one site, over all relay pods together. 20 if absent.').optional(),
        messagesPerConnection: z.int().min(1).max(1_000_000).describe('Messages in one connection. 100 if absent.').optional(),
        ratePerMinute: z.int().min(1).max(10_000_000).describe('Messages a minute to one site, over all relay pods together. No limit if absent.').optional(),
        addressesPerAttempt: z.int().min(1).max(20).describe('Addresses asked in one attempt before the mail waits for its next; those that there is no way to do not count. 5 if absent.').optional(),
      })
      .describe('How hard to knock.')
      .optional(),
    timeouts: timeouts.optional(),
    retryScheduleName: objectName('RetrySchedule of this mail; that of the MailRelay if absent.').optional(),
    hold: z.boolean().default(false).describe('True: this mail is accepted and kept until a person decides.'),
  })
  .describe('What the route says.')

const status = z
  .strictObject({ observedGeneration: observedGeneration.optional(), conditions: conditions.optional(), relays: relayStatuses.optional() })
  .describe('What the operator found. Conditions: Ready, Accepted, Reachable (from the mail that the pods send by it: True when a host answered last, False when none did in three attempts or more); per relay Accepted.')

export const deliveryRoute = {
  kind: 'DeliveryRoute',
  plural: 'deliveryroutes',
  singular: 'deliveryroute',
  shortName: 'droute',
  scope: 'Namespaced',
  description: 'How mail for a set of domains leaves: MX hosts or next hops, TLS, limits, credentials. Where no route fits, mail goes to the MX hosts of its recipient’s domain.',
  spec,
  status,
  nameRules: [],
  selectable: ['.spec.hold', '.spec.retryScheduleName'],
  columns: [{ name: 'Hold', type: 'boolean', jsonPath: '.spec.hold', description: 'Whether mail is kept.', priority: 1 }, ready, reason, { name: 'Reachable', type: 'string', jsonPath: ".status.conditions[?(@.type=='Reachable')].status", description: 'Whether its mail reaches a host.' }, age],
  example: `metadata: {name: partner, namespace: mail}
spec:
  match: {recipientDomains: [partner.example, "*.partner.example"]}
  nextHops:
  - {smarthost: {host: smtp.partner.example}, preference: 10, tls: {mode: Verify}}
  - {mx: {}, preference: 20}
  limits: {connections: 5, ratePerMinute: 600}
  timeouts: {connect: 10s, greeting: 1m}
`,
} as const satisfies Kind

export type DeliveryRoute = Manifest<'DeliveryRoute', z.infer<typeof spec>>
