import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAnswer } from './pod-answer.ts'

const said = { revision: '0123456789abcdef', durable: { ok: true, reason: 'Held', text: 'kept' } }
const read = (value: unknown) => readAnswer(new Response(JSON.stringify(value)))

test('what a pod says is taken as it is, with 2 lists empty where it names none', async () => {
  assert.deepEqual(await read(said), { ...said, routes: [], gateways: [], invalid: [] })
  const all = { ...said, routes: [{ route: 'DeliveryRoute mail/a', reached: false, why: 'no' }], closing: true, remains: { ready: 0, deferred: 1, held: 0, empty: false }, clients: { mx: ['192.0.2.1', 'fd00::1'] }, gateways: ['10.84.0.1'], invalid: ['p1.posthouse-probe.invalid'], servers: [{ name: 'main-queue-0', up: false, stuck: true }] }
  assert.deepEqual(await read({ ...all, ready: { ready: true } }), all)
  assert.deepEqual(await read({ ...said, closing: true, remains: null }), { ...said, closing: true, routes: [], gateways: [], invalid: [] })
})

const nonsense: readonly (readonly [string, unknown])[] = [
  ['nothing', {}], ['no object', [1]], ['a number for a list', { ...said, invalid: 5 }], ['a reason that is none', { ...said, durable: { ...said.durable, reason: 'a b\n' } }],
  ['a server that is stuck perhaps', { ...said, servers: [{ name: 'main-queue-0', up: false, stuck: 'perhaps' }] }], ['a range as a router', { ...said, gateways: ['0.0.0.0/0'] }], ['1,001 routers', { ...said, gateways: Array.from({ length: 1001 }, () => '10.0.0.1') }], ['a client that is no text', { ...said, clients: { mx: [{}] } }], ['a number of mails that is none', { ...said, remains: { ready: 'x' } }],
]
for (const [what, value] of nonsense) test(`who answers with ${what} has not answered`, () => assert.rejects(read(value), /status/))

test('an answer without an end is read to 2 MiB and no further, and a long reason is cut to 1,000 characters', async () => {
  let given = 0
  const endless = new ReadableStream<Uint8Array>({ pull: (controller) => { given += 65_536; controller.enqueue(new Uint8Array(65_536).fill(32)) } })
  await assert.rejects(readAnswer(new Response(endless)), /longer than/)
  assert.ok(given <= 2.2 * 2 ** 20, `${given} octets`)
  assert.equal((await read({ ...said, durable: { ...said.durable, text: 'x'.repeat(5000) } })).durable?.text.length, 1000)
})
