// The six kinds, in the order of the manual.
import { deliveryRoute, type DeliveryRoute } from './delivery-route.ts'
import type { Kind } from './kind.ts'
import { mailDomain, type MailDomain } from './mail-domain.ts'
import { mailRelay, type MailRelay } from './mail-relay.ts'
import { mailSender, type MailSender } from './mail-sender.ts'
import { relayPolicy, type RelayPolicy } from './relay-policy.ts'
import { retrySchedule, type RetrySchedule } from './retry-schedule.ts'

export const kinds = [mailRelay, mailDomain, mailSender, relayPolicy, deliveryRoute, retrySchedule] as const satisfies readonly Kind[]
export type KindName = (typeof kinds)[number]['kind']
export type AnyManifest = MailRelay | MailDomain | MailSender | RelayPolicy | DeliveryRoute | RetrySchedule

export const kindNamed = (name: string): Kind | undefined => kinds.find(({ kind }) => kind === name)
