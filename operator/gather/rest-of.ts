// Of an object that does not fit its kind, what others ask of it while it stays as it was: who it is, for which domain and MailRelays, and to whom it lends. Pure.
import type { AnyManifest, KindName } from '../../crds/index.ts'
import { readObject } from './read-object.ts'

export type Rest = {
  readonly manifest: AnyManifest
  /** What a MailDomain lends, and to whom, can be read. */
  readonly lends: boolean
}

type Fields = Readonly<Record<string, unknown>>

/** Of the kinds that stay, what has to be there beside; it is never in force. */
const standIns: Partial<Record<KindName, Fields>> = {
  MailDomain: {},
  RelayPolicy: { targetRefs: [{ kind: 'MailRelay', name: 'none' }], rules: [{ name: 'none', action: 'Deny' }] },
  DeliveryRoute: {},
}
/** What a reference says of which MailRelay it is. */
const ofRef: Partial<Record<KindName, readonly string[]>> = { MailDomain: ['name', 'namespace'], DeliveryRoute: ['name'] }

/** undefined: nobody can say for which domain or MailRelays it is, or it is of a kind that does not stay. */
export const restOf = (object: object & { readonly kind: string; readonly spec?: unknown }): Rest | undefined => {
  const kind = object.kind as KindName
  const standIn = standIns[kind]
  if (standIn === undefined || !isMap(object.spec)) return undefined
  const { relayRefs, domain, allowedSenders } = object.spec
  const refs = Array.isArray(relayRefs) ? relayRefs.map((ref: unknown) => (isMap(ref) ? pick(ref, ofRef[kind] ?? []) : ref)) : relayRefs
  const read = (more: Fields): AnyManifest | undefined => {
    const found = readObject({ ...object, spec: { ...standIn, ...given({ ...(ofRef[kind] && { relayRefs: refs }), ...(kind === 'MailDomain' && { domain, ...more }) }) } })
    return found.kind === 'manifest' ? found.manifest : undefined
  }
  const lending = read({ allowedSenders })
  if (lending) return { manifest: lending, lends: true }
  const bare = read({})
  return bare && { manifest: bare, lends: false }
}

const isMap = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

const given = (fields: Fields): Fields => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

const pick = (fields: Fields, names: readonly string[]): Fields => given(Object.fromEntries(names.map((name) => [name, fields[name]])))
