// What is in force at one MailRelay, as the judgement leaves it. Types only.
import type { DeliveryRoute, ListenerSpec, MailDomain, MailRelay, MailSender, RelayPolicy } from '../../crds/index.ts'

export type AttachedDomain = { readonly domain: MailDomain; readonly listeners: readonly string[] }
export type AttachedSender = { readonly sender: MailSender; readonly listeners: readonly string[]; readonly from: readonly string[] }
export type AttachedPolicy = { readonly policy: RelayPolicy; readonly targets: RelayPolicy['spec']['targetRefs'] }

/** One MailRelay in force with all that attaches to it. */
export type RelayView = {
  readonly relay: MailRelay
  readonly listeners: readonly ListenerSpec[]
  readonly domains: readonly AttachedDomain[]
  readonly senders: readonly AttachedSender[]
  readonly policies: readonly AttachedPolicy[]
  readonly routes: readonly DeliveryRoute[]
}
