import { connect, type NatsConnection } from '@nats-io/transport-node'
import assert from 'node:assert/strict'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { until } from '../../test/tools/until.ts'
import { hearLastErrors } from './last-errors.ts'

/** As much of a server as a connection takes. */
const startServer = async (t: TestContext): Promise<{ port: number; clients: Socket[] }> => {
  const clients: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    clients.push(socket.on('error', () => {}))
    socket.write('INFO {"server_id":"x","version":"2.15.1","proto":1,"headers":true,"max_payload":1048576}\r\n')
    socket.on('data', (data) => data.includes('PING') && socket.write('PONG\r\n'))
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const client of clients) client.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, clients }
}

const socketOf = (connection: NatsConnection): Socket => (connection as unknown as { protocol: { transport: { socket: Socket } } }).protocol.transport.socket

for (const anew of [0, 1])
  test(`a connection that writes and is closed just when its server has gone, after ${anew} new ones, ends without an error that nobody hears`, async (t) => {
    const { port, clients } = await startServer(t)
    const connection = await connect({ servers: [`127.0.0.1:${port}`], maxReconnectAttempts: -1, reconnectTimeWait: 10 })
    const heard = hearLastErrors(connection)
    if (anew === 1) {
      const status = connection.status()
      clients[0]!.destroy()
      for await (const { type } of status) if (type === 'reconnect') break
    }
    const socket = socketOf(connection)
    const heardLast: unknown[] = []
    const emit = socket.emit.bind(socket)
    socket.emit = (event: string, ...given: unknown[]) => (event === 'error' && heardLast.push((given[0] as { code: string }).code, socket.listenerCount('error') > 0), emit(event, ...given))
    socket.end()
    connection.publish('x')
    await Promise.resolve()
    await connection.close()
    await heard
    await until('the error', () => heardLast.length > 0)
    assert.deepEqual(heardLast, ['ERR_STREAM_WRITE_AFTER_END', true])
  })
