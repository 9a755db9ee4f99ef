// The stream as the queue sees it: the few things JetStream does for us, as plain data.
// Two implementations pass one contract test: jetstream.ts (the real one) and simulated-stream.ts.

/** A record to be written. Only these fields become `Nats-*` headers: headers of other records are never copied. */
export type NewRecord = {
  readonly subject: string
  readonly payload: Buffer
  readonly id?: string // refused as a duplicate within the stream's window
  readonly expect?: { readonly last: number; readonly of?: string } // last sequence of this subject, or of another
  readonly ttlSeconds?: number
  readonly schedule?: { readonly at: number; readonly target: string } // ms since the epoch
}

export type StoredRecord = { readonly subject: string; readonly seq: number; readonly at: number; readonly payload: Buffer }

/** What came back, before anybody says what it means (answers.ts does). */
export type RawAnswer =
  | { readonly kind: 'ack'; readonly seq: number; readonly duplicate: boolean }
  | { readonly kind: 'error'; readonly code: number; readonly text: string }
  | { readonly kind: 'silence'; readonly text: string } // time-out, no responders, connection lost

export type Found = { readonly kind: 'found'; readonly record: StoredRecord } | { readonly kind: 'missing' } | { readonly kind: 'unknown'; readonly why: string }

/** A cursor over some subjects in stream order; it goes on by itself whatever happens to servers. */
export type Reader = {
  /** Lets `count` more records come. */
  want(count: number): void
  /** Something (a record, a heartbeat) came lately. */
  alive(): boolean
  stop(): void
}

type StreamState = { readonly bytes: number; readonly messages: number; readonly lastSeq: number; readonly at: number /* the leader's time, ms */ }

export type Stream = {
  publish(record: NewRecord): Promise<RawAnswer>
  /** All or nothing, in this order, with consecutive sequences; at most 1,000. The answer's sequence is the last record's. */
  batch(records: readonly NewRecord[]): Promise<RawAnswer>
  /** Removes what `filter` matches below sequence `below`; the number removed, undefined where that is not known. */
  purge(filter: string, below: number): Promise<number | undefined>
  /** Removes the one record of this sequence; false: it is not known that it was there and is gone. */
  remove(seq: number): Promise<boolean>
  /** `onOlder`: the stream has not what was read of it, as from a backup; nothing more comes. `isUnique`: subjects that are written once, by which that is told. */
  read(options: { readonly filters: readonly string[]; readonly from: number; isUnique?(subject: string): boolean; onRecord(record: StoredRecord): void; onOlder?(): void }): Reader
  /** The last record of a subject: from any replica (may lag), or from the leader. */
  last(subject: string, from: 'any' | 'leader'): Promise<Found>
  /** Records the filter matches in stream order, at most `limit`, from sequence `from` on, from any replica; undefined: no answer. */
  records(filter: string, limit: number, from?: number): Promise<StoredRecord[] | undefined>
  /** Subjects with their number of records; undefined: no answer. */
  subjects(filter: string): Promise<Map<string, number> | undefined>
  /** undefined: no answer, or from servers too few to store anything, whose word may be old. */
  state(): Promise<StreamState | undefined>
  /** Not stored: said to whoever listens now. */
  tell(subject: string, data: Buffer): void
  hear(subject: string, on: (data: Buffer, reply: (data: Buffer) => void) => void): () => void
  ask(subject: string, data: Buffer, ms: number): Promise<Buffer | 'nobody' | 'silence'>
}
