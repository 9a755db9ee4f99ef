// The calls of the admin socket: what people ask of a running relay, in the queue's terms.
import { AdminError, type AdminCalls } from './report/index.ts'
import type { DomainSummary, GivenOrder, Order, OrderResult, Queue, QueueEntry, QueueFilter, Taken, TraceQuestion } from './queue/index.ts'
import { refusedOrder, traceDays } from './queue/index.ts'
import { literalOf, normalDomain } from './snapshot/index.ts'

const orders: readonly Order[] = ['hold', 'release', 'retry', 'postpone', 'bounce', 'delete']
/** Orders are given in rounds of this many, so that one call never holds the queue. */
const ordersAtOnce = 500
const all = Number.MAX_SAFE_INTEGER

/** The manifest that holds mail like this on its way. */
type HeldBy = (entry: QueueEntry) => string | undefined

export const adminCalls = (queue: Queue, status: () => Promise<object>, heldBy: HeldBy = () => undefined): AdminCalls => ({
  status: () => status(),
  summary: (args) => summary(queue, filterOf(args)),
  list: (args) => queue.list(filterOf(args)),
  show: async ({ id }) => (await queue.show(text(id, 'id'))) ?? notWaiting(text(id, 'id')),
  trace: ({ id }) => queue.trace(text(id, 'id').split('.')[0]!),
  latest: () => latest(queue),
  find: (args) => queue.find(questionOf(args, Date.now())),
  why: ({ about }) => why(queue, text(about, 'about')),
  order: async ({ order: word, ids, filter, until, by }) => {
    const order = orderOf(word)
    const wanted = Array.isArray(ids) ? await deliveriesOf(queue, ids.map(String)) : (await fitting(queue, order, filter)).map(({ id }) => id)
    return inRounds(queue, { order, ...(order === 'postpone' && { until: laterThan(Date.now(), until) }), ...nameOf(by) }, wanted)
  },
  takes: async ({ order: word, ids, filter }) => {
    const order = orderOf(word)
    return takenOf(order, Array.isArray(ids) ? await named(queue, ids.map(String)) : await fitting(queue, order, filter), heldBy)
  },
})

const orderOf = (word: unknown): Order => {
  if (!orders.includes(word as Order)) throw new AdminError('BAD_ORDER', `${String(word)} is no order; one of ${orders.join(', ')}`)
  return word as Order
}

/** For logs and timelines: what acts on a terminal or turns the direction of writing is left out, and a name is no story. */
const nameOf = (by: unknown): { readonly by?: string } => {
  const name = typeof by === 'string' ? by.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim().slice(0, longestName) : ''
  return name === '' ? {} : { by: name }
}
const longestName = 100

/** The longest that a RetrySchedule can wait, too. */
const longestMs = 30 * 86_400_000

const laterThan = (now: number, until: unknown): number => {
  if (typeof until !== 'number' || !(until > now)) throw new AdminError('BAD_ARGUMENT', 'until is a time to come, in ms since 1970')
  if (until > now + longestMs) throw new AdminError('BAD_ARGUMENT', 'until is at most 30 days from now')
  return until
}

/** A message's id stands for all its deliveries. */
const deliveriesOf = async (queue: Queue, ids: readonly string[]): Promise<string[]> => {
  const each = ids.map(async (id) => (id.includes('.') ? [id] : found((await queue.list({ message: id, limit: all })).map((entry) => entry.id), id)))
  return (await Promise.all(each)).flat()
}

const found = (ids: string[], message: string): string[] => (ids.length > 0 ? ids : notWaiting(message))

/** A release means what is on hold, a retry what is deferred, whatever else the filter fits. */
const meant: Readonly<Partial<Record<Order, QueueFilter['state']>>> = { release: 'held', retry: 'deferred' }

const fitting = async (queue: Queue, order: Order, given: unknown): Promise<QueueEntry[]> => {
  const filter = filterOf(given as Record<string, unknown>)
  if (filter.domain === undefined && filter.sender === undefined) throw new AdminError('TOO_WIDE', 'name ids, --domain or --sender: an order to the whole queue is not taken')
  const state = filter.state ?? meant[order]
  return queue.list({ ...filter, ...(state !== undefined && { state }), limit: filter.limit ?? all })
}

/** Deliveries by their ids, and by those of their messages; of one that is gone the id. */
const named = async (queue: Queue, ids: readonly string[]): Promise<(QueueEntry | string)[]> => {
  const each = ids.map(async (id) => (id.includes('.') ? [(await queue.show(id))?.entry ?? id] : queue.list({ message: id, limit: all }).then((entries) => (entries.length > 0 ? entries : [id]))))
  return (await Promise.all(each)).flat()
}

const mostShown = 100

const takenOf = (order: Order, given: readonly (QueueEntry | string)[], heldBy: HeldBy): Taken => {
  const entries: QueueEntry[] = []
  const leaves: { id: string; why: string }[] = []
  for (const one of given) {
    const why = typeof one === 'string' ? 'it is not in the queue (any more)' : refusedOrder(order, one, heldBy(one))
    if (typeof one === 'string' || why !== undefined) leaves.push({ id: typeof one === 'string' ? one : one.id, why: why! })
    else entries.push(one)
  }
  return { takes: entries.length, entries: entries.slice(0, mostShown), leaves }
}

const inRounds = async (queue: Queue, given: GivenOrder, ids: readonly string[]): Promise<OrderResult[]> => {
  const results: OrderResult[] = []
  for (let from = 0; from < ids.length; from += ordersAtOnce) results.push(...(await queue.order(given, ids.slice(from, from + ordersAtOnce))))
  return results
}

/** By domain; one sender's or one state's are counted from the records. */
const summary = async (queue: Queue, filter: QueueFilter): Promise<DomainSummary[]> => {
  const { domain, sender, state } = filter
  if (sender === undefined && state === undefined) return (await queue.summary()).filter((row) => domain === undefined || row.domain === domain)
  const sums = new Map<string, { domain: string; ready: number; deferred: number; held: number }>()
  for (const entry of await queue.list({ ...filter, limit: all })) {
    const sum = sums.get(entry.domain) ?? { domain: entry.domain, ready: 0, deferred: 0, held: 0 }
    sums.set(entry.domain, sum)
    sum[entry.state] += 1
  }
  return [...sums.values()]
}

const why = async (queue: Queue, about: string): Promise<object> => {
  const several = isMessage(about) ? inOrder(await queue.list({ message: about, limit: 1000 })) : []
  if (several.length > 1) return { kind: 'message', message: about, deliveries: await Promise.all(several.map(async (entry) => ({ entry, limits: await queue.whyWaiting(entry) }))), durable: queue.durable() }
  const entry = /^[0-9A-Za-z_-]+(\.\w+)?$/.test(about) ? await queue.show(about) : undefined
  if (entry) return { kind: 'delivery', ...entry, limits: await queue.whyWaiting(entry.entry), durable: queue.durable() }
  const domain = normalDomain(about) ?? literalOf(about) ?? about.toLowerCase() // what is neither as it stands
  const found = await queue.list({ domain, limit: mostOfDomain + 1 })
  const entries = found.slice(0, mostOfDomain)
  if (entries.length > 0) return { kind: 'domain', domain, entries, more: found.length > entries.length, limits: await queue.whyWaiting(entries[0]!), durable: queue.durable() }
  const events = await queue.trace(about.split('.')[0]!)
  if (events.length > 0) return { kind: 'ended', events }
  if (about.includes('.') && !/\.\d+[ab]*$/.test(about)) throw new AdminError('NOT_FOUND', `nothing waits for ${domain}: posthouse queue shows which domains have mail, posthouse trace what became of a message`)
  return missing(about)
}

const mostOfDomain = 1_000

/** As they were accepted. */
const inOrder = (entries: readonly QueueEntry[]): QueueEntry[] => entries.toSorted((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }))

/** And no delivery, no domain. */
const isMessage = (about: string): boolean => /^[0-9A-Za-z_-]+$/.test(about)

const latest = async (queue: Queue): Promise<unknown> => {
  const message = await queue.latest()
  if (message === undefined) throw new AdminError('NOT_FOUND', 'no message was accepted yet, or not within the 7 days that the trace remembers')
  return queue.trace(message)
}

const filterOf = (args: Record<string, unknown>): QueueFilter => ({
  ...(typeof args.message === 'string' && { message: args.message }),
  ...(typeof args.domain === 'string' && { domain: literalOf(args.domain) ?? args.domain }),
  ...(typeof args.sender === 'string' && { sender: args.sender }),
  ...((args.state === 'ready' || args.state === 'deferred' || args.state === 'held') && { state: args.state }),
  ...(typeof args.limit === 'number' && { limit: args.limit }),
})

const keptMs = traceDays * 86_400_000
const mostFound = 1_000

const questionOf = ({ to, from, since, until, limit }: Record<string, unknown>, now: number): TraceQuestion => {
  if (since !== undefined && !(typeof since === 'number' && since >= now - keptMs - 60_000 && since <= now)) throw new AdminError('BAD_ARGUMENT', 'since is a time of the last 7 days, in ms since 1970: timelines are kept no longer')
  return {
    ...(typeof to === 'string' && { to }),
    ...(typeof from === 'string' && { from }),
    ...(typeof until === 'number' && { until }),
    since: since ?? now - 86_400_000,
    limit: Math.min(typeof limit === 'number' && limit >= 1 ? limit : 20, mostFound),
  }
}

const text = (value: unknown, name: string): string => {
  if (typeof value !== 'string' || value === '') throw new AdminError('BAD_ARGUMENT', `${name} is missing`)
  return value
}

const notWaiting = (id: string): never => {
  throw new AdminError('NOT_FOUND', `${id} is not in the queue: posthouse trace ${id.split('.')[0]!} tells what became of it, posthouse queue list what waits`)
}

const missing = (what: string): never => {
  throw new AdminError('NOT_FOUND', `${what} is neither in the queue nor in the trace (which remembers 7 days): see posthouse queue list`)
}
