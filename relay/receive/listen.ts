// Where the first byte comes in: opens the listeners of a snapshot, follows it when it changes, and leaves in order.
import type { AddressInfo } from 'node:net'
import type { Queue } from '../queue/index.ts'
import { beginListener, type Log, type Metrics } from '../report/index.ts'
import type { Listener, Snapshot } from '../snapshot/index.ts'
import { createCalloutCache, type Asked, type Callout } from './callout-cache.ts'
import { createFleetLimits, type Over } from './fleet-limits.ts'
import { Receiver } from './receiver.ts'
import type { Door, Leaving, World } from './state.ts'
import { tlsOf } from './tls.ts'
import { Witness, type Witnessed } from './witness.ts'

export type ReceiveOptions = {
  readonly snapshot: Snapshot
  readonly queue: Queue
  readonly log: Log
  readonly metrics: Metrics
  readonly pod: string
  /** Schedule and hold of mail for a domain; relay/deliver knows the routes. */
  readonly leaving: Leaving
  /** Asks the server behind a hosted domain about a user; absent: it can never be asked. */
  readonly callout?: Callout
  /** Whom that asks; absent: the hosts that the domain names. */
  readonly asked?: Asked
  /** Where a listener is opened; default: its bindPort on every address. */
  readonly bind?: (listener: Listener) => { readonly host: string; readonly port: number }
}

type Opened = { readonly listener: string; readonly host: string; readonly port: number }
export type Receiving = {
  readonly addresses: () => readonly Opened[]
  readonly witnessed: () => Witnessed
  /** Opens, changes and closes listeners so that they are those of the snapshot. Throws, with nothing changed, where one cannot be. */
  reload(snapshot: Snapshot): Promise<void>
  /** Stops listening, sends idle sessions away with 421, and waits for messages on their way, at most `ms`. */
  drain(ms: number): Promise<void>
  close(): Promise<void>
}

/** `shut`: open, but that their port could not be had back after a reload that was refused. `turn`: the end of what is changed just now. */
type Held = { snapshot: Snapshot; turn: Promise<unknown>; readonly shut: Set<Receiver>; readonly door: Door; readonly bind: NonNullable<ReceiveOptions['bind']>; readonly open: Map<string, Receiver>; readonly going: Set<Receiver> }

export const startReceiving = async (options: ReceiveOptions): Promise<Receiving> => {
  const open = new Map<string, Receiver>()
  const door: Door = { world: worldOf(options, () => held.snapshot), leaving: options.leaving, sources: new Map() }
  const held: Held = { snapshot: options.snapshot, door, bind: options.bind ?? (({ bindPort }) => ({ host: '::', port: bindPort })), open, going: new Set(), shut: new Set(), turn: Promise.resolve() }
  await reload(held, options.snapshot)
  const drain = async (ms: number): Promise<void> => {
    await Promise.all([...open.values(), ...held.going].map((receiver) => leave(receiver, ms)))
  }
  return { addresses: () => [...open.values()].map(addressOf), witnessed: () => door.world.witness.seen(), reload: (snapshot) => inTurn(held, () => reload(held, snapshot)), drain, close: () => drain(0) }
}

/** What is counted and kept for a while must not last for a day where the clock is set back by one. */
const monotonic = (): number => performance.now()

const worldOf = (options: ReceiveOptions, snapshot: () => Snapshot): World => ({
  ...options,
  snapshot,
  callouts: createCalloutCache(options.callout ?? (() => Promise.resolve('unknown')), monotonic, options.asked),
  witness: new Witness(),
  limits: createFleetLimits({ pod: options.pod, peers: () => options.queue.peers(), now: monotonic, warn: (over) => warnOf(options, over) }),
})

const warnOf = ({ metrics, log }: ReceiveOptions, { manifest, limit, what }: Over): void => {
  metrics.policyWarnings.inc({ policy: manifest, rule: 'limits' })
  log.warn('POLICY_WARN', { manifest, rule: 'limits', reason: `over ${limit} ${what}` })
}

/** One change after the other. */
const inTurn = <T>(held: Held, change: () => Promise<T>): Promise<T> => {
  const done = held.turn.then(change)
  held.turn = done.catch(() => {})
  return done
}

/** What can fail comes first: certificates, then new listeners; only then is anything in force changed. */
const reload = async (held: Held, snapshot: Snapshot): Promise<void> => {
  for (const listener of snapshot.listeners) tlsOf(snapshot, listener)
  const wanted = new Map(snapshot.listeners.map((listener) => [keyOf(listener), listener]))
  const gone = [...held.open].filter(([key]) => !wanted.has(key))
  for (const [, receiver] of gone) receiver.server.close() // frees the port for a listener of another name or protocol
  const opened = await openAll(held, snapshot, [...wanted].filter(([key]) => !held.open.has(key)).map(([, listener]) => listener)).catch(async (error: unknown) => {
    await Promise.all(gone.map(([, receiver]) => listenAgain(held, receiver)))
    throw error
  })
  forgetWhereBelieved(held, snapshot)
  held.snapshot = snapshot
  for (const [key, receiver] of gone) {
    held.open.delete(key)
    held.going.add(receiver) // a drain meanwhile waits for its messages as well
    void leave(receiver, snapshot.relay.drainSeconds * 1000).finally(() => held.going.delete(receiver))
  }
  for (const [key, receiver] of held.open) receiver.update(snapshot, wanted.get(key)!)
  for (const receiver of opened) held.open.set(keyOf(receiver.listener), receiver)
}

/** Where addresses count again, only who comes from now on tells whether they should. */
const forgetWhereBelieved = ({ snapshot: before, door }: Held, { listeners }: Snapshot): void => {
  const hidden = new Set(before.listeners.filter(({ sourceAddressPreserved }) => !sourceAddressPreserved).map(({ name }) => name))
  for (const { name, sourceAddressPreserved } of listeners) if (sourceAddressPreserved && hidden.has(name)) door.world.witness.forget(name)
}

/** A listener that changes its protocol or port is another listener. */
const keyOf = ({ name, protocol, bindPort }: Listener): string => `${name} ${protocol} ${bindPort}`

/** All of them or none. */
const openAll = async ({ door, bind }: Held, snapshot: Snapshot, listeners: readonly Listener[]): Promise<Receiver[]> => {
  const results = await Promise.allSettled(listeners.map(async (listener) => openListener(new Receiver(door, snapshot, listener), bind(listener))))
  const opened = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = results.find((result) => result.status === 'rejected')
  if (!failed) return opened
  await Promise.all(opened.map((receiver) => leave(receiver, 0)))
  throw failed.reason
}

const openListener = (receiver: Receiver, where: { host: string; port: number }): Promise<Receiver> =>
  new Promise((resolve, reject) => {
    const { server } = receiver
    const onError = (error: Error): void => (server.off('listening', onOpen), reject(error))
    const onOpen = (): void => {
      server.off('error', onError)
      receiver.where = addressOf(receiver)
      beginListener(receiver.door.world.metrics, receiver.listener.name)
      resolve(receiver)
    }
    server.once('error', onError).once('listening', onOpen).listen(where.port, where.host)
  })

const reopenMs = 1_000

/** Whose port was taken from under it meanwhile is tried until it is open, or no longer wanted. */
const listenAgain = async (held: Held, receiver: Receiver): Promise<void> => {
  const { log } = held.door.world
  const about = { listener: receiver.listener.name, port: receiver.where!.port }
  try {
    await openListener(receiver, receiver.where!)
    if (receiver.leaving) receiver.server.close()
    if (held.shut.delete(receiver)) log.info('LISTENER_BACK', about)
  } catch (error) {
    if (held.shut.has(receiver)) return
    log.error('LISTENER_SHUT', { ...about, error: (error as Error).message })
    held.shut.add(receiver)
    lookAgain(held, receiver)
  }
}

const lookAgain = (held: Held, receiver: Receiver): void => {
  const look = async (): Promise<void> => {
    if (receiver.leaving) held.shut.delete(receiver)
    if (held.shut.has(receiver)) await listenAgain(held, receiver)
    if (held.shut.has(receiver)) lookAgain(held, receiver)
  }
  setTimeout(() => void inTurn(held, look), reopenMs).unref()
}

const addressOf = ({ listener, server, where }: Receiver): Opened => {
  const { address, port } = (server.address() ?? { address: where?.host, port: where?.port }) as AddressInfo
  return { listener: listener.name, host: address, port }
}

/** Stops listening, lets messages on their way finish, then cuts what is left. */
const leave = async (receiver: Receiver, ms: number): Promise<void> => {
  receiver.leaving = true
  receiver.server.close()
  for (const session of receiver.sessions) session.drain()
  const cut = setTimeout(() => receiver.cut(), ms)
  await receiver.empty()
  clearTimeout(cut)
  receiver.cut() // whoever is still in its TLS handshake
}
