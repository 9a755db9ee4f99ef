// For every MailDomain in force: the records that its relays and keys need, and the name servers to ask about them. Pure.
import type { MailDomain, MailRelay } from '../../../crds/index.ts'
import { guarded, type Fault } from '../fault.ts'
import { givenKeysOf } from '../given-keys.ts'
import { keyOf } from '../input.ts'
import type { RelayView } from '../view.ts'
import { publicPartOf } from '../policies/key-pair.ts'
import type { World } from '../world.ts'
import { requiredRecords, type RequiredRecord } from './required.ts'

export type RecordsWanted = {
  readonly records: readonly RequiredRecord[]
  /** Those of the first MailRelay it attaches to; none: the system's. */
  readonly nameservers: readonly string[]
  /** Algorithms whose first DKIM key is still being made. */
  readonly comingKeys: readonly string[]
}

export const recordsOf = (views: readonly RelayView[], world: World, faults: Fault[]): Map<string, RecordsWanted> => {
  const byDomain = Map.groupBy(views.flatMap(({ relay, domains }) => domains.map(({ domain }) => ({ relay, domain }))), ({ domain }) => domain)
  return new Map([...byDomain].flatMap(([domain, attached]) => guarded<(readonly [string, RecordsWanted])[]>(faults, domain, () => [[keyOf(domain), wantedOf(domain, attached.map(({ relay }) => relay), world)]], () => [])))
}

const wantedOf = (domain: MailDomain, relays: readonly MailRelay[], world: World): RecordsWanted => {
  const hostnames = [...new Set(relays.map(({ spec }) => spec.hostname))]
  const dkim = dkimOf(domain, world)
  const comingKeys = (domain.spec.outbound?.dkim?.algorithms ?? []).filter((algorithm) => !dkim.some((key) => key.algorithm === algorithm))
  return { records: requiredRecords(domain, { hostnames, dkim }), nameservers: relays[0]!.spec.resolver.nameservers ?? [], comingKeys }
}

type Dkim = Parameters<typeof requiredRecords>[1]['dkim'][number]

const dkimOf = (domain: MailDomain, world: World): Dkim[] => {
  const dkim = domain.spec.outbound?.dkim
  if (dkim === undefined) return []
  const made = (world.input.made.dkim[keyOf(domain)] ?? []).filter(({ algorithm }) => dkim.algorithms.includes(algorithm))
  return givenKeysOf(domain, world)?.map((key) => ({ ...key, publicPart: publicPartOf(key.privateKey, key.algorithm) })) ?? made
}
