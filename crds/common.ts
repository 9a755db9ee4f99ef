// Fields that several kinds share: names, references, selectors, TLS, addresses. Pure.
import { isIP } from 'node:net'
import { z } from 'zod'
import { ordered, proven, type Rule } from './schema.ts'

const labelForm = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/
const subdomainForm = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/
const hostNameForm = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/

export const labelName = (description: string): z.ZodString =>
  z.string().min(1).max(63).regex(labelForm, 'lower-case letters, digits and -, beginning and ending with a letter or digit').describe(description)

export const objectName = (description: string): z.ZodString =>
  z.string().min(1).max(253).regex(subdomainForm, 'lower-case letters, digits, - and ., beginning and ending with a letter or digit').describe(description)

export const hostName = (description: string): z.ZodString =>
  z.string().min(1).max(253).regex(hostNameForm, 'a host name in lower case, such as mail.example.org').describe(description)

/** Name or address literal without brackets. */
export const hostOrAddress = (description: string): z.ZodString =>
  proven(z.string().min(1).max(253), description, [
    {
      cel: `isIP(self) || (self.matches('${hostNameForm.source.replaceAll('\\', '\\\\')}') && !self.matches('^[0-9.]+$'))`,
      message: 'a host name in lower case, or an IP address without brackets',
      holds: (text) => isAddress(text) || (hostNameForm.test(text) && !/^[0-9.]+$/.test(text)),
    },
  ])

export const port = (description: string): z.ZodInt => z.int().min(1).max(65535).describe(description)

/** As the API server's isIP: no zone, no IPv4-mapped IPv6. */
export const isAddress = (text: string): boolean => isIP(text) !== 0 && !text.includes('%') && !/^::ffff:.*\./i.test(text)

/** As the API server's isCIDR. */
const isCidr = (text: string): boolean => {
  const [address = '', length, ...rest] = text.split('/')
  if (rest.length > 0 || length === undefined || !isAddress(address)) return false
  if (!/^(0|[1-9][0-9]{0,2})$/.test(length)) return false
  return Number(length) <= (isIP(address) === 4 ? 32 : 128)
}

const isRange = { cel: 'isCIDR(self)', message: 'an address range such as 192.0.2.0/24 or 2001:db8::/48; one address is 192.0.2.7/32' }

export const cidr = (description: string): z.ZodString =>
  proven(z.string().max(50), description, [{ ...isRange, holds: isCidr }])

// as privateRanges of the relay
const privateIp4 = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16']
const privateIp6 = ['::1/128', 'fc00::/7', 'fe80::/10']
const isIn = (range: string, ranges: readonly string[]): string => `[${ranges.map((one) => `'${one}'`).join(', ')}].exists(p, cidr(p).containsCIDR(cidr(${range})))`

/** CEL: the range is small enough to name somebody, or no range at all (which another rule refuses). */
const isBounded = (range: string): string => {
  const length = `cidr(${range}).prefixLength()`
  return `!isCIDR(${range}) || (cidr(${range}).ip().family() == 4 ? ${length} >= 24 || (${length} >= 8 && ${isIn(range, privateIp4)}) : ${length} >= 48 || (${length} >= 32 && ${isIn(range, privateIp6)}))`
}
const widest = 'at most a /8 of private IPv4 addresses, a /24 of public ones, a /32 or /48 of IPv6: wider ranges are trusted by nobody'

/** Ranges that are trusted; the plan says of each which is too wide. */
export const boundedCidr = (description: string): z.ZodString =>
  proven(cidr(description), description, [
    isRange,
    { cel: isBounded('self'), message: widest },
  ])

/** Of a rule with action and match.sources. */
export const allowIsBounded: Rule<unknown> = {
  cel: `self.action != 'Allow' || !has(self.match) || !has(self.match.sources) || self.match.sources.all(s, ${isBounded('s')})`,
  message: `sources of an Allow: ${widest}`,
}

export const secretRef = (description: string) =>
  z.strictObject({ name: objectName('Name of the Secret.') }).describe(`${description} A Secret of the same namespace.`)

export const senderName = z.string().min(1).max(317).regex(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\/)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'the name of a MailSender, or namespace/name')

export const relayRef = (description: string) =>
  z
    .strictObject({
      name: objectName('Name of the MailRelay.'),
      namespace: labelName('Namespace of the MailRelay; by default the namespace of this object.').optional(),
    })
    .describe(description)

const labelSelector = z
  .strictObject({
    matchLabels: z.record(z.string().max(317), z.string().max(63)).describe('Labels that the namespace must have, with these values.').meta({ maxProperties: 16 }).optional(),
    matchExpressions: ordered(
      proven(
        z.strictObject({
          key: z.string().min(1).max(317).describe('The label.'),
          operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How the label is compared.'),
          values: ordered(z.string().max(63), 32, 'The values of In and NotIn.').optional(),
        }),
        'One condition on a label.',
        [
          {
            cel: "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            message: 'In and NotIn need values, Exists and DoesNotExist have none',
            holds: ({ operator, values }) => ['In', 'NotIn'].includes(operator) === (values !== undefined && values.length > 0),
          },
        ],
      ),
      16,
      'Conditions that must all hold.',
    ).optional(),
  })
  .describe('Selects namespaces by their labels.')

/** Whose objects are admitted: the consent of the one who is attached to. */
export const namespaces = (description: string) =>
  proven(
    z.strictObject({
      from: z.enum(['Same', 'All', 'Selector']).default('Same').describe('Same: only the namespace of this object. All: every namespace. Selector: the namespaces that the selector picks.'),
      selector: labelSelector.optional(),
    }),
    description,
    [
      {
        cel: "(has(self.from) && self.from == 'Selector') == has(self.selector)",
        message: 'selector goes with from: Selector, and only with it',
        holds: ({ from, selector }) => (from === 'Selector') === (selector !== undefined),
        at: ['selector'],
      },
    ],
  )

const tlsModes = ['None', 'Opportunistic', 'Require', 'Verify', 'DANE', 'MTASTS'] as const

export const tlsPolicy = (description: string) =>
  proven(
    z.strictObject({
      mode: z
        .enum(tlsModes)
        .default('Opportunistic')
        .describe('None: no TLS. Opportunistic: TLS where offered, and without it where the handshake fails. Require: TLS, whoever the certificate names. Verify: TLS with a valid certificate for the host. DANE (RFC 7672) and MTASTS (RFC 8461): not implemented yet.'),
      clientCertificateSecretRef: secretRef('Certificate we show, as tls.crt and tls.key (RSA of at most 4096 bits).').optional(),
      caSecretRef: secretRef('CA certificates as ca.crt: with mode Verify the host must have a certificate of one of these, and the public CAs do not count.').optional(),
    }),
    description,
    [
      {
        cel: "!has(self.caSecretRef) || (has(self.mode) && self.mode == 'Verify')",
        message: 'a CA counts only where certificates are verified: set mode to Verify',
        holds: ({ mode, caSecretRef }) => caSecretRef === undefined || mode === 'Verify',
        at: ['mode'],
      },
    ],
  )

export type Namespaces = z.infer<ReturnType<typeof namespaces>>
export type TlsPolicyField = z.infer<ReturnType<typeof tlsPolicy>>
