// The calls of the admin socket: what people ask of a running relay, in the queue's terms.
import { AdminError, type AdminCalls } from './report/index.ts'
import type { Order, Queue, QueueFilter } from './queue/index.ts'

const orders: readonly Order[] = ['hold', 'release', 'retry', 'bounce', 'delete']
/** Orders by filter work in rounds of this many, so that one call never holds the queue. */
const ordersAtOnce = 500

export type Waiting = (domain: string) => readonly string[] // what throttles say of a domain

export const adminCalls = (queue: Queue, waiting: Waiting, status: () => object): AdminCalls => ({
  status: async () => status(),
  summary: () => queue.summary(),
  list: (args) => queue.list(filterOf(args)),
  show: async ({ id }) => (await queue.show(text(id, 'id'))) ?? missing(text(id, 'id')),
  trace: ({ id }) => queue.trace(text(id, 'id').split('.')[0]!),
  latest: () => latest(queue),
  why: ({ about }) => why(queue, waiting, text(about, 'about')),
  order: async ({ order, ids, filter }) => {
    if (!orders.includes(order as Order)) throw new AdminError('BAD_ORDER', `${String(order)} is no order; one of ${orders.join(', ')}`)
    const wanted = Array.isArray(ids) ? await deliveriesOf(queue, ids.map(String)) : await idsOf(queue, filterOf(filter as Record<string, unknown>))
    return queue.order(order as Order, wanted)
  },
})

/** A message's id stands for all its deliveries. */
const deliveriesOf = async (queue: Queue, ids: readonly string[]): Promise<string[]> => {
  const each = ids.map(async (id) => (id.includes('.') ? [id] : found((await queue.list({ message: id })).map((entry) => entry.id), id)))
  return (await Promise.all(each)).flat()
}

const found = (ids: string[], message: string): string[] => (ids.length > 0 ? ids : missing(message))

const idsOf = async (queue: Queue, filter: QueueFilter): Promise<string[]> => {
  if (filter.domain === undefined && filter.sender === undefined) throw new AdminError('TOO_WIDE', 'name ids, --domain or --sender: an order to the whole queue is not taken')
  return (await queue.list({ ...filter, limit: filter.limit ?? ordersAtOnce })).map(({ id }) => id)
}

const why = async (queue: Queue, waiting: Waiting, about: string): Promise<object> => {
  const entry = /^[0-9A-Za-z_-]+(\.\w+)?$/.test(about) ? await queue.show(about) : undefined
  if (entry) return { kind: 'delivery', ...entry, limits: waiting(entry.entry.domain), durable: queue.durable() }
  const entries = await queue.list({ domain: about, limit: 1000 })
  if (entries.length > 0) return { kind: 'domain', domain: about, entries, limits: waiting(about), durable: queue.durable() }
  const events = await queue.trace(about.split('.')[0]!)
  if (events.length > 0) return { kind: 'ended', events }
  return missing(about)
}

const latest = async (queue: Queue): Promise<unknown> => {
  const message = await queue.latest()
  return message === undefined ? missing('any message') : queue.trace(message)
}

const filterOf = (args: Record<string, unknown> = {}): QueueFilter => ({
  ...(typeof args.domain === 'string' && { domain: args.domain }),
  ...(typeof args.sender === 'string' && { sender: args.sender }),
  ...((args.state === 'ready' || args.state === 'deferred' || args.state === 'held') && { state: args.state }),
  ...(typeof args.limit === 'number' && { limit: args.limit }),
})

const text = (value: unknown, name: string): string => {
  if (typeof value !== 'string' || value === '') throw new AdminError('BAD_ARGUMENT', `${name} is missing`)
  return value
}

const missing = (what: string): never => {
  throw new AdminError('NOT_FOUND', `${what} is neither in the queue nor in the trace (which remembers 7 days): see posthouse queue list`)
}
