// Whole attempts: real name server, real sockets, hosts that behave and hosts that do not.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { startTestDns, type TestDns } from '../../test/tools/dns-server.ts'
import { attemptOf, bodyOf, mailbox, never, testDeliverer, testDelivery, testMessage, testSnapshot, type DeliveryChange } from '../../test/tools/delivery.ts'
import { until } from '../../test/tools/until.ts'
import { startSink, type RunningSink, type SinkOptions } from '../../cli/standalone/sink.ts'
import { createResolver } from '../dns/index.ts'
import type { Settlement } from '../queue/index.ts'
import { createMetrics } from '../report/index.ts'
import type { SnapshotInput } from '../snapshot/index.ts'
import type { RunningDeliverer } from './deliverer.ts'
import type { DelivererOptions } from './shared.ts'

const hosts = ['127.0.0.2', '127.0.0.3', '127.0.0.4'] as const

describe('an attempt by MX', () => {
  let dns: TestDns
  let sinks: RunningSink[] = []
  let deliverers: RunningDeliverer[] = []
  before(async () => {
    dns = await startTestDns({
      'dest.example': { mx: [[10, 'mx1.dest.example'], [20, 'mx2.dest.example'], [30, 'mx3.dest.example']] },
      'mx1.dest.example': { a: [hosts[0]] },
      'mx2.dest.example': { a: [hosts[1]] },
      'mx3.dest.example': { a: [hosts[2]] },
      'bare.example': { a: [hosts[0]] },
      'null.example': { mx: [[0, '.']] },
      'ours.example': { mx: [[10, 'mx1.relay.example'], [20, 'mx2.dest.example']] },
      'mx1.relay.example': { a: [hosts[0]] },
      'broken.example': { does: 'servfail' },
      'ssrf.example': { mx: [[10, 'inside.example']] },
      'inside.example': { a: ['10.0.0.1'] },
    })
  })
  after(() => dns.close())
  afterEach(async () => {
    await Promise.all(deliverers.map((deliverer) => deliverer.close()))
    await Promise.all(sinks.map((sink) => sink.close()))
    sinks = []
    deliverers = []
  })

  /** Sinks on one port of different loopback addresses, as MX hosts on 25 are. `undefined`: nobody listens there. */
  const mxHosts = async (...options: (SinkOptions | undefined)[]): Promise<RunningSink[]> => {
    for (let attempt = 0; ; attempt++) {
      const made: RunningSink[] = []
      try {
        for (const [index, one] of options.entries()) if (one) made[index] = await startSink({ ...one, host: hosts[index]!, port: made.find((sink) => sink !== undefined)?.port ?? 0 })
        sinks.push(...made.filter((sink) => sink !== undefined))
        return made
      } catch (error) {
        await Promise.all(made.map((sink) => sink?.close()))
        if (attempt > 10) throw error // another process had that port on one address
      }
    }
  }
  const deliverer = (port: number, options: Partial<DelivererOptions> = {}, snapshot: Partial<SnapshotInput> = {}, relay: Partial<SnapshotInput['relay']> = {}): RunningDeliverer => {
    const resolver = createResolver({ nameservers: () => [dns.nameserver], timeoutMs: 10_000, rounds: 1 })
    const made = testDeliverer(testSnapshot(snapshot, relay), { resolver, mxPort: port, allowLoopback: true, random: () => 0.5, ...options })
    deliverers.push(made)
    return made
  }
  const attempt = (made: RunningDeliverer, change: DeliveryChange & { body?: Buffer; pieces?: number; signal?: AbortSignal } = {}): Promise<Settlement> => {
    const { body = testMessage, pieces, signal = never(), ...rest } = change
    return attemptOf(made, testDelivery({ bytes: body.length, ...rest }), bodyOf(body, pieces), signal)
  }
  const took = (all: readonly (RunningSink | undefined)[]): number[] => Array.from(all, (sink) => sink?.count() ?? 0)

  it('delivers byte for byte to the best host', async () => {
    const [a, b] = await mxHosts({}, {})
    const settlement = await attempt(deliverer(a!.port))
    assert.deepEqual([settlement.later, settlement.notices, settlement.trace.map(({ kind }) => kind)], [undefined, [], ['delivered']])
    assert.deepEqual(took([a, b]), [1, 0])
    assert.ok(a!.mails[0]!.raw.equals(testMessage))
    assert.deepEqual([a!.faults, a!.mails[0]!.faults], [[], []])
  })

  const primaryFaults: readonly [string, SinkOptions | undefined][] = [
    ['nobody listens', undefined], ['421 at the greeting', { replies: { greeting: '421 4.3.2 busy' } }], ['554 at the greeting', { replies: { greeting: '554 5.3.2 no' } }],
    ['silence at the greeting', { hang: 'greeting' }], ['a drop at the greeting', { drop: 'greeting' }], ['a drop at EHLO', { drop: 'ehlo' }],
    ['4xx to EHLO', { replies: { ehlo: '451 4.3.0 trouble' } }], ['5xx to EHLO and HELO', { replies: { ehlo: '502 5.5.1 no', helo: '502 5.5.1 no' } }],
    ['421 to MAIL', { replies: { mail: '421 4.3.0 closing' } }], ['4xx to MAIL', { replies: { mail: '451 4.3.0 trouble' } }], ['a drop at MAIL', { drop: 'mail' }],
    ['421 to RCPT', { replies: { rcpt: '421 4.3.2 closing' } }], ['4xx to DATA', { replies: { data: '451 4.3.0 trouble' } }], ['a drop at DATA', { drop: 'data' }],
    ['4.3.1 after the dot', { replies: { dot: '452 4.3.1 full' } }], ['an endless reply', { flood: 'ehlo' }],
  ]
  for (const [what, options] of primaryFaults) {
    it(`${what} at the first host: the second takes it`, async () => {
      const all = await mxHosts(options, {}, {})
      const settlement = await attempt(deliverer(all[1]!.port, { timeouts: { greeting: options?.hang ? 1000 : 30_000 } }))
      assert.equal(settlement.later, undefined)
      assert.deepEqual(took(all).slice(1), [1, 0])
      assert.equal(settlement.trace.at(-1)!.host, 'mx2.dest.example')
      assert.equal(settlement.trace[0]!.kind, 'attempt') // what happened at the first host
    })
  }
  const laters: readonly [string, SinkOptions, string][] = [
    ['450 to RCPT', { replies: { rcpt: '450 4.2.0 greylisted' } }, 'Greylist'], ['451 4.7.1 after the dot', { replies: { dot: '451 4.7.1 not now' } }, 'Other'],
    ['421 4.7.0 at the greeting', { replies: { greeting: '421 4.7.0 too many connections' } }, 'Connect'], ['a drop after the dot', { drop: 'dot' }, 'Connect'],
    ['silence after the dot', { hang: 'dot' }, 'Connect'], ['452 4.2.2 to RCPT', { replies: { rcpt: '452 4.2.2 mailbox full' } }, 'QuotaExceeded'],
  ]
  for (const [what, options, why] of laters) {
    it(`${what} at the first host: later (${why}), and no other host is asked`, async () => {
      const all = await mxHosts(options, {})
      const settlement = await attempt(deliverer(all[0]!.port, { timeouts: { dot: options.hang ? 500 : 30_000 } }))
      assert.equal(settlement.later!.last.class, why)
      assert.deepEqual([settlement.notices, took([all[1]]), settlement.later!.countsAsAttempt], [[], [0], true])
    })
  }
  it('tries the third host when two are down, and says which ones', async () => {
    const all = await mxHosts(undefined, undefined, {})
    const settlement = await attempt(deliverer(all[2]!.port))
    assert.deepEqual(took(all), [0, 0, 1])
    assert.match(settlement.trace[0]!.text, /mx1\.dest\.example.*refused.*mx2\.dest\.example.*refused/)
  })
  it('is deferred as Connect when every host says 554 at the greeting', async () => {
    const no = { replies: { greeting: '554 5.3.2 no service' } }
    const all = await mxHosts(no, no, no)
    const settlement = await attempt(deliverer(all[0]!.port))
    assert.deepEqual([settlement.later!.last.class, settlement.notices, settlement.later!.last.said], ['Connect', [], '554 5.3.2 no service'])
  })
  it('tries at most the addresses it may', async () => {
    const all = await mxHosts({ drop: 'greeting' }, { drop: 'greeting' }, {})
    const settlement = await attempt(deliverer(all[0]!.port, { addressesPerAttempt: 2 }))
    assert.equal(settlement.later!.last.class, 'Connect')
    assert.equal(all[2]!.connections(), 0)
  })
  it('asks a host that hung last when it comes by again within a minute', async () => {
    const all = await mxHosts({ hang: 'greeting' }, {})
    const made = deliverer(all[0]!.port, { timeouts: { greeting: 1000 } })
    await attempt(made)
    await attempt(made)
    assert.equal(all[0]!.connections(), 1)
  })
  it('goes to the address of a domain without MX', async () => {
    const [a] = await mxHosts({})
    await attempt(deliverer(a!.port), { to: ['user@bare.example'] })
    assert.equal(a!.count(), 1)
  })

  it('does not wait for the look-up of a second host whose name server hangs', async () => {
    dns.set('half.example', { mx: [[10, 'mx1.dest.example'], [20, 'hung.example']] })
    dns.set('hung.example', { does: 'hang' })
    const [a] = await mxHosts({})
    const resolver = createResolver({ nameservers: () => [dns.nameserver], timeoutMs: 60_000, rounds: 1 })
    const settlement = await attempt(deliverer(a!.port, { resolver }), { to: ['user@half.example'] }) // else this takes a minute
    resolver.close()
    assert.deepEqual([a!.count(), settlement.later], [1, undefined])
  })
  it('is called off while it waits for a greeting', async () => {
    const [a] = await mxHosts({ hang: 'greeting' })
    const controller = new AbortController()
    const running = attempt(deliverer(a!.port), { signal: controller.signal })
    await until('the connection', () => a!.connections() === 1, 10_000, 5)
    controller.abort()
    assert.equal((await running).later!.countsAsAttempt, false)
  })
  it('counts what expired as expired, and writes it to the log as a bounce', async () => {
    const [a] = await mxHosts({ replies: { rcpt: '450 4.2.1 later' } })
    const codes: string[] = []
    let bounced: object = {}
    const log = { info: (code: string, fields?: object) => (codes.push(code), void (bounced = fields ?? {})), warn: () => {}, error: () => {} }
    const metrics = createMetrics()
    const settlement = await attempt(deliverer(a!.port, { log, metrics }), { arrivedAt: Date.now() - 433_000_000 })
    assert.deepEqual([settlement.notices[0]!.status, codes, (await metrics.attempts.get()).values], ['4.4.7', ['ATTEMPT', 'BOUNCED'], [{ value: 1, labels: { outcome: 'expired' } }]])
    const { from, why, count } = bounced as { from: string; why: string; count: number }
    assert.deepEqual([from, why, count], ['orders@shop.example', 'expired: mx1.dest.example said to RCPT: 450 4.2.1 later', 1])
  })

  const dnsRows: readonly [string, string, string][] = [
    ['a null MX', 'null.example', 'failed 5.1.10'], ['no such domain', 'nowhere.example', 'failed 5.1.2'], ['only ourselves better', 'ours.example', 'failed 5.4.6'],
    ['a name server that fails', 'broken.example', 'later DNS'], ['an MX into a private network', 'ssrf.example', 'later DNS'],
  ]
  for (const [what, domain, expected] of dnsRows) {
    it(`${what}: ${expected}`, async () => {
      const { later, notices } = await attempt(deliverer(1), { to: [`user@${domain}`] })
      assert.equal(later ? `later ${later.last.class}` : `${notices[0]!.kind} ${notices[0]!.status}`, expected)
      assert.equal(notices.length, later ? 0 : 1)
    })
  }

  it('sends one transaction with three recipients, and judges each', async () => {
    const [a] = await mxHosts({ replies: { rcpt: (line) => (line.includes('gone') ? '550 5.1.1 no such user' : line.includes('busy') ? '450 4.2.1 busy' : undefined) } })
    const settlement = await attempt(deliverer(a!.port), { to: ['ok@dest.example', 'gone@dest.example', 'busy@dest.example'] })
    assert.deepEqual(a!.mails[0]!.to, ['<ok@dest.example>'])
    assert.deepEqual(settlement.notices.map(({ recipient, status, diagnostic }) => [recipient.mailbox.local, status, diagnostic]), [['gone', '5.1.1', 'smtp; 550 5.1.1 no such user']])
    assert.deepEqual(settlement.later!.recipients.map(({ mailbox: { local } }) => local), ['busy'])
  })
  for (const without of [['PIPELINING'], []]) {
    it(`sends the rest in further transactions at once where a host takes 10 of 35${without.length > 0 ? ', without pipelining' : ''}`, async () => {
      const [a] = await mxHosts({ maxRecipients: 10, without })
      const to = Array.from({ length: 35 }, (_, index) => `u${index}@dest.example`)
      const settlement = await attempt(deliverer(a!.port), { to })
      assert.equal(settlement.later, undefined)
      assert.deepEqual(a!.mails.map((mail) => mail.to.length), [10, 10, 10, 5])
      assert.equal(a!.connections(), 1)
    })
  }
  it('fails all recipients on 5xx to MAIL, whatever is said behind it in the pipeline', async () => {
    const [a] = await mxHosts({ replies: { mail: '550 5.7.1 not you', rcpt: '450 4.2.0 hm' } })
    const settlement = await attempt(deliverer(a!.port), { to: ['a@dest.example', 'b@dest.example'] })
    assert.deepEqual(settlement.notices.map(({ status }) => status), ['5.7.1', '5.7.1'])
  })
  it('sends a lone dot and RSET after a 354 that no recipient deserved, and goes on with the connection', async () => {
    const refusesFirst = { rcpt: (_line: string, { messages }: { messages: number }) => (messages === 0 ? '550 5.1.1 no' : undefined), data: '354 go on' }
    const [a] = await mxHosts({ replies: refusesFirst })
    const made = deliverer(a!.port)
    await attempt(made)
    await attempt(made)
    assert.equal(a!.connections(), 1)
    assert.deepEqual(a!.mails.map(({ to }) => to.length), [1])
    assert.ok(a!.commands.includes('1 RSET'))
    assert.deepEqual(a!.faults, [])
  })

  it('keeps the connection for the next message, and begins a new one after 3 where 3 is the most', async () => {
    const [a] = await mxHosts({})
    const made = deliverer(a!.port, { messagesPerConnection: 3 })
    for (let count = 0; count < 7; count++) await attempt(made)
    assert.deepEqual([a!.count(), a!.connections()], [7, 3])
  })
  it('closes an idle connection with QUIT', async () => {
    const [a] = await mxHosts({})
    await attempt(deliverer(a!.port, { timeouts: { idle: 60 } }))
    await until('QUIT', () => a!.commands.includes('1 QUIT') && a!.open() === 0, 10_000, 10)
  })
  it('takes a fresh connection to the same host when the kept one died', async () => {
    const all = await mxHosts({}, {})
    const made = deliverer(all[0]!.port)
    await attempt(made)
    all[0]!.behave({ drop: 'mail' }) // dies as soon as it is used again
    const second = attempt(made)
    await until('the second MAIL', () => all[0]!.commands.filter((line) => line.includes('MAIL')).length >= 2, 5000, 1)
    all[0]!.behave({ drop: undefined as never })
    await second
    assert.deepEqual([took(all)[0]! + took(all)[1]!, all[0]!.connections() >= 2], [2, true])
  })

  it('counts an attempt called off by us as none, and asks again at once', async () => {
    const [a] = await mxHosts({ hang: 'mail' })
    const controller = new AbortController()
    const running = attempt(deliverer(a!.port), { signal: controller.signal })
    await until('MAIL', () => a!.commands.some((line) => line.includes('MAIL')), 10_000, 5)
    controller.abort()
    const { later } = await running
    assert.equal(later!.countsAsAttempt, false)
    assert.ok(later!.at <= Date.now())
  })
  it('never returns mail for an attempt that we called off, though its 5 days are over', async () => {
    const [a] = await mxHosts({ hang: 'mail' })
    const controller = new AbortController()
    const running = attempt(deliverer(a!.port), { signal: controller.signal, arrivedAt: Date.now() - 433_000_000 })
    await until('MAIL', () => a!.commands.some((line) => line.includes('MAIL')), 10_000, 5)
    controller.abort()
    const { later, notices } = await running
    assert.deepEqual([later?.recipients.length, notices.filter(({ kind }) => kind === 'failed')], [1, []])
  })
  it('cuts the connection when the message cannot be read to its end, and sends no dot', async () => {
    const [a] = await mxHosts({})
    const body = Buffer.concat([testMessage, Buffer.alloc(200_000, 'x\r\n')])
    const broken = { ...bodyOf(body, 10_000), open: () => failingBody(body) }
    const settlement = await attemptOf(deliverer(a!.port), testDelivery({ bytes: body.length }), broken)
    assert.deepEqual([a!.count(), settlement.later!.countsAsAttempt, settlement.notices], [0, false, []])
  })
  it('puts on hold what cannot be read even at the end of its time, and bounces nothing', async () => {
    const [a] = await mxHosts({})
    const body = { ...bodyOf(testMessage), head: () => Promise.reject(new Error('a chunk cannot be read')) }
    const settlement = await attemptOf(deliverer(a!.port), testDelivery({ arrivedAt: Date.now() - 433_000_000 }), body)
    assert.deepEqual([settlement.notices, settlement.later, settlement.held!.recipients.length], [[], undefined, 1])
  })
  it('puts on hold an envelope that would be two commands, and sends neither', async () => {
    const [a] = await mxHosts({})
    const settlement = await attempt(deliverer(a!.port), { envelope: { envid: 'a b', mailFrom: { local: 'a', domain: 'b>\r\nRSET' } } })
    assert.match(settlement.held!.why, /CR, LF or NUL|one word/)
    assert.ok(!a!.commands.some((line) => /MAIL|RSET/.test(line)))
  })
  it('keeps no more than ten lines of 512 characters of a long reply', async () => {
    const [a] = await mxHosts({ replies: { rcpt: `${`450-${'x'.repeat(900)}\n`.repeat(30)}450 end` } })
    const settlement = await attempt(deliverer(a!.port))
    assert.ok(settlement.later!.last.said!.length <= 10 * 513)
  })
  it('sends a message in pieces as it was', async () => {
    const [a] = await mxHosts({})
    const body = Buffer.concat([testMessage, Buffer.from('.\r\n..\r\nline\r\n'.repeat(30_000))])
    await attempt(deliverer(a!.port), { body, pieces: 7001 })
    assert.ok(a!.mails[0]!.raw.equals(body))
  })
  it('begins the message on another host when the first is lost within it', async () => {
    const all = await mxHosts({ dropAfterBytes: 50_000 }, {})
    const body = Buffer.concat([testMessage, Buffer.alloc(30_000_000, 'x\r\n')])
    await attempt(deliverer(all[0]!.port), { body, pieces: 65_536 })
    assert.deepEqual(took(all), [0, 1])
  })

  it('passes NOTIFY, ORCPT, RET and ENVID on where DSN is offered', async () => {
    const [a] = await mxHosts({})
    const recipient = { mailbox: mailbox('user@dest.example'), notify: ['SUCCESS', 'FAILURE'] as const, orcpt: 'rfc822;user@old.example' }
    const settlement = await attempt(deliverer(a!.port), { to: [recipient], envelope: { ret: 'HDRS', envid: 'abc+2Bd' } })
    assert.deepEqual([a!.mails[0]!.rcptParameters, a!.mails[0]!.mailParameters, settlement.notices], [['NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;user@old.example'], 'SIZE=101 RET=HDRS ENVID=abc+2Bd'.replace('101', String(testMessage.length)), []])
  })
  it('answers SUCCESS itself with "relayed" where the next host offers no DSN', async () => {
    const [a] = await mxHosts({ without: ['DSN'] })
    const settlement = await attempt(deliverer(a!.port), { to: [{ mailbox: mailbox('user@dest.example'), notify: ['SUCCESS'] }, 'other@dest.example'] })
    assert.deepEqual(settlement.notices.map(({ kind, recipient }) => [kind, recipient.mailbox.local]), [['relayed', 'user']])
    assert.deepEqual(a!.mails[0]!.rcptParameters, ['', ''])
  })

  const eightBit = Buffer.from('From: a@shop.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n')
  it('declares 8BITMIME where it is offered', async () => {
    const [a] = await mxHosts({})
    await attempt(deliverer(a!.port), { body: eightBit, envelope: { body: '8BITMIME' } })
    assert.match(a!.mails[0]!.mailParameters, /BODY=8BITMIME/)
    assert.ok(a!.mails[0]!.raw.equals(eightBit))
  })
  it('sends quoted-printable to a host without 8BITMIME', async () => {
    const [a] = await mxHosts({ without: ['8BITMIME'] })
    await attempt(deliverer(a!.port), { body: eightBit, envelope: { body: '8BITMIME' } })
    const text = a!.mails[0]!.raw.toString('latin1')
    assert.match(text, /Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n$/)
    assert.deepEqual(a!.mails[0]!.faults, [])
  })
  it('returns with 5.6.3 what must not be converted', async () => {
    const [a] = await mxHosts({ without: ['8BITMIME'] })
    const signed = Buffer.from('MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nGrüße\r\n--b--\r\n')
    const settlement = await attempt(deliverer(a!.port), { body: signed })
    assert.deepEqual([settlement.notices[0]!.status, a!.count()], ['5.6.3', 0])
  })
  it('needs no SMTPUTF8 where only the flag was set', async () => {
    const [a] = await mxHosts({ without: ['SMTPUTF8'] })
    const settlement = await attempt(deliverer(a!.port), { envelope: { smtputf8: true } })
    assert.deepEqual([settlement.notices, a!.count(), a!.mails[0]!.mailParameters.includes('SMTPUTF8')], [[], 1, false])
  })
  it('returns with 5.6.7 the one recipient whose address needs SMTPUTF8, and delivers to the other', async () => {
    const [a] = await mxHosts({ without: ['SMTPUTF8'] })
    const settlement = await attempt(deliverer(a!.port), { to: ['müller@dest.example', 'user@dest.example'], envelope: { smtputf8: true } })
    assert.deepEqual([settlement.notices.map(({ status, recipient }) => [status, recipient.mailbox.local]), a!.mails[0]!.to], [[['5.6.7', 'müller']], ['<user@dest.example>']])
  })
  it('passes SMTPUTF8 on where it is offered', async () => {
    const [a] = await mxHosts({})
    await attempt(deliverer(a!.port), { to: ['müller@dest.example'], envelope: { smtputf8: true } })
    assert.match(a!.mails[0]!.mailParameters, /SMTPUTF8/)
    assert.deepEqual(a!.mails[0]!.to, ['<müller@dest.example>'])
  })
  it('returns with 5.3.4 what is larger than the host announces', async () => {
    const [a] = await mxHosts({ size: 50 })
    const settlement = await attempt(deliverer(a!.port))
    assert.deepEqual([settlement.notices[0]!.status, a!.count()], ['5.3.4', 0])
  })
  it('sends again without TLS where opportunistic TLS fails, and the trace says so', async () => {
    const { makeCertificate } = await import('../../test/tools/certificate.ts')
    const made = makeCertificate('mx1.dest.example')
    const [a] = await mxHosts({ tls: { key: made.key, cert: made.certificate, maxVersion: 'TLSv1.1' } })
    const settlement = await attempt(deliverer(a!.port))
    assert.deepEqual([a!.count(), a!.mails[0]!.isTls], [1, false])
    assert.match(settlement.trace[0]!.text, /again without TLS/)
  })
  it('never sends without TLS where a route says Require', async () => {
    const [a] = await mxHosts({})
    const route = { namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'mx' as const, tls: { mode: 'Require' as const } }] }
    const settlement = await attempt(deliverer(a!.port, {}, { routes: [route] }))
    assert.deepEqual([settlement.later!.last.class, a!.count()], ['TLS', 0])
  })

  it('whatever bytes were accepted arrive as one message and no second (property)', async () => {
    const [a] = await mxHosts({})
    const made = deliverer(a!.port)
    const token = fc.constantFrom('\r\n', '\n', '\r', '.', '\0', 'x', '\r\n.\r\n', '\n.\n', 'MAIL FROM:<evil@x.example>\r\n', 'RCPT TO:<v@x.example>\r\nDATA\r\n')
    await fc.assert(fc.asyncProperty(fc.array(token, { maxLength: 25 }), async (tokens) => {
      const before = a!.count()
      await attempt(made, { body: Buffer.from(`Subject: x\r\n\r\n${tokens.join('')}`, 'latin1') })
      assert.equal(a!.count() - before, 1)
      assert.deepEqual([a!.mails.at(-1)!.faults, a!.mails.at(-1)!.from, a!.faults], [[], '<orders@shop.example>', []])
    }), { numRuns: 150 })
  })

  it('lets a site have 2 connections and no third, and the next when one ends', async () => {
    const [a] = await mxHosts({ delayMs: (phase) => (phase === 'dot' ? 200 : 0) })
    const route = { namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'mx' as const }], limits: { connections: 2 } }
    const made = deliverer(a!.port, {}, { routes: [route] })
    const running = [attempt(made), attempt(made)]
    assert.deepEqual(made.admit(testDelivery()), { kind: 'wait' })
    assert.match(made.whyWaiting('dest.example', { mailFrom: null }).join('\n'), /2 of 2 connections.*DeliveryRoute mail\/r/)
    await Promise.all(running)
    assert.deepEqual(made.admit(testDelivery()), { kind: 'now' })
  })
  it('lets the 2nd of a site with 30 a minute wait, and says that they start 2 s apart', async () => {
    const [a] = await mxHosts({})
    const route = { namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'mx' as const }], limits: { ratePerMinute: 30 } }
    const made = deliverer(a!.port, {}, { routes: [route] })
    await attempt(made) // learns which site it is
    await attempt(made)
    assert.deepEqual(made.admit(testDelivery()), { kind: 'wait', paceMs: 2_000 })
    assert.match(made.whyWaiting('dest.example', { mailFrom: null }).join('\n'), /not before .*30 messages a minute \(DeliveryRoute mail\/r\)/)
  })
  it('names a site by its MX hosts once it knows them', async () => {
    const all = await mxHosts({})
    const made = deliverer(all[0]!.port)
    assert.equal(made.site('dest.example', { mailFrom: null }), 'dest.example')
    await attempt(made)
    assert.equal(made.site('dest.example', { mailFrom: null }), 'mx mx1.dest.example mx2.dest.example mx3.dest.example')
  })
  it('holds what a route holds', async () => {
    const route = { namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: {}, nextHops: [{ kind: 'mx' as const }], hold: true }
    const made = deliverer(1, {}, { routes: [route] })
    assert.match((await attempt(made)).held!.why, /DeliveryRoute mail\/r/)
    assert.equal(made.heldBy('dest.example', { mailFrom: null }), 'DeliveryRoute mail/r')
    assert.equal(deliverer(1, {}, { routes: [{ ...route, hold: false }] }).heldBy('dest.example', { mailFrom: null }), undefined)
  })
})

async function* failing(body: Buffer): AsyncGenerator<Buffer> {
  yield body.subarray(0, 60_000)
  await Promise.resolve()
  throw new Error('a chunk cannot be read')
}
const failingBody = (body: Buffer): ReturnType<ReturnType<typeof bodyOf>['open']> => failing(body) as never
