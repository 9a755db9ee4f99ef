// What becomes of a client that sends its FIN before it has heard everything, as a script that pipes into nc -N does.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { plainLogin } from '../../test/tools/receive.ts'
import { simpleMail as simple, startReceiver as start, waitUntil as until } from '../../test/tools/session.ts'

/** All that a client hears who stops sending behind the last of its steps. */
const heardAfterTheEnd = (socket: Socket, steps: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    let heard = ''
    let step = 0
    socket.on('data', (piece) => {
      heard += String(piece)
      if (step < steps.length) socket.write(steps[step++]!)
      if (step === steps.length) socket.end()
    })
    socket.on('error', reject).on('close', () => resolve(heard))
  })

const oneMail = ['EHLO client.example\r\n', 'MAIL FROM:<a@client.example>\r\nRCPT TO:<fred@hosted.example>\r\nDATA\r\n', `${simple}\r\n.\r\nQUIT\r\n`]

test('a client that stops sending right behind its dot still hears the 250 that comes 100 ms later', async (t) => {
  const receiver = await start(t)
  const socket = connect({ port: receiver.port('mx'), host: '127.0.0.1', allowHalfOpen: true })
  receiver.queue.gate = once(socket, 'finish').then(() => sleep(100))
  assert.match(await heardAfterTheEnd(socket, oneMail), /\r\n354 .*\r\n250 2\.0\.0 queued as m1\r\n221 2\.0\.0 .*\r\n$/)
})

test('of a client that stops sending in the middle of its message 0 are kept, and it is let go', async (t) => {
  const receiver = await start(t)
  const heard = await heardAfterTheEnd(connect({ port: receiver.port('mx'), host: '127.0.0.1', allowHalfOpen: true }), [...oneMail.slice(0, 2), `${simple}\r\n`])
  assert.match(heard, /\r\n354 .*\r\n$/)
  await until(async () => (await receiver.metrics.openConnections.get()).values.every(({ value }) => value === 0))
  assert.deepEqual([receiver.queue.kept.length, receiver.queue.bodies.abandoned], [0, 1])
})

test('a client that ends its lines with LF alone and stops sending hears why 0 mails are kept', async (t) => {
  const receiver = await start(t)
  const heard = await heardAfterTheEnd(connect({ port: receiver.port('mx'), host: '127.0.0.1', allowHalfOpen: true }), [...oneMail.slice(0, 2), oneMail[2]!.replaceAll('\r\n', '\n')])
  assert.match(heard, /\r\n354 .*\r\n554 5\.6\.0 .*\r\n$/)
  assert.equal(receiver.queue.kept.length, 0)
})

for (const [when, said, listener] of [['before it has said anything', ''], ['after EHLO', 'EHLO client.example\r\n'], ['in the middle of a command', 'EHLO cl'], ['in its handshake after STARTTLS', 'EHLO client.example\r\nSTARTTLS\r\n'], ['in its handshake without STARTTLS', '\x16', 'submissions']] as const) {
  test(`a client that stops sending ${when} is let go within 20 s, not after the 30 s of a handshake`, async (t) => {
    const receiver = await start(t)
    const socket = connect({ port: receiver.port(listener ?? 'submission'), host: '127.0.0.1', allowHalfOpen: true })
    t.after(() => socket.destroy())
    const started = performance.now()
    socket.write(said, () => void setTimeout(() => socket.end(), 50))
    await once(socket.resume(), 'end')
    assert.ok(performance.now() - started < 20_000)
  })
}

test('a client that stops sending right behind its dot hears the 250 over TLS as well', async (t) => {
  const receiver = await start(t)
  const socket = connectTls({ port: receiver.port('submissions'), host: '127.0.0.1', rejectUnauthorized: false })
  receiver.queue.gate = once(socket, 'finish').then(() => sleep(100))
  const heard = await heardAfterTheEnd(socket, [oneMail[0]!, `AUTH PLAIN ${plainLogin()}\r\n`, oneMail[1]!.replace('client.', 'shop.').replace('a@', 'orders@'), `From: orders@shop.example\r\n${oneMail[2]!}`])
  assert.match(heard, /\r\n354 .*\r\n250 2\.0\.0 queued as m1\r\n221 2\.0\.0 .*\r\n$/)
})
