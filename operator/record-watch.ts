// Looks at the DNS records of MailDomains, on a timer and a few at a time. Reads DNS and remembers; decides nothing, and nobody waits for it.
import { createResolver, type Answer, type Resolver } from '../relay/dns/index.ts'
import { WorkQueue } from './kube/index.ts'
import { judgeRecord, keptOf, lookInto, titleOfQuestion, type DnsRecord, type Fact, type Facts, type JudgedRecord, type Question, type RecordsWanted } from './plan/index.ts'

export type RecordWatchOptions = {
  /** Something is published, missing or different that was not before. */
  readonly changed: () => void
  readonly times?: Partial<typeof usualTimes>
  readonly random?: () => number
}

/** An answer that stays the same is asked for less and less often. A failure counts when it came `failures` times in a row: before that, what was known holds. */
export const usualTimes = { firstMs: 30_000, lastMs: 600_000, failures: 3, patienceMs: 1_500 }

/** `judged`: the records by these facts; a run of the operator asks for those of every domain. */
type Watched = { readonly wanted: RecordsWanted; facts: Facts; judged: readonly JudgedRecord[]; readonly failures: Map<string, number>; unchanged: number }

const atOnce = 8
/** Shorter than the time between two looks at one domain: it saves what many domains ask alike, such as the addresses of a relay. */
const cache = { floor: 0, ceiling: 20, negativeCeiling: 5, failed: 1, stale: 0, entries: 10_000 }
const mostRounds = 12 // an SPF record with includes is as deep as that at most
const mostQuestions = 200

export class RecordWatch {
  readonly #options: RecordWatchOptions
  readonly #times: typeof usualTimes
  readonly #watched = new Map<string, Watched>()
  readonly #resolvers = new Map<string, Resolver>()
  readonly #queue: WorkQueue
  #stopped = false

  constructor(options: RecordWatchOptions) {
    this.#options = options
    this.#times = { ...usualTimes, ...options.times }
    this.#queue = new WorkQueue({ workers: atOnce, work: (key) => this.#look(key), failed: () => {} })
  }

  /** By MailDomain. Who is new, or wants something else, is looked at soon; who is not named any more is forgotten. */
  want(all: ReadonlyMap<string, RecordsWanted>): void {
    for (const key of this.#watched.keys()) if (!all.has(key)) this.#watched.delete(key)
    this.#leaveServers(new Set([...all.values()].map(serversOf)))
    for (const [key, wanted] of all) {
      const before = this.#watched.get(key)
      if (before !== undefined && JSON.stringify(before.wanted) === JSON.stringify(wanted)) continue
      const facts = before?.facts ?? new Map<string, Fact>()
      this.#watched.set(key, { facts, judged: judgedBy(wanted, facts).records, failures: new Map(before?.failures), wanted, unchanged: 0 })
      this.#queue.add(key)
    }
  }

  /** With what is known now. */
  judge(key: string): readonly JudgedRecord[] {
    return this.#watched.get(key)?.judged ?? []
  }

  /** Whether a key stands in DNS. */
  sees(key: string, record: DnsRecord): boolean {
    const { look } = lookInto(this.#watched.get(key)?.facts ?? new Map())
    return judgeRecord({ ...record, purpose: 'DKIM', hosts: [] }, look).state === 'Published'
  }

  async #look(key: string): Promise<void> {
    const watched = this.#watched.get(key)
    if (watched === undefined || this.#stopped) return
    const facts = await this.#ask(watched)
    if (this.#watched.get(key) !== watched || this.#stopped) return // something else is wanted meanwhile, and a look at that is due
    const { records } = judgedBy(watched.wanted, facts)
    const isNews = JSON.stringify(records) !== JSON.stringify(watched.judged)
    watched.facts = facts
    watched.judged = records
    watched.unchanged = isNews ? 0 : watched.unchanged + 1
    if (isNews) this.#options.changed()
    const { firstMs, lastMs } = this.#times
    this.#queue.add(key, Math.min(lastMs, firstMs * 2 ** Math.min(watched.unchanged, 20)) * (0.75 + (this.#options.random ?? Math.random)() / 2))
  }

  /** Answers lead to further questions: the hosts of an MX, the includes of an SPF record. */
  async #ask({ wanted, facts: before, failures }: Watched): Promise<Facts> {
    const resolver = this.#resolverOf(wanted)
    const facts = new Map<string, Fact>()
    for (let round = 0; round < mostRounds; round++) {
      const questions = judgedBy(wanted, facts).questions.slice(0, mostQuestions - facts.size)
      if (questions.length === 0 || this.#stopped) break
      const answers = await Promise.all(questions.map(async (question) => [titleOfQuestion(question), await factOf(resolver, question)] as const))
      for (const [title, fact] of answers) facts.set(title, this.#believed(title, fact, before.get(title), failures))
    }
    for (const title of failures.keys()) if (!facts.has(title)) failures.delete(title) // not asked any more
    return facts
  }

  #believed(title: string, fact: Fact, before: Fact | undefined, failures: Map<string, number>): Fact {
    if (fact.kind !== 'failed') return failures.delete(title), fact
    const count = (failures.get(title) ?? 0) + 1
    failures.set(title, count)
    if (before === undefined) return fact
    return before.kind === 'failed' || count < this.#times.failures ? before : fact // the first words of a failure stay: others would be no news
  }

  /** What was asked of them ends now: nobody waits for it. */
  #leaveServers(wanted: ReadonlySet<string>): void {
    for (const [key, resolver] of this.#resolvers) {
      if (wanted.has(key)) continue
      resolver.close()
      this.#resolvers.delete(key)
    }
  }
  #resolverOf(wanted: RecordsWanted): Resolver {
    const { nameservers } = wanted
    const key = serversOf(wanted)
    const known = this.#resolvers.get(key)
    if (known) return known
    const made = createResolver({ nameservers: () => nameservers, timeoutMs: this.#times.patienceMs, rounds: 2, cache })
    this.#resolvers.set(key, made)
    return made
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const resolver of this.#resolvers.values()) resolver.close()
    await this.#queue.stop()
  }
}

const serversOf = ({ nameservers }: RecordsWanted): string => nameservers.join(' ')

const judgedBy = ({ records }: RecordsWanted, facts: Facts): { readonly records: JudgedRecord[]; readonly questions: Question[] } => {
  const { look, missing } = lookInto(facts)
  return { records: records.map((record) => judgeRecord(record, look)), questions: missing() }
}

const factOf = async (resolver: Resolver, { type, name }: Question): Promise<Fact> => {
  switch (type) {
    case 'MX':
      return fact(await resolver.mx(name), ({ preference, exchange }) => `${preference} ${exchange}`)
    case 'TXT':
      return fact(await resolver.texts(name), (text) => text)
    case 'A':
    case 'AAAA':
      return fact(await resolver.addresses(name, type === 'A' ? 4 : 6), (address) => address)
  }
}

const fact = <T>(answer: Answer<T>, print: (record: T) => string): Fact => {
  if (answer.kind === 'records') return { kind: 'records', values: keptOf(answer.records.map(print)) }
  return answer.kind === 'failed' ? { kind: 'failed', why: answer.why } : { kind: 'none' }
}
