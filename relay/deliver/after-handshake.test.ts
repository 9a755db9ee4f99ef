// TLS 1.3: the client is done with the handshake before the host has judged it. What the host then says by an alert, or by going away, is the handshake's failure.
import assert from 'node:assert/strict'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { createSecureContext, TLSSocket } from 'node:tls'
import { makeCertificate } from '../../test/tools/certificate.ts'
import { attemptOf, bodyOf, testDeliverer, testDelivery, testMessage, testSnapshot } from '../../test/tools/delivery.ts'
import type { Settlement } from '../queue/index.ts'

const { key, certificate: cert } = makeCertificate('127.0.0.1')

type Upgrade = (socket: Socket, maxVersion: 'TLSv1.2' | 'TLSv1.3') => void
const wantsCertificate: Upgrade = (socket, maxVersion) => void new TLSSocket(socket, { isServer: true, requestCert: true, rejectUnauthorized: true, secureContext: createSecureContext({ key, cert, maxVersion }) }).on('error', () => socket.destroy())
const goesAway: Upgrade = (socket, maxVersion) => {
  const tls = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext({ key, cert, maxVersion }) }).on('error', () => {})
  tls.once('secure', () => tls.destroy())
}

/** Takes mail without TLS, and ends every TLS like this. */
const hostThat = async (t: TestContext, upgrade: Upgrade | 'closes at STARTTLS', maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<number> => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    let inData = false
    socket.write('220 host\r\n')
    const onData = (piece: Buffer): void => {
      if (inData && !piece.toString().endsWith('.\r\n')) return
      const verb = inData ? 'DOT' : piece.toString().slice(0, 4)
      inData = verb === 'DATA'
      if (verb === 'STAR' && upgrade === 'closes at STARTTLS') return void socket.end()
      socket.write({ EHLO: '250-host\r\n250 STARTTLS\r\n', STAR: '220 go\r\n', DATA: '354 go on\r\n' }[verb] ?? '250 ok\r\n')
      if (verb === 'STAR' && upgrade !== 'closes at STARTTLS') upgrade(socket.off('data', onData), maxVersion)
    }
    socket.on('data', onData)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

const deliverTo = async (t: TestContext, port: number, mode: 'Opportunistic' | 'Require', implicitTls = false): Promise<Settlement> => {
  const deliverer = testDeliverer(testSnapshot({ routes: [{ namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'smarthost', host: '127.0.0.1', port, implicitTls, tls: { mode } }] }] }))
  t.after(() => deliverer.close())
  return attemptOf(deliverer, testDelivery({ bytes: testMessage.length }), bodyOf(testMessage))
}

for (const [what, upgrade] of [['wants a certificate of ours', wantsCertificate], ['goes away as soon as TLS is there', goesAway]] as const)
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`a host that ${what}, by ${version}, gets the mail without TLS where TLS is opportunistic, and the trace tells of 1 handshake that failed`, async (t) => {
      const { later, trace } = await deliverTo(t, await hostThat(t, upgrade, version), 'Opportunistic')
      assert.deepEqual([later?.last.why, trace.map(({ kind }) => kind)], [undefined, ['attempt', 'delivered']])
      assert.match(trace[0]!.text, /TLS handshake failed.*: .*; again without TLS$/)
    })
    test(`a host that ${what}, by ${version}, gets 0 mails where TLS is required, which waits as TLS`, async (t) => {
      const { later, notices } = await deliverTo(t, await hostThat(t, upgrade, version), 'Require')
      assert.deepEqual([later?.last.class, notices], ['TLS', []])
    })
  }

test('a host that closes the connection at STARTTLS gets the mail without TLS where TLS is opportunistic, at the 2nd connection, and 0 mails where it is required', async (t) => {
  const port = await hostThat(t, 'closes at STARTTLS', 'TLSv1.3')
  const { later, trace } = await deliverTo(t, port, 'Opportunistic')
  assert.deepEqual([later?.last.why, trace.map(({ kind }) => kind)], [undefined, ['attempt', 'delivered']])
  assert.match(trace[0]!.text, /closed the connection at STARTTLS; again without TLS$/)
  const required = await deliverTo(t, port, 'Require')
  assert.deepEqual([required.later?.recipients.length, required.notices], [1, []])
})

for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
  test(`a host that wants a certificate of ours, by ${version} from the first byte, gets 0 mails, which wait as TLS`, async (t) => {
    const server = createServer((socket) => wantsCertificate(socket.on('error', () => {}), version))
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const { later } = await deliverTo(t, (server.address() as AddressInfo).port, 'Require', true)
    assert.equal(later?.last.class, 'TLS')
    assert.match(later.last.why, /TLS handshake failed/)
  })
