import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { SnapshotInput } from '../snapshot/index.ts'
import { greetedBy, openTo, sendMail, startReceiver, waitUntil } from '../../test/tools/session.ts'
import type { TestReceiver } from '../../test/tools/receive.ts'
import type { Line } from '../../test/tools/talk.ts'

const trusting = (cidr: string, greetingSeconds?: number) => (input: SnapshotInput) => {
  for (const listener of input.listeners) {
    listener.proxyProtocol = { trustedCIDRs: [cidr] }
    listener.limits = { connectionsPerSource: 1, ...(greetingSeconds !== undefined && { greetingSeconds }) }
  }
}
const v2 = (command: number, family: number, block: Buffer): Buffer =>
  Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a', 'hex'), Buffer.from([0x20 | command, family, block.length >> 8, block.length & 255]), block])
const four = Buffer.from([192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0, 25])
const v1 = (from: string): Buffer => Buffer.from(`PROXY TCP4 ${from} 198.51.100.1 40000 25\r\n`)

const through = async (t: TestContext, receiver: TestReceiver, pieces: readonly Buffer[]): Promise<Line> => {
  const line = await openTo(t, receiver)
  for (const piece of pieces) {
    line.send(piece)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return line
}

const headers: readonly (readonly [string, readonly Buffer[], string])[] = [
  ['v1', [v1('192.0.2.7')], '192.0.2.7'],
  ['v1 in 2 pieces', [v1('192.0.2.7').subarray(0, 9), v1('192.0.2.7').subarray(9)], '192.0.2.7'],
  ['v2', [v2(1, 0x11, four)], '192.0.2.7'],
  ['v2 LOCAL, the address of the proxy itself', [v2(0, 0, Buffer.alloc(0))], '127.0.0.1'],
]
for (const [name, pieces, address] of headers) {
  test(`behind a trusted proxy the client is the one of its ${name} header, and it may send ahead`, async (t) => {
    const receiver = await startReceiver(t, trusting('127.0.0.0/8'))
    const line = await through(t, receiver, [...pieces.slice(0, -1), Buffer.concat([pieces.at(-1)!, Buffer.from('EHLO client.example\r\n')])])
    assert.match((await line.reply(30_000))?.[0] ?? 'closed', /^220 /)
    assert.match((await line.reply(30_000))?.[0] ?? 'closed', /^250/)
    assert.match(await sendMail(line), /^250 /)
    assert.ok(receiver.queue.kept[0]!.text.startsWith(`Received: from client.example ([${address}])`))
    assert.equal(receiver.queue.kept[0]!.message.envelope.source, address)
  })
}

const badHeaders: readonly (readonly [string, Buffer])[] = [
  ['no header at all', Buffer.from('EHLO client.example\r\n')], ['a v2 header cut short and then silence', v2(1, 0x11, four).subarray(0, 20)],
  ['a header that never ends', Buffer.alloc(200, 'P')], ['nothing', Buffer.alloc(0)], ['a TLV longer than the header', v2(1, 0x11, Buffer.concat([four, Buffer.from([4, 1, 0])]))],
]
for (const [name, bytes] of badHeaders) {
  test(`a trusted proxy that sends ${name} gets no greeting`, async (t) => {
    const receiver = await startReceiver(t, trusting('127.0.0.0/8', 1))
    assert.equal(await (await through(t, receiver, [bytes])).reply(30_000), undefined)
  })
}

test('limits per source count the clients behind the proxy, not the proxy', async (t) => {
  const receiver = await startReceiver(t, trusting('127.0.0.0/8'))
  const greet = async (from: string) => (await (await through(t, receiver, [v1(from)])).reply(30_000))?.[0] ?? 'closed'
  assert.match(await greet('192.0.2.1'), /^220 /)
  assert.match(await greet('192.0.2.2'), /^220 /)
  assert.match(await greet('192.0.2.1'), /^421 4\.7\.0 .*from 192\.0\.2\.1/)
})

test('an Allow rule sees the client behind the proxy: its address passes, the proxy\'s does not', async (t) => {
  const receiver = await startReceiver(t, (input) => {
    trusting('127.0.0.0/8')(input)
    input.policies = [{ namespace: 'mail', name: 'house', manifest: 'RelayPolicy mail/house', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, rules: [{ name: 'office', match: { sources: ['192.0.2.0/24'] }, action: 'Allow' }] }]
  })
  for (const [from, expected] of [['192.0.2.7', /^250 /], ['198.51.100.7', /^550 5\.7\.1 Relaying denied/]] as const) {
    const line = await through(t, receiver, [v1(from)])
    await line.reply(30_000)
    await line.ask('HELO client.example')
    await line.ask('MAIL FROM:<a@client.example>')
    assert.match(await line.ask('RCPT TO:<x@far.example>'), expected)
  }
})

test('on Submissions the header comes before the TLS handshake', async (t) => {
  const receiver = await startReceiver(t, trusting('127.0.0.0/8'))
  const greeting = await new Promise<string>((resolve, reject) => {
    const raw = connect(receiver.port('submissions'), '127.0.0.1', () => {
      raw.write(v1('192.0.2.7'))
      const socket = connectTls({ socket: raw, rejectUnauthorized: false })
      socket.on('error', reject).once('data', (piece: Buffer) => (resolve(piece.toString()), socket.destroy()))
    })
  })
  assert.match(greeting, /^220 /)
})

test('peers outside the trusted range are served without a header on the same port', async (t) => {
  const receiver = await startReceiver(t, trusting('10.0.0.0/8'))
  assert.match(await sendMail(await greetedBy(t, receiver)), /^250 /)
})

test('of 3 connections of one client behind the proxy that begin no TLS handshake, where 2 are allowed, the third is closed, and another client has its place', async (t) => {
  const receiver = await startReceiver(t, (input) => {
    trusting('127.0.0.0/8', 60)(input)
    for (const listener of input.listeners) listener.limits = { ...listener.limits, connectionsPerSource: 2 }
  })
  const begun = (from: string) => new Promise<Socket>((resolve) => {
    const socket = connect(receiver.port('submissions'), '127.0.0.1', () => socket.write(v1(from), () => resolve(socket))).on('error', () => {}).resume()
    t.after(() => socket.destroy())
  })
  const all = await Promise.all(Array.from({ length: 3 }, () => begun('192.0.2.1')))
  await waitUntil(() => all.some(({ closed }) => closed))
  const other = await begun('192.0.2.2')
  await handshakeWith(other)
  assert.deepEqual([all.filter(({ closed }) => closed).length, other.closed], [1, false])
})

/** By then whatever was to be refused is closed. */
const handshakeWith = (socket: Socket): Promise<void> => new Promise((resolve, reject) => void connectTls({ socket, rejectUnauthorized: false }, resolve).on('error', reject))
