// The real stream, over one NATS connection that never gives up. Says what was answered; what it means is for answers.ts.
import { connect, errors, type ConnectionOptions, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node' // the maintained client of the NATS project, Apache-2.0
import { randomBytes } from 'node:crypto'
import { isExpectation } from './answers.ts'
import { JetStreamReader } from './jetstream-reader.ts'
import { asBuffer, decodeAck, decodeDirect, encodeHeaders, type ApiAnswer } from './jetstream-wire.ts'
import { hearLastErrors } from './last-errors.ts'
import { createLeave } from './leave.ts'
import { loginFrom } from './login.ts'
import { hasQuorum } from './quorum.ts'
import type { Found, NewRecord, RawAnswer, Stream, StoredRecord } from './stream.ts'
import { createUnstored } from './unstored.ts'

export type JetStreamOptions = {
  readonly servers: readonly string[]
  readonly name: string
  /** Folder with our login and whom to trust (login.ts); absent: nobody in particular, without TLS. */
  readonly secrets?: string
  readonly clientName?: string
  readonly timeoutMs?: number
}
export type JetStream = Stream & {
  /** A question to the JetStream API; undefined: no answer, or none that is JSON. */
  api(subject: string, body?: object): Promise<ApiAnswer | undefined>
  connected(): boolean
  /** The largest record our server takes, in bytes; undefined: not connected. */
  maxPayload(): number | undefined
  /** Drops the connection for a new one, to another server where there is one. */
  reconnect(): void
  /** How many records a filter matches, at the cost of one question; from any replica, so it may lag. undefined: no answer. */
  count(filter: string): Promise<number | undefined>
  /** Bytes of records sent since the start, stored or not. */
  written(): number
  /** Writes the servers have acknowledged since the start. */
  acknowledged(): number
  /** Since when, by the monotonic clock, writes have been asked for in vain (unstored.ts). */
  unstoredSince(): number | undefined
  /** Another stream over the same connection. */
  sibling(name: string): Stream
  close(): Promise<void>
}

const noResponders = 'no responders'
/** Whoever takes away that we may hear something drops the subscription, and does not make it anew when he gives that back. */
const hearAgainMs = 1_000
const silence = (text: string): RawAnswer => ({ kind: 'silence', text })

/** Connects in the background: until then everything is answered with silence. */
export const openJetStream = (options: JetStreamOptions): JetStream => {
  const link = openLink(options)
  return { ...streamOn(link, options.name, options.timeoutMs ?? 4_000), close: link.close, reconnect: link.reconnect, maxPayload: () => link.connection()?.info?.max_payload, sibling: (name) => streamOn(link, name, options.timeoutMs ?? 4_000) }
}

const streamOn = (link: Link, name: string, timeout: number) => {
  let written = 0
  let acknowledged = 0
  const unstored = createUnstored()
  const api = async (subject: string, body?: object): Promise<ApiAnswer | undefined> => {
    const answer = await link.request(`$JS.API.${subject}`, body ? Buffer.from(JSON.stringify(body)) : Buffer.alloc(0), timeout)
    if (typeof answer === 'string') return undefined
    try {
      return JSON.parse(answer.toString()) as ApiAnswer
    } catch {
      return undefined
    }
  }
  const write = async (record: NewRecord, headers: Buffer | undefined): Promise<RawAnswer> => {
    unstored.asked(performance.now())
    const answer = await link.request(record.subject, record.payload, timeout, headers)
    if (typeof answer === 'string') return silence(answer)
    const read = decodeAck(answer)
    if (read.kind === 'ack') acknowledged++
    if (read.kind === 'ack' || (read.kind === 'error' && isExpectation(read.code))) unstored.settled()
    return read
  }
  return {
    ...link.core,
    api,
    count: (filter: string) => countOf(link, name, filter, timeout),
    connected: () => link.connection() !== undefined && !link.connection()!.isClosed(),
    written: () => written,
    acknowledged: () => acknowledged,
    unstoredSince: () => unstored.since(performance.now()),
    publish: (record: NewRecord) => {
      written += record.payload.length
      return write(record, encodeHeaders(record))
    },
    batch: (records: readonly NewRecord[]) => {
      for (const { payload } of records) written += payload.length
      const connection = link.connection()
      if (!connection) return Promise.resolve(silence('not connected'))
      const id = randomBytes(12).toString('base64url')
      const last = records.length - 1
      for (let n = 0; n < last; n++) send(connection, records[n]!, encodeHeaders(records[n]!, { id, n: n + 1, last: false }))
      return write(records[last]!, encodeHeaders(records[last]!, { id, n: last + 1, last: true }))
    },
    purge: async (filter: string, below: number) => {
      const answer = await api(`STREAM.PURGE.${name}`, { filter, seq: below })
      return answer?.success === true ? Number(answer.purged) : undefined
    },
    remove: async (seq: number) => (await api(`STREAM.MSG.DELETE.${name}`, { seq, no_erase: true }))?.success === true,
    read: (how: Parameters<Stream['read']>[0]) => new JetStreamReader({ name, connection: link.connection, api, ...how }),
    last: (subject: string, from: 'any' | 'leader') => (from === 'any' ? lastOfAny(link, name, subject, timeout) : lastOfLeader(api, name, subject)),
    records: (filter: string, limit: number, from = 1) => manyRecords(link, name, { filter, limit, from }, timeout),
    subjects: (filter: string) => allSubjects(api, name, filter),
    state: async () => {
      const info = await api(`STREAM.INFO.${name}`)
      const state = info?.state as { bytes: number; messages: number; last_seq: number } | undefined
      if (!info || !state || !hasQuorum(info as Parameters<typeof hasQuorum>[0])) return undefined
      return { bytes: state.bytes, messages: state.messages, lastSeq: state.last_seq, at: Date.parse(String(info.ts)) }
    },
  }
}

type Link = ReturnType<typeof openLink>

const openLink = ({ servers, secrets, clientName }: JetStreamOptions) => {
  let connection: NatsConnection | undefined
  let closed = false
  const leave = createLeave()
  const waiting: ((connection: NatsConnection) => void)[] = []
  const opening = keepConnecting(() => closed, { servers: [...servers], ...(secrets !== undefined && loginFrom(secrets)), name: clientName ?? 'posthouse', reconnectToServer: leave.reconnectToServer }).then((made) => {
    connection = made
    if (made) for (const call of waiting.splice(0)) call(made)
  })
  const request = async (subject: string, data: Buffer, ms: number, headers?: Buffer): Promise<Buffer | string> => {
    if (!connection) return 'not connected'
    try {
      const answer = await connection.request(subject, data, { timeout: ms, ...(headers && { headers: spelled(headers) }) })
      return asBuffer(answer.data)
    } catch (error) {
      const nobody = error instanceof errors.NoRespondersError || (error instanceof errors.RequestError && error.isNoResponders())
      return nobody ? noResponders : (error as Error).message || (error as Error).name
    }
  }
  const core: Pick<Stream, 'tell' | 'hear' | 'ask'> = {
    tell: (subject, data) => void (connection && !connection.isClosed() && connection.publish(subject, data)),
    hear: (subject, on) => {
      let stop = (): void => void waiting.splice(waiting.indexOf(listen), 1)
      const listen = (to: NatsConnection) => {
        const callback = (error: unknown, message: Msg) => (error ? again(to) : on(asBuffer(message.data), (data) => void message.respond(data)))
        const subscription = to.subscribe(subject, { callback })
        stop = () => void (to.isClosed() || subscription.unsubscribe())
      }
      const again = (to: NatsConnection) => {
        const timer = setTimeout(() => !to.isClosed() && listen(to), hearAgainMs).unref()
        stop = () => clearTimeout(timer)
      }
      if (connection) listen(connection)
      else waiting.push(listen)
      return () => stop()
    },
    ask: async (subject, data, ms) => {
      const answer = await request(subject, data, ms)
      return typeof answer !== 'string' ? answer : answer === noResponders ? 'nobody' : 'silence'
    },
  }
  const close = async () => {
    closed = true
    await connection?.close()
    if (!connection) await Promise.race([opening, new Promise((resolve) => setTimeout(resolve, 500).unref())])
  }
  const reconnect = () => {
    if (connection) leave(connection)
  }
  return { connection: () => connection, request, core, close, reconnect }
}

const keepConnecting = async (stopped: () => boolean, options: Pick<ConnectionOptions, 'servers' | 'name' | 'reconnectToServer'>): Promise<NatsConnection | undefined> => {
  for (let wait = 100; !stopped(); wait = Math.min(wait * 2, 2_000)) {
    try {
      const made = await connect({ ...options, maxReconnectAttempts: -1, reconnectTimeWait: 250, pingInterval: 5_000, timeout: 3_000, noAsyncTraces: true, ignoreAuthErrorAbort: true })
      void hearLastErrors(made)
      if (!stopped()) return made
      await made.close()
    } catch {
      await new Promise((resolve) => setTimeout(resolve, wait).unref())
    }
  }
  return undefined
}

/** The client only ever asks headers for their bytes. */
const spelled = (bytes: Buffer): MsgHdrs => ({ encode: () => bytes }) as unknown as MsgHdrs

const send = (connection: NatsConnection, record: NewRecord, headers: Buffer | undefined): void =>
  connection.publish(record.subject, record.payload, headers && { headers: spelled(headers) })

const lastOfAny = async (link: Link, name: string, subject: string, timeout: number): Promise<Found> => {
  try {
    const message = await link.connection()?.request(`$JS.API.DIRECT.GET.${name}.${subject}`, undefined, { timeout })
    if (!message) return { kind: 'unknown', why: 'not connected' }
    const record = decodeDirect(message)
    if (record) return { kind: 'found', record }
    return message.headers?.code === 404 ? { kind: 'missing' } : { kind: 'unknown', why: message.headers?.status ?? 'no record' }
  } catch (error) {
    return { kind: 'unknown', why: (error as Error).message }
  }
}

const noMessageFound = 10037

const lastOfLeader = async (api: JetStream['api'], name: string, subject: string): Promise<Found> => {
  const answer = await api(`STREAM.MSG.GET.${name}`, { last_by_subj: subject })
  if (!answer) return { kind: 'unknown', why: 'no answer' }
  if (answer.error) return answer.error.err_code === noMessageFound ? { kind: 'missing' } : { kind: 'unknown', why: answer.error.description ?? '' }
  const { seq, time, data } = answer.message as { seq: number; time: string; data?: string }
  return { kind: 'found', record: { subject, seq, at: Date.parse(time), payload: Buffer.from(data ?? '', 'base64') } }
}

const manyRecords = async (link: Link, name: string, want: { filter: string; limit: number; from: number }, maxWait: number): Promise<StoredRecord[] | undefined> => {
  const connection = link.connection()
  if (!connection) return undefined
  const records: StoredRecord[] = []
  let from = want.from
  while (records.length < want.limit) {
    const page = await onePage(connection, name, { next_by_subj: want.filter, seq: from, batch: Math.min(want.limit - records.length, 1_000), max_bytes: 4_000_000 }, maxWait)
    if (!page) return undefined
    records.push(...page)
    if (page.length === 0) break
    from = page.at(-1)!.seq + 1
  }
  return records
}

const onePage = async (connection: NatsConnection, name: string, ask: object, maxWait: number): Promise<StoredRecord[] | undefined> => {
  const records: StoredRecord[] = []
  try {
    for await (const message of await connection.requestMany(`$JS.API.DIRECT.GET.${name}`, JSON.stringify(ask), { strategy: 'sentinel', maxWait, maxMessages: -1 })) {
      const record = decodeDirect(message)
      if (record) records.push(record)
      else return message.headers?.code === 204 || message.headers?.code === 404 ? records : undefined
    }
  } catch {
    return undefined
  }
  return undefined // the time was over before the end came
}

/** One record with what is behind it: its server counts from its index, reads nothing, and makes no consumer. */
const countOf = async (link: Link, name: string, filter: string, maxWait: number): Promise<number | undefined> => {
  try {
    const answers = await link.connection()?.requestMany(`$JS.API.DIRECT.GET.${name}`, JSON.stringify({ next_by_subj: filter, seq: 1, batch: 1 }), { strategy: 'sentinel', maxWait, maxMessages: -1 })
    if (!answers) return undefined
    for await (const { headers } of answers) {
      if (headers?.code === 404) return 0
      const pending = Number(headers?.get('Nats-Num-Pending') || NaN)
      if (headers?.get('Nats-Sequence')) return Number.isNaN(pending) ? undefined : pending + 1
    }
  } catch {
    return undefined
  }
  return undefined
}

const allSubjects = async (api: JetStream['api'], name: string, filter: string): Promise<Map<string, number> | undefined> => {
  const found = new Map<string, number>()
  for (let offset = 0; ; ) {
    const answer = await api(`STREAM.INFO.${name}`, { subjects_filter: filter, offset })
    if (!answer || answer.error) return undefined
    const page = Object.entries((answer.state as { subjects?: Record<string, number> }).subjects ?? {})
    for (const [subject, count] of page) found.set(subject, count)
    offset += page.length
    if (page.length === 0 || offset >= Number(answer.total ?? 0)) return found
  }
}
