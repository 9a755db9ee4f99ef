// A DNS server under test control on loopback, UDP and TCP: zones as data, and every misbehaviour of the truth table.
import { createSocket, type RemoteInfo, type Socket as Udp } from 'node:dgram'
import { createServer, isIPv6, type AddressInfo, type Server, type Socket } from 'node:net'
import dnsPacket, { type Answer, type Packet } from 'dns-packet'
import { urlHost } from '../../relay/snapshot/index.ts'

export type Misbehaviour =
  | 'hang' | 'servfail' | 'refused' | 'formerr-on-edns' | 'garbage'
  | 'truncate-and-formerr-on-edns' // both: UDP without EDNS holds 512 octets
  | 'truncate' // UDP says "too long", TCP answers
  | 'truncate-without-tcp'
  | 'wrong-id' | 'wrong-question' // lies first and for ever
  | 'wrong-id-then-right' // an attacker's packet comes first
  | 'lame' // refers to others
  | { readonly delayMs: number }

export type Zone = {
  readonly a?: readonly string[]
  readonly aaaa?: readonly string[]
  readonly mx?: readonly (readonly [number, string])[] // as in a zone file, "a\\..b" has a dot within its first label
  readonly txt?: readonly (string | readonly string[])[] // a record, or the strings of one
  readonly cname?: string
  readonly ns?: readonly string[]
  readonly ttl?: number
  readonly does?: Misbehaviour
}

export type TestDns = {
  readonly nameserver: string // "127.0.0.1:5353"
  readonly questions: readonly string[] // "MX dest.example udp"
  set(name: string, zone: Zone | undefined): void
  close(): Promise<void>
}

/** Names not listed are NXDOMAIN; a listed name without the type is NODATA. It knows the root of DNS, unless that is listed. */
export const startTestDns = async (zones: Readonly<Record<string, Zone>> = {}, at: { readonly host: string; readonly port: number } = { host: '127.0.0.1', port: 0 }): Promise<TestDns> => {
  const known = new Map(Object.entries(zones).map(([name, zone]) => [name.toLowerCase(), zone]))
  const questions: string[] = []
  const timers = new Set<NodeJS.Timeout>()
  const later = (ms: number, run: () => void): void => {
    const timer = setTimeout(() => (timers.delete(timer), run()), ms)
    timers.add(timer)
  }
  const sockets = new Set<Socket>()
  const tcp = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    socket.on('data', (bytes) => {
      const query = decodeQuery(bytes.subarray(2))
      const reply = query && respond(known, questions, query, 'tcp')
      if (!reply || reply.hang) return
      if (reply.drop) socket.destroy()
      for (const packet of reply.packets) later(reply.delayMs, () => socket.write(framed(packet)))
    })
  })
  const udp = await bindBoth(tcp, at)
  const { port } = udp.address()
  udp.on('message', (bytes: Buffer, from: RemoteInfo) => {
    const query = decodeQuery(bytes)
    const reply = query && respond(known, questions, query, 'udp')
    if (!reply || reply.hang) return
    for (const packet of reply.packets) later(reply.delayMs, () => udp.send(packet, from.port, from.address))
  })
  return {
    nameserver: `${urlHost(at.host)}:${port}`,
    questions,
    set: (name, zone) => void (zone === undefined ? known.delete(name.toLowerCase()) : known.set(name.toLowerCase(), zone)),
    close: async () => {
      for (const timer of timers) clearTimeout(timer)
      for (const socket of sockets) socket.destroy()
      await Promise.all([new Promise<void>((resolve) => udp.close(() => resolve())), new Promise<void>((resolve) => tcp.close(() => resolve()))])
    },
  }
}

/** Both on one port. Which is free for TCP may be in use for UDP: every question of a resolver has a socket of its own. */
const bindBoth = async (tcp: Server, at: { readonly host: string; readonly port: number }): Promise<Udp> => {
  for (let tried = 1; ; tried++) {
    await new Promise<void>((resolve, reject) => tcp.once('error', reject).listen(at.port, at.host, resolve))
    const udp = createSocket(isIPv6(at.host) ? 'udp6' : 'udp4')
    const fault = await new Promise<Error | undefined>((resolve) => udp.once('error', resolve).bind((tcp.address() as AddressInfo).port, at.host, () => resolve(undefined)))
    if (fault === undefined) return udp
    udp.close()
    await new Promise((resolve) => tcp.close(resolve))
    if (at.port !== 0 || tried === 20) throw fault
  }
}

const decodeQuery = (bytes: Buffer): Packet | undefined => {
  try {
    return dnsPacket.decode(bytes)
  } catch {
    return undefined
  }
}

const framed = (packet: Buffer): Buffer => {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(packet.length)
  return Buffer.concat([length, packet])
}

const root: Zone = { ns: ['a.root-servers.net'] }

type Response = { readonly packets: readonly Buffer[]; readonly delayMs: number; readonly hang: boolean; readonly drop: boolean }

const respond = (known: ReadonlyMap<string, Zone>, questions: string[], query: Packet, by: 'udp' | 'tcp'): Response => {
  const { name, type } = query.questions![0]!
  const zone = known.get(name.toLowerCase()) ?? (name === '.' ? root : undefined)
  if (zone !== root) questions.push(`${type} ${name} ${by}`)
  const does = zone?.does
  const right = encode(query, zone, known)
  const one = (packet: Buffer, delayMs = 0): Response => ({ packets: [packet], delayMs, hang: false, drop: false })
  switch (does) {
    case undefined:
      return one(right)
    case 'hang':
      return { packets: [], delayMs: 0, hang: true, drop: false }
    case 'servfail':
      return one(withFlags(query, 2))
    case 'refused':
      return one(withFlags(query, 5))
    case 'formerr-on-edns':
      return one(hasEdns(query) ? withFlags(query, 1) : right)
    case 'truncate-and-formerr-on-edns':
      return one(hasEdns(query) ? withFlags(query, 1) : by === 'tcp' ? right : withFlags(query, dnsPacket.TRUNCATED_RESPONSE))
    case 'garbage':
      return one(Buffer.from([...right.subarray(0, 12), 0xc0, 0xff, 0xff]))
    case 'truncate':
      return one(by === 'tcp' ? right : withFlags(query, dnsPacket.TRUNCATED_RESPONSE))
    case 'truncate-without-tcp':
      return by === 'tcp' ? { packets: [], delayMs: 0, hang: false, drop: true } : one(withFlags(query, dnsPacket.TRUNCATED_RESPONSE))
    case 'wrong-id':
      return one(encode({ ...query, id: (query.id! + 1) % 65_536 }, zone, known))
    case 'wrong-id-then-right':
      return { packets: [encode({ ...query, id: (query.id! + 1) % 65_536 }, { a: ['203.0.113.66'], mx: [[0, 'evil.example']] }, known), right], delayMs: 0, hang: false, drop: false }
    case 'wrong-question':
      return one(encode({ ...query, questions: [{ type, name: 'other.example' }] }, { a: ['203.0.113.66'], mx: [[0, 'evil.example']] }, known))
    case 'lame':
      return one(dnsPacket.encode({ type: 'response', id: query.id!, flags: 0, questions: query.questions!, authorities: [{ type: 'NS', name: 'example', ttl: 60, data: 'ns.elsewhere.example' }] }))
    default:
      return one(right, does.delayMs)
  }
}

const hasEdns = ({ additionals = [] }: Packet): boolean => additionals.some(({ type }) => type === 'OPT')

const withFlags = (query: Packet, flags: number): Buffer => dnsPacket.encode({ type: 'response', id: query.id!, flags: flags | dnsPacket.RECURSION_AVAILABLE, questions: query.questions! })

/** As a recursive server answers: the CNAME chain and its end in one packet, as far as it is known here. */
const encode = (query: Packet, zone: Zone | undefined, known: ReadonlyMap<string, Zone>): Buffer => {
  const { name, type } = query.questions![0]!
  const answers: Answer[] = []
  let at = name
  let here = zone
  for (let hops = 0; here?.cname !== undefined && hops < 20; hops++) {
    answers.push({ type: 'CNAME', name: at, ttl: here.ttl ?? 300, data: here.cname })
    at = here.cname
    here = known.get(at.toLowerCase())
  }
  const records = recordsOf(at, type, here)
  answers.push(...records)
  return dnsPacket.encode({
    type: 'response',
    id: query.id!,
    flags: dnsPacket.RECURSION_AVAILABLE | (here === undefined ? 3 : 0),
    questions: query.questions!,
    answers,
    ...(records.length === 0 && { authorities: [{ type: 'SOA', name: 'example', ttl: 60, data: { mname: 'ns.example', rname: 'root.example', serial: 1, refresh: 60, retry: 60, expire: 60, minimum: 60 } }] }),
  })
}

const recordsOf = (name: string, type: string, zone: Zone | undefined): Answer[] => {
  const base = { name, ttl: zone?.ttl ?? 300 }
  if (type === 'A') return (zone?.a ?? []).map((data) => ({ ...base, type: 'A' as const, data }))
  if (type === 'AAAA') return (zone?.aaaa ?? []).map((data) => ({ ...base, type: 'AAAA' as const, data }))
  if (type === 'MX') return (zone?.mx ?? []).map(([preference, exchange]) => (exchange.includes('\\') ? { ...base, type: mxByNumber, data: mxInBytes(preference, exchange) } : { ...base, type: 'MX' as const, data: { preference, exchange } }))
  if (type === 'NS') return (zone?.ns ?? []).map((data) => ({ ...base, type: 'NS' as const, data }))
  if (type === 'TXT') return (zone?.txt ?? []).map((data) => ({ ...base, type: 'TXT' as const, data: [data].flat() }))
  return []
}

/** dns-packet takes every dot for the end of a label, but leaves the bytes of a type that it knows by number alone. */
const mxByNumber = 'UNKNOWN_15' as 'NULL'

const mxInBytes = (preference: number, exchange: string): Buffer => {
  const labels = exchange.split(/(?<!\\)\./).map((label) => Buffer.from(label.replaceAll('\\.', '.')))
  return Buffer.concat([Buffer.from([preference >> 8, preference & 255]), ...labels.flatMap((label) => [Buffer.from([label.length]), label]), Buffer.from([0])])
}
