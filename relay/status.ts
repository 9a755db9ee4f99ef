// What one relay process knows of itself and of the queue it shares, for the person on call, and what of it needs a person. Reads only.
import type { Current } from './figures.ts'
import { capacityOf, fullAt, laneCount, type DomainSummary, type DurableAccept, type Outage, type Queue, type QueueTotals } from './queue/index.ts'
import type { Readiness } from './report/index.ts'

export type WaitingDomain = DomainSummary & { readonly why?: string; readonly said?: string }
/** `backlog` absent: the queue does not say. `needs`: in words, the most urgent first; empty when all is well. */
export type Status = {
  readonly relay: string
  readonly pod: string
  readonly revision: string
  readonly paused: boolean
  readonly ready: Readiness
  readonly durable: DurableAccept
  readonly outage?: Outage
  readonly full: { readonly is: boolean; readonly bytes: number; readonly limit: number; readonly stopsAt: number }
  readonly lanes: { readonly served: number; readonly of: number }
  readonly counts: ReturnType<Queue['counts']>
  readonly peers: ReturnType<Queue['peers']>
  readonly backlog?: QueueTotals & { readonly domains: readonly WaitingDomain[]; readonly readyByDomain: boolean }
  readonly needs: readonly string[]
}

type Asked = { readonly pod: string; readonly current: Current; readonly queue: Queue; readonly readiness: Readiness }

export const statusOf = async ({ pod, current: { snapshot, revision }, queue, readiness }: Asked, now: number): Promise<Status> => {
  const outage = queue.outage()
  const peers = queue.peers()
  const counts = queue.counts()
  const limit = capacityOf(snapshot.relay.queueBytes)
  const backlog = await backlogOf(queue).catch(() => undefined) // a queue that does not answer is part of the answer
  const status = {
    relay: snapshot.relay.manifest,
    pod,
    revision,
    paused: snapshot.relay.paused,
    ready: readiness,
    durable: queue.durable(),
    ...(outage !== undefined && { outage }),
    full: { is: queue.isFull(), bytes: counts.bytes, limit, stopsAt: Math.floor(limit * fullAt) },
    lanes: { served: Math.min(laneCount, peers.reduce((sum, { lanes }) => sum + lanes, 0)), of: laneCount },
    counts,
    peers,
    ...(backlog !== undefined && { backlog }),
  }
  return { ...status, needs: needsOf(status, stuckIn(queue), now) }
}

const mostDomains = 5
const fewReady = 10_000 // their domains stand in the records alone

const backlogOf = async (queue: Queue): Promise<Status['backlog']> => {
  const counts = await queue.count()
  if (counts === undefined) return undefined
  const readyByDomain = counts.ready <= fewReady
  const domains = (await queue.summary({ withoutReady: !readyByDomain })).slice(0, mostDomains)
  const reasons = await Promise.all(domains.map((summary) => reasonOf(queue, summary)))
  return { ...counts, readyByDomain, domains: domains.map((summary, index) => ({ ...summary, ...reasons[index] })) }
}

/** Of one of its deliveries that waits. */
const reasonOf = async (queue: Queue, { domain, deferred, held }: DomainSummary): Promise<Pick<WaitingDomain, 'why' | 'said'>> => {
  if (deferred + held === 0) return {}
  const [entry] = await queue.list({ domain, state: deferred > 0 ? 'deferred' : 'held', limit: 1 })
  return { ...(entry?.why !== undefined && { why: entry.why }), ...(entry?.said !== undefined && { said: entry.said }) }
}

const stuckIn = (queue: Queue): string[] => (queue.servers()?.servers ?? []).flatMap((server) => (!server.up && server.stuck ? [server.name] : []))

const stalledMs = 600_000 // as the alert PosthouseDeliveryStalled

/** Only what stays as it is until somebody does something; what waits for its next attempt is a queue's daily work. */
const needsOf = ({ relay, ready, durable, outage, full, lanes, paused, backlog }: Omit<Status, 'needs'>, stuck: readonly string[], now: number): string[] => {
  const due = backlog?.oldestReadyAt === undefined ? 0 : now - backlog.oldestReadyAt
  const needs: (string | false)[] = [
    !ready.ready && `this process is not ready: ${ready.reason}`,
    outage !== undefined && ready.ready && `the queue does not store: clients are answered 451 (${outage.why})`,
    !durable.ok && !ready.reason.includes(durable.text) && `nothing is accepted, the queue is not durable: ${durable.text}`,
    stuck.length > 0 && `of the queue's servers, up and without a word about its streams: ${stuck.join(', ')}; only a new start helps, which the operator gives its own servers one at a time, after three minutes or more`,
    full.is && 'the queue is full: clients are answered 452 until deliveries have made room',
    backlog === undefined && outage === undefined && 'the queue does not say what waits',
    lanes.served < lanes.of && `${lanes.of - lanes.served} of ${lanes.of} lanes are served by nobody: their mail is not tried (some seconds of that are usual when a process comes or goes)`,
    paused && `deliveries are paused: spec.paused of ${relay}`,
    !paused && due > stalledMs && 'mail has been due for more than ten minutes: posthouse why says what it waits for, of each domain above that has some ready',
  ]
  return needs.filter((need) => need !== false)
}
