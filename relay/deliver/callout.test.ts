import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { makeCertificate } from '../../test/tools/certificate.ts'
import { mailbox, testDeliverer, testSnapshot } from '../../test/tools/delivery.ts'
import { startSink, type RunningSink, type SinkOptions } from '../../cli/standalone/sink.ts'
import type { SnapshotInput } from '../snapshot/index.ts'
import type { RunningDeliverer } from './deliverer.ts'
import { askedBy } from './callout.ts'
import { Places } from './places.ts'

describe('the callout', () => {
  const ends: (() => Promise<void>)[] = []
  after(() => Promise.all(ends.map((end) => end())))
  const build = async (options: SinkOptions, ...more: SinkOptions[]): Promise<{ sink: RunningSink; ask: (text: string) => ReturnType<RunningDeliverer['callout']>; deliverer: RunningDeliverer }> => {
    const sink = await startSink(options)
    const others = await Promise.all(more.map((one, index) => startSink({ ...one, host: `127.0.0.${index + 2}` })))
    const hosts = [{ host: sink.host, port: sink.port, preference: 10 }, ...others.map(({ host, port }, index) => ({ host, port, preference: 20 + index }))]
    const domains: SnapshotInput['domains'] = [{ namespace: 'mail', name: 'home', manifest: 'MailDomain mail/home', domain: 'home.example', listeners: [], inbound: { recipients: { mode: 'Callout' }, hosts } }]
    const snapshot = testSnapshot({ domains })
    const deliverer = testDeliverer(snapshot, { timeouts: { rcpt: options.hang ? 300 : 30_000, callout: 8_000 } })
    ends.push(() => deliverer.close(), () => sink.close(), ...others.map((other) => () => other.close()))
    return { sink, deliverer, ask: (text) => deliverer.callout(snapshot.domains[0]!, mailbox(text)) }
  }

  it('says yes, no and unknown as the host does', async () => {
    const { ask } = await build({ replies: { rcpt: (line) => (line.includes('gone') ? '550 5.1.1 no' : line.includes('later') ? '450 4.2.1 later' : undefined) } })
    assert.deepEqual(await Promise.all([ask('user@home.example'), ask('gone@home.example'), ask('later@home.example')]), ['yes', 'no', 'unknown'])
  })
  it('asks with the null sender and never sends DATA', async () => {
    const { sink, ask } = await build({})
    await ask('user@home.example')
    assert.deepEqual(sink.commands.map((line) => line.slice(2)).filter((line) => !line.startsWith('EHLO')), ['MAIL FROM:<>', 'RCPT TO:<user@home.example>', 'RSET'])
  })
  it('asks each of 2 times: an answer it had kept for ten minutes would be kept for ten more by the listener', async () => {
    const { sink, ask } = await build({})
    assert.equal(await ask('user@home.example'), 'yes')
    sink.behave({ replies: { rcpt: '550 5.1.1 gone' } })
    assert.equal(await ask('user@home.example'), 'no')
  })
  it('asks somebody else where the domain has other hosts, or a DeliveryRoute of its own with other next hops, and the same where only 1 other field changed', () => {
    const domain = { namespace: 'mail', name: 'home', manifest: 'MailDomain mail/home', domain: 'home.example', listeners: [], inbound: { recipients: { mode: 'Callout' as const }, hosts: [{ host: 'store.example' }] } }
    const route = { namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: { recipientDomains: ['home.example'] }, nextHops: [{ kind: 'smarthost' as const, host: 'other.example' }] }
    const asked = (one: typeof domain, routes: (typeof route & { hold?: boolean })[] = []): string => {
      const snapshot = testSnapshot({ domains: [one], routes })
      return askedBy(snapshot, snapshot.domains[0]!)
    }
    const others = { ...domain, inbound: { ...domain.inbound, hosts: [{ host: 'new.example' }] } }
    assert.equal(new Set([asked(domain), asked(others), asked(domain, [route])]).size, 3)
    assert.deepEqual([asked({ ...domain, listeners: [], manifest: 'another' }), asked(domain, [{ ...route, hold: true }])], [asked(domain), asked(domain, [route])])
  })
  it('asks about 100 users at once over 20 connections, and each is answered', async () => {
    const { sink, ask } = await build({})
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => ask(`u${n}@home.example`)))
    assert.deepEqual([new Set(answers), sink.connections() <= 20], [new Set(['yes']), true])
  })
  it('does not remember "unknown"', async () => {
    const { sink, ask } = await build({ replies: { rcpt: '450 4.2.1 later' } })
    assert.equal(await ask('user@home.example'), 'unknown')
    sink.behave({ replies: {} })
    assert.equal(await ask('user@home.example'), 'yes')
  })
  it('is unknown where the null sender is refused: that says nothing about the user', async () => {
    const { ask } = await build({ replies: { mail: '550 5.7.1 no bounces here' } })
    assert.equal(await ask('user@home.example'), 'unknown')
  })
  it('is unknown where the host is silent, and where it is away', async () => {
    const { sink, ask } = await build({ hang: 'rcpt', host: '127.0.66.1' }) // where nobody else takes the port once it is free
    assert.equal(await ask('user@home.example'), 'unknown')
    await sink.close()
    assert.equal(await ask('other@home.example'), 'unknown')
  })
  it('asks the second host when the first is away', async () => {
    const { ask } = await build({ drop: 'greeting' }, { replies: { rcpt: '550 5.1.1 no' } })
    assert.equal(await ask('user@home.example'), 'no')
  })
  it('asks the second host when the first hangs, and has half of the time left for it; the next user is asked of the second at once, and the first has had 1 connection', async () => {
    const { sink, ask } = await build({ hang: 'greeting' }, { replies: { rcpt: (line) => (line.includes('gone') ? '550 5.1.1 no' : undefined) } })
    assert.deepEqual([await ask('gone@home.example'), await ask('user@home.example'), sink.connections()], ['no', 'yes', 1])
  })
  it('comes to the third host though it needs 3 s and 2 before it hang: it had 2 s of the first 8, and is not taken for one that hangs too', async () => {
    const { ask } = await build({ hang: 'greeting' }, { hang: 'greeting' }, { delayMs: (phase) => (phase === 'greeting' ? 3_000 : 0) })
    const answers: string[] = []
    while (answers.length < 6 && !answers.includes('yes')) answers.push(await ask('user@home.example'))
    assert.equal(answers.at(-1), 'yes', answers.join(', '))
  })
  it('has all of the time for a host that is the only one', async () => {
    const { ask } = await build({ delayMs: (phase) => (phase === 'greeting' ? 5_000 : 0) })
    assert.equal(await ask('user@home.example'), 'yes')
  })
  it('uses one connection for many questions in a row', async () => {
    const { sink, ask } = await build({})
    for (let count = 0; count < 5; count++) await ask(`u${count}@home.example`)
    assert.equal(sink.connections(), 1)
  })
  it('asks a host whose TLS fails once more without, in 2 connections, as a delivery would', async () => {
    const made = makeCertificate('mail.home.example')
    const { sink, ask } = await build({ tls: { key: made.key, cert: made.certificate, maxVersion: 'TLSv1.1' }, replies: { rcpt: (line) => (line.includes('gone') ? '550 5.1.1 no' : undefined) } })
    assert.equal(await ask('user@home.example'), 'yes')
    assert.deepEqual([sink.connections(), await ask('gone@home.example')], [2, 'no'])
  })
  it('asks on a 2nd connection where the 1st had been kept and the host drops it at MAIL', async () => {
    const { sink, ask } = await build({})
    const say = (phase: 'mail' | 'quit') => () => {
      sink.behave({ drop: phase })
      return undefined
    }
    sink.behave({ replies: { ehlo: say('quit'), rset: say('mail') } })
    assert.deepEqual([await ask('user@home.example'), await ask('other@home.example'), sink.connections()], ['yes', 'yes', 2])
  })
  it('asks about a user whose name is not ASCII with SMTPUTF8 where 1 host offers it: another may refuse it as a user that is not there', async () => {
    const { sink, ask } = await build({ replies: { rcpt: (line) => (line.includes('ü') && !sink.commands.at(-2)!.endsWith('MAIL FROM:<> SMTPUTF8') ? '553 5.6.7 say SMTPUTF8 first' : undefined) } })
    assert.deepEqual([await ask('jürgen@home.example'), await ask('user@home.example')], ['yes', 'yes'])
    assert.deepEqual(sink.commands.map((line) => line.slice(2)).filter((line) => line.startsWith('MAIL')), ['MAIL FROM:<> SMTPUTF8', 'MAIL FROM:<>'])
  })
})

it('of 5 who want 2 places by 1 name the first 2 have them, who is called off goes without, the others follow in turn, and 0 names are remembered', async () => {
  const places = new Places(2)
  const off = new AbortController()
  const order: string[] = []
  const never = new AbortController().signal
  const waits = ['a', 'b', 'c', 'd', 'e'].map(async (who) => void order.push(`${who} ${await places.take('x', who === 'c' ? off.signal : never)}`))
  off.abort()
  for (let n = 0; n < 4; n++) {
    await new Promise(setImmediate)
    places.give('x')
  }
  await Promise.all(waits)
  assert.deepEqual([order, places.size], [['a true', 'b true', 'c false', 'd true', 'e true'], 0])
})
