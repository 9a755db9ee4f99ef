// The deliverer the queue calls: throttle, way, attempt, settlement. Wiring; what is decided is decided elsewhere.
import { QueueError, type BodySource, type Delivery, type Deliverer, type Settlement } from '../queue/index.ts'
import { givesUpAt, type HostedDomain, type Mailbox } from '../snapshot/index.ts'
import { account } from './account.ts'
import { afterAttempt, expireDue } from './after-attempt.ts'
import { runAttempt, type AttemptResult } from './attempt.ts'
import { askedBy, createCallout, type CalloutAnswer } from './callout.ts'
import { contentOf } from './content.ts'
import { hasEightBit } from './fit.ts'
import { literalIn } from './hops.ts'
import { hostsToAsk } from './mx-plan.ts'
import { createPreparation } from './prepare.ts'
import type { Reached } from './reach.ts'
import { holderOf, type Leaving } from './route.ts'
import { attemptLimit, settingsOn } from './settings.ts'
import { share, siteOf, type DelivererOptions, type Shared, type Site } from './shared.ts'
import { namedSite } from './sites.ts'
import { WireError } from './smtp-wire.ts'
import { whyWaiting } from './why-waiting.ts'

export type RunningDeliverer = Required<Deliverer> & {
  close(): Promise<void>
  callout(domain: HostedDomain, mailbox: Mailbox): Promise<CalloutAnswer>
  /** Whom that asks. */
  asked(domain: HostedDomain): string
  /** Which routes reach a host, as far as this process knows. */
  reached(): readonly Reached[]
}

export const createDeliverer = (options: DelivererOptions): RunningDeliverer => {
  const shared = share(options)
  const prepare = createPreparation(options, shared.now)
  const callout = createCallout(shared)
  return {
    site: (domain, { mailFrom, sender }) => siteOf(shared, { domain, mailFrom, ...(sender !== undefined && { sender }) }).name,
    admit: (delivery) => {
      const { name, limits } = siteOf(shared, leavingOf(delivery))
      const { kind } = shared.throttle.admit(name, limits, shared.monotonic())
      if (kind === 'now') return { kind }
      return { kind: 'wait', ...(limits.ratePerMinute !== undefined && { paceMs: 60_000 / limits.ratePerMinute }) }
    },
    attempt: async (delivery, body, signal) => {
      const site = siteOf(shared, leavingOf(delivery))
      shared.throttle.start(site.name, site.limits, shared.monotonic())
      try {
        return await attemptNow(shared, prepare, { site, delivery, body, signal })
      } catch (error) {
        return brokenOff(shared, delivery, error)
      } finally {
        shared.throttle.end(site.name, shared.monotonic())
      }
    },
    callout,
    asked: (domain) => askedBy(options.snapshot(), domain),
    heldBy: (domain, envelope) => holderOf(siteOf(shared, { domain, ...envelope }).way),
    whyWaiting: (domain, envelope) => whyWaiting(shared, siteOf(shared, { domain, ...envelope }), domain),
    reached: () => shared.reach.list(options.snapshot().routes),
    close: async () => {
      shared.pool.close()
      if (options.resolver === undefined) shared.resolver.close()
      shared.machine.close()
      await Promise.resolve()
    },
  }
}

const leavingOf = ({ domain, envelope }: Delivery): Leaving => ({ domain, mailFrom: envelope.mailFrom, ...(envelope.sender !== undefined && { sender: envelope.sender }) })

/** Known before any connection is opened: the mail of many domains may be for one set of MX hosts, which then share its limits. */
const belongsElsewhere = async ({ sites, resolver }: Shared, { name, way }: Site, { domain }: Delivery): Promise<boolean> => {
  if (namedSite(way) !== undefined || literalIn(domain) !== undefined) return false
  const wanted = hostsToAsk(domain, await resolver.mx(domain))
  if (wanted.kind !== 'ask') return false
  sites.learn(domain, wanted.hosts.map((host) => host.name))
  return sites.nameOf(way, domain) !== name
}

type Prepare = ReturnType<typeof createPreparation>

type Admitted = { readonly site: Site; readonly delivery: Delivery; readonly body: BodySource; readonly signal: AbortSignal }

const attemptNow = async (shared: Shared, prepare: Prepare, { site, delivery, body, signal }: Admitted): Promise<Settlement | 'other-site'> => {
  const { options, monotonic, random } = shared
  const settings = settingsOn(site.way, shared.settings)
  const snapshot = options.snapshot()
  const holder = holderOf(site.way)
  if (holder !== undefined) return settle(shared, delivery, { ended: onHold(delivery, holder), notes: [], aborted: false })
  if (await belongsElsewhere(shared, site, delivery)) return 'other-site'
  const started = performance.now()
  const content = await contentOf(body, delivery.bytes)
  let eightBit: Promise<boolean> | undefined
  const message = { envelope: delivery.envelope, recipients: delivery.recipients, content, hasEightBit: () => (eightBit ??= hasEightBit(content)) }
  const result = await runAttempt({
    snapshot, resolver: shared.resolver, machine: shared.machine, settings, random, delivery, way: site.way, pool: shared.pool, signal, message,
    endsAt: started + attemptLimit(settings, { recipients: delivery.recipients.length, bytes: delivery.bytes }),
    opening: { hostname: snapshot.relay.hostname, settings, watch: shared.watch, onOpen: (tls) => options.metrics.remoteConnections.inc({ tls }) },
    avoid: { isSlow: (address) => shared.slow.has(address, monotonic()), note: (event) => shared.slow.note(event, monotonic()), reached: (address) => shared.slow.reached(address) },
    contentFor: prepare(snapshot, delivery, content),
  })
  options.metrics.attemptSeconds.observe((performance.now() - started) / 1000)
  if (site.way.kind === 'route' && !result.aborted) shared.reach.note(site.way.route, site.name, result.ended)
  return settle(shared, delivery, result)
}

const onHold = (delivery: Delivery, manifest: string): AttemptResult['ended'] =>
  delivery.recipients.map((recipient) => ({ recipient, outcome: { kind: 'held', text: `${manifest} holds mail on this way` } }))

const settle = ({ options, now, random }: Shared, delivery: Delivery, result: AttemptResult): Settlement => {
  // called off by us: that was not the last attempt, even where it was the last one's time
  const at = result.aborted ? Math.min(now(), givesUpAt(delivery) - 1) : now()
  const given = { delivery, ended: result.ended, notes: result.notes, now: at, random: random(), pod: options.pod }
  const ended = expireDue(given)
  const settlement = afterAttempt({ ...given, ended })
  account(options, delivery, ended, given.now)
  // called off by us, not by the other side: it costs the message nothing
  return result.aborted && settlement.later ? { ...settlement, later: { ...settlement.later, at: now(), countsAsAttempt: false } } : settlement
}

/**
 * The message could not be read from the queue, cannot be put on the wire, or we have a bug: nothing is known about the other side.
 * So nobody is told anything: it is asked again soon, and at its end, or where asking again cannot help, a person must look.
 */
const brokenOff = ({ options, now }: Shared, delivery: Delivery, error: unknown): Settlement => {
  const text = `the attempt broke off here: ${error instanceof Error ? error.message : String(error)}`
  const at = now()
  const { recipients } = delivery
  const mustBeSeen = error instanceof WireError || at >= givesUpAt(delivery)
  const outcome = mustBeSeen ? ({ kind: 'held', text } as const) : ({ kind: 'deferred', why: { class: 'Other', status: '4.3.0', text } } as const)
  if (isOfQueue(error, 'QUEUE_UNREACHABLE')) account(options, delivery, recipients.map((recipient) => ({ recipient, outcome })), at)
  else if (!isOfQueue(error, 'BODY_MISSING', 'BODY_DAMAGED')) options.log.error('BUG', { delivery: delivery.id, error: error instanceof Error ? error.stack : text })
  const trace = { at, message: delivery.message, delivery: delivery.id, pod: options.pod, text }
  if (mustBeSeen) return { held: { recipients, why: text }, notices: [], trace: [{ ...trace, kind: 'held' }] }
  const last = { at, why: text, class: 'Other' }
  return { later: { recipients, at: at + 60_000, delayNoticed: delivery.delayNoticed, last, countsAsAttempt: false }, notices: [], trace: [{ ...trace, kind: 'deferred' }] }
}

/** Servers that answer late, or not for a while, are no bug: the timeline says so. Of bytes that are not there any more the queue itself tells. */
const isOfQueue = (error: unknown, ...codes: readonly QueueError['code'][]): boolean => error instanceof QueueError && codes.includes(error.code)
