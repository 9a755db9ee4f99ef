// Leaves a server for another one of its cluster, where there is one. The client's own way to connect anew waits until everything is
// sent, which a server that hangs never lets happen, and tries the same server first.
import type { NatsConnection, ReconnectToServerHandler } from '@nats-io/transport-node'

export type Leave = {
  (connection: NatsConnection): void
  /** Goes into the options of the connection. */
  readonly reconnectToServer: ReconnectToServerHandler
}

/** Of the client's inside: closes the socket at once. */
type Inside = { readonly protocol: { readonly transport: { close(why: Error): Promise<void> } } }

export const createLeave = (): Leave => {
  let left: string | undefined
  const leave = (connection: NatsConnection): void => {
    left = connection.getServer()
    void (connection as unknown as Inside).protocol.transport.close(new Error('left for another server'))
  }
  const reconnectToServer: ReconnectToServerHandler = (pool) => {
    const another = left === undefined ? undefined : pool.find(({ listen }) => listen !== left)
    left = undefined // from then on in turn
    return another ?? null
  }
  return Object.assign(leave, { reconnectToServer })
}
