// Whether a line of the log says which mail, and which client, it is about.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { openTo, waitUntil } from '../../test/tools/session.ts'
import { startTestReceiver, testSnapshot, plainLogin } from '../../test/tools/receive.ts'
import { silentLog } from '../report/index.ts'
import type { SnapshotInput } from '../snapshot/index.ts'

type Said = Readonly<Record<string, unknown>> & { readonly code: string }

const start = async (t: TestContext, change?: (input: SnapshotInput) => void) => {
  const lines: Said[] = []
  const note = (code: string, fields = {}) => void lines.push({ code, ...fields })
  const receiver = await startTestReceiver(testSnapshot(change), { log: { ...silentLog, info: note, warn: note } })
  t.after(() => receiver.stop())
  return { receiver, lines }
}

test('a refused MAIL or RCPT says what the client gave, the sender of the mail and who was logged in; a refused AUTH gives away 0 words of its own', async (t) => {
  const { receiver, lines } = await start(t)
  const line = await openTo(t, receiver, 'submissions')
  await line.reply(30_000)
  for (const command of ['EHLO client.example', `AUTH PLAIN ${plainLogin('shop', 'a wrong secret')}`, `AUTH PLAIN ${plainLogin()}`, 'MAIL FROM:<orders@shop.example> SIZE=99999999999', 'MAIL FROM:<orders@shop.example>', `RCPT TO:<${'y'.repeat(2_000)}>`]) await line.ask(command)
  const stranger = await openTo(t, receiver)
  await stranger.reply(30_000)
  for (const command of ['EHLO client.example', 'MAIL FROM:<else@other.example>', 'RCPT TO:<x@far.example>', 'DATA']) await stranger.ask(command)
  const refused = lines.filter(({ code }) => code === 'REFUSED').map(({ verb, argument, from, sender }) => ({ verb, argument, from, sender }))
  assert.deepEqual(refused, [
    { verb: 'AUTH', argument: undefined, from: undefined, sender: undefined },
    { verb: 'MAIL', argument: 'FROM:<orders@shop.example> SIZE=99999999999', from: undefined, sender: 'shop/shop' },
    { verb: 'RCPT', argument: `TO:<${'y'.repeat(2_000)}>`.slice(0, 320), from: 'orders@shop.example', sender: 'shop/shop' },
    { verb: 'RCPT', argument: 'TO:<x@far.example>', from: 'else@other.example', sender: undefined },
    { verb: 'DATA', argument: undefined, from: 'else@other.example', sender: undefined },
  ])
  assert.ok(!JSON.stringify(lines).includes(plainLogin('shop', 'a wrong secret')))
})

test('what 1 policy in Warn mode would have done is said with the sender and the recipient of the mail', async (t) => {
  const { receiver, lines } = await start(t, (input) => {
    input.policies = [{ namespace: 'mail', name: 'trial', manifest: 'RelayPolicy mail/trial', targets: [{ kind: 'MailRelay' }], mode: 'Warn', mayAllowSources: false, rules: [{ name: 'nobody', match: { rcptTo: ['fred@hosted.example'] }, action: 'Deny' }] }]
  })
  const line = await openTo(t, receiver, 'mx')
  await line.reply(30_000)
  for (const command of ['EHLO client.example', 'MAIL FROM:<joe@far.example>', 'RCPT TO:<fred@hosted.example>']) await line.ask(command)
  const [{ rule, manifest, from, to, listener } = {}] = lines.filter(({ code }) => code === 'POLICY_WARN') as Partial<Said>[]
  assert.deepEqual({ rule, manifest, from, to, listener }, { rule: 'nobody', manifest: 'RelayPolicy mail/trial', from: 'joe@far.example', to: 'fred@hosted.example', listener: 'mx' })
})

test('a handshake that fails is said with the address of the client', async (t) => {
  const { receiver, lines } = await start(t)
  const socket = connect(receiver.port('submissions'), '127.0.0.1', () => socket.end('this is no TLS\r\n'))
  socket.on('error', () => {})
  await waitUntil(() => lines.some(({ code }) => code === 'SESSION_ERROR'))
  const { client, listener } = lines.find(({ code }) => code === 'SESSION_ERROR')!
  assert.deepEqual([client, listener], ['127.0.0.1', 'submissions'])
})

test('of 3 connections of a trusted proxy the 1 without a header is counted as refused and said, and the 1 that leaves without a word is not', async (t) => {
  const { receiver, lines } = await start(t, (input) => {
    for (const listener of input.listeners) listener.proxyProtocol = { trustedCIDRs: ['127.0.0.0/8'] }
  })
  const say = (text: string): Promise<void> => new Promise((resolve) => {
    const socket = connect(receiver.port('mx'), '127.0.0.1', () => (text === '' ? socket.end() : socket.write(text)))
    socket.on('error', () => {}).on('data', () => socket.end()).on('close', () => resolve())
  })
  for (const text of ['', 'EHLO client.example\r\n', 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n']) await say(text)
  const counted = (await receiver.metrics.connections.get()).values.filter(({ labels }) => labels.listener === 'mx').map(({ labels, value }) => [labels.result, value])
  assert.deepEqual(counted, [['taken', 1], ['refused', 1]])
  const said = lines.filter(({ code }) => code === 'SESSION_ERROR')
  assert.deepEqual([said.length, said[0]!.client], [1, '127.0.0.1'])
  assert.match(String(said[0]!.error), /^PROXY header from 127\.0\.0\.1: /)
})
