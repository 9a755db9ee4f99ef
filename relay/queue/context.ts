// What every part of one process's queue shares. Plain wiring, no decisions.
import type { Log, Metrics } from '../report/index.ts'
import type { Clock } from './clock.ts'
import type { Stream } from './stream.ts'
import type { Subjects } from './subjects.ts'
import type { ComposeNotice, Leaving, TraceEvent } from './types.ts'

export type Context = {
  readonly stream: Stream
  readonly subjects: Subjects
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly pod: string
  readonly incarnation: string // this start of this process: one token
  readonly composeNotice: ComposeNotice
  readonly newMessageId: () => string
  readonly siteOf: SiteOf
  readonly emit: (event: TraceEvent) => void
  readonly limits: Limits
}

/** A delivery's site as far as it is known: the domain, until an attempt has learnt its MX hosts. */
export type SiteOf = (domain: string, envelope: Leaving) => string

export type Limits = {
  readonly inlineBytes: number // bytes times deliveries that may travel with the records
  readonly unstoredBytes: number // mail in memory that is not stored yet
  readonly windowCount: number
  readonly windowBytes: number
  readonly unremovedCount: number // removals that may wait before no more is begun
  readonly upkeepEveryMs: number
  readonly halfBodyMs: number // how old chunks without a message are when they go; longer than any DATA may last (messageSeconds)
}
export const usualLimits: Limits = { inlineBytes: 65_536, unstoredBytes: 24_000_000, windowCount: 2_000, windowBytes: 48_000_000, unremovedCount: 5_000, upkeepEveryMs: 300_000, halfBodyMs: 3_600_000 }

/** The most records and bytes of one atomic batch: below the server's 1,000, and small enough to be staged in memory. */
export const batchRecords = 900
export const batchBytes = 4_000_000
