// A message on its way to hosts that do not wait for its end.
import assert from 'node:assert/strict'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { startSink } from '../../cli/standalone/sink.ts'
import { attemptOf, bodyOf, testDeliverer, testDelivery, testSnapshot } from '../../test/tools/delivery.ts'
import type { Settlement } from '../queue/index.ts'

const big = Buffer.concat([Buffer.from('Subject: big\r\n\r\n'), Buffer.from(`${'x'.repeat(76)}\r\n`.repeat(400_000))]) // more than the buffers of two sockets hold

/** A host that answers in the middle of DATA. */
const answering = async (t: TestContext, answer: (socket: Socket) => void): Promise<number> => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    let [isData, bytes] = [false, 0]
    sockets.add(socket.on('error', () => {}))
    socket.write('220 host\r\n')
    socket.on('data', (piece: Buffer) => {
      bytes = isData ? bytes + piece.length : 0
      if (isData && bytes - piece.length < 100_000 && bytes >= 100_000) answer(socket)
      if (isData) return
      isData = piece.includes('DATA\r\n')
      for (const line of piece.toString().trimEnd().split('\r\n')) socket.write(line === 'DATA' ? '354 go on\r\n' : line.startsWith('EHLO') ? '250-host\r\n250 PIPELINING\r\n' : '250 2.0.0 ok\r\n')
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

const deliverTo = async (t: TestContext, port: number, body = big): Promise<Settlement> => {
  const domains = [{ namespace: 'mail', name: 'home', manifest: 'MailDomain mail/home', domain: 'home.example', listeners: [], inbound: { recipients: { mode: 'Any' as const }, hosts: [{ host: '127.0.0.1', port, preference: 10 }] } }]
  const deliverer = testDeliverer(testSnapshot({ domains }))
  t.after(() => deliverer.close())
  return attemptOf(deliverer, testDelivery({ to: ['user@home.example'], bytes: body.length }), bodyOf(body, 50_000))
}

for (const [what, answer] of [
  ['goes on reading', (socket: Socket) => void socket.write('552 5.3.4 too big for us\r\n')],
  ['closes', (socket: Socket) => void socket.end('552 5.3.4 too big for us\r\n')],
  ['is slow to say it', (socket: Socket) => (socket.write('552 5.3.4 too'), void setTimeout(() => socket.write(' big for us\r\n'), 200))],
] as const)
  test(`a host that answers 552 after 100,000 bytes of DATA and ${what} has refused the message, in its own words`, async (t) => {
    const { later, notices } = await deliverTo(t, await answering(t, answer))
    assert.deepEqual([later, notices.map(({ kind, status, diagnostic }) => [kind, status, diagnostic])], [undefined, [['failed', '5.3.4', 'smtp; 552 5.3.4 too big for us']]])
  })

test('a host that closes after 100,000 bytes of DATA is said to have done so within the message, not after its end, where it might have taken it', async (t) => {
  const { later } = await deliverTo(t, await answering(t, (socket) => void socket.destroy()))
  assert.match(later!.last.why, /: connection lost within the message: /)
})

for (const words of ['250 2.0.0 taken', '421 4.3.2 going away'])
  test(`a host that says ${words} after 100,000 bytes of DATA has not taken the message`, async (t) => {
    const { later, notices } = await deliverTo(t, await answering(t, (socket) => void socket.write(`${words}\r\n`)))
    assert.deepEqual([later?.last.class, notices], ['Connect', []])
  })

for (const without of [[], ['PIPELINING']])
  test(`a host that answers 250 to DATA ${without.length === 0 ? 'with' : 'without'} PIPELINING is out of step: it gets no message, and none of it as commands`, async (t) => {
    const sink = await startSink({ replies: { data: '250 2.0.0 fine' }, without })
    t.after(() => sink.close())
    const { later, notices } = await deliverTo(t, sink.port, Buffer.from('Subject: x\r\n\r\nRCPT TO:<victim@home.example>\r\n'))
    assert.deepEqual([later?.last.class, notices, sink.count(), sink.faults, sink.commands.at(-1)], ['Connect', [], 0, [], '1 DATA'])
  })
