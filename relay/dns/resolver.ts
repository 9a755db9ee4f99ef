// Names to records: every server in turn, CNAMEs followed, answers kept by TTL. Failures are kept briefly and never become "does not exist".
import { getServers } from 'node:dns'
import type { Answer, MxRecord, RecordType, Resolver } from './answer.ts'
import { ask, type NameServer, type Patience } from './ask.ts'
import { Belief } from './belief.ts'
import { AnswerCache, type CacheLimits } from './cache.ts'
import { follow, longestChain, sameName, type DecodedPacket } from './dns-wire.ts'

export type ResolverOptions = {
  /** "ip", "ip:port" or "[ip6]:port"; empty: the system's. Asked anew for every question, so a new snapshot counts at once. */
  readonly nameservers: () => readonly string[]
  readonly timeoutMs?: number // one server, one try
  readonly rounds?: number // through all servers
  readonly cache?: Partial<CacheLimits>
  readonly now?: () => number // in ms, by a clock that nobody sets
  readonly observe?: (result: Answer<unknown>['kind'], seconds: number) => void
}

export const createResolver = (options: ResolverOptions): Resolver => {
  const now = options.now ?? (() => performance.now())
  const cache = new AnswerCache(options.cache ?? {}, now)
  const asking: Asking = { options, servers: new Servers(now), belief: new Belief(now) }
  const pending = new Map<string, Promise<Answer<unknown>>>()
  const closing = new AbortController()
  const look = <T>(name: string, type: RecordType): Promise<Answer<T>> => {
    if (cannotExist(name)) return Promise.resolve({ kind: 'nxdomain', ttl: 3600 })
    const key = `${type} ${name.toLowerCase()} ${options.nameservers().join(' ')}` // what others said does not count
    const known = cache.get(key) ?? pending.get(key)
    if (known !== undefined) return Promise.resolve(known) as Promise<Answer<T>>
    const asked = measured(options, () => chase(asking, name, type, closing.signal))
    const kept = asked.then((answer) => {
      pending.delete(key)
      return cache.put(key, answer)
    })
    pending.set(key, kept)
    return kept as Promise<Answer<T>>
  }
  return {
    mx: (name) => look<MxRecord>(name, 'MX'),
    addresses: (name, family) => look<string>(name, family === 4 ? 'A' : 'AAAA'),
    texts: (name) => look<string>(name, 'TXT'),
    close: () => {
      closing.abort()
      cache.clear()
    },
  }
}

type Asking = { readonly options: ResolverOptions; readonly servers: Servers; readonly belief: Belief }

/** RFC 6761 6.4: nobody is asked about a name under .invalid. */
const cannotExist = (name: string): boolean => /(^|\.)invalid\.?$/i.test(name)

const measured = async (options: ResolverOptions, run: () => Promise<Answer<unknown>>): Promise<Answer<unknown>> => {
  const start = performance.now()
  const answer = await run()
  options.observe?.(answer.kind, (performance.now() - start) / 1000)
  return answer
}

/** Across packets: a chain that leaves one answer is asked about again, at most eight names long. */
const chase = async (asking: Asking, name: string, type: RecordType, signal: AbortSignal): Promise<Answer<unknown>> => {
  const seen = new Set([name.toLowerCase()])
  let at = name
  for (let hops = 0; hops < longestChain; hops++) {
    const answer = await askAll(asking, at, type, signal)
    if (answer.kind === 'failed') return answer
    const followed = follow<unknown>(answer.packet, { name: at, type }, seen)
    if (followed.kind === 'done') return withAlias(followed.answer, name, [...seen].at(-1)!)
    at = followed.to
  }
  return { kind: 'failed', why: `more than ${longestChain} CNAMEs in a row` }
}

const withAlias = (answer: Answer<unknown>, name: string, end: string): Answer<unknown> =>
  answer.kind === 'records' && !sameName(name, end) ? { ...answer, alias: end } : answer

const askAll = async ({ options, servers: known, belief }: Asking, name: string, type: RecordType, signal: AbortSignal): ReturnType<typeof ask> => {
  const servers = known.inOrder(nameServers(options.nameservers()))
  const patience = { ms: options.timeoutMs ?? 2500, signal }
  const faults = new Set<string>()
  if (labelsAreTooLong(name)) return { kind: 'failed', why: `${name} is no name that DNS can hold` }
  for (let round = 0; round < (options.rounds ?? 2); round++) {
    for (const server of servers) {
      const answer = await ask(server, { name, type }, patience)
      if (signal.aborted) return answer
      const fault = answer.kind === 'failed' ? answer.why : (await isBelieved(server, answer.packet, belief, patience)) ? undefined : `denies ${name}, but knows not even the root of DNS: it is not believed`
      if (fault === undefined) return answer
      if (answer.kind === 'failed' && answer.isSilent) known.noteSilent(server)
      faults.add(`${server.address}: ${fault}`)
    }
  }
  return { kind: 'failed', why: servers.length === 0 ? 'no name server is known' : [...faults].slice(0, 4).join('; ') }
}

const isBelieved = async (server: NameServer, { answers = [] }: DecodedPacket, belief: Belief, patience: Patience): Promise<boolean> => {
  if (answers.length > 0) return belief.noteRecords(keyOf(server)), true
  return belief.believes(keyOf(server), async () => {
    const root = await ask(server, { name: '.', type: 'NS' }, patience)
    return root.kind === 'answer' && (root.packet.answers ?? []).length > 0
  })
}

/** Servers that were silent lately come last: a dead first one costs its time-out once, and not for every name. */
class Servers {
  readonly #silentUntil = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  inOrder(servers: readonly NameServer[]): readonly NameServer[] {
    if (this.#silentUntil.size === 0) return servers
    const silent = servers.filter((server) => (this.#silentUntil.get(keyOf(server)) ?? 0) > this.#now())
    return silent.length === 0 ? servers : [...servers.filter((server) => !silent.includes(server)), ...silent]
  }

  noteSilent(server: NameServer): void {
    if (this.#silentUntil.size > 100) this.#silentUntil.clear() // a snapshot names a few
    this.#silentUntil.set(keyOf(server), this.#now() + silentMs)
  }
}

const silentMs = 30_000
const keyOf = ({ address, port }: NameServer): string => `${address} ${port}`

/** In octets (RFC 1035 3.1): what is no UTF-8 in an alias takes three for each, and a question with it would be none. */
const labelsAreTooLong = (name: string): boolean => Buffer.byteLength(name) > 253 || name.split('.').some((label) => Buffer.byteLength(label) > 63)

const nameServers = (named: readonly string[]): NameServer[] => (named.length > 0 ? named : getServers()).map(parseServer)

const parseServer = (text: string): NameServer => {
  const found = /^(?:\[([0-9a-fA-F:.%]+)\]|([0-9.]+))(?::(\d+))?$/.exec(text)
  return found ? { address: (found[1] ?? found[2])!, port: Number(found[3] ?? 53) } : { address: text, port: 53 }
}
