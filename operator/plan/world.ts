// The input with indexes over it, and the consent of one namespace towards another. Pure.
import type { DeliveryRoute, MailDomain, MailRelay, MailSender, Namespaces, RetrySchedule } from '../../crds/index.ts'
import { didYouMean } from '../near-miss.ts'
import { byAge } from './by-age.ts'
import { keyOf, type Declared, type Input, type Secret } from './input.ts'

type Named = 'MailRelay' | 'MailDomain' | 'MailSender' | 'RetrySchedule' | 'Secret' | 'ServiceAccount'

export type World = {
  readonly input: Input
  readonly relay: (key: string) => MailRelay | undefined
  readonly domain: (key: string) => MailDomain | undefined
  readonly sender: (key: string) => MailSender | undefined
  readonly schedule: (name: string) => RetrySchedule | undefined
  readonly secret: (namespace: string, name: string) => Secret | undefined
  readonly relaysIn: (namespace: string) => readonly MailRelay[]
  /** Whether an object in `own` that says `whom` admits objects of `other`. */
  readonly admits: (whom: Namespaces, own: string, other: string) => boolean
  /** "MailRelay mail/mian does not exist; did you mean main?", of the names in that namespace. */
  readonly missing: (kind: Named, key: string) => string
  /** The same of a MailSender that an object of namespace `asking` names: of those there, or that send through a MailRelay there. Who guesses learns of no others. */
  readonly missingSender: (key: string, asking: string) => string
  /** What a person should know who wonders why none of these, where one is a selector, picks this namespace; else nothing. */
  readonly aboutLabels: (namespace: string, asked: readonly Namespaces[]) => string
}

export const worldOf = (given: Input): World => {
  const input = { ...given, declared: sorted(given.declared) }
  const { declared, accounts = new Set<string>() } = input
  const [relays, domains, senders, schedules] = [byKey(declared.relays), byKey(declared.domains), byKey(declared.senders), byKey(declared.schedules)]
  const secrets = new Map(declared.secrets.map((secret) => [`${secret.namespace}/${secret.name}`, secret]))
  const labels = new Map(declared.namespaces.map((namespace) => [namespace.name, namespace.labels]))
  return {
    input,
    relay: (key) => relays.get(key),
    domain: (key) => domains.get(key),
    sender: (key) => senders.get(key),
    schedule: (name) => schedules.get(name),
    secret: (namespace, name) => {
      const refused = declared.refusedSecrets?.get(`${namespace}/${name}`)
      if (refused) throw refused
      return secrets.get(`${namespace}/${name}`)
    },
    relaysIn: (namespace) => declared.relays.filter(({ metadata }) => metadata.namespace === namespace),
    missing: (kind, key) => missing(kind, key, { MailRelay: relays, MailDomain: domains, MailSender: senders, RetrySchedule: schedules, Secret: secrets, ServiceAccount: accounts }[kind].keys()),
    missingSender: (key, asking) => missing('MailSender', key, declared.senders.filter(({ metadata: { namespace }, spec: { relayRef } }) => [namespace, relayRef.namespace].includes(asking)).map(keyOf)),
    admits: (whom, own, other) => admits(whom, own, other, labels.get(other) ?? {}),
    aboutLabels: (namespace, asked) => (labels.has(namespace) || asked.every(({ from }) => from !== 'Selector') ? '' : `; Namespace ${namespace} is not declared, so no selector sees its labels`),
  }
}

/** In which order objects were listed, or made known by events, means nothing: the same objects make the same snapshot. What is new comes last, and changes the last part of one only. */
const sorted = ({ relays, domains, senders, policies, routes, schedules, ...rest }: Declared): Declared =>
  ({ ...rest, relays: byAge(relays), domains: byAge(domains), senders: byAge(senders), policies: byAge(policies), routes: byAge(routes), schedules: byAge(schedules) })

const missing = (kind: string, key: string, known: Iterable<string>): string => {
  const name = key.slice(key.indexOf('/') + 1)
  const beside = key.slice(0, key.length - name.length)
  const hint = didYouMean(name, [...known].filter((other) => other.startsWith(beside)).map((other) => other.slice(beside.length)).toSorted())
  return `${kind} ${key} does not exist${hint === undefined ? '' : `; ${hint}`}`
}

const byKey = <T extends { readonly metadata: { readonly namespace: string; readonly name: string } }>(objects: readonly T[]): Map<string, T> =>
  new Map(objects.map((object) => [keyOf(object), object]))

const admits = (whom: Namespaces, own: string, other: string, labels: Labels): boolean => {
  if (whom.from === 'Same') return own === other
  return whom.from === 'All' || selects(whom.selector, { ...labels, 'kubernetes.io/metadata.name': other })
}

/** As Kubernetes: an empty selector selects everything; NotIn and DoesNotExist hold where the label is absent. */
const selects = (selector: Namespaces['selector'], labels: Labels): boolean => {
  const named = Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => labelOf(labels, key) === value)
  return named && (selector?.matchExpressions ?? []).every((expression) => fits(expression, labels))
}

type Expression = NonNullable<NonNullable<Namespaces['selector']>['matchExpressions']>[number]
type Labels = Readonly<Record<string, string>>

/** A label may be named like something that every object has: toString, constructor. */
const labelOf = (labels: Labels, key: string): string | undefined => (Object.hasOwn(labels, key) ? labels[key] : undefined)

const fits = ({ key, operator, values = [] }: Expression, labels: Labels): boolean => {
  const value = labelOf(labels, key)
  const named = value !== undefined && values.includes(value)
  return { In: named, NotIn: !named, Exists: value !== undefined, DoesNotExist: value === undefined }[operator]
}

/** The MailRelays that an object of this namespace names, or means by naming none. */
export const relayKeysOf = (object: MailDomain | DeliveryRoute, world: World): readonly string[] => {
  const { namespace } = object.metadata
  const refs: readonly { readonly name: string; readonly namespace?: string | undefined }[] | undefined = object.spec.relayRefs
  return refs === undefined || refs.length === 0 ? world.relaysIn(namespace).map(keyOf) : [...new Set(refs.map((ref) => `${ref.namespace ?? namespace}/${ref.name}`))]
}
