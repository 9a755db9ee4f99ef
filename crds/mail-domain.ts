// MailDomain: one domain, what is accepted for it and who may send as it.
import { z } from 'zod'
import { hostOrAddress, namespaces, objectName, port, relayRef, secretRef, tlsPolicy } from './common.ts'
import { duration, isLonger } from './duration.ts'
import { age, nameFits, ready, reason, type Kind, type Manifest } from './kind.ts'
import { addressPattern, domainName } from './pattern.ts'
import { exactlyOneOf, immutable, ordered, proven, type Rule } from './schema.ts'
import { conditions, dnsRecords, observedGeneration, relayStatuses } from './status.ts'

// that it is of this domain the plan says: over 10,000 of 320 characters that is more than the API server gives a rule
const listed = proven(z.string().min(1).max(320).regex(/^[^\s<>]+$/, 'a local part, or local@domain'), 'A local part, or a whole address.', [
  { cel: "self != '*' && !self.startsWith('*@')", message: 'one address, and no pattern: for every address of the domain set mode to Any' },
])

const recipients = proven(
  z.strictObject({
    mode: z
      .enum(['Callout', 'List', 'Any'])
      .describe('Callout: ask deliverTo during RCPT and remember the answer for ten minutes. List: only list. Any: every address. Absent: Callout with hosts, Any with mx.')
      .optional(),
    list: ordered(listed, 10_000, 'Addresses that exist: local parts, or whole addresses of this domain; no patterns.').optional(),
    subaddressing: z.boolean().default(false).describe('True: user+detail@ is taken where user@ is (RFC 5233).'),
  }),
  'Which addresses of the domain exist, so that mail for others is refused at the door and not bounced later.',
  [
    {
      cel: "(has(self.mode) && self.mode == 'List') == (has(self.list) && self.list.size() > 0)",
      message: 'mode List needs a list, and a list needs mode List',
      holds: ({ mode, list }) => (mode === 'List') === (list !== undefined && list.length > 0),
      at: ['list'],
    },
  ],
)

const host = z
  .strictObject({
    host: hostOrAddress('Host name or address of the server that takes the mail.'),
    port: port('Its port.').default(25),
    preference: z.int().min(0).max(65535).default(10).describe('Lower is tried first; equal ones share.'),
    tls: tlsPolicy('TLS towards this host.').prefault({}),
  })
  .describe('One server.')

const deliverTo = proven(
  z.strictObject({
    hosts: ordered(host, 16, 'Servers that take the mail. Outside the namespace of the MailRelay only public addresses and Services of the own namespace.').min(1).optional(),
    mx: z.strictObject({}).describe('We are a backup MX: deliver to the MX hosts of the domain that are better than ourselves.').optional(),
  }),
  'Where accepted mail goes. Exactly one of hosts, mx.',
  [exactlyOneOf('hosts', 'mx')],
)

const waits = (field: string) => z.enum(['Off', 'Report', 'Enforce']).describe(`${field} of mail that arrives; "Off" in quotes. Not implemented yet.`).optional()

const inbound = proven(
  z.strictObject({
    recipients: recipients.prefault({}),
    deliverTo,
    trust: z.strictObject({ spf: waits('SPF check'), dkim: waits('DKIM check'), dmarc: waits('DMARC check') }).describe('Checks of mail that arrives. Not implemented yet.').optional(),
    filterRef: z.strictObject({ name: objectName('Name of the filter.') }).describe('A content filter. Not implemented yet.').optional(),
  }),
  'Mail for the domain. Absent: the domain is not hosted here, and mail for it is refused.',
  [
    {
      cel: "!has(self.recipients) || !has(self.recipients.mode) || self.recipients.mode != 'Callout' || has(self.deliverTo.hosts)",
      message: 'mode Callout needs deliverTo.hosts to ask',
      holds: ({ recipients, deliverTo }) => recipients.mode !== 'Callout' || deliverTo.hosts !== undefined,
      at: ['recipients', 'mode'],
    },
  ],
)

const rotation = proven(
  z.strictObject({
    every: duration('How often a new key signs.', '400d'),
    overlap: duration('How long before it is due a new key is made, so that its record can be published, and how long the record of the old one is wanted after. In a cluster a new key signs when it is due and its record was seen in DNS.', '400d').default('7d'),
  }),
  'When keys change. Absent: only with selectorPrefix.',
  [
    {
      cel: 'self.overlap <= self.every',
      message: 'overlap is at most every',
      holds: ({ every, overlap }) => !isLonger(overlap, every),
      at: ['overlap'],
    },
  ],
)

const dkim = proven(
  z.strictObject({
    selectorPrefix: z.string().min(1).max(30).regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/).default('ph').describe('First part of the selector; the rest is algorithm, month and a number made from the key, such as ph-rsa-202611-04711815. Another prefix is another key, which signs when its record was seen in DNS.'),
    algorithms: ordered(z.enum(['ed25519', 'rsa']), 2, 'What to sign with: rsa is RSA-SHA256 with 2048 bits, ed25519 is RFC 8463. One signature each.').min(1).default(['ed25519', 'rsa']),
    rotation: rotation.optional(),
    keySecretRef: secretRef('Keys of your own, instead of generated ones: <algorithm>.key (PEM, PKCS#8; rsa of 1024 to 4096 bits) and <algorithm>.selector.').optional(),
  }),
  'DKIM signatures (RFC 6376) on mail from this domain. Absent: not signed.',
  [
    {
      cel: '!has(self.rotation) || !has(self.keySecretRef)',
      message: 'keys of your own (keySecretRef) are not rotated by us',
      holds: ({ rotation, keySecretRef }) => rotation === undefined || keySecretRef === undefined,
      at: ['rotation'],
    },
  ],
  // owned as a whole: of an object from which a server-side apply takes every member the API server makes null, and refuses it; {} stands here as often as not
  { 'x-kubernetes-map-type': 'atomic' },
)

/** Where both are written in ASCII; names in other letters may look different and be the same, and the plan compares those. */
const isAscii = "!self.domain.contains('xn--') && self.domain.matches('^[ -~]*$')"
const sendersAreOfTheDomain: Rule<unknown> = {
  cel: `!has(self.allowedSenders) || !has(self.allowedSenders.from) || !(${isAscii}) || self.allowedSenders.from.all(p, !p.matches('^[ -~]*$') || p.lowerAscii().endsWith('@' + self.domain.lowerAscii()))`,
  message: 'allowedSenders.from holds addresses of this domain only',
}

const spec = proven(
  z.strictObject({
    domain: proven(domainName('The domain. It cannot be changed.'), 'The domain. It cannot be changed.', [immutable]),
    relayRefs: ordered(relayRef('One MailRelay.'), 16, 'The MailRelays it attaches to. Absent: every MailRelay of its namespace.').optional(),
    inbound: inbound.optional(),
    outbound: z
      .strictObject({
        dkim: dkim.optional(),
        returnPath: z.string().max(320).describe('Domain of the envelope sender for bounces. Not implemented yet.').optional(),
      })
      .describe('Mail from the domain.')
      .optional(),
    allowedSenders: z
      .strictObject({
        namespaces: namespaces('Namespaces whose MailSenders may use addresses of this domain.').prefault({}),
        from: ordered(addressPattern, 64, 'The addresses they may use. Absent: every address of the domain.').optional(),
      })
      .describe('Who may send as this domain.')
      .prefault({}),
  }),
  'What the domain is to be.',
  [sendersAreOfTheDomain],
)

const status = z
  .strictObject({
    observedGeneration: observedGeneration.optional(),
    conditions: conditions.optional(),
    relays: relayStatuses.optional(),
    requiredRecords: dnsRecords.optional(),
  })
  .describe('What the operator found. Conditions: Ready, RecordsPublished; Contested where others claim the domain or its addresses in vain; per relay Accepted.')

export const mailDomain = {
  kind: 'MailDomain',
  plural: 'maildomains',
  singular: 'maildomain',
  shortName: 'mdomain',
  scope: 'Namespaced',
  description: 'One domain: mail for it is accepted (inbound), mail from it is signed (outbound), who may send as it, and the DNS records it needs. Where two claim one domain, the one that holds it keeps it; else the oldest.',
  spec,
  status,
  nameRules: [nameFits('MailDomain', 'dkim')],
  selectable: ['.spec.domain'],
  columns: [
    { name: 'Domain', type: 'string', jsonPath: '.spec.domain', description: 'The domain.' },
    ready,
    reason,
    { name: 'Records', type: 'string', jsonPath: ".status.conditions[?(@.type=='RecordsPublished')].status", description: 'Whether DNS has what the domain needs.' },
    age,
  ],
  example: `metadata: {name: browncow, namespace: mail}
spec:
  domain: browncow.example
  inbound:
    deliverTo: {hosts: [{host: mailstore.mail.svc, port: 2525}]}
  outbound: {dkim: {}}
`,
} as const satisfies Kind

export type MailDomain = Manifest<'MailDomain', z.infer<typeof spec>>
