// What has to be made before snapshots are whole: a CA and certificates, credentials, DKIM keys, the logins of queues; each kept in a Secret.
import type { Applier } from './apply/index.ts'
import type { KubeObject } from './kube/index.ts'
import { authorityFrom, authorityIn, bindingFrom, certificateFrom, credentialFrom, credentialIn, dkimKeysFor, queueSecretsFrom, rotateLoginAnnotation, type Authority, type DkimNews, type DkimOptions } from './make/index.ts'
import { credentialSecretOf, keyOf, managedLabels, queueCertificateNames, queueLoginName, type Data, type DnsRecord, type Made, type MadeCredential, type MadeDkimKey, type Need, type RelayView } from './plan/index.ts'
import type { Refusals } from './refusals.ts'
import type { SecretStore } from './secret-store.ts'
import { several } from './several.ts'

export type MakeOptions = {
  readonly store: SecretStore
  readonly applier: Applier
  readonly refusals: Refusals
  /** "MailRelay", "mail/main" → who owns what is made for it, so that it goes with it. */
  readonly owner: (kind: string, key: string) => NonNullable<KubeObject['metadata']['ownerReferences']>
  readonly now: Date
  /** Whether a record of a MailDomain stands in DNS. */
  readonly sees: (domain: string, record: DnsRecord) => boolean
  readonly tell: (kind: string, key: string, news: DkimNews) => void
  readonly newKey: NonNullable<DkimOptions['newKey']>
  /** By StatefulSet: the configuration that all of its pods were seen to run. */
  readonly running: (key: string) => string | undefined
}

type NeedFor<K extends Need['kind']> = Extract<Need, { kind: K }>

/** What cannot be kept is not made: who had it before has what is kept. */
export const make = async (needs: readonly Need[], options: MakeOptions): Promise<Made> => {
  const of = <K extends Need['kind']>(kind: K) => needs.filter((need): need is NeedFor<K> => need.kind === kind)
  const authorities = new Map<string, Promise<Authority | undefined>>()
  const { attempt, guard } = options.refusals
  const authority = (relay: string) => authorities.get(relay) ?? authorities.set(relay, guard('MailRelay', relay, () => authorityOf(relay, options))).get(relay)!
  const certificates = await several(of('certificate'), ({ relay, names }) =>
    attempt('MailRelay', relay, async () => {
      const signer = await authority(relay)
      if (signer === undefined) return undefined
      const data = await kept([`${relay}-certificate`, ['MailRelay', relay], 'kubernetes.io/tls'], options, (before) => certificateFrom(before, names, signer, options.now))
      return [relay, { certificate: data['tls.crt'], key: data['tls.key'] }] as const
    }))
  const credentials = await several(of('credential'), async (need) => {
    const made = await attempt('MailSender', need.sender, async () => {
      const signer = await authority(need.relay)
      return signer && credentialOf(need, signer, options)
    })
    return [[need.sender, made ?? (await guard('MailSender', need.sender, () => credentialBefore(need, options)))] as const].filter(isMade)
  })
  await several(of('binding'), (need) =>
    attempt('MailSender', need.sender, async () => {
      const signer = await authority(need.relay)
      if (signer !== undefined) await kept([credentialSecretOf(need.sender), ['MailSender', need.sender], 'servicebinding.io/smtp'], options, (before) => bindingFrom(before, need, need, signer))
    }))
  const dkim = await several([...Map.groupBy(of('dkim'), (need) => need.for)], async ([domain, ofDomain]) => [domain, (await guard('MailDomain', domain, () => dkimKeysOf(domain, ofDomain, options))) ?? []] as const)
  return { certificates: Object.fromEntries(certificates.filter((one) => one !== undefined)), credentials: Object.fromEntries(credentials.flat()), dkim: Object.fromEntries(dkim) }
}

const isMade = (one: readonly [string, MadeCredential | undefined]): one is readonly [string, MadeCredential] => one[1] !== undefined

const credentialOf = async (need: NeedFor<'credential'>, signer: Authority, options: MakeOptions): Promise<MadeCredential> => {
  const place: Place = [credentialSecretOf(need.sender), ['MailSender', need.sender], 'servicebinding.io/smtp']
  const before = await options.store.one(place[0])
  const { data, made } = credentialFrom(before ?? {}, need, need, signer, options.now)
  await keep(place, options, before, data)
  return made
}

/** The password that the sender's Secret has, where another could not be written. */
const credentialBefore = async ({ sender, username }: NeedFor<'credential'>, { store, now }: MakeOptions): Promise<MadeCredential | undefined> =>
  store.isOurs(credentialSecretOf(sender)) ? credentialIn((await store.one(credentialSecretOf(sender))) ?? {}, username, now) : undefined

/** All keys of a domain lie in one Secret, written once. */
const dkimKeysOf = async (domain: string, needs: readonly NeedFor<'dkim'>[], options: MakeOptions): Promise<MadeDkimKey[]> => {
  const name = `${domain}-dkim`
  const before = await options.store.one(name)
  let data = before ?? {}
  const keys: MadeDkimKey[] = []
  const news: DkimNews[] = []
  for (const need of needs) {
    const made = await dkimKeysFor(need, data, options.now, { seen: (record) => options.sees(domain, record), newKey: options.newKey })
    data = made.data
    keys.push(...made.keys)
    news.push(...made.news)
  }
  const isWritten = await options.refusals.attempt('MailDomain', domain, () => keep([name, ['MailDomain', domain], 'Opaque'], options, before, data))
  if (isWritten === undefined) return keys.filter(({ privateKey }) => Object.values(before ?? {}).includes(privateKey))
  if (isWritten) for (const one of news) options.tell('MailDomain', domain, one)
  return keys
}

/** User name and password of the relay at its queue, and the certificate of the servers; and what they were made from. */
export const queueSecretsOf = async ({ relay }: RelayView, clusterDomain: string, options: MakeOptions): Promise<{ readonly before: Data | undefined; readonly logins: Data }> => {
  if (relay.spec.queue.managed === undefined) return { before: undefined, logins: {} }
  const authority = await authorityOf(keyOf(relay), options)
  const key = `${relay.metadata.namespace}/${queueLoginName(relay)}`
  const before = await options.store.one(key)
  const need = { names: queueCertificateNames(relay, clusterDomain), rotate: relay.metadata.annotations[rotateLoginAnnotation], running: options.running(key) }
  return { before, logins: queueSecretsFrom(before ?? {}, need, authority, options.now) }
}

const authorityOf = async (relay: string, options: MakeOptions): Promise<Authority> => authorityIn(await kept([`${relay}-ca`, ['MailRelay', relay], 'Opaque'], options, (before) => authorityFrom(before, options.now)))

/** Of a Secret: "mail/main-ca", of whom, of which type. */
type Place = readonly [key: string, owner: readonly [kind: string, key: string], type: string]

const kept = async <T extends Data>(place: Place, options: MakeOptions, from: (before: Data) => T): Promise<T> => {
  const before = await options.store.one(place[0])
  const data = from(before ?? {})
  await keep(place, options, before, data)
  return data
}

/** `before`: what `data` was made from, as it was read. */
const keep = async ([key, owner, type]: Place, { store, applier, owner: ownerOf }: MakeOptions, before: Data | undefined, data: Data): Promise<boolean> => {
  const [namespace, name] = key.split('/') as [string, string]
  const metadata = { name, namespace, labels: { 'app.kubernetes.io/name': 'posthouse', ...managedLabels }, ownerReferences: ownerOf(...owner) }
  return store.keep(applier, { metadata, type }, before, data)
}
