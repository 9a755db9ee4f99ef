// DNS messages: a question out, an answer judged. Pure; the only place that knows dns-packet.
import dnsPacket, { type Answer as PacketAnswer, type DecodedPacket } from 'dns-packet' // encoder and decoder of DNS messages, MIT
import type { Answer, MxRecord, RecordType } from './answer.ts'

const { AUTHENTIC_DATA, RECURSION_DESIRED } = dnsPacket
/** RFC 9715: no fragments. */
const payloadSize = 1232

export type { DecodedPacket }
export type Question = { readonly name: string; readonly type: RecordType | 'NS' }

export const encodeQuestion = (id: number, { name, type }: Question, withEdns: boolean): Buffer =>
  dnsPacket.encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED | AUTHENTIC_DATA,
    questions: [{ type, name, class: 'IN' }],
    ...(withEdns && { additionals: [{ type: 'OPT', name: '.', udpPayloadSize: payloadSize, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] }] }),
  })

/** What one packet says: an answer, "ask over TCP", or nothing that belongs to our question. */
export type Reading =
  | { readonly kind: 'answer'; readonly packet: DecodedPacket }
  | { readonly kind: 'truncated' }
  | { readonly kind: 'no-edns' } // an old server that knows no EDNS (RFC 6891 7)
  | { readonly kind: 'failed'; readonly why: string; readonly isSilent?: true } // isSilent: nothing that could be an answer came
  | { readonly kind: 'foreign' } // wrong id or question: wait for the right one (RFC 5452 9.1)

export const readPacket = (bytes: Buffer, id: number, question: Question): Reading => {
  const packet = decode(bytes)
  if (packet === undefined || packet.type !== 'response' || packet.id !== id) return { kind: 'foreign' }
  const rcode = rcodeOf(packet)
  const knowsNoEdns = rcode === 'FORMERR' || rcode === 'NOTIMP' || rcode === badVersion // who does not understand a question may not repeat it
  if (!answers(packet, question) && !(knowsNoEdns && (packet.questions ?? []).length === 0)) return { kind: 'foreign' }
  if (packet.flag_tc) return { kind: 'truncated' }
  if (knowsNoEdns) return { kind: 'no-edns' }
  if (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') return { kind: 'failed', why: rcode }
  return isLame(packet) ? { kind: 'failed', why: 'lame: it refers to other servers instead of answering' } : { kind: 'answer', packet }
}

/** Its upper bits are in OPT (RFC 6891 6.1.3): without them BADVERS is a NOERROR without records, and mail would be returned for it. */
const rcodeOf = (packet: DecodedPacket): string => {
  const options = (packet.additionals ?? []).find(({ type }) => type === 'OPT') as { extendedRcode?: number } | undefined
  const upper = options?.extendedRcode ?? 0
  return upper === 0 ? ((packet as { rcode?: string }).rcode ?? 'NOERROR') : `RCODE ${upper * 16 + (packet.flags! & 15)}`
}
const badVersion = 'RCODE 16'

const decode = (bytes: Buffer): DecodedPacket | undefined => {
  try {
    return dnsPacket.decode(bytes)
  } catch {
    return undefined // bytes that are no DNS message
  }
}

const answers = ({ questions = [] }: DecodedPacket, { name, type }: Question): boolean =>
  questions.length === 1 && questions[0]!.type === type && sameName(questions[0]!.name, name)

/** A referral: no answer, no SOA, but servers to ask instead; a resolver never says that. */
const isLame = (packet: DecodedPacket): boolean =>
  (packet as { rcode?: string }).rcode === 'NOERROR' && (packet.answers ?? []).length === 0 && !packet.flag_ra &&
  (packet.authorities ?? []).some(({ type }) => type === 'NS') && !(packet.authorities ?? []).some(({ type }) => type === 'SOA')

export const sameName = (a: string, b: string): boolean => a.replace(/\.$/, '').toLowerCase() === b.replace(/\.$/, '').toLowerCase()

/** Longer chains of CNAMEs are somebody's mistake, or malice. */
export const longestChain = 8

/** More of them are of no use, and an answer may have thousands. */
const mostAddresses = 64
const mostRecords = 1_000

/** Follows CNAMEs as far as this packet goes: an answer, or the name to ask about next. */
export type Followed<T> = { readonly kind: 'done'; readonly answer: Answer<T> } | { readonly kind: 'alias'; readonly to: string; readonly ttl: number }

export const follow = <T>(packet: DecodedPacket, { name, type }: Question, seen: Set<string>): Followed<T> => {
  const records: readonly PacketAnswer[] = packet.answers ?? []
  let at = name.toLowerCase()
  let ttl = Infinity
  for (;;) {
    const found = records.filter((record) => record.type === type && sameName(record.name, at))
    if (found.length > 0) return { kind: 'done', answer: { kind: 'records', records: found.slice(0, type === 'A' || type === 'AAAA' ? mostAddresses : mostRecords).map(valueOf) as T[], ttl: Math.min(ttl, ...found.map(ttlOf)) } }
    const alias = records.find((record) => record.type === 'CNAME' && sameName(record.name, at))
    if (alias === undefined) break
    at = String((alias as { data: unknown }).data).toLowerCase()
    ttl = Math.min(ttl, ttlOf(alias))
    if (seen.has(at)) return { kind: 'done', answer: { kind: 'failed', why: `CNAME loop at ${at}` } }
    seen.add(at)
    if (seen.size > longestChain) return { kind: 'done', answer: { kind: 'failed', why: `more than ${longestChain} CNAMEs in a row` } }
  }
  // RFC 2308 2.1: NXDOMAIN is about the last name of the chain
  if ((packet as { rcode?: string }).rcode === 'NXDOMAIN') return { kind: 'done', answer: { kind: 'nxdomain', ttl: Math.min(ttl, negativeTtl(packet)) } }
  return sameName(at, name) ? { kind: 'done', answer: { kind: 'nodata', ttl: negativeTtl(packet) } } : { kind: 'alias', to: at, ttl }
}

const ttlOf = (record: PacketAnswer): number => (record as { ttl?: number }).ttl ?? 0

const valueOf = (record: PacketAnswer): unknown => {
  const { data } = record as { data: unknown }
  if (record.type === 'TXT') return [data].flat().map((part) => (Buffer.isBuffer(part) ? part.toString('utf8') : String(part))).join('')
  if (record.type !== 'MX') return typeof data === 'string' ? data.toLowerCase() : data
  const { preference = 0, exchange } = data as { preference?: number; exchange: string }
  return { preference, exchange: exchange.toLowerCase() } satisfies MxRecord
}

/** RFC 2308 5: the lesser of the SOA's TTL and its minimum. */
const negativeTtl = ({ authorities = [] }: DecodedPacket): number => {
  const soa = authorities.find(({ type }) => type === 'SOA') as { ttl?: number; data?: { minimum?: number } } | undefined
  return soa === undefined ? 60 : Math.min(soa.ttl ?? 60, soa.data?.minimum ?? 60)
}
