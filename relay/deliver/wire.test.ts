// What a next host says before it is heard: all replies of a long pipeline at once, and far more than anybody asked for.
import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { attemptOf, bodyOf, testDeliverer, testDelivery, testMessage, testSnapshot } from '../../test/tools/delivery.ts'
import { heapMegabytes } from '../../test/tools/heap.ts'
import { until } from '../../test/tools/until.ts'
import type { BodySource, Settlement } from '../queue/index.ts'
import type { Snapshot } from '../snapshot/index.ts'
import { defaultReplyLimits } from './smtp-wire.ts'
import { Watch, Wire } from './wire.ts'

/** A host that is greeted with one packet, and answers each packet of commands with one. */
const hostSaying = async (t: TestContext, { greeting = '220 host\r\n', ok = '250 2.0.0 ok\r\n', data = '354 go on\r\n' }: { greeting?: string; ok?: string | (() => string); data?: string }) => {
  const sockets = new Set<Socket>()
  const next = typeof ok === 'string' ? (): string => ok : ok
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.write(greeting)
    let [got, inData] = ['', false]
    socket.on('data', (piece: Buffer) => {
      got += piece.toString()
      if (!got.endsWith(inData ? '\r\n.\r\n' : '\r\n') || (!inData && /^(MAIL|RCPT)/.test(got) && !got.endsWith('DATA\r\n'))) return
      const lines = got.trimEnd().split('\r\n')
      got = ''
      socket.write(inData ? next() : lines.map((line) => (line === 'DATA' ? data : line.startsWith('EHLO') ? '250-host\r\n250 PIPELINING\r\n' : next())).join(''))
      inData = lines.at(-1) === 'DATA'
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

const snapshotFor = (port: number): Snapshot =>
  testSnapshot({ domains: [{ namespace: 'mail', name: 'home', manifest: 'MailDomain mail/home', domain: 'home.example', listeners: [], inbound: { recipients: { mode: 'Any' }, hosts: [{ host: '127.0.0.1', port, preference: 10 }] } }] })

const deliverTo = async (t: TestContext, port: number, recipients: number): Promise<Settlement> => {
  const deliverer = testDeliverer(snapshotFor(port))
  t.after(() => deliverer.close())
  return attemptOf(deliverer, testDelivery({ to: Array.from({ length: recipients }, (_, n) => `u${n}@home.example`), bytes: testMessage.length }), bodyOf(testMessage))
}

for (const recipients of [1000, 10_000])
  test(`a host that answers the pipeline of ${recipients.toLocaleString('en')} recipients in one packet takes the mail for all of them`, async (t) => {
    const { later, trace } = await deliverTo(t, await hostSaying(t, {}), recipients)
    assert.deepEqual([later?.last.why, trace.map(({ kind, recipients: to }) => [kind, to?.length])], [undefined, [['delivered', recipients]]])
  })

test('a connection on which 100 replies of 60 KB come that nobody asked for is cut, with less than 1 MB of them in memory', async (t) => {
  const port = await hostSaying(t, { greeting: `220 host\r\n${`${`250-${'x'.repeat(494)}\r\n`.repeat(120)}250 ok\r\n`.repeat(100)}` })
  const socket = connect(port, '127.0.0.1')
  const watch = new Watch(50)
  const wire = new Wire(socket, watch, defaultReplyLimits)
  t.after(() => wire.break({ kind: 'broken', how: 'aborted', text: 'the test is over' }))
  await wire.hear(60_000)
  await until('the cut', () => wire.broken !== undefined, 60_000, 10)
  assert.deepEqual([wire.broken?.how, socket.bytesRead < 1_000_000], ['endless', true])
})

const long = `${`250-${'x'.repeat(494)}\r\n`.repeat(120)}250 ok\r\n`
for (const [what, short] of [['of 60 KB', ''], ['of 60 KB and as many short ones', '250 2.1.5 this one is welcome here\r\n']] as const)
  test(`of 500 replies ${what} less than 10 MB are held while the message is sent: a reply is kept as far as it is told`, async (t) => {
    let count = 0
    const port = await hostSaying(t, { ok: () => (short !== '' && count++ % 2 === 1 ? short : long) })
    const deliverer = testDeliverer(snapshotFor(port))
    t.after(() => deliverer.close())
    let held = Infinity
    const body = bodyOf(testMessage, 10)
    const before = heapMegabytes()
    const open: BodySource['open'] = () => {
      held = heapMegabytes() - before
      return body.open()
    }
    const { later } = await attemptOf(deliverer, testDelivery({ to: Array.from({ length: short === '' ? 500 : 1_000 }, (_, n) => `u${n}@home.example`), bytes: testMessage.length }), { ...body, open })
    assert.deepEqual([later, held < 10], [undefined, true], `${held} MB`)
  })

test('a host that says 250 in one breath with its 354, before it can have the message, has not taken it', async (t) => {
  const { later, trace } = await deliverTo(t, await hostSaying(t, { data: '354 go on\r\n250 2.0.0 taken\r\n' }), 1)
  assert.deepEqual([later?.last.class, trace.map(({ kind }) => kind)], ['Connect', ['attempt', 'deferred']])
})
