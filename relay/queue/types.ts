// What passes between the queue and its neighbours: plain data, no JetStream in sight.
import type { Readable } from 'node:stream'
import type { Mailbox, Schedule } from '../snapshot/index.ts'

/** Recipient with its RFC 3461 parameters as the client gave them (ORCPT still in xtext). */
export type Recipient = {
  readonly mailbox: Mailbox
  readonly notify?: readonly ('NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY')[]
  readonly orcpt?: string
}

/** What one DATA brought, without its recipients and bytes. */
export type Envelope = {
  readonly mailFrom: Mailbox | null // null: the null sender <>
  readonly envid?: string
  readonly ret?: 'FULL' | 'HDRS'
  readonly body: '7BIT' | '8BITMIME'
  readonly smtputf8: boolean
  readonly sender?: string // namespace/name of the MailSender
  readonly stranger?: true // let in for domains hosted here and by nothing else: nobody vouches for it, whatever becomes of those domains
  readonly source: string // client address, or 'local' for what we write ourselves
  readonly listener: string
  readonly class: 'transactional' | 'bulk'
  readonly because: string // the verdict's rule and manifest, for the trace
}

/** One recipient domain's share of a message on its way in. */
export type NewDelivery = {
  readonly domain: string // recipient domain, A-labels or address literal
  readonly recipients: readonly Recipient[]
  readonly schedule: Schedule // frozen at acceptance
  readonly hold?: string // present: goes to held at once, with this reason
}

export type NewMessage = {
  readonly id: string // newMessageId()
  readonly envelope: Envelope
  readonly deliveries: readonly NewDelivery[]
  readonly headers: Buffer // what we add in front: Received (and Return-Path never)
  readonly body: NewBody
}

/** Bytes inline while small; past the limit already in chunks by BodyWriter. CRLF line ends, no dot-stuffing, no final dot. */
export type NewBody = { readonly inline: Buffer } | { readonly chunked: ChunkedBody }
type ChunkedBody = { readonly id: string; readonly chunks: number; readonly bytes: number; readonly sha256: string; readonly head: Buffer }

/** Fed while DATA is still coming; switches to chunks by itself past the inline limit. */
export type BodyWriter = {
  /** Resolves when more may be written: awaiting it is the back-pressure. Rejects with QueueError when storage refuses. */
  write(piece: Buffer): Promise<void>
  end(): Promise<NewBody>
  /** The client went away: what was stored is purged at once, or swept later. */
  abandon(): Promise<void>
}

/** The answer to a message offered. Only `stored` may become a 250. */
export type Accepted =
  | { readonly kind: 'stored' }
  | { readonly kind: 'refused'; readonly why: 'full' | 'memory' | 'too-many-domains' | 'too-many-recipients' | 'not-durable' } // 452 4.3.1, 452 4.3.2, 452 4.5.3 twice, 451 4.3.0
  | { readonly kind: 'unknown'; readonly why: string } // 451 4.3.0: nothing is known, the client keeps it

/** A delivery due now, as a deliverer sees it. */
export type Delivery = {
  readonly id: string // `<message>.<n>`
  readonly message: string
  readonly envelope: Envelope
  readonly domain: string
  readonly recipients: readonly Recipient[] // those still open
  readonly schedule: Schedule
  readonly attempt: number // 1 for the first
  readonly arrivedAt: number // servers' time, ms
  readonly bytes: number // headers and body together
  readonly delayNoticed: boolean
  readonly lane: number
  readonly last?: LastTry // what the last attempt ended with
}
export type LastTry = { readonly at: number; readonly why: string; readonly host?: string; readonly said?: string; readonly class?: string }

/** What became of one attempt; the queue's settle step is the only one that acts on it. Every open recipient is in exactly one place. */
export type Settlement = {
  /** Recipients that still wait; absent: the delivery has ended. */
  readonly later?: { readonly recipients: readonly Recipient[]; readonly at: number; readonly delayNoticed: boolean; readonly last: LastTry; readonly countsAsAttempt: boolean }
  /** Recipients put on hold, with the reason a person reads. */
  readonly held?: { readonly recipients: readonly Recipient[]; readonly why: string }
  /** What the sender is to be told; notices of one message in one settle batch become one DSN per kind. */
  readonly notices: readonly Notice[]
  readonly trace: readonly TraceEvent[]
  /** Another home lane was learnt: hand the delivery over (once). */
  readonly handOver?: { readonly lane: number }
}

export type Notice = {
  readonly kind: 'failed' | 'delayed' | 'relayed' // a relay delivers to no mailbox: RFC 3461 5.2.2
  readonly recipient: Recipient
  readonly status: string // RFC 3463, "5.1.1"
  readonly diagnostic?: string // "smtp; 550 5.1.1 no such user", the remote's own words
  readonly remote?: string // host that said it
  readonly plain: string // one sentence a person understands
  readonly lastAttemptAt?: number // absent: it was never tried
  readonly willRetryUntil?: number // delayed only
}

/** Composes the DSN of notices of one message; undefined where nobody is to be told (null sender, NOTIFY). Pure: time and id passed in. */
export type ComposeNotice = (given: {
  readonly delivery: Delivery
  readonly notices: readonly Notice[]
  readonly original: Buffer // headers, or the message where RET and size allow
  readonly originalIsWhole: boolean
  readonly id: string
  readonly now: number
}) => NewMessage | undefined

/** One line of a message's timeline; `trace ID` prints them in order. */
export type TraceEvent = {
  readonly at: number // ms
  readonly message: string
  readonly delivery?: string
  readonly kind: 'accepted' | 'attempt' | 'delivered' | 'deferred' | 'bounced' | 'held' | 'released' | 'deleted' | 'notified' | 'dropped'
  readonly pod: string
  readonly text: string // the line a person reads
  readonly from?: string // envelope sender of what was accepted; '': the null sender
  readonly recipients?: readonly string[]
  readonly host?: string
  readonly said?: string // the remote's exact words
  readonly rule?: string
  readonly by?: string // the person who gave an order, as the CLI that took it says
}

/** Which messages of the trace: by envelope addresses, accepted from `since` to `until` (ms since the epoch), the newest first. */
export type TraceQuestion = { readonly to?: string; readonly from?: string; readonly since: number; readonly until?: number; readonly limit: number }
/** How many recipients came to what. */
export type Became = { readonly [state in 'waiting' | 'delivered' | 'deferred' | 'bounced' | 'held' | 'deleted' | 'dropped']?: number }
/** `became` absent: it was not looked for to the end. */
export type TracedMessage = { readonly at: number; readonly message: string; readonly from?: string; readonly recipients: readonly string[]; readonly became?: Became }
/** `more`: there may be more than the limit took. `reached`: what was accepted before it was not looked at any more. */
export type TraceFound = { readonly messages: readonly TracedMessage[]; readonly more: boolean; readonly reached?: number }

/** What of an envelope a route may look at. */
export type Leaving = Pick<Envelope, 'mailFrom' | 'sender'>

/** What the queue calls for every delivery due, at most `window` at once, sites taking turns. Must never throw. */
export type Deliverer = {
  /** Key for turns and throttling; the lane is hashed from it. Must not wait: what is not known yet is the domain itself. */
  site(domain: string, envelope: Leaving): string
  /** May this site start one more now? Asked just before the start. `paceMs`: how far apart its messages may start, where it has a rate. */
  admit(delivery: Delivery): { readonly kind: 'now' } | { readonly kind: 'wait'; readonly paceMs?: number }
  /** Runs the attempt. `signal` aborts when the lane is lost or the drain ends. `other-site`: nothing was tried, the delivery belongs to a site that was not known before. */
  attempt(delivery: Delivery, body: BodySource, signal: AbortSignal): Promise<Settlement | 'other-site'>
  /** The way this mail goes and what holds it just now, in lines a person reads. */
  whyWaiting?(domain: string, envelope: Leaving): readonly string[]
  /** The manifest that puts mail of this way on hold, and would again after a release. */
  heldBy?(domain: string, envelope: Leaving): string | undefined
}

export type BodySource = {
  /** Headers we added and the message; CRLF line ends, no dot-stuffing. Errors with QueueError when a chunk cannot be read. */
  open(): Readable
  /** The first bytes, at least the whole header section or 64 KiB. */
  head(): Promise<Buffer>
}

/** Questions and orders of people (CLI, admin socket). */
export type QueueFilter = { readonly message?: string; readonly domain?: string; readonly sender?: string; readonly state?: 'ready' | 'deferred' | 'held'; readonly limit?: number }
export type QueueEntry = {
  readonly id: string
  readonly message: string
  readonly state: 'ready' | 'deferred' | 'held'
  readonly domain: string
  readonly mailFrom: string
  readonly recipients: readonly string[]
  readonly sender?: string
  readonly bytes: number
  readonly arrivedAt: number
  readonly attempt: number
  readonly nextAt?: number
  readonly schedule?: string // its manifest; absent where the record could not be understood
  readonly why?: string
  readonly said?: string
  readonly host?: string
  readonly lane: number
  readonly owner?: string
}
export type DomainSummary = { readonly domain: string; readonly ready: number; readonly deferred: number; readonly held: number }
/** `oldestReadyAt`: since when the first record waits that is due; absent where none is. */
export type QueueTotals = { readonly ready: number; readonly deferred: number; readonly held: number; readonly oldestReadyAt?: number }
/** `stuck`: its liveness probe is content, and what asks its streams is not answered: it waits for itself (docs/decisions/0008-servers-that-answer-and-store-nothing.md). */
export type QueueServer = { readonly name: string } & ({ readonly up: false; readonly stuck: boolean } | { readonly up: true; readonly memoryBytes: number; readonly connections: number; readonly storageBytes: number })
export type QueueSize = { readonly replicas: 1 | 3 | 5; readonly bytesLimit: number }
/** `replicas`: copies of the stream; undefined: the servers do not say. */
export type QueueServers = { readonly servers: readonly QueueServer[]; readonly replicas: { readonly current: number; readonly behind: number; readonly offline: number } | undefined }
/** `empty`: certain; nothing is left, and nothing is on its way in. */
export type QueueRemains = Pick<QueueTotals, 'ready' | 'deferred' | 'held'> & { readonly empty: boolean }
export type Order = 'hold' | 'release' | 'retry' | 'postpone' | 'bounce' | 'delete'
/** `until`: when it is tried next, in ms since the epoch; for `postpone`. `by`: who says so, as the asking side has it; nobody has proved it. */
export type GivenOrder = { readonly order: Order; readonly until?: number; readonly by?: string }
/** What an order would do: how many deliveries it takes, and the first of them; those it would leave as they are, and why. */
export type Taken = { readonly takes: number; readonly entries: readonly QueueEntry[]; readonly leaves: readonly { readonly id: string; readonly why: string }[] }
export type OrderResult = { readonly id: string; readonly done: boolean; readonly why?: string }

/** The queue is out of use: `since` in ms since the epoch, and why, in words. */
export type Outage = { readonly since: number; readonly why: string }
export type DurableAccept = { readonly ok: boolean; readonly reason: string; readonly text: string }

/** The one door of the queue. */
export type Queue = {
  newMessageId(): string
  newBody(messageId: string): BodyWriter
  /** Resolves once stored on a majority, or when that cannot be known within `patienceMs`. Never throws. */
  accept(message: NewMessage, patienceMs?: number): Promise<Accepted>
  /** Starts taking lanes and delivering. */
  start(deliverer: Deliverer): Promise<void>
  /** Lets go of lanes; waits for what is in flight, at most `ms`. */
  drain(ms: number): Promise<void>
  close(): Promise<void>
  setPaused(paused: boolean): void
  /** From now on so many copies are wanted, and so many bytes are all that there is room for. */
  resize(size: QueueSize): void
  /** `withoutReady`: only what is deferred or held, whose domains stand in the subjects; ready records are read one by one. */
  summary(options?: { readonly withoutReady?: boolean }): Promise<DomainSummary[]>
  list(filter: QueueFilter): Promise<QueueEntry[]>
  show(id: string): Promise<{ readonly entry: QueueEntry; readonly headers: string } | undefined>
  order(given: GivenOrder, ids: readonly string[]): Promise<OrderResult[]>
  /** As the process sees it that serves this mail: its limits are counted there. */
  whyWaiting(entry: QueueEntry): Promise<readonly string[]>
  trace(messageId: string): Promise<TraceEvent[]>
  /** The message of the newest trace line; undefined before the first. */
  latest(): Promise<string | undefined>
  /** Looks at no more of the trace than a relay has time for beside its work. */
  find(question: TraceQuestion): Promise<TraceFound>
  emit(event: TraceEvent): void // trace stream, without waiting
  /** The servers' time, which does not jump when this machine's clock is set: how old mail is, is judged by it. */
  now(): number
  durable(): DurableAccept
  /** It takes 80 % or more of what its volume has room for; once it did, until it takes less than 75 %. */
  isFull(): boolean
  /** Undefined while the queue answers, and stores. */
  outage(): Outage | undefined
  /** Live relay processes by heartbeat, ourselves included: who shares a fleet-wide limit. */
  peers(): readonly { readonly pod: string; readonly revision: string; readonly lanes: number }[]
  /** Deliveries in the whole queue as they were at most three minutes ago; undefined: not known. Asks in the background, never waits. */
  totals(): QueueTotals | undefined
  /** The same, asked now; undefined: the servers do not answer. */
  count(): Promise<QueueTotals | undefined>
  /** The servers as they were at most three minutes ago; asks in the background, never waits. */
  servers(): QueueServers | undefined
  /** Asked now, of the servers; undefined: they do not answer. */
  remains(): Promise<QueueRemains | undefined>
  counts(): { readonly ready: number; readonly inFlight: number; readonly lanesOwned: number; readonly bytes: number }
}
