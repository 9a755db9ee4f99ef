// Takes, keeps and lets go of lanes: the lease with its TTL says who is alive, the epoch's sequence is the fence of
// everything its owner settles. Writes own and epoch; removes leases and older epochs, with a sequence.
import { readAnswer } from './answers.ts'
import { lanesToHandOver, lanesToTake, type Claim, type Scene } from './claim.ts'
import type { Context } from './context.ts'
import { createHeartbeat, type Heartbeat } from './heartbeat.ts'
import { laneCount } from './lanes.ts'
import type { NewRecord } from './stream.ts'

/** One time of owning one lane. */
export type Tenure = { readonly lane: number; readonly epoch: number; readonly takenAt: number; state: 'kept' | 'leaving' | 'gone' }
type Kept = Tenure & { lease: number; lastGood: number }

export type OwnEvents = {
  onGained(tenures: readonly Tenure[]): void
  onLost(tenure: Tenure, why: string): void
  /** Resolves when nothing of the lane is in flight any more. */
  finish(tenure: Tenure, patienceMs: number): Promise<void>
  readerAlive(tenure: Tenure): boolean
}

export type Own = {
  readonly heartbeat: Heartbeat
  start(): void
  /** A delivery may be started: the lease was renewed lately enough that nobody else can have the lane. */
  mayStart(tenure: Tenure): boolean
  tenureOf(lane: number): Tenure | undefined
  lanes(): number[]
  lost(tenure: Tenure, why: string): void
  /** Gives a lane back because this process cannot serve it, and leaves it to others for a while. */
  passOn(tenure: Tenure, forMs: number): Promise<void>
  releaseAll(patienceMs: number): Promise<void>
  setSkewed(skewed: boolean): void
  stop(): void
}

const leaseSeconds = 10
const renewEveryMs = 3_000
const startWithinMs = 6_000
const tickMs = 400
const helloMs = 300
const handOverPatienceMs = 60_000

export const createOwn = (context: Context, events: OwnEvents, revision: () => string): Own => {
  const { stream, subjects, clock, log, metrics, pod, incarnation } = context
  const kept = new Map<number, Kept>()
  const freeSince = new Map<number, number>()
  const avoid = new Map<number, number>()
  let serving = false
  let skewed = false
  let stopped = false
  let lastRenewal = -Infinity
  let startedAt = 0
  let busy = false
  let cancelTick = () => {}
  const heartbeat = createHeartbeat(context, () => ({ serving: serving && !skewed, lanes: [...kept.keys()], revision: revision() }), () => void tick())

  const forget = (tenure: Kept) => {
    tenure.state = 'gone'
    if (kept.get(tenure.lane) === tenure) kept.delete(tenure.lane)
    metrics.queueLanes.set(kept.size)
  }
  const lose = (tenure: Kept, why: string) => {
    if (tenure.state === 'gone') return
    forget(tenure)
    log.warn('LANE_LOST', { lane: tenure.lane, why })
    events.onLost(tenure, why)
  }

  const leaseRecord = (lane: number, expect: number): NewRecord => ({
    subject: subjects.own(lane),
    payload: Buffer.from(JSON.stringify({ pod, incarnation })),
    expect: { last: expect },
    ttlSeconds: leaseSeconds,
  })

  const renew = async (tenures: readonly Kept[]): Promise<void> => {
    if (tenures.length === 0) return
    const begun = clock.monotonic()
    const records = tenures.map(({ lane, lease }) => leaseRecord(lane, lease))
    const meaning = readAnswer(records.length === 1 ? await stream.publish(records[0]!) : await stream.batch(records), { ownAbsent: false, fence: true })
    if (meaning.kind === 'stored' && meaning.lastSeq !== undefined) {
      const first = meaning.lastSeq - tenures.length + 1
      tenures.forEach((tenure, index) => Object.assign(tenure, { lease: first + index, lastGood: begun }))
    } else if (meaning.kind === 'fenced') {
      for (const tenure of tenures) await (tenures.length === 1 ? findOut(tenure) : renew([tenure]))
    }
  }
  /** Our lease is not as we left it: it lapsed and nobody used that, an answer was lost, or another pod has the lane. */
  const findOut = async (tenure: Kept): Promise<void> => {
    const [lease, epoch] = await Promise.all([stream.last(subjects.own(tenure.lane), 'leader'), stream.last(subjects.epoch(tenure.lane), 'leader')])
    if (lease.kind === 'unknown' || epoch.kind === 'unknown') return
    if (epoch.kind === 'missing' || epoch.record.seq !== tenure.epoch) return lose(tenure, 'another process has taken the lane')
    if (lease.kind === 'found' && readLease(lease.record.payload)?.incarnation !== incarnation) return lose(tenure, 'the lease names another process')
    tenure.lease = lease.kind === 'missing' ? 0 : lease.record.seq // the next renewal takes it up again
    lastRenewal = -Infinity
  }

  const scene = async (): Promise<Scene | undefined> => {
    const others = heartbeat.others()
    const now = clock.monotonic()
    const missing = Array.from({ length: laneCount }, (_, lane) => lane).filter((lane) => !kept.has(lane) && !others.some((other) => other.lanes.includes(lane) && other.serving))
    const leases: Map<number, { pod: string; mine: boolean; seq: number }> = new Map()
    if (missing.length > 0) {
      const records = await stream.records(subjects.owns, 100_000)
      if (!records) return undefined
      for (const { subject, payload, seq } of records) {
        const lease = readLease(payload)
        leases.set(subjects.lane(subject), { pod: lease?.pod ?? '', mine: lease?.incarnation === incarnation, seq })
      }
    }
    const free = new Set(missing.filter((lane) => !leases.has(lane)))
    for (const lane of freeSince.keys()) if (!free.has(lane)) freeSince.delete(lane)
    for (const lane of free) if (!freeSince.has(lane)) freeSince.set(lane, now)
    const claimed = others.flatMap((other) => (other.serving ? other.lanes : []))
    for (const lane of claimed) if (!leases.has(lane) && !kept.has(lane)) leases.set(lane, { pod: '', mine: false, seq: 0 })
    return { pod, now, others, ours: kept, leases, freeSince, startedAt, avoid }
  }

  const take = async (claims: readonly Claim[]): Promise<void> => {
    const fresh = claims.filter(({ adopt }) => !adopt)
    for (const claim of claims.filter(({ adopt }) => adopt)) await adoptLane(claim)
    if (fresh.length === 0) return
    const begun = clock.monotonic()
    const records = fresh.flatMap(({ lane, expect }) => [leaseRecord(lane, expect), { subject: subjects.epoch(lane), payload: Buffer.from(JSON.stringify({ pod, incarnation })) }])
    const meaning = readAnswer(await stream.batch(records), { ownAbsent: false, fence: true })
    if (meaning.kind === 'fenced' && fresh.length > 1) for (const claim of fresh) await take([claim])
    if (meaning.kind !== 'stored' || meaning.lastSeq === undefined) return // unknown: what is ours is adopted at the next look
    const first = meaning.lastSeq - records.length + 1
    gained(fresh.map(({ lane }, index) => ({ lane, lease: first + 2 * index, epoch: first + 2 * index + 1, takenAt: clock.monotonic(), lastGood: begun, state: 'kept' })))
  }
  const adoptLane = async ({ lane, expect }: Claim): Promise<void> => {
    const epoch = await stream.last(subjects.epoch(lane), 'leader')
    if (epoch.kind !== 'found' || readLease(epoch.record.payload)?.incarnation !== incarnation) return
    const begun = clock.monotonic()
    const meaning = readAnswer(await stream.publish(leaseRecord(lane, expect)), { ownAbsent: false, fence: true })
    if (meaning.kind === 'stored' && meaning.lastSeq !== undefined) gained([{ lane, lease: meaning.lastSeq, epoch: epoch.record.seq, takenAt: clock.monotonic(), lastGood: begun, state: 'kept' }])
  }
  const gained = (tenures: readonly Kept[]) => {
    for (const tenure of tenures) {
      kept.set(tenure.lane, tenure)
      freeSince.delete(tenure.lane)
      void stream.purge(subjects.epoch(tenure.lane), tenure.epoch)
    }
    metrics.queueLanes.set(kept.size)
    log.info('LANE_TAKEN', { lanes: tenures.map(({ lane }) => lane) })
    events.onGained(tenures)
    heartbeat.beat()
  }

  const release = async (tenure: Kept, patienceMs: number): Promise<void> => {
    if (tenure.state !== 'kept') return
    tenure.state = 'leaving'
    await events.finish(tenure, patienceMs)
    if ((tenure.state as Tenure['state']) === 'gone') return
    forget(tenure)
    events.onLost(tenure, 'let go')
    await stream.purge(subjects.own(tenure.lane), tenure.lease + 1)
    heartbeat.beat()
  }

  const look = async (): Promise<void> => {
    if (clock.monotonic() - lastRenewal >= renewEveryMs) {
      lastRenewal = clock.monotonic()
      await renew([...kept.values()].filter((tenure) => events.readerAlive(tenure)))
    }
    if (!serving || skewed || clock.monotonic() - startedAt < helloMs) return
    const seen = await scene()
    if (!seen || !serving || skewed || stopped) return
    for (const lane of lanesToHandOver(seen)) void release(kept.get(lane)!, handOverPatienceMs)
    await take(lanesToTake(seen))
  }
  const tick = async (): Promise<void> => {
    if (busy || stopped) return
    busy = true
    cancelTick()
    await look().catch((error: unknown) => log.error('BUG', { part: 'own', error: String((error as Error).stack) }))
    busy = false
    if (!stopped) cancelTick = clock.after(tickMs, () => void tick())
  }

  return {
    heartbeat,
    start: () => {
      serving = true
      startedAt = clock.monotonic()
      heartbeat.beat()
      void tick()
    },
    mayStart: (tenure) => tenure.state === 'kept' && clock.monotonic() - (tenure as Kept).lastGood < startWithinMs,
    tenureOf: (lane) => kept.get(lane),
    lanes: () => [...kept.keys()],
    lost: (tenure, why) => lose(tenure as Kept, why),
    passOn: async (tenure, forMs) => {
      avoid.set(tenure.lane, clock.monotonic() + forMs)
      await release(tenure as Kept, 5_000)
    },
    releaseAll: async (patienceMs) => {
      serving = false
      await Promise.all([...kept.values()].map((tenure) => release(tenure, patienceMs)))
      heartbeat.beat()
    },
    setSkewed: (now) => {
      if (now && !skewed) for (const tenure of kept.values()) void release(tenure, 5_000)
      skewed = now
    },
    stop: () => {
      stopped = true
      cancelTick()
      heartbeat.stop()
    },
  }
}

const readLease = (payload: Buffer): { pod: string; incarnation: string } | undefined => {
  try {
    return JSON.parse(payload.toString()) as { pod: string; incarnation: string }
  } catch {
    return undefined
  }
}
