import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect } from 'node:tls'
import { makeCertificate } from '../../test/tools/certificate.ts'
import { testSnapshot } from '../../test/tools/receive.ts'
import type { SnapshotInput } from '../snapshot/index.ts'
import { envelope, greetedBy, openTo, sendMail, startReceiver, waitUntil } from '../../test/tools/session.ts'

/** The serial number of the certificate a new connection is shown. */
const serialAt = (port: number, maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3'): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, maxVersion }, () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    })
    socket.once('error', reject)
  })

test('a new certificate is shown to the next connection, without a restart, and open sessions go on', async (t) => {
  const receiver = await startReceiver(t)
  const port = receiver.port('submissions')
  const session = await greetedBy(t, receiver, 'submissions')
  const before = await serialAt(port)
  await receiver.receiving.reload(testSnapshot((input) => void (input.certificates = [{ name: 'main', ...makeCertificate('mx.test') }])))
  assert.equal(receiver.port('submissions'), port)
  assert.notEqual(await serialAt(port), before)
  assert.match(await sendMail(session, undefined, 'a@shop.example', ['x@far.example']), /^250 /)
  const startTls = await openTo(t, receiver, 'submission')
  await startTls.reply(30_000)
  await startTls.ask('EHLO client.example')
  assert.match(await startTls.ask('STARTTLS'), /^220 /)
  await startTls.startTls()
  assert.match(await startTls.ask('EHLO client.example'), /^250 /)
})

test('a certificate that is broken, or not there, changes nothing and names the listener', async (t) => {
  const receiver = await startReceiver(t)
  const port = receiver.port('submissions')
  const before = await serialAt(port)
  const broken = testSnapshot((input) => void (input.certificates = [{ name: 'main', certificate: 'no certificate', key: 'no key' }]))
  await assert.rejects(receiver.receiving.reload(broken), /listener mx: certificate main is unusable/)
  const missing = testSnapshot((input) => void (input.certificates = []))
  await assert.rejects(receiver.receiving.reload(missing), /listener mx: there is no certificate main/)
  assert.equal(await serialAt(port), before)
  assert.match(await sendMail(await greetedBy(t, receiver)), /^250 /)
})

test('minVersion TLSv1.3 refuses TLSv1.2, and the default takes it', async (t) => {
  const strict = await startReceiver(t, (input) => {
    for (const listener of input.listeners) listener.tls = { certificate: 'main', minVersion: 'TLSv1.3' }
  })
  await assert.rejects(serialAt(strict.port('submissions'), 'TLSv1.2'))
  assert.ok(await serialAt(strict.port('submissions')))
  assert.ok(await serialAt((await startReceiver(t)).port('submissions'), 'TLSv1.2'))
})

test('without a certificate STARTTLS is neither offered nor done, and Submissions cannot open', async (t) => {
  const receiver = await startReceiver(t, (input) => {
    input.listeners = input.listeners.slice(0, 1)
    delete input.listeners[0]!.tls
  })
  const line = await openTo(t, receiver)
  await line.reply(30_000)
  line.send(Buffer.from('EHLO client.example\r\n'))
  assert.ok(!(await line.reply(30_000))?.some((one) => one.includes('STARTTLS')))
  assert.match(await line.ask('STARTTLS'), /^502 5\.5\.1 /)
  await assert.rejects(startReceiver(t, (input) => void delete input.listeners[2]!.tls), /Submissions needs a certificate/)
})

test('a TLS handshake that never comes, or is garbage, is ended in its time and holds nobody else', async (t) => {
  const within = (greetingSeconds: number) => (input: SnapshotInput) => {
    for (const listener of input.listeners) listener.limits = { greetingSeconds }
  }
  const receiver = await startReceiver(t, within(1))
  const closed = (text: string) => new Promise<void>((resolve) => {
    const socket = connectTcp(receiver.port('submissions'), '127.0.0.1', () => socket.write(text))
    socket.on('error', () => {}).on('data', () => {}).on('close', () => resolve())
  })
  await Promise.all([closed(''), closed('EHLO client.example\r\n'), closed('\x16\x03\x01')])
  await receiver.receiving.reload(testSnapshot(within(30))) // an honest handshake may be slow
  assert.match(await sendMail(await greetedBy(t, receiver, 'submissions'), undefined, 'a@shop.example', ['x@far.example']), /^250 /)
  await receiver.receiving.reload(testSnapshot(within(1)))
  const half = await openTo(t, receiver)
  await half.reply(30_000)
  await half.ask('EHLO client.example')
  await half.ask('STARTTLS')
  assert.equal(await half.reply(30_000), undefined, 'STARTTLS and then silence')
})

test('of 3 connections of one source that begin no TLS handshake, where 2 are allowed, the third is closed at once', async (t) => {
  const receiver = await startReceiver(t, (input) => {
    for (const listener of input.listeners) listener.limits = { connectionsPerSource: 2, greetingSeconds: 600 }
  })
  const connected = () => new Promise<Socket>((resolve) => {
    const socket = connectTcp(receiver.port('submissions'), '127.0.0.1', () => resolve(socket)).on('error', () => {}).resume()
    t.after(() => socket.destroy())
  })
  const [first, second, third] = [await connected(), await connected(), await connected()]
  await waitUntil(() => third.closed)
  assert.deepEqual([first.closed, second.closed], [false, false])
})

test('a reload opens new listeners, closes gone ones with 421, and moves a port to another name', async (t) => {
  const receiver = await startReceiver(t)
  const session = await greetedBy(t, receiver)
  await receiver.receiving.reload(testSnapshot((input) => {
    input.listeners[0]!.name = 'mx2'
    for (const domain of input.domains!) domain.listeners = ['mx2']
  }))
  assert.match((await session.reply(30_000))?.[0] ?? '', /^421 4\.3\.2 /)
  assert.deepEqual(receiver.receiving.addresses().map(({ listener }) => listener).toSorted((a, b) => a.localeCompare(b)), ['mx2', 'submission', 'submissions'])
  assert.match(await sendMail(await greetedBy(t, receiver, 'mx2')), /^250 /)
})

test('drain sends idle sessions away with 421 4.3.2, lets DATA finish with 250, and refuses new connections', async (t) => {
  const receiver = await startReceiver(t)
  const idle = await greetedBy(t, receiver)
  const busy = await greetedBy(t, receiver)
  await busy.ask('MAIL FROM:<a@client.example>')
  await busy.ask('RCPT TO:<fred@hosted.example>')
  await busy.ask('DATA')
  const port = receiver.port('mx')
  const drained = receiver.receiving.drain(30_000)
  assert.match((await idle.reply(30_000))?.[0] ?? '', /^421 4\.3\.2 /)
  assert.equal(await idle.reply(30_000), undefined)
  await waitUntil(() => new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1')
    socket.on('error', () => resolve(true)).on('connect', () => (socket.destroy(), resolve(false)))
  }))
  assert.match(await busy.ask('Subject: x\r\n\r\nlate\r\n.'), /^250 2\.0\.0 queued/)
  assert.match((await busy.reply(30_000))?.[0] ?? '', /^421 4\.3\.2 /)
  await drained
  assert.equal(receiver.queue.kept.length, 1)
})

test('drain cuts what is not done when its time is over, and nothing half is stored', async (t) => {
  const receiver = await startReceiver(t)
  const busy = await greetedBy(t, receiver)
  await busy.ask('MAIL FROM:<a@client.example>')
  await busy.ask('RCPT TO:<fred@hosted.example>')
  await busy.ask('DATA')
  await receiver.receiving.drain(100)
  assert.equal(await busy.reply(30_000), undefined)
  assert.deepEqual([receiver.queue.kept.length, receiver.queue.bodies.abandoned], [0, 1])
})

test('a drain of 30 s waits for a message that comes in by a listener which is gone from the snapshot', async (t) => {
  const receiver = await startReceiver(t)
  const line = await greetedBy(t, receiver)
  await envelope(line)
  assert.match(await line.ask('DATA'), /^354 /)
  await receiver.receiving.reload(testSnapshot((input) => void (input.listeners = input.listeners.filter(({ name }) => name !== 'mx'))))
  let drained = false
  const draining = receiver.receiving.drain(30_000).then(() => (drained = true))
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(drained, false)
  assert.match(await line.ask('Subject: x\r\n\r\nhello\r\n.'), /^250 /)
  line.destroy()
  await draining
})
