// Whether what DNS says does what a required record would do: by meaning, not by letter. Pure.
import { addressesOf, type Fact, type Look } from './facts.ts'
import type { DnsRecord } from './record.ts'
import type { RequiredRecord } from './required.ts'
import { checkSpf, exchangesIn, sameHost, spfRecordsIn, type SpfResult, type Subject } from './spf.ts'

/** `state` undefined: not everything has been asked that it takes. `why`: what stands in the way. */
export type JudgedRecord = DnsRecord & {
  readonly state: 'Unknown' | 'Missing' | 'Different' | 'Published' | undefined
  readonly observed?: string
  readonly why?: string
}
type Judged = Pick<JudgedRecord, 'state' | 'observed' | 'why'>

export const judgeRecord = (record: RequiredRecord, look: Look): JudgedRecord => {
  const { type, name, value } = record
  return { type, name, value, ...judges[record.purpose](record, look) }
}

const notAsked: Judged = { state: undefined }
const unknown = (why: string): Judged => ({ state: 'Unknown', why })
const different = (texts: readonly string[], why: string): Judged => ({ state: 'Different', observed: shown(texts), why })
const published = (texts: readonly string[]): Judged => ({ state: 'Published', observed: shown(texts) })

/** As much of it as a status may hold. */
const shown = (texts: readonly string[]): string => [...texts].sort().join('\n').slice(0, 4096)

/** Answers that leave nothing to compare. */
const withoutRecords = (fact: Fact | undefined): Judged | undefined => {
  if (fact === undefined) return notAsked
  if (fact.kind === 'failed') return unknown(fact.why)
  return fact.kind === 'none' ? { state: 'Missing' } : undefined
}

/** The relay is one of the MX hosts, at any preference, by its name or by its address. */
const judgeMx = ({ name, hosts: [host = ''] }: RequiredRecord, look: Look): Judged => {
  const fact = look('MX', name)
  const short = withoutRecords(fact)
  if (short || fact?.kind !== 'records') return short ?? notAsked
  const exchanges = exchangesIn(fact)
  if (exchanges.some((exchange) => sameHost(exchange, host))) return published(fact.values)
  const own = addressesOf(host, look)
  const theirs = exchanges.filter((exchange) => exchange !== '.').slice(0, 10).map((exchange) => addressesOf(exchange, look))
  if (own === undefined || theirs.includes(undefined)) return notAsked
  const all = [own, ...theirs]
  const known = all.map((some) => (some?.kind === 'addresses' ? some.addresses : []))
  if (known.slice(1).some((addresses) => addresses.some((address) => known[0]!.includes(address)))) return published(fact.values)
  const failed = all.find((some) => some?.kind === 'failed')
  return failed?.kind === 'failed' ? unknown(failed.why) : different(fact.values, `none of its MX hosts is ${host}`)
}

/** Every address of every relay may send; a relay without addresses is judged by its name. */
const judgeSpf = ({ name, hosts }: RequiredRecord, look: Look): Judged => {
  const fact = look('TXT', name)
  const short = withoutRecords(fact)
  if (short || fact?.kind !== 'records') return short ?? notAsked
  const records = spfRecordsIn(fact)
  if (records.length === 0) return { state: 'Missing' }
  if (records.length > 1) return different(records, `${records.length} SPF records: there may be one only, and none of them counts`)
  const judged = hosts.flatMap((host) => judgeSender(name, host, look))
  const fault = judged.find(({ state }) => state === undefined) ?? judged.find(({ state }) => state === 'Different') ?? judged[0]
  return fault === undefined ? published(records) : fault.state === 'Different' ? { ...fault, observed: shown(records) } : fault
}

/** What the record lacks for this relay. */
const judgeSender = (domain: string, host: string, look: Look): Judged[] => {
  const found = addressesOf(host, look)
  if (found === undefined) return [notAsked]
  const addresses = found.kind === 'addresses' ? found.addresses : []
  const subjects: Subject[] = addresses.length === 0 ? [{ host }] : addresses.map((address) => ({ host, address }))
  return subjects.flatMap((subject) => {
    const result = checkSpf(domain, subject, look)
    return found.kind === 'failed' && result === 'no' ? unknown(found.why) : (spfFaults[result]?.(subject) ?? [])
  })
}

const printSubject = ({ host, address }: Subject): string => (address === undefined ? host : `${host} (${address})`)

const spfFaults: Readonly<Record<SpfResult, ((subject: Subject) => Judged) | undefined>> = {
  pass: undefined,
  unasked: () => notAsked,
  no: (subject) => ({ state: 'Different', why: `it does not let ${printSubject(subject)} send: put a:${subject.host} into it` }),
  none: () => ({ state: 'Missing' }),
  error: () => ({ state: 'Different', why: 'it cannot be evaluated (RFC 7208 4.6): a wrong word, an include of nothing, more than 10 look-ups or hosts of an mx, or as many as 4,096 characters' }),
  unclear: (subject) => unknown(`whether it lets ${printSubject(subject)} send depends on the message (macros, exists or ptr)`),
  failed: () => unknown('a name that the SPF record refers to could not be looked up'),
}

type Tags = ReadonlyMap<string, string>

/** tag=value; tag=value (RFC 6376 3.2), white space around and inside values dropped. */
const tagsOf = (text: string): Tags =>
  new Map(text.split(';').flatMap((part) => {
    const at = part.indexOf('=')
    return at < 0 ? [] : [[part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).replace(/\s+/g, '')] as const]
  }))

/** The same key, usable for mail with SHA-256; other tags are the domain's own business (RFC 6376 3.6.1). */
const judgeDkim = ({ name, value }: RequiredRecord, look: Look): Judged => {
  const fact = look('TXT', name)
  const short = withoutRecords(fact)
  if (short || fact?.kind !== 'records') return short ?? notAsked
  const faults = fact.values.map((text) => dkimFault(tagsOf(text), tagsOf(value)))
  return faults.includes(undefined) ? published(fact.values) : different(fact.values, faults[0]!)
}

const dkimFault = (found: Tags, wanted: Tags): string | undefined => {
  if ((found.get('v') ?? 'DKIM1') !== 'DKIM1') return 'it is no DKIM record'
  if (found.get('p') === '') return 'it says that the key is revoked'
  if ((found.get('k') ?? 'rsa') !== wanted.get('k') || found.get('p') !== wanted.get('p')) return 'it holds another key'
  if (found.has('h') && !found.get('h')!.split(':').includes('sha256')) return 'it does not allow SHA-256'
  return found.has('s') && !found.get('s')!.split(':').some((service) => service === '*' || service === 'email') ? 'it is not for mail' : undefined
}

/** Any policy will do, at the domain or at one above it: stricter than ours is fine. */
const judgeDmarc = ({ name }: RequiredRecord, look: Look): Judged => {
  for (const at of placesOfDmarc(name)) {
    const fact = look('TXT', at)
    if (fact === undefined) return notAsked
    if (fact.kind === 'failed') return unknown(fact.why)
    const records = fact.kind === 'records' ? fact.values.filter((text) => /^v\s*=\s*DMARC1\s*(;|$)/.test(text)) : []
    if (records.length > 1) return different(records, `${records.length} DMARC records: there may be one only, and none of them counts`)
    if (records.length === 1) return isPolicy(tagsOf(records[0]!)) ? published(records) : different(records, 'p must be none, quarantine or reject')
  }
  return { state: 'Missing' }
}

const isPolicy = (tags: Tags): boolean => ['none', 'quarantine', 'reject'].includes((tags.get('p') ?? '').toLowerCase())

/** _dmarc.a.b.example, _dmarc.b.example: not above two labels, where domains of different owners begin. */
const placesOfDmarc = (name: string): string[] => {
  const labels = name.split('.').slice(1)
  return labels.map((_, index) => labels.slice(index)).filter((rest, index) => index === 0 || rest.length >= 2).slice(0, 8).map((rest) => `_dmarc.${rest.join('.')}`)
}

const judges: Readonly<Record<RequiredRecord['purpose'], (record: RequiredRecord, look: Look) => Judged>> = { MX: judgeMx, SPF: judgeSpf, DKIM: judgeDkim, DMARC: judgeDmarc }
