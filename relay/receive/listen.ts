// Where the first byte comes in: opens the listeners of a snapshot, follows it when it changes, and leaves in order.
import type { AddressInfo } from 'node:net'
import type { Queue } from '../queue/index.ts'
import type { Log, Metrics } from '../report/index.ts'
import type { Listener, Snapshot } from '../snapshot/index.ts'
import { createCalloutCache, type Callout } from './callout-cache.ts'
import type { Leaving } from './deliveries.ts'
import { createFleetLimits } from './fleet-limits.ts'
import { Receiver, type Door } from './receiver.ts'
import type { World } from './state.ts'

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
  /** Where a listener is opened; default: its bindPort on every address. */
  readonly bind?: (listener: Listener) => { readonly host: string; readonly port: number }
}

export type Opened = { readonly listener: string; readonly host: string; readonly port: number }
export type Receiving = {
  readonly addresses: () => readonly Opened[]
  /** Opens, changes and closes listeners so that they are those of the snapshot. Throws, with nothing changed, where one cannot be. */
  reload(snapshot: Snapshot): Promise<void>
  /** Stops listening, sends idle sessions away with 421, and waits for messages on their way, at most `ms`. */
  drain(ms: number): Promise<void>
  close(): Promise<void>
}

export const startReceiving = async (options: ReceiveOptions): Promise<Receiving> => {
  const state = { snapshot: options.snapshot, draining: false }
  const door: Door = { world: worldOf(options, state), leaving: options.leaving, sources: new Map() }
  const open = new Map<string, Receiver>()
  const bind = options.bind ?? (({ bindPort }) => ({ host: '::', port: bindPort }))
  const reload = async (snapshot: Snapshot): Promise<void> => {
    state.snapshot = snapshot
    for (const [key, receiver] of open) {
      const now = snapshot.listeners.find((listener) => keyOf(listener) === key)
      if (now) receiver.update(now)
      else {
        open.delete(key)
        await leave(receiver, 0)
      }
    }
    for (const listener of snapshot.listeners) {
      if (!open.has(keyOf(listener))) open.set(keyOf(listener), await openListener(door, listener, bind(listener)))
    }
  }
  await reload(options.snapshot)
  const drain = async (ms: number): Promise<void> => {
    state.draining = true
    await Promise.all([...open.values()].map((receiver) => leave(receiver, ms)))
  }
  return { addresses: () => [...open.values()].map(addressOf), reload, drain, close: () => drain(0) }
}

const worldOf = (options: ReceiveOptions, state: { snapshot: Snapshot; draining: boolean }): World => ({
  ...options,
  snapshot: () => state.snapshot,
  callouts: createCalloutCache(options.callout ?? (() => Promise.resolve('unknown'))),
  limits: createFleetLimits({ pod: options.pod, peers: () => options.queue.peers(), now: Date.now }),
  draining: () => state.draining,
})

/** A listener that changes its protocol or port is another listener. */
const keyOf = ({ name, protocol, bindPort }: Listener): string => `${name} ${protocol} ${bindPort}`

const openListener = (door: Door, listener: Listener, where: { host: string; port: number }): Promise<Receiver> => {
  const receiver = new Receiver(door, listener)
  return new Promise((resolve, reject) => {
    receiver.server.once('error', reject)
    receiver.server.listen(where.port, where.host, () => (receiver.server.off('error', reject), resolve(receiver)))
  })
}

const addressOf = ({ listener, server }: Receiver): Opened => {
  const { address, port } = server.address() as AddressInfo
  return { listener: listener.name, host: address, port }
}

/** Stops listening, lets messages on their way finish, then cuts what is left. */
const leave = async (receiver: Receiver, ms: number): Promise<void> => {
  const closed = new Promise<void>((resolve) => receiver.server.close(() => resolve()))
  for (const session of receiver.sessions) session.drain()
  const cut = setTimeout(() => receiver.cut(), ms)
  await closed
  clearTimeout(cut)
}
