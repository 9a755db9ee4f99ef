// MailSender: one workload that may send.
import { z } from 'zod'
import { labelName, relayRef } from './common.ts'
import { age, nameFits, ready, reason, type Kind, type Manifest } from './kind.ts'
import { addressPattern } from './pattern.ts'
import { exactlyOneOf, ordered, proven } from './schema.ts'
import { conditions, observedGeneration, relayStatuses } from './status.ts'

const identity = proven(
  z.strictObject({
    generated: z.strictObject({}).describe('A user name and a password of 256 random bits, kept in the Secret NAME-smtp with host, port, username, password, ca.crt and uri. A new value of the annotation posthouse.dev/rotate-credentials makes a new password; the one before stays right for 24 hours.').optional(),
    serviceAccountName: labelName('ServiceAccount of this namespace. Its projected token, for the audience posthouse.dev/NAMESPACE/NAME of the MailRelay and at most an hour old, is the credential: as XOAUTH2, OAUTHBEARER, or as a password under any user name. The Secret NAME-smtp holds host, port, audience and ca.crt.').optional(),
    podSelector: z
      .strictObject({ matchLabels: z.record(z.string().max(317), z.string().max(63)).meta({ description: 'Labels of the pods.', maxProperties: 16 }).optional() })
      .describe('Pods known by their address. Not implemented yet.')
      .optional(),
  }),
  'How the sender proves who it is. Exactly one of generated, serviceAccountName, podSelector.',
  [exactlyOneOf('generated', 'serviceAccountName', 'podSelector')],
).prefault({ generated: {} })

const spec = z
  .strictObject({
    relayRef: relayRef('The MailRelay it sends through.'),
    identity,
    from: ordered(
      addressPattern,
      64,
      'Addresses it may use, in the envelope and in the header From (RFC 6409 8.1). Each needs a MailDomain that admits this namespace, or a listener with that foreign domain. Absent: every address of the MailDomains of its own namespace.',
    ).min(1).optional(),
    allowNullSender: z.boolean().default(false).describe('True: it may send with MAIL FROM:<>, as bounces do.'),
    limits: z
      .strictObject({
        messagesPerHour: z.int().min(1).max(100_000_000).describe('Messages an hour, over all relay pods together; over it the answer is 450 4.7.1.').optional(),
        recipientsPerMessage: z.int().min(1).max(100_000).describe('Recipients of one message; over it the answer is 452 4.5.3.').optional(),
        maxMessageBytes: z.int().min(1).max(2_147_483_647).describe('Largest message, in bytes; over it the answer is 552 5.3.4.').optional(),
      })
      .describe('Limits of this sender; an answer to what is over one of them has its name.')
      .optional(),
    priority: z.enum(['Transactional', 'Bulk']).default('Transactional').describe('Bulk mail waits in lanes of its own and never before transactional mail.'),
  })
  .describe('What the sender is to be.')

const status = z
  .strictObject({
    observedGeneration: observedGeneration.optional(),
    conditions: conditions.optional(),
    relays: relayStatuses.optional(),
    binding: z.strictObject({ name: z.string().max(253).describe('Name of the Secret.') }).describe('The Secret with what a client needs (servicebinding.io).').optional(),
  })
  .describe('What the operator found. Conditions: Ready, Accepted, CredentialsReady; Contested where another names its ServiceAccount in vain; ResolvedRefs where the ServiceAccount does not exist.')

export const mailSender = {
  kind: 'MailSender',
  plural: 'mailsenders',
  singular: 'mailsender',
  shortName: 'msender',
  scope: 'Namespaced',
  description: 'One workload that may send: how it is known, the addresses it may use, its limits, its priority.',
  spec,
  status,
  nameRules: [nameFits('MailSender', 'smtp')],
  selectable: ['.spec.relayRef.name', '.spec.relayRef.namespace', '.spec.priority'],
  columns: [{ name: 'Relay', type: 'string', jsonPath: '.spec.relayRef.name', description: 'The MailRelay it sends through.' }, { name: 'Secret', type: 'string', jsonPath: '.status.binding.name', description: 'The Secret with its credentials.' }, ready, reason, age],
  example: `metadata: {name: shop, namespace: mail}
spec:
  relayRef: {name: main}
  from: ["orders@browncow.example"]
  limits: {messagesPerHour: 20000}
`,
} as const satisfies Kind

export type MailSender = Manifest<'MailSender', z.infer<typeof spec>>
