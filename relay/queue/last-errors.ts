// The client takes its listeners off a socket before the last error of it has come: one after which it wrote once more, as when it is
// closed just when the server has gone. An error that nobody hears would end the process.
import type { NatsConnection } from '@nats-io/transport-node'
import type { Socket } from 'node:net'

/** Of the client's inside: its socket now. */
type Inside = { readonly protocol: { readonly transport: { readonly socket?: Socket } } }

/** For this socket of the connection and for each one after it. */
export const hearLastErrors = async (connection: NatsConnection): Promise<void> => {
  hear(connection)
  for await (const { type } of connection.status()) if (type === 'reconnect') hear(connection)
}

const hear = (connection: NatsConnection): void => {
  const { socket } = (connection as unknown as Inside).protocol.transport
  if (!socket) return
  const takeOff = socket.removeAllListeners.bind(socket)
  socket.removeAllListeners = (event) => takeOff(event).on('error', () => {})
}
