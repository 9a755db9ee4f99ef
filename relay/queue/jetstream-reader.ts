// An ordered cursor on a JetStream pull consumer that keeps nothing of its own: whatever goes wrong
// (a gap, silence, a server gone), the consumer is made anew after the last record seen.
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node'
import { randomBytes } from 'node:crypto'
import type { ApiAnswer } from './jetstream.ts'
import { decodeDelivered } from './jetstream-wire.ts'
import type { Reader, StoredRecord } from './stream.ts'

type Options = {
  readonly name: string
  readonly connection: () => NatsConnection | undefined
  readonly api: (subject: string, body?: object) => Promise<ApiAnswer | undefined>
  readonly filters: readonly string[]
  readonly from: number
  onRecord(record: StoredRecord): void
}

const heartbeatMs = 1_000
const silenceMs = 3_500 // three heartbeats and a little
const expiresMs = 30_000
const mostPerPull = 500

export const createReader = (options: Options): Reader => {
  let next = options.from
  let wanted = 0 // records that may still come
  let asked = 0 // of these, those asked of the consumer now
  let lastSign = 0
  let current: { readonly consumer: string; readonly subscription: Subscription; place: number } | undefined
  let stopped = false
  let making = false

  const pull = () => {
    const connection = options.connection()
    while (current && connection && wanted > asked && (asked === 0 || wanted - asked >= 32)) {
      const batch = Math.min(wanted - asked, mostPerPull)
      asked += batch
      const ask = JSON.stringify({ batch, expires: expiresMs * 1e6, idle_heartbeat: heartbeatMs * 1e6 })
      connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${options.name}.${current.consumer}`, ask, { reply: current.subscription.getSubject() })
    }
  }

  const onMessage = (message: Msg) => {
    lastSign = performance.now()
    const delivered = decodeDelivered(message)
    if (!delivered) return onStatus(message)
    if (!current || delivered.place !== current.place + 1) return void renew()
    current.place = delivered.place
    next = delivered.record.seq + 1
    wanted--
    asked--
    options.onRecord(delivered.record)
    pull()
  }

  const onStatus = (message: Msg) => {
    const code = message.headers?.code ?? 0
    if (code === 100) return // a heartbeat
    const left = message.headers?.get('Nats-Pending-Messages')
    if (code === 408 && left) asked = Math.max(0, asked - Number(left)) // this pull has expired
    else return void renew()
    pull()
  }

  const drop = () => {
    if (!current) return
    const connection = options.connection()
    if (connection && !connection.isClosed()) {
      current.subscription.unsubscribe()
      connection.publish(`$JS.API.CONSUMER.DELETE.${options.name}.${current.consumer}`)
    }
    current = undefined
  }

  const renew = async (): Promise<void> => {
    if (making || stopped) return
    making = true
    drop()
    asked = 0
    await make().catch(() => {})
    making = false
  }

  const make = async (): Promise<void> => {
    const connection = options.connection()
    if (!connection || connection.isClosed()) return
    const consumer = `c${randomBytes(9).toString('hex')}`
    const config = { name: consumer, deliver_policy: 'by_start_sequence', opt_start_seq: next, ack_policy: 'none', filter_subjects: options.filters, mem_storage: true, num_replicas: 1, inactive_threshold: 30e9 }
    const answer = await options.api(`CONSUMER.CREATE.${options.name}.${consumer}`, { stream_name: options.name, config, action: 'create' })
    if (stopped || !answer || answer.error) return
    const subscription = connection.subscribe(`_INBOX.${consumer}`, { callback: (_, message) => (current?.consumer === consumer && !stopped ? onMessage(message) : undefined) })
    current = { consumer, subscription, place: 0 }
    lastSign = performance.now()
    pull()
  }

  const watch = setInterval(() => {
    if (!current || (asked > 0 && performance.now() - lastSign > silenceMs)) void renew()
  }, 500)
  void renew()

  return {
    want: (count) => {
      wanted += count
      pull()
    },
    alive: () => current !== undefined && (asked === 0 || performance.now() - lastSign <= silenceMs),
    stop: () => {
      stopped = true
      clearInterval(watch)
      drop()
    },
  }
}
