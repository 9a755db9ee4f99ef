// Whole attempts by MX: which host is asked, and what comes of it. Real name server, real sockets, hosts that behave and hosts that do not.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { testMessage } from '../../test/tools/delivery.ts'
import { attemptsByMx } from '../../test/tools/attempts-by-mx.ts'
import { until } from '../../test/tools/until.ts'
import type { SinkOptions } from '../../cli/standalone/sink.ts'
import { createResolver } from '../dns/index.ts'
import { createMetrics } from '../report/index.ts'

describe('an attempt by MX', () => {
  const { mxHosts, deliverer, attempt, took, dns } = attemptsByMx()

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
  it('says once, and not for each of 100 recipients, what the first host did, and then what the second did', async () => {
    const all = await mxHosts({ drop: 'mail' }, { replies: { mail: '451 4.3.0 disk full' } })
    const { trace } = await attempt(deliverer(all[0]!.port), { to: Array.from({ length: 100 }, (_, index) => `u${index}@dest.example`) })
    const [tried] = trace.filter(({ kind }) => kind === 'attempt')
    assert.deepEqual([tried!.text.split('connection lost at MAIL').length - 1, tried!.text.split('disk full').length - 1], [1, 1])
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
    dns().set('half.example', { mx: [[10, 'mx1.dest.example'], [20, 'hung.example']] })
    dns().set('hung.example', { does: 'hang' })
    const [a] = await mxHosts({})
    const resolver = createResolver({ nameservers: () => [dns().nameserver], timeoutMs: 60_000, rounds: 1 })
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
    assert.deepEqual([settlement.notices[0]!.status, codes, (await metrics.attempts.get()).values.filter(({ value }) => value > 0)], ['4.4.7', ['ATTEMPT', 'BOUNCED'], [{ value: 1, labels: { outcome: 'expired' } }]])
    const { from, why, count } = bounced as { from: string; why: string; count: number }
    assert.deepEqual([from, why, count], ['orders@shop.example', 'expired: mx1.dest.example said to RCPT: 450 4.2.1 later', 1])
  })

  it('writes to the log why it is put off where no host said anything: a name server that fails', async () => {
    const lines: object[] = []
    const log = { info: (_: string, fields: object = {}) => void lines.push(fields), warn: () => {}, error: () => {} }
    await attempt(deliverer(1, { log }), { to: ['user@broken.example'] })
    const { class: said, why } = lines[0] as { class: string; why: string }
    assert.equal(said, 'DNS')
    assert.match(why, /^looking up the mail servers of broken\.example failed: .*SERVFAIL/)
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

  for (const [what, domain, why] of [['our own MX', 'ours.example', /lead back to ourselves/], ['no such domain', 'nowhere.example', /does not exist/], ['a null MX', 'null.example', /takes no mail/]] as const) {
    it(`${what}: what a stranger sent to a hosted domain waits where 0 MailDomains have that domain now, and fails where 1 has it as backup MX`, async () => {
      const mail = { to: [`user@${domain}`], envelope: { stranger: true } } as const
      const { later, notices } = await attempt(deliverer(1), mail)
      assert.deepEqual([later!.last.class, later!.countsAsAttempt, notices], ['Other', true, []])
      assert.match(later!.last.why, why)
      assert.match(later!.last.why, /; it came for a MailDomain that is not in force here now$/)
      const backup = { namespace: 'mail', name: 'd', manifest: 'MailDomain mail/d', domain, listeners: ['mx'], inbound: { recipients: { mode: 'Any' as const } } }
      assert.equal((await attempt(deliverer(1, {}, { domains: [backup] }), mail)).notices[0]!.kind, 'failed')
    })
  }
})
