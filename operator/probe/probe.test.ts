// The probe against the real receiving side, open and closed, and against servers that answer oddly.
import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import type { SnapshotInput } from '../../relay/snapshot/index.ts'
import { startReceiver } from '../../test/tools/session.ts'
import type { TestReceiver } from '../../test/tools/receive.ts'
import { strangerForms } from './forms.ts'
import { probe, type Probe } from './probe.ts'
import { replyIn } from './session.ts'
import type { Way } from './ways.ts'

const never = new AbortController().signal
const way = (listener: string, port: number, change: Partial<Way['door']> & { readonly mustAnswer?: boolean } = {}): Way => {
  const { mustAnswer = true, ...door } = change
  return { listener, name: mustAnswer ? 'through the Service' : 'from outside', mustAnswer, door: { host: '127.0.0.1', port, tls: listener === 'submissions' ? 'implicit' : 'starttls', proxied: () => false, ...door } }
}
const ask = (ways: readonly Way[], receiver?: TestReceiver, ms = 5_000): Promise<Probe> =>
  probe({ ways, own: 'hosted.example', ms, signal: never, taken: () => Promise.resolve(new Set(receiver?.receiving.witnessed().invalid)) })

const allowing = (match: object, change: object = {}) => (input: SnapshotInput) => {
  input.policies = [{ namespace: 'mail', name: 'p', manifest: 'RelayPolicy mail/p', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, rules: [{ name: 'r', action: 'Allow', match: { sources: ['127.0.0.0/8'], ...match } }] }]
  input.listeners = input.listeners.map((listener) => ({ ...listener, ...change }))
}

describe('a stranger at a real relay', () => {
  it('is refused at 3 listeners, by STARTTLS, by TLS and in plain, and 0 messages are stored', async (t) => {
    const receiver = await startReceiver(t)
    const ways = ['mx', 'submission', 'submissions'].map((listener) => way(listener, receiver.port(listener)))
    assert.deepEqual(await ask([...ways, way('mx', receiver.port('mx'), { tls: 'none' })], receiver), { from: ['127.0.0.1'], relayed: [] })
    assert.equal(receiver.queue.kept.length, 0)
    assert.deepEqual(receiver.receiving.witnessed().clients, {}, 'the probe is no client')
  })
  it('gets through where a rule allows its address, is stored to a domain that cannot exist, and 1 form is enough', async (t) => {
    const receiver = await startReceiver(t, allowing({}))
    const { relayed } = await ask([way('mx', receiver.port('mx'))], receiver)
    assert.deepEqual(relayed, [{ listener: 'mx', way: 'through the Service', form: 'a foreign recipient', from: '127.0.0.1' }])
    assert.deepEqual(receiver.queue.kept.map(({ message }) => message.deliveries.map(({ domain }) => domain.endsWith('.posthouse-probe.invalid'))), [[true]])
  })
  const narrow: readonly (readonly [what: string, match: object, form: string])[] = [
    ['the null sender', { mailFrom: ['<>'] }, 'the null sender'],
    ['senders of the own domain', { mailFrom: ['*@hosted.example'] }, 'a sender of the own domain'],
    ['clients with TLS', { tls: true }, 'a foreign recipient'],
  ]
  for (const [what, match, form] of narrow) {
    it(`finds a rule that lets 1 kind through: ${what}`, async (t) => {
      const receiver = await startReceiver(t, allowing(match))
      assert.equal((await ask([way('mx', receiver.port('mx'))], receiver)).relayed[0]?.form, form)
    })
  }
  it('at a closed listener with the same rule gets through with 1 form, which reaches nobody', async (t) => {
    const receiver = await startReceiver(t, allowing({}, { relayingClosed: true }))
    assert.equal((await ask([way('mx', receiver.port('mx'))], receiver)).relayed[0]?.form, 'the null sender')
    assert.deepEqual(receiver.queue.kept.map(({ message }) => message.envelope.mailFrom), [null])
  })
  it('that is not preserved, or knows the address for a node’s, is refused: 2 relays', async (t) => {
    for (const change of [allowing({}, { sourceAddressPreserved: false }), (input: SnapshotInput) => (allowing({})(input), void Object.assign(input.relay, { nodeAddresses: ['127.0.0.1'] }))]) {
      const receiver = await startReceiver(t, change)
      assert.deepEqual((await ask([way('mx', receiver.port('mx'))], receiver)).relayed, [])
    }
  })
  it('behind the PROXY protocol is believed by its own address: 1 header, no client forged', async (t) => {
    const receiver = await startReceiver(t, (input) => void (input.listeners[0]!.proxyProtocol = { trustedCIDRs: ['127.0.0.0/8'] }))
    const door = { proxied: (own: string) => own === '127.0.0.1' }
    assert.deepEqual(await ask([way('mx', receiver.port('mx'), door)], receiver), { from: ['127.0.0.1'], relayed: [] })
  })
})

type Script = (line: string, inData: boolean) => string | undefined
/** Answers each line by the script; undefined: hangs up. */
const scripted = async (t: TestContext, script: Script, greeting = '220 x'): Promise<number> => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let inData = false
    socket.on('error', () => {}).write(`${greeting}\r\n`)
    socket.on('data', (piece) => {
      for (const line of piece.toString('latin1').split('\r\n').slice(0, -1)) {
        if (inData && line !== '.') continue
        const answer = script(line, inData)
        inData = answer?.startsWith('354') ?? false
        if (answer === undefined) socket.destroy()
        else socket.write(`${answer}\r\n`)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (server.close(), sockets.forEach((socket) => socket.destroy())))
  return (server.address() as { port: number }).port
}
const refusingAt = (verb: string, answer: string | undefined): Script => (line, inData) => (line.startsWith(verb) || (verb === '.' && inData) ? answer : line === 'DATA' ? '354 go' : '250 ok')

describe('a server that answers oddly', () => {
  const cases: readonly (readonly [what: string, script: Script, found: { relayed: number; failed?: string }])[] = [
    ['550 after the final dot', refusingAt('.', '550 no'), { relayed: 0 }],
    ['250 at RCPT and after the final dot', refusingAt('NONE', ''), { relayed: 1 }],
    ['554 at DATA', refusingAt('DATA', '554 no'), { relayed: 0 }],
    ['450 at every RCPT', refusingAt('RCPT', '450 later'), { relayed: 0, failed: 'listener mx through the Service: everything was put off with 4xx' }],
    ['a connection that ends at RCPT', refusingAt('RCPT', undefined), { relayed: 0, failed: 'listener mx through the Service: the connection was lost' }],
    ['502 at EHLO', refusingAt('EHLO', '502 no'), { relayed: 0, failed: 'listener mx through the Service: 502 at EHLO' }],
  ]
  for (const [what, script, { relayed, failed }] of cases) {
    it(`with ${what}: relayed ${relayed}${failed === undefined ? '' : ', proves nothing'}`, async (t) => {
      const found = await ask([way('mx', await scripted(t, script))])
      assert.deepEqual([found.relayed.length, found.failed], [relayed, failed])
    })
  }
  it('that refuses in words and keeps the message all the same has relayed 1', async (t) => {
    let domain = ''
    const port = await scripted(t, (line, inData) => {
      domain ||= /<nobody@(.*)>/.exec(line)?.[1] ?? ''
      return inData ? '550 no' : line === 'DATA' ? '354 go' : '250 ok'
    })
    const found = await probe({ ways: [way('mx', port)], own: 'hosted.example', signal: never, taken: () => Promise.resolve(new Set([domain])) })
    assert.equal(found.relayed[0]?.form, 'refused in words, and taken all the same')
  })
  it('that does not greet, or greets with what is no reply, has 1 fault in the same words each time', async (t) => {
    const port = await scripted(t, () => '250 ok', 'hello there')
    for (let n = 0; n < 2; n++) assert.equal((await ask([way('mx', port)])).failed, 'listener mx through the Service: no answer at greeting')
  })
  it('that is not there is a fault where it must answer, and none from outside: 0 of 2', async (t) => {
    const port = await scripted(t, refusingAt('RCPT', '550 no'))
    assert.equal((await ask([way('mx', 1)])).failed, 'listener mx through the Service: connect: ECONNREFUSED')
    assert.equal((await ask([way('mx', port), way('mx', 1, { mustAnswer: false })])).failed, undefined)
  })
  it('does not exist where there is no way: 0 tries prove nothing', async () => assert.equal((await ask([])).failed, 'there is no way to it'))
})

it('every one of the 8 forms ends in .invalid, wherever a reader of addresses may look for the end', () => {
  const forms = strangerForms('far.invalid', 'own.example')
  assert.equal(forms.length, 8)
  for (const { to } of forms) assert.match(to, /@far\.invalid\.?>$/)
})

it('a reply is whole with its last line, and 1 line that is none spoils it', () => {
  assert.equal(replyIn('250-a\r\n250 b'), undefined)
  assert.deepEqual(replyIn('250-a\r\n250 b\r\n220'), { lines: ['250-a', '250 b'], length: 14 })
  assert.equal(replyIn('250-a\r\nHTTP/1.1 200\r\n'), 'none')
})
