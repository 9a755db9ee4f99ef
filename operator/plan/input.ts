// What a plan is made from: everything declared, and what was made for it. Plain data, filled by gather.
import type { DeliveryRoute, KindName, MailDomain, MailRelay, MailSender, RelayPolicy, RetrySchedule } from '../../crds/index.ts'

export type Secret = { readonly namespace: string; readonly name: string; readonly data: Readonly<Record<string, string>> } // decoded
export type Namespace = { readonly name: string; readonly labels: Readonly<Record<string, string>> }

export type Declared = {
  readonly relays: readonly MailRelay[]
  readonly domains: readonly MailDomain[]
  readonly senders: readonly MailSender[]
  readonly policies: readonly RelayPolicy[]
  readonly routes: readonly DeliveryRoute[]
  readonly schedules: readonly RetrySchedule[]
  readonly secrets: readonly Secret[]
  readonly namespaces: readonly Namespace[]
}

/** What the operator (or standalone) made, by `namespace/name` of the object it is for. */
export type Made = {
  readonly certificates: Readonly<Record<string, { readonly certificate: string; readonly key: string }>> // by MailRelay
  readonly credentials: Readonly<Record<string, { readonly username: string; readonly salt: string; readonly hash: string }>> // by MailSender
  readonly dkim: Readonly<Record<string, readonly MadeDkimKey[]>> // by MailDomain
}
export type MadeDkimKey = { readonly selector: string; readonly algorithm: 'ed25519' | 'rsa'; readonly privateKey: string }
export const nothingMade: Made = { certificates: {}, credentials: {}, dkim: {} }

export type Input = {
  readonly declared: Declared
  readonly made: Made
  readonly clusterDomain: string // cluster.local
}

/** What has to be made before the snapshot is whole. */
export type Need =
  | { readonly kind: 'certificate'; readonly relay: string; readonly names: readonly string[] }
  | { readonly kind: 'credential'; readonly sender: string; readonly relay: string; readonly username: string; readonly host: string; readonly port: number; readonly bindPort: number; readonly implicitTls: boolean }
  | { readonly kind: 'dkim'; readonly domain: string; readonly for: string; readonly algorithm: 'ed25519' | 'rsa'; readonly selectorPrefix: string; readonly rotation?: { readonly everySeconds: number; readonly overlapSeconds: number } }

export type ObjectRef = { readonly kind: KindName; readonly namespace: string; readonly name: string }

/** `namespace/name`; the bare name where there is no namespace. */
export const keyOf = ({ metadata: { namespace, name } }: { readonly metadata: { readonly namespace: string; readonly name: string } }): string =>
  namespace === '' ? name : `${namespace}/${name}`

/** "MailDomain shop/shop": how messages, replies and logs name a manifest. */
export const titleOf = (object: { readonly kind: string; readonly metadata: { readonly namespace: string; readonly name: string } }): string => `${object.kind} ${keyOf(object)}`

export const refOf = (object: { readonly kind: KindName; readonly metadata: { readonly namespace: string; readonly name: string } }): ObjectRef => ({
  kind: object.kind,
  namespace: object.metadata.namespace,
  name: object.metadata.name,
})
