// What relay pods said and may not say again: what bears on whom a relay may trust (their routers, and clients that came with the address of a node), the last answer of each, and which servers of a queue are stuck. Kept while this process lives; the status keeps what must outlive it.
import { anyHolds, prefixesIn } from '../relay/snapshot/index.ts'
import { addressMark, hiddenFor, judgeServers, keyOf, nothingStuck, restarted, type Observed, type ObservedPod, type QueueServers, type RelayView, type Restart, type Seen, type SeenAtRelay, type Stuck } from './plan/index.ts'

type Said = NonNullable<ObservedPod['lately']>
type Known = { readonly gateways: Set<string>; hidden: Record<string, string>; answers: ReadonlyMap<string, Said & { readonly at: number }>; stuck: Stuck }
export type NodeSeen = { readonly relay: string; readonly listener: string; readonly address: string }

/** Longer than the time between two runs: one answer that is missed is no news. */
const recallMs = 60_000

export class Memory {
  readonly #relays = new Map<string, Known>()

  knows(relay: string): boolean {
    return this.#relays.has(relay)
  }
  keep(relays: ReadonlySet<string>): void {
    for (const relay of this.#relays.keys()) if (!relays.has(relay)) this.#relays.delete(relay)
  }

  /** Of all relays of its namespace: where pods of one have a router, those of another may too. What pods of other namespaces say is not believed: who makes them could shut out anybody's clients. */
  gateways(relay: string): string[] {
    const beside = relay.slice(0, relay.indexOf('/') + 1)
    return [...new Set([...this.#relays].filter(([key]) => key.startsWith(beside)).flatMap(([, { gateways }]) => [...gateways]))]
  }
  hidden(relay: string): SeenAtRelay['hidden'] {
    return this.#relays.get(relay)?.hidden ?? {}
  }

  /** Whether there is a router that was not known. */
  noteGateways(relay: string, { pods }: Observed): boolean {
    const known = this.#of(relay)
    const before = known.gateways.size
    for (const { gateways = [] } of pods) for (const gateway of gateways) known.gateways.add(gateway)
    return known.gateways.size > before
  }

  /** Listeners at which a node's address was seen now and not before. Only pods that run this snapshot count: they forget when addresses are believed anew. */
  noteClients({ relay, listeners }: RelayView, revision: string, { pods }: Observed, seen: Seen): NodeSeen[] {
    const key = keyOf(relay)
    const known = this.#of(key)
    const nodes = prefixesIn([...seen.nodeAddresses, ...(seen.relays[key]?.gateways ?? [])])
    const current = pods.filter((pod) => pod.revision === revision)
    return listeners.flatMap((listener) => {
      if (seen.believeAll === true || hiddenFor(relay, listener, seen) !== undefined) return []
      const address = current.flatMap(({ clients = {} }) => (Object.hasOwn(clients, listener.name) ? clients[listener.name]! : [])).find((client) => anyHolds(nodes, client))
      if (address === undefined) return []
      known.hidden = { ...known.hidden, [listener.name]: addressMark(relay, listener) }
      return [{ relay: key, listener: listener.name, address }]
    })
  }

  /** With what the pods that do not answer now said lately. `now` in ms. */
  recall(relay: string, observed: Observed, now: number): Observed {
    const known = this.#of(relay)
    const answers = observed.pods.flatMap(({ name, revision, durable }) => {
      const answer = revision !== undefined && durable !== undefined ? { revision, durable, at: now } : known.answers.get(name)
      return answer === undefined || now - answer.at >= recallMs ? [] : [[name, answer] as const]
    })
    known.answers = new Map(answers)
    const latelyOf = ({ name, revision }: ObservedPod): Pick<ObservedPod, 'lately'> => {
      const answer = known.answers.get(name)
      return revision !== undefined || answer === undefined ? {} : { lately: { revision: answer.revision, durable: answer.durable } }
    }
    return { ...observed, pods: observed.pods.map((pod) => ({ ...pod, ...latelyOf(pod) })) }
  }

  /** The server of its queue whose pod is to be deleted now. `now` in ms. */
  noteServers(relay: string, servers: QueueServers, { pods }: Observed, now: number): Restart | undefined {
    const known = this.#of(relay)
    const { stuck, restart } = judgeServers(servers, pods, known.stuck, now)
    known.stuck = stuck
    return restart
  }
  noteRestart(relay: string, restart: Restart, now: number): void {
    const known = this.#of(relay)
    known.stuck = restarted(known.stuck, restart, now)
  }
  forgetStuck(relay: string): void {
    const known = this.#of(relay)
    known.stuck = { ...known.stuck, since: nothingStuck.since }
  }

  #of(relay: string): Known {
    const known = this.#relays.get(relay) ?? { gateways: new Set<string>(), hidden: {}, answers: new Map(), stuck: nothingStuck }
    this.#relays.set(relay, known)
    return known
  }
}
