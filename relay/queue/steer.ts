// Orders of people: asked of the lane's owner, who does them in a fenced settle batch. Whoever has no owner for the moment is told so.
import type { Context } from './context.ts'
import { shortSubject } from './compose.ts'
import { entryOf, type Entry, type InAdvance } from './entry.ts'
import type { Look } from './look.ts'
import type { Next } from './next.ts'
import type { Own, Tenure } from './own.ts'
import { printMailbox, splitMailbox } from '../snapshot/index.ts'
import { whyAtTheTry } from './put-off.ts'
import { isUnderstood, isUnreadable } from './record.ts'
import type { Deliverer, Delivery, GivenOrder, LastTry, Notice, Order, OrderResult, QueueEntry, Settlement, TraceEvent } from './types.ts'
import { mayFireForMs, targetOf } from './upkeep.ts'

type Question = { readonly order: 'why'; readonly id?: string; readonly domain: string; readonly mailFrom: string; readonly sender?: string }
type Ask = GivenOrder & { readonly id: string; readonly state: 'ready' | 'deferred' | 'held'; readonly subject: string }

const askMs = 15_000
const whyMs = 3_000
const asksAtOnce = 64
const tooCloseMs = 2_000
const setAside = 'it could not be understood: it can only be looked at and deleted'
const heldAgain = (holder: string): string => `${holder} holds mail on this way, and would hold it again: end that hold first, or bounce or delete it`
const leftAlone = 'this release cannot read it and leaves it alone; the release that wrote it can'

/** The asking side: any process of the relay, also one without lanes. */
export const giveOrders = async (context: Context, look: Look, given: GivenOrder, ids: readonly string[]): Promise<OrderResult[]> => {
  const places = await look.locate(ids)
  const results: OrderResult[] = []
  for (let from = 0; from < ids.length; from += asksAtOnce) {
    const some = ids.slice(from, from + asksAtOnce)
    results.push(...(await Promise.all(some.map((id) => askOwner(context, given, id, places.get(id))))))
  }
  return results
}

const askOwner = async ({ stream, subjects }: Context, given: GivenOrder, id: string, place: { lane: number; state: Ask['state']; subject: string } | undefined): Promise<OrderResult> => {
  if (!place) return { id, done: false, why: 'it is not in the queue (any more)' }
  if (isUnreadable(id) && place.state !== 'held') return { id, done: false, why: leftAlone }
  const ask: Ask = { ...given, id, state: place.state, subject: place.subject }
  const answer = await stream.ask(subjects.ctl(place.lane), Buffer.from(JSON.stringify(ask)), askMs)
  if (answer === 'nobody') return { id, done: false, why: 'no process serves its lane at the moment; try again in some seconds' }
  if (answer === 'silence') return { id, done: false, why: 'the process that serves its lane did not answer in time; look whether it was done' }
  return JSON.parse(answer.toString()) as OrderResult
}

/** What the owner of a delivery's lane says of it, its way and its limits. */
export const askWhy = async ({ stream, subjects }: Context, { id, lane, domain, mailFrom, sender }: QueueEntry): Promise<readonly string[]> => {
  const question: Question = { order: 'why', id, domain, mailFrom, ...(sender !== undefined && { sender }) }
  const answer = await stream.ask(subjects.ctl(lane), Buffer.from(JSON.stringify(question)), whyMs)
  if (answer === 'nobody') return ['no process serves its lane at the moment: it goes on in some seconds, when another has taken it']
  if (answer === 'silence') return ['the process that serves its lane did not answer in time']
  return JSON.parse(answer.toString()) as string[]
}

type SteerParts = { readonly own: Own; readonly next: Next; readonly deliverer: Deliverer; paused(): boolean; serverNow(): number }

/** The owner's side. */
export class Steer {
  readonly #context: Context
  readonly #parts: SteerParts
  readonly #deaf = new Map<Tenure, () => void>()

  constructor(context: Context, parts: SteerParts) {
    this.#context = context
    this.#parts = parts
  }

  serve(tenures: readonly Tenure[]): void {
    const { stream, subjects } = this.#context
    for (const tenure of tenures)
      this.#deaf.set(tenure, stream.hear(subjects.ctl(tenure.lane), (data, reply) => {
        const answer = (result: OrderResult | readonly string[]) => reply(Buffer.from(JSON.stringify(result)))
        const asked = JSON.parse(data.toString()) as Ask | Question
        if (asked.order === 'why') return answer(this.#why(tenure, asked))
        void this.#obey(tenure, asked).then(answer, (error: unknown) => this.#context.log.error('BUG', { part: 'steer', error: String((error as Error).stack) }))
      }))
  }
  leave(tenure: Tenure): void {
    this.#deaf.get(tenure)?.()
    this.#deaf.delete(tenure)
  }

  #why(tenure: Tenure, { id, domain, mailFrom, sender }: Question): readonly string[] {
    const { own, next, deliverer, paused } = this.#parts
    const since = id === undefined ? undefined : next.inHandSince(id)
    return [
      ...(since === undefined ? [] : [`${id} is being tried right now, since ${new Date(since).toISOString()}, or what came of it is being stored`]),
      ...(paused() ? ['deliveries are paused: spec.paused of the MailRelay'] : []),
      ...(own.mayStart(tenure) ? [] : ['its lane is changing hands, or its lease cannot be renewed: nothing of it is started']),
      ...(deliverer.whyWaiting?.(domain, { mailFrom: splitMailbox(mailFrom) ?? null, ...(sender !== undefined && { sender }) }) ?? []),
    ]
  }

  async #obey(tenure: Tenure, ask: Ask): Promise<OrderResult> {
    const { id, order } = ask
    const no = (why: string): OrderResult => ({ id, done: false, why })
    if (!this.#parts.own.mayStart(tenure)) return no('its lane is just changing hands; try again in some seconds')
    const useless = uselessOrder(order, ask.state)
    if (useless !== undefined) return no(useless)
    const entry = ask.state === 'ready' ? this.#parts.next.takeOut(id) : await this.#read(tenure, ask)
    if (entry === undefined) return no('it has just moved on; look again')
    if (entry === 'unreadable') return no(leftAlone)
    if (entry === 'in-flight') return no('it is being tried right now; look again when that has ended')
    if (!isUnderstood(entry.head) && order !== 'delete') return no(setAside)
    const holder = order === 'release' ? this.#holderOf(entry) : undefined
    if (holder !== undefined) return no(heldAgain(holder))
    return (await this.#do(entry, ask)) ?? { id, done: true }
  }

  #holderOf({ delivery: { domain, envelope: { mailFrom, sender } } }: Entry): string | undefined {
    return this.#parts.deliverer.heldBy?.(domain, { mailFrom, ...(sender !== undefined && { sender }) })
  }

  async #read(tenure: Tenure, { subject }: Ask): Promise<Entry | 'unreadable' | undefined> {
    const found = await this.#context.stream.last(subject, 'leader')
    if (found.kind !== 'found') return undefined
    try {
      return entryOf(tenure, found.record)
    } catch {
      return 'unreadable'
    }
  }

  /** undefined: done. */
  async #do(entry: Entry, ask: Ask): Promise<OrderResult | undefined> {
    const { id, order, state, subject, by } = ask
    const { next, serverNow } = this.#parts
    const { subjects, stream, log } = this.#context
    const settlement = settlementOf(ask, entry, serverNow(), this.#context.pod)
    const nextAt = entry.head.nextAt ?? 0
    const isTooClose = () => nextAt < serverNow() + tooCloseMs
    const removed = Promise.withResolvers<boolean>()
    const inAdvance: InAdvance | undefined = state === 'deferred' ? { subject: targetOf(subjects, entry), until: Math.max(nextAt, serverNow()) + mayFireForMs, gone: removed.promise } : undefined
    if (inAdvance && isTooClose()) return { id, done: false, why: 'its next attempt is due just now; look again in some seconds' }
    if (state !== 'ready' && !next.claim(entry.tenure, subject, entry.seq)) return { id, done: false, why: 'it has just moved on; look again' }
    const settled = next.settle(entry, settlement, inAdvance)
    if (inAdvance) next.expect(entry.tenure, shortSubject(subjects, inAdvance.subject), inAdvance.until, settled.then((as) => as === 'stored'))
    const as = await settled
    if (state === 'ready') next.leave(entry)
    if (as !== 'stored') next.unclaim(subject)
    if (as !== 'stored') return { id, done: false, why: 'its lane has changed hands; try again' }
    if (state !== 'ready') removed.resolve((await stream.purge(subject, entry.seq + 1)) !== undefined && !isTooClose())
    log.info('STEERED', { order, delivery: id, by })
    return undefined
  }
}

/** The same of a delivery as a list shows it, and what else its lane's owner would say. */
export const refusedOrder = (order: Order, entry: QueueEntry, holder: string | undefined): string | undefined => {
  const isSetAside = entry.state === 'held' && isUnreadable(entry.id)
  if (!isUnderstood(entry) && !isSetAside) return leftAlone
  const useless = uselessOrder(order, entry.state)
  if (useless !== undefined) return useless
  if (isSetAside && order !== 'delete') return setAside
  return order === 'release' && holder !== undefined ? heldAgain(holder) : undefined
}

/** Why an order changes nothing of a delivery in this state; undefined: it does. */
const uselessOrder = (order: Order, state: Ask['state']): string | undefined => {
  if (order === 'hold' && state === 'held') return 'it is on hold already'
  if (order === 'release' && state !== 'held') return 'it is not on hold'
  if (order === 'retry' && state === 'held') return 'it is on hold: release lets it go'
  if (order === 'retry' && state === 'ready') return 'it is due already'
  if (order === 'postpone' && state === 'held') return 'it is on hold: it waits for its release, whatever the time'
  return undefined
}

/** Said once, however often it is done. */
const byPerson = /^postponed by a person(; before: )?/

const settlementOf = ({ order, until = 0, by }: GivenOrder, { delivery }: Entry, now: number, pod: string): Settlement => {
  const { recipients, delayNoticed } = delivery
  const traced = (kind: TraceEvent['kind'], text: string): readonly TraceEvent[] => [{ at: now, message: delivery.message, delivery: delivery.id, kind, pod, text, recipients: recipients.map(({ mailbox }) => printMailbox(mailbox)), ...(by !== undefined && { by }) }]
  const again = { recipients, at: 0, delayNoticed, last: delivery.last ?? { at: now, why: 'released by a person' }, countsAsAttempt: false }
  const before = delivery.last?.why.replace(byPerson, '') ?? ''
  const postponed = { ...again, at: until, last: { ...again.last, why: before === '' ? 'postponed by a person' : `postponed by a person; before: ${before}` } }
  const settlements: Record<Order, () => Settlement> = {
    hold: () => ({ held: { recipients, why: 'put on hold by a person' }, notices: [], trace: traced('held', 'put on hold by a person') }),
    release: () => ({ later: again, notices: [], trace: traced('released', 'released by a person') }),
    retry: () => ({ later: again, notices: [], trace: traced('released', 'tried again at once, by order') }),
    postpone: () => ({ later: postponed, notices: [], trace: traced('deferred', `postponed by a person, until ${new Date(until).toISOString()}`) }),
    bounce: () => ({ notices: recipients.map((recipient) => returned(recipient, delivery)), trace: traced('bounced', 'returned to the sender by order of a person') }),
    delete: () => ({ notices: [], trace: traced('deleted', 'deleted by a person; nobody was told') }),
  }
  return settlements[order]()
}

const returned = (recipient: Notice['recipient'], { last }: Delivery): Notice => ({
  kind: 'failed',
  recipient,
  status: '5.0.0',
  plain: 'The people who run this mail server returned the message before it could be delivered.',
  ...(last?.class !== undefined && lastSaid(last)), // without a class nobody tried
})

const lastSaid = (last: LastTry): Pick<Notice, 'lastAttemptAt' | 'diagnostic' | 'remote'> => ({
  lastAttemptAt: last.at, diagnostic: last.said === undefined ? `X-Posthouse; ${whyAtTheTry(last)}` : `smtp; ${last.said.replaceAll('\n', ' ')}`, ...(last.host !== undefined && { remote: last.host }),
})
