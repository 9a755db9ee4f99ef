// The status that every kind has: conditions, and conditions per relay. Written by the operator only.
import { z } from 'zod'
import { keyed, ordered } from './schema.ts'

const condition = z
  .strictObject({
    type: z.string().min(1).max(316).describe('What the condition is about.'),
    status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
    reason: z.string().min(1).max(1024).regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/).describe('Why, in one word for machines; part of the API.'),
    message: z.string().max(32768).describe('Why, in words, naming the manifest on each side.'),
    lastTransitionTime: z.string().max(64).meta({ description: 'When status last changed.', format: 'date-time' }),
    observedGeneration: z.int().min(0).describe('The generation of the object that was judged.').optional(),
  })
  .describe('One statement about the object.')

export const conditions = keyed(condition, 'type', 32, 'What is known about the object now; Ready is the summary.')

/** No more are taken by the API server. */
export const mostInStatus = { relays: 64, records: 64 } as const

/** status.relays[]: one entry per MailRelay that this object attaches to. */
export const relayStatuses = z
  .array(
    z.strictObject({
      namespace: z.string().min(1).max(63).describe('Namespace of the MailRelay.'),
      name: z.string().min(1).max(253).describe('Name of the MailRelay.'),
      controllerName: z.string().min(1).max(253).describe('Who wrote this entry.'),
      conditions,
    }).describe('What one MailRelay makes of the object.'),
  )
  .max(mostInStatus.relays)
  .meta({ description: `What each MailRelay makes of the object; of more than ${mostInStatus.relays}, those where it is in force come first.`, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['namespace', 'name'] })

export const observedGeneration = z.int().min(0).describe('The generation of the object that was last judged.')

export const dnsRecords = ordered(
  z
    .strictObject({
      type: z.enum(['MX', 'TXT', 'CNAME', 'TLSA']).describe('Record type.'),
      name: z.string().max(255).describe('Where it belongs, without a trailing dot.'),
      value: z.string().max(4096).describe('What it must say.'),
      observed: z.string().max(4096).describe('What DNS says now.').optional(),
      state: z.enum(['Unknown', 'Missing', 'Different', 'Published']).describe('Published: DNS does what is needed, in these words or others. Different: there is a record, and it does not. Missing: there is none. Unknown: DNS did not answer, or has not been asked yet.'),
    })
    .describe('One DNS record.'),
  mostInStatus.records,
  `DNS records that this domain needs: MX, SPF, DKIM, DMARC; the first ${mostInStatus.records}.`,
)
