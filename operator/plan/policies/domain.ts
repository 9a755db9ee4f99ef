// What keeps a MailDomain out, alone or on one MailRelay.
import { coversDomain, type MailDomain, type MailRelay } from '../../../crds/index.ts'
import { normalDomain } from '../../../relay/snapshot/index.ts'
import type { Check, Violation } from '../condition.ts'
import { refOf, titleOf } from '../input.ts'
import { brokenNames, normalPattern, normalPatterns } from '../names.ts'
import type { World } from '../world.ts'
import { hostFault } from './hosts.ts'
import { dkimKeyOf } from './key-pair.ts'
import { certificateOfHopIsMissing } from './references.ts'

type SeenDomain = { readonly domain: MailDomain; readonly world: World }

const domainIsNoName: Check<SeenDomain> = ({ domain: { spec } }) =>
  normalDomain(spec.domain) === undefined ? { reason: 'InvalidName', message: `${spec.domain} is no domain name`, path: ['spec', 'domain'] } : undefined

const allowedAddressIsOfAnotherDomain: Check<SeenDomain> = ({ domain: { spec } }) => {
  const from = spec.allowedSenders.from ?? []
  const own = normalDomain(spec.domain) ?? spec.domain
  const index = from.findIndex((pattern) => !isAddressAt(normalPattern(pattern), own))
  return index < 0 ? undefined : { reason: 'InvalidName', message: `${from[index]} is no address of ${own}; write *@${own} or name@${own}`, path: ['spec', 'allowedSenders', 'from', index] }
}

const isAddressAt = (pattern: string | undefined, domain: string): boolean => pattern !== undefined && pattern.endsWith(`@${domain}`)

const listedRecipientIsOfAnotherDomain: Check<SeenDomain> = ({ domain: { spec } }) => {
  const list = spec.inbound?.recipients.list ?? []
  const own = normalDomain(spec.domain) ?? spec.domain
  const index = list.findIndex((entry) => entry.includes('@') && normalDomain(entry.slice(entry.lastIndexOf('@') + 1)) !== own)
  return index < 0 ? undefined : { reason: 'InvalidName', message: `${list[index]} is no address of ${own}`, path: ['spec', 'inbound', 'recipients', 'list', index] }
}

const listedRecipientIsAPattern: Check<SeenDomain> = ({ domain: { spec } }) => {
  const list = spec.inbound?.recipients.list ?? []
  const index = list.findIndex((entry) => entry === '*' || entry.startsWith('*@'))
  return index < 0 ? undefined : { reason: 'InvalidName', message: `${list[index]} is no pattern here but one address; for every address of ${spec.domain} set mode: Any`, path: ['spec', 'inbound', 'recipients', 'list', index] }
}

const dkimKeyIsMissing: Check<SeenDomain> = ({ domain, world }) => {
  const dkim = domain.spec.outbound?.dkim
  if (dkim?.keySecretRef === undefined) return undefined
  const { namespace } = domain.metadata
  const title = `Secret ${namespace}/${dkim.keySecretRef.name}`
  const path = ['spec', 'outbound', 'dkim', 'keySecretRef', 'name']
  const data = world.secret(namespace, dkim.keySecretRef.name)?.data
  if (data === undefined) return { reason: 'KeyNotFound', message: world.missing('Secret', `${namespace}/${dkim.keySecretRef.name}`), path }
  const lacking = dkim.algorithms.flatMap((algorithm) => [`${algorithm}.key`, `${algorithm}.selector`]).filter((key) => data[key] === undefined)
  if (lacking.length > 0) return { reason: 'KeyNotFound', message: `${title} lacks ${lacking.join(', ')}${withoutThem(dkim.algorithms, lacking)}`, path }
  const broken = dkim.algorithms.find((algorithm) => dkimKeyOf(data[`${algorithm}.key`]!, algorithm) === undefined || !isSelector(data[`${algorithm}.selector`]!.trim(), domain.spec.domain))
  return broken === undefined ? undefined : { reason: 'KeyInvalid', message: `${title}: ${broken}.key is no ${broken} private key in PEM${broken === 'rsa' ? ' of 1024 to 4096 bits' : ''}, or ${broken}.selector no name`, path }
}

/** As part of the name of its record (RFC 6376 3.6.2.1): by itself 20230601 is none. */
const isSelector = (text: string, domain: string): boolean => normalDomain(`${text}._domainkey.${domain}`) !== undefined

/** Two algorithms are the default: who has keys of one must say so. */
const withoutThem = (algorithms: readonly string[], lacking: readonly string[]): string => {
  const [whole, absent] = [algorithms.filter((one) => !lacking.some((key) => key.startsWith(`${one}.`))), algorithms.filter((one) => lacking.includes(`${one}.key`) && lacking.includes(`${one}.selector`))]
  return whole.length === 1 && absent.length === 1 ? `; to sign without ${absent[0]} set algorithms: [${whole[0]}]` : ''
}

const certificateForHostIsMissing: Check<SeenDomain> = ({ domain, world }) => {
  for (const [index, host] of (domain.spec.inbound?.deliverTo.hosts ?? []).entries()) {
    const fault = certificateOfHopIsMissing(host.tls, domain.metadata.namespace, world, ['spec', 'inbound', 'deliverTo', 'hosts', index])
    if (fault) return fault
  }
  return undefined
}

export const refuseDomain: readonly Check<SeenDomain>[] = [
  domainIsNoName, // nothing could be compared with it
  allowedAddressIsOfAnotherDomain, // one domain cannot lend out another
  listedRecipientIsOfAnotherDomain, // it would never be asked for
  listedRecipientIsAPattern, // who wanted every address would have none
  dkimKeyIsMissing, // mail would leave unsigned though a signature was asked for
  certificateForHostIsMissing, // the host would turn us away
]

type SeenAttachment = SeenDomain & { readonly relay: MailRelay }

const hostIsOutOfReach: Check<SeenAttachment> = ({ domain, relay }) => {
  for (const [index, { host }] of (domain.spec.inbound?.deliverTo.hosts ?? []).entries()) {
    const fault = hostFault(host, domain.metadata.namespace, domain.metadata.namespace === relay.metadata.namespace)
    if (fault !== undefined) return { reason: 'HostNotAllowed', message: `${host}: ${fault}`, path: ['spec', 'inbound', 'deliverTo', 'hosts', index, 'host'] }
  }
  return undefined
}

const noListenerAdmitsIt: Check<SeenAttachment> = (seen) => {
  const { domain, relay, world } = seen
  if (listenersForDomain(seen).length > 0) return undefined
  const outside = domain.metadata.namespace === relay.metadata.namespace ? '' : `; for other namespaces allowedDomains needs both namespaces and names${world.aboutLabels(domain.metadata.namespace, relay.spec.listeners.map(({ allowedDomains }) => allowedDomains.namespaces))}`
  return { reason: 'NotAdmitted', message: `no listener of ${titleOf(relay)} admits domain ${domain.spec.domain} of namespace ${domain.metadata.namespace}${outside}`, by: refOf(relay) }
}

export const refuseDomainOnRelay: readonly Check<SeenAttachment>[] = [
  hostIsOutOfReach, // a tenant could make the relay knock at private doors
  noListenerAdmitsIt, // the platform's side of the consent
]

/** Names of the listeners that admit the domain. */
export const listenersForDomain = ({ domain, relay, world }: SeenAttachment): string[] => {
  const [own, other] = [relay.metadata.namespace, domain.metadata.namespace]
  const name = normalDomain(domain.spec.domain) ?? domain.spec.domain
  return relay.spec.listeners
    .filter(({ allowedDomains: { namespaces, names } }) => {
      if (own === other) return true
      return world.admits(namespaces, own, other) && normalPatterns(names).some((pattern) => coversDomain(pattern, name))
    })
    .map(({ name }) => name)
}

/** Of several that claim one domain: the holder, else the oldest, else the first by name. The others are told who. */
export const domainIsHeldByAnother = (domain: MailDomain, holder: MailDomain): Violation | undefined =>
  domain === holder ? undefined : { reason: 'DomainConflict', message: `${titleOf(holder)} holds ${domain.spec.domain}`, path: ['spec', 'domain'], by: refOf(holder) }

/** Whether any name in the patterns is broken. */
export const patternIsNoName = (patterns: readonly string[] | undefined, path: readonly PropertyKey[]): Violation | undefined => {
  const broken = brokenNames(patterns)
  return broken.length === 0 ? undefined : { reason: 'InvalidName', message: `${broken.join(', ')}: no domain name`, path }
}
