// What a plan is made from: everything declared, and what was made for it. Plain data, filled by gather.
import type { Snapshot } from '../../relay/snapshot/index.ts'
import type { DeliveryRoute, KindName, MailDomain, MailRelay, MailSender, RelayPolicy, RetrySchedule } from '../../crds/index.ts'

/** The keys of a Secret, decoded, or the files of a folder. */
export type Data = Readonly<Record<string, string>>
export type Secret = { readonly namespace: string; readonly name: string; readonly data: Data }
export type Namespace = { readonly name: string; readonly labels: Readonly<Record<string, string>> }

export type Declared = {
  readonly relays: readonly MailRelay[]
  readonly domains: readonly MailDomain[]
  readonly senders: readonly MailSender[]
  readonly policies: readonly RelayPolicy[]
  readonly routes: readonly DeliveryRoute[]
  readonly schedules: readonly RetrySchedule[]
  readonly secrets: readonly Secret[]
  /** By namespace/name, those that may not be read: thrown where one is looked at, for nobody may say that it is not there. */
  readonly refusedSecrets?: ReadonlyMap<string, Error>
  readonly namespaces: readonly Namespace[]
  /** By title: of whom only a part can be read, and what is wrong with the rest. They are never in force by what they say now. `lends`: what a MailDomain lends, and to whom, is in that part. */
  readonly unread?: ReadonlyMap<string, { readonly message: string; readonly lends: boolean }>
}

/** What the operator (or standalone) made, by `namespace/name` of the object it is for. */
export type Made = {
  readonly certificates: Readonly<Record<string, { readonly certificate: string; readonly key: string }>> // by MailRelay
  readonly credentials: Readonly<Record<string, MadeCredential>> // by MailSender
  readonly dkim: Readonly<Record<string, readonly MadeDkimKey[]>> // by MailDomain
}
/** `previous`: the password before the last rotation, right until then. */
export type MadeCredential = { readonly username: string; readonly salt: string; readonly hash: string; readonly previous?: { readonly salt: string; readonly hash: string; readonly until: string } }
export type MadeDkimKey = {
  readonly selector: string
  readonly algorithm: 'ed25519' | 'rsa'
  readonly privateKey: string
  readonly publicPart: string // as in the record
  /** coming: its record is to be published, then it signs. leaving: it signed, and its record is to stay for a while. */
  readonly stage: 'coming' | 'signing' | 'leaving'
}
export const nothingMade: Made = { certificates: {}, credentials: {}, dkim: {} }

/** Who signs tokens of ServiceAccounts, by the public keys (JWK) that the API server shows; or why they are not known. */
export type TokenIssuer =
  | { readonly kind: 'known'; readonly issuer: string; readonly keys: readonly Readonly<Record<string, string>>[] }
  | { readonly kind: 'unknown'; readonly why: string }

/** What was observed of one MailRelay, by listener. Marks tell of which manifests it was true. */
export type SeenAtRelay = {
  /** Clients came with the address of a node or gateway. */
  readonly hidden: Readonly<Record<string, string>>
  /** What the last attempt of a stranger came to, and since when the listener is closed because one got through. */
  readonly strangers: Readonly<Record<string, { readonly mark: string; readonly relayed: boolean; readonly closedFor?: string }>>
  /** What its pods, and those of its neighbours in the namespace, have for routers. */
  readonly gateways?: readonly string[]
}

export type Seen = {
  readonly relays: Readonly<Record<string, SeenAtRelay>>
  /** Of nodes: addresses and prefixes. */
  readonly nodeAddresses: readonly string[]
  /** Our own: we ask as a stranger, so no rule means us, whatever range it names. */
  readonly ownAddresses?: readonly string[]
  /** Of pods, by node. */
  readonly podRanges?: readonly string[]
  /** For tests only: believe addresses whatever is known of them. */
  readonly believeAll?: boolean
}
export const nothingSeen: Seen = { relays: {}, nodeAddresses: [] }

export type Input = {
  readonly declared: Declared
  readonly made: Made
  readonly clusterDomain: string // cluster.local
  /** Absent: there is no cluster, or nobody needs it. */
  readonly tokenIssuer?: TokenIssuer | undefined
  /** ServiceAccounts that are there, namespace/name; absent: nobody looked. */
  readonly accounts?: ReadonlySet<string>
  readonly seen?: Seen // absent: nothing was
  /** By MailRelay: where its Service is found. */
  readonly serviceAddresses?: ReadonlyMap<string, readonly string[]>
  /** By title: who needs a Secret, beside those declared, that may not be read. */
  readonly held?: ReadonlySet<string>
  /** By MailRelay: the snapshot that its pods were given last, where it is known. */
  readonly before?: ReadonlyMap<string, Snapshot>
  /** By MailRelay: bytes of the smallest volume of its queue; absent: nobody looked. */
  readonly volumes?: ReadonlyMap<string, number>
}

/** What has to be made before the snapshot is whole. */
export type Need =
  | { readonly kind: 'certificate'; readonly relay: string; readonly names: readonly string[] }
  | (ForSender & { readonly kind: 'credential'; readonly username: string; readonly rotation?: string }) // another rotation: another password
  | (ForSender & { readonly kind: 'binding'; readonly audience: string }) // for who has a token of its own
  | { readonly kind: 'dkim'; readonly domain: string; readonly for: string; readonly algorithm: 'ed25519' | 'rsa'; readonly selectorPrefix: string; readonly rotation?: { readonly everySeconds: number; readonly overlapSeconds: number } }

/** What a client of the sender needs to know. `trust`: the listener has a certificate of its own, signed by this CA where it is known, or by the one of before; absent: by ours. */
type ForSender = { readonly sender: string; readonly relay: string; readonly listener: string; readonly host: string; readonly port: number; readonly bindPort: number; readonly implicitTls: boolean; readonly trust?: { readonly ca?: string; readonly asBefore?: true } }

export type ObjectRef = { readonly kind: KindName; readonly namespace: string; readonly name: string }

/** An object in the cluster that does not fit its kind as this release knows it, and why; `fault`: what threw when it was read. */
export type Unread = { readonly object: ObjectRef; readonly generation: number; readonly status?: unknown; readonly message: string; readonly fault?: unknown }

/** `namespace/name`; the bare name where there is no namespace. */
export const keyOf = ({ metadata: { namespace, name } }: { readonly metadata: { readonly namespace: string; readonly name: string } }): string =>
  namespace === '' ? name : `${namespace}/${name}`

/** "MailDomain shop/shop": how messages, replies and logs name a manifest. */
export const titleOf = (object: { readonly kind: string; readonly metadata: { readonly namespace: string; readonly name: string } }): string => `${object.kind} ${keyOf(object)}`

export const titleOfRef = (object: ObjectRef): string => titleOf({ kind: object.kind, metadata: object })

export const refOf = (object: { readonly kind: KindName; readonly metadata: { readonly namespace: string; readonly name: string } }): ObjectRef => ({
  kind: object.kind,
  namespace: object.metadata.namespace,
  name: object.metadata.name,
})
