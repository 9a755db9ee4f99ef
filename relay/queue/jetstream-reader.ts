// An ordered cursor on a JetStream pull consumer that keeps nothing of its own: whatever goes wrong
// (a gap, silence, a server gone), the consumer is made anew after the last record seen.
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node'
import { randomBytes } from 'node:crypto'
import { decodeDelivered, type ApiAnswer } from './jetstream-wire.ts'
import { isCurrent, type Cluster } from './quorum.ts'
import type { Reader, StoredRecord } from './stream.ts'

type Options = {
  readonly name: string
  readonly connection: () => NatsConnection | undefined
  readonly api: (subject: string, body?: object) => Promise<ApiAnswer | undefined>
  readonly filters: readonly string[]
  readonly from: number
  isUnique?(subject: string): boolean
  onRecord(record: StoredRecord): void
  onOlder?(): void
}
type Mark = Pick<StoredRecord, 'seq' | 'subject'>

const heartbeatMs = 1_000
const silenceMs = 3_500 // three heartbeats and a little
const expiresMs = 30_000
const mostPerPull = 500
const leastPerPull = 32
const lookMs = 500
const leaderMayLagMs = 5_000 // a new leader may have less than the one before showed
const marksKept = 4

export class JetStreamReader implements Reader {
  readonly #options: Options
  readonly #watch: NodeJS.Timeout
  #next: number
  #wanted = 0 // records that may still come
  #asked = 0 // of these, those asked of the consumer now
  #lastSign = 0
  #current: { readonly consumer: string; readonly subscription: Subscription; place: number } | undefined
  #stopped = false
  #behindSince: number | undefined // the servers have less than was read
  #wasBehind = false // and it is not known yet that what they have now is what was read
  #marks: readonly Mark[] = [] // what was read last of subjects that come once, the newest first
  #making = false

  constructor(options: Options) {
    this.#options = options
    this.#next = options.from
    this.#watch = setInterval(() => {
      if (!this.#current || (this.#asked > 0 && performance.now() - this.#lastSign > silenceMs)) void this.#renew()
    }, lookMs).unref()
    void this.#renew()
  }

  want(count: number): void {
    this.#wanted += count
    this.#pull()
  }
  alive(): boolean {
    return this.#current !== undefined && (this.#asked === 0 || performance.now() - this.#lastSign <= silenceMs)
  }
  stop(): void {
    this.#stopped = true
    clearInterval(this.#watch)
    this.#drop()
  }

  #pull(): void {
    const connection = this.#options.connection()
    while (this.#current && connection && !connection.isClosed() && this.#wanted > this.#asked && (this.#asked === 0 || this.#wanted - this.#asked >= leastPerPull)) {
      const batch = Math.min(this.#wanted - this.#asked, mostPerPull)
      this.#asked += batch
      const ask = JSON.stringify({ batch, expires: expiresMs * 1e6, idle_heartbeat: heartbeatMs * 1e6 })
      connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.#options.name}.${this.#current.consumer}`, ask, { reply: this.#current.subscription.getSubject() })
    }
  }

  #onMessage(message: Msg): void {
    this.#lastSign = performance.now()
    const delivered = decodeDelivered(message)
    if (!delivered) this.#onStatus(message)
    else if (!this.#current || delivered.place !== this.#current.place + 1) void this.#renew()
    else {
      this.#current.place = delivered.place
      this.#next = delivered.record.seq + 1
      this.#mark(delivered.record)
      this.#wanted--
      this.#asked--
      this.#options.onRecord(delivered.record)
      this.#pull()
    }
  }

  #onStatus(message: Msg): void {
    const code = message.headers?.code ?? 0
    if (code === 100) return this.#onHeartbeat(Number(message.headers?.get('Nats-Last-Consumer')))
    const left = message.headers?.get('Nats-Pending-Messages')
    if (code !== 408 || !left) return void this.#renew()
    this.#asked = Math.max(0, this.#asked - Number(left)) // this pull has expired
    this.#pull()
  }

  /** It tells the place of the last record sent: one that was lost on its way, with none behind it, nothing else would show. */
  #onHeartbeat(lastPlace: number): void {
    if (this.#current && lastPlace > this.#current.place) void this.#renew()
  }

  #drop(): void {
    const current = this.#current
    this.#current = undefined
    const connection = this.#options.connection()
    if (!current || !connection || connection.isClosed()) return
    current.subscription.unsubscribe()
    connection.publish(`$JS.API.CONSUMER.DELETE.${this.#options.name}.${current.consumer}`)
  }

  async #renew(): Promise<void> {
    if (this.#making || this.#stopped) return
    this.#making = true
    this.#drop()
    this.#asked = 0
    await this.#make().catch(() => {})
    this.#making = false
  }

  async #make(): Promise<void> {
    const { name, api, filters } = this.#options
    const connection = this.#options.connection()
    if (!connection || connection.isClosed()) return
    const consumer = `c${randomBytes(9).toString('hex')}`
    const config = { name: consumer, deliver_policy: 'by_start_sequence', opt_start_seq: this.#next, ack_policy: 'none', filter_subjects: filters, mem_storage: true, num_replicas: 1, inactive_threshold: 30e9 }
    const answer = await api(`CONSUMER.CREATE.${name}.${consumer}`, { stream_name: name, config, action: 'create' })
    if (this.#stopped || !answer || answer.error) return
    if (!(await this.#mayRead(answer))) return connection.publish(`$JS.API.CONSUMER.DELETE.${name}.${consumer}`) // made anew in a moment, where the servers will
    const callback = (error: unknown, message: Msg) => {
      if (!error && this.#current?.consumer === consumer && !this.#stopped) this.#onMessage(message)
    }
    this.#current = { consumer, subscription: connection.subscribe(`_INBOX.${consumer}`, { callback }), place: 0 }
    this.#lastSign = performance.now()
    this.#pull()
  }

  /** It reads what its own server has: that must not be less than what was read of the lane before. */
  async #mayRead({ cluster }: ApiAnswer): Promise<boolean> {
    const { name, api } = this.#options
    const info = await api(`STREAM.INFO.${name}`)
    if (this.#stopped || info?.config === undefined || !isCurrent(info as { cluster?: Cluster }, (cluster as Cluster | undefined)?.leader)) return false
    return !this.#isOlder(info) && (await this.#isSame())
  }
  #mark({ subject, seq }: StoredRecord): void {
    if (this.#options.isUnique?.(subject)) this.#marks = [{ subject, seq }, ...this.#marks.slice(0, marksKept - 1)]
  }
  /** They may have an older state, and have gone past the end that we knew since: what was stored up to there would never be read. */
  async #isSame(): Promise<boolean> {
    if (this.#options.isUnique === undefined) return true
    const found = await this.#lookAtMarks()
    if (found === 'unknown' || this.#stopped) return false
    const isOther = found === 'other' || (found === 'gone' && this.#wasBehind)
    this.#wasBehind = false
    if (isOther) this.#options.onOlder?.()
    return !isOther
  }
  /** 'gone': they were removed, as all that is finished is. A whole record is asked for only where it is not the one that was read: over a bad link it takes long. */
  async #lookAtMarks(): Promise<'same' | 'other' | 'gone' | 'unknown'> {
    const { name, api } = this.#options
    const infos = await Promise.all(this.#marks.map(({ subject }) => api(`STREAM.INFO.${name}`, { subjects_filter: subject })))
    if (infos.some((info) => info?.config === undefined)) return 'unknown'
    if (infos.some((info, n) => Object.hasOwn((info!.state as { readonly subjects?: object }).subjects ?? {}, this.#marks[n]!.subject))) return 'same'
    const there = await Promise.all(this.#marks.map(({ seq }) => api(`STREAM.MSG.GET.${name}`, { seq })))
    if (there.some((got) => got?.message === undefined && got?.error?.code !== 404)) return 'unknown'
    if (there.some((got, n) => got!.message !== undefined && (got!.message as { readonly subject: string }).subject !== this.#marks[n]!.subject)) return 'other'
    return 'gone'
  }
  /** Servers with a backup of their data give sequences anew: what comes there lies before what was read already. */
  #isOlder({ state, cluster }: ApiAnswer): boolean {
    const isBehind = (state as { last_seq: number }).last_seq < this.#next - 1
    this.#behindSince = isBehind ? (this.#behindSince ?? performance.now()) : undefined
    if (this.#behindSince === undefined) return false
    this.#wasBehind = true
    if (cluster === undefined || performance.now() - this.#behindSince >= leaderMayLagMs) this.#options.onOlder?.()
    return true
  }
}
