// Sessions against a sink on loopback that misbehaves: TLS policies, injected replies, AUTH, HELO, hangs, floods.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { makeCertificate, type TestCertificate } from '../../test/tools/certificate.ts'
import { freePort } from '../../cli/standalone/nats-process.ts'
import { startSink, type RunningSink, type SinkOptions } from '../../cli/standalone/sink.ts'
import { Pool } from './pool.ts'
import { closeSession, openSession, readExtensions, type Opened, type Opening, type Target } from './session.ts'
import { settingsFrom, type SettingsInput } from './settings.ts'
import { Watch } from './wire.ts'

describe('opening a session', () => {
  let certificate: TestCertificate
  const sinks: RunningSink[] = []
  before(() => (certificate = makeCertificate('mx.dest.example')))
  after(() => Promise.all(sinks.map((sink) => sink.close())))

  const sinkWith = async (options: SinkOptions): Promise<RunningSink> => {
    const sink = await startSink(options)
    sinks.push(sink)
    return sink
  }
  const withTls = (options: SinkOptions = {}): Promise<RunningSink> => sinkWith({ tls: { key: certificate.key, cert: certificate.certificate }, ...options })
  const open = async (sink: Pick<RunningSink, 'port'>, target: Partial<Target> = {}, opening: Partial<Opening> = {}, settings: SettingsInput = {}): Promise<Opened> => {
    const watch = new Watch(10)
    const opened = await openSession(
      { host: 'mx.dest.example', address: '127.0.0.1', port: sink.port, tls: 'Opportunistic', implicitTls: false, ...target },
      { hostname: 'mx1.relay.example', settings: settingsFrom(settings), watch, ...opening },
    )
    if (opened.kind === 'open') closeSession(opened.session)
    return opened
  }
  const state = (opened: Opened): string => {
    if (opened.kind === 'open') return `open ${opened.session.tls === undefined ? 'plain' : opened.session.tls.verified ? 'verified' : 'unverified'}`
    const { event } = opened
    return event.kind === 'said' ? `said ${event.said.command} ${event.said.code}` : event.kind === 'tls' ? `tls ${event.how}` : `silent ${event.at} ${event.how}`
  }
  const trusted = (): SettingsInput => ({ extraCa: [certificate.certificate] })

  it('reads the extensions of EHLO', () => {
    const lines = ['250-mx', '250-pipelining', '250-SIZE 1000', '250-AUTH PLAIN login', '250 DSN']
    assert.deepEqual(readExtensions({ code: 250, lines }), { pipelining: true, eightBitMime: false, smtputf8: false, dsn: true, starttls: false, size: 1000, auth: ['PLAIN', 'LOGIN'] })
  })
  it('reads 3 keywords AUTH, one spelt with "=" as old hosts do, as one list', () => {
    const lines = ['250-mx', '250-AUTH LOGIN', '250-AUTH=PLAIN', '250 AUTH GSSAPI login']
    assert.deepEqual(readExtensions({ code: 250, lines }).auth, ['LOGIN', 'PLAIN', 'GSSAPI', 'LOGIN'])
  })
  for (const [said, size] of [['SIZE', 0], ['SIZE 0', 0], ['SIZE 1000', 1000], ['size=1000', 1000], ['SIZE 0x10', 0], ['SIZE 1e1', 0], ['SIZE 10MB', 0], ['SIZE -1', 0], ['SIZE 99999999999999999999', 0]] as const)
    it(`reads a limit of ${size} out of ${said}: what is no number of digits refuses no mail`, () => assert.equal(readExtensions({ code: 250, lines: ['250-mx', `250 ${said}`] }).size, size))

  const policies: readonly [Target['tls'], SinkOptions | 'tls', 'trusted' | 'unknown', string][] = [
    ['None', 'tls', 'trusted', 'open plain'],
    ['Opportunistic', {}, 'unknown', 'open plain'],
    ['Opportunistic', 'tls', 'unknown', 'open unverified'],
    ['Opportunistic', 'tls', 'trusted', 'open verified'],
    ['Require', {}, 'unknown', 'tls not-offered'],
    ['Require', 'tls', 'unknown', 'open unverified'],
    ['Verify', {}, 'unknown', 'tls not-offered'],
    ['Verify', 'tls', 'unknown', 'tls unverified'],
    ['Verify', 'tls', 'trusted', 'open verified'],
    ['Opportunistic', { replies: { starttls: '454 4.7.0 not now' } }, 'unknown', 'open plain'],
    ['Require', { replies: { starttls: '454 4.7.0 not now' } }, 'unknown', 'said STARTTLS 454'],
    ['Opportunistic', { replies: { starttls: '421 4.3.2 closing' } }, 'unknown', 'said STARTTLS 421'],
  ]
  for (const [tls, options, trust, expected] of policies) {
    const what = options === 'tls' ? `a host with a ${trust === 'trusted' ? 'certificate that is valid' : 'self-signed certificate'}` : options.replies ? 'a host that refuses STARTTLS' : 'a host without TLS'
    it(`${tls} and ${what}: ${expected}`, async () => {
      const sink = await (options === 'tls' ? withTls() : options.replies ? withTls(options) : sinkWith(options))
      assert.equal(state(await open(sink, { tls }, {}, trust === 'trusted' ? trusted() : {})), expected)
    })
  }
  it('Verify with an authority of its own takes what that one signed, under a client certificate too, and what the 1 other authority signed, or where its own is not there, it does not', async () => {
    const [own, other] = [certificate, makeCertificate('mx.dest.example')].map((one) => ({ name: 'ca', certificate: one.certificate }))
    const clientCertificate = { name: 'client', ...certificate }
    const absent = { name: 'ca', certificate: '' }
    const tried: readonly (readonly [Partial<Target>, SettingsInput])[] = [[{ authority: own! }, {}], [{ authority: own!, clientCertificate }, {}], [{ authority: other! }, trusted()], [{ authority: other!, clientCertificate }, {}], [{ clientCertificate }, trusted()], [{ clientCertificate }, {}], [{ authority: absent }, trusted()]]
    const states = await Promise.all(tried.map(async ([target, settings]) => state(await open(await withTls(), { tls: 'Verify', ...target }, {}, settings))))
    assert.deepEqual(states, ['open verified', 'open verified', 'tls unverified', 'tls unverified', 'open verified', 'tls unverified', 'tls unverified'])
  })
  it('a kept connection to a host that an authority vouched for is used again where the snapshot was only read again, and not where it has another authority under that name: 1 of 2', async (t) => {
    const sink = await withTls()
    const pool = new Pool(1000)
    t.after(() => pool.close())
    const settings = settingsFrom({})
    const take = (authority: Target['authority']): Promise<Opened> =>
      pool.take({ host: 'mx.dest.example', address: '127.0.0.1', port: sink.port, tls: 'Verify', implicitTls: false, authority: authority! }, { hostname: 'mx1.relay.example', settings, watch: new Watch(10) }, false)
    const states: string[] = []
    for (const one of [certificate, certificate, makeCertificate('mx.dest.example')]) {
      const opened = await take({ name: 'ca:mail/own', certificate: one.certificate })
      states.push(state(opened))
      if (opened.kind === 'open') pool.give(opened.session, settings)
    }
    assert.deepEqual([states, sink.connections()], [['open verified', 'open verified', 'tls unverified'], 2])
  })
  it('a kept connection is used again for the same login, certificate and name of ours, and not where the password, the client certificate under its name or our own name is another: 4 of 5 are opened', async (t) => {
    const sink = await withTls({ auth: { username: 'me', password: 'old' } })
    const pool = new Pool(1000)
    t.after(() => pool.close())
    const settings = settingsFrom(trusted())
    const target = { host: 'mx.dest.example', address: '127.0.0.1', port: sink.port, tls: 'Verify' as const, implicitTls: false, credentials: { username: 'me', password: 'old' }, clientCertificate: { name: 'client', ...certificate } }
    const take = async (changed: Partial<Target>, hostname = 'mx1.relay.example'): Promise<readonly [string, number]> => {
      const opened = await pool.take({ ...target, ...changed }, { hostname, settings, watch: new Watch(10) }, false)
      const seen = [state(opened), sink.connections()] as const
      if (opened.kind === 'open') pool.give(opened.session, settings)
      return seen
    }
    const seen = [await take({}), await take(structuredClone(target)), await take({ credentials: { username: 'me', password: 'new' } }), await take({ clientCertificate: { name: 'client', ...makeCertificate('other') } }), await take({}, 'mx2.relay.example')]
    assert.deepEqual(seen, [['open verified', 1], ['open verified', 1], ['said AUTH 535', 2], ['open verified', 3], ['open verified', 4]])
  })
  it('Verify wants the name: a valid certificate for another host is none', async () => {
    const opened = await open(await withTls(), { tls: 'Verify', host: 'other.dest.example' }, {}, trusted())
    assert.equal(state(opened), 'tls unverified')
    assert.match(opened.kind === 'failed' && opened.event.kind === 'tls' ? opened.event.text : '', /: it is for other names \(ERR_TLS_CERT_ALTNAME_INVALID\)$/)
  })
  const expired: readonly [Target['tls'], string, RegExp][] = [['Verify', 'tls unverified', /its certificate does not prove the name: it has expired \(CERT_HAS_EXPIRED\)$/], ['Require', 'open unverified', /^$/], ['Opportunistic', 'open unverified', /^$/]]
  for (const [tls, expected, says] of expired) {
    it(`${tls} and a certificate of a known issuer that expired 60 s ago: ${expected}`, async () => {
      const { key, certificate: cert } = makeCertificate('mx.dest.example', Date.now() - 60_000)
      const opened = await open(await sinkWith({ tls: { key, cert } }), { tls }, {}, { extraCa: [cert] })
      assert.equal(state(opened), expected)
      assert.match(opened.kind === 'failed' && opened.event.kind === 'tls' ? opened.event.text : '', says)
    })
  }
  it('a host with TLS 1.1 only fails the handshake', async () => {
    const sink = await sinkWith({ tls: { key: certificate.key, cert: certificate.certificate, maxVersion: 'TLSv1.1' } })
    const opened = await open(sink, { tls: 'Require' })
    assert.equal(state(opened), 'tls handshake')
    assert.match(opened.kind === 'failed' && opened.event.kind === 'tls' ? opened.event.text : '', /^TLS handshake failed: it knows neither TLS 1\.2 nor 1\.3 \(ERR_SSL_\w+\)$/)
  })
  it('refuses a session whose host sends replies before the handshake', async () => {
    const sink = await withTls({ injectBeforeTls: '250 2.0.0 injected\r\n' })
    for (const tls of ['Opportunistic', 'Require', 'Verify'] as const) assert.equal(state(await open(sink, { tls }, {}, trusted())), 'tls injected')
  })
  it('refuses half a reply before the handshake as well', async () => {
    assert.equal(state(await open(await withTls({ injectBeforeTls: '250-inj' }), {}, {}, trusted())), 'tls injected')
  })
  it('asks EHLO again after TLS, and believes only that', async () => {
    const sink = await withTls({ replies: { ehlo: (_line, { isTls }) => (isTls ? '250 mx' : undefined) } })
    const opened = await open(sink, {}, {}, trusted())
    assert.equal(opened.kind === 'open' && opened.session.extensions.pipelining, false)
    assert.equal(sink.commands.filter((line) => line.includes('EHLO')).length, 2)
  })
  it('speaks TLS from the first byte on port 465', async () => {
    const sink = await withTls({ implicitTls: true })
    assert.equal(state(await open(sink, { implicitTls: true, tls: 'Verify' }, {}, trusted())), 'open verified')
  })

  const credentials = { username: 'relay', password: 's3cret' }
  for (const mechanism of ['PLAIN', 'LOGIN']) {
    it(`logs in with AUTH ${mechanism} over verified TLS, and the transcript has no password`, async () => {
      const lines: string[] = []
      const replies = mechanism === 'LOGIN' ? { ehlo: '250-mx\n250-STARTTLS\n250 AUTH LOGIN' } : {}
      const sink = await withTls({ auth: credentials, replies })
      assert.equal(state(await open(sink, { credentials, tls: 'Verify' }, { transcript: (_way, line) => void lines.push(line) }, trusted())), 'open verified')
      const secret = Buffer.from(credentials.password).toString('base64')
      assert.ok(lines.length > 4 && !lines.some((line) => line.includes(secret) || Buffer.from(line.split(' ').at(-1)!, 'base64').toString().includes(credentials.password)))
    })
  }
  it('never sends a password over unverified TLS, whatever the mode', async () => {
    const sink = await withTls({ auth: credentials })
    for (const tls of ['Opportunistic', 'Require'] as const) assert.equal(state(await open(sink, { credentials, tls })), 'tls auth-needs-verified')
    assert.ok(!sink.commands.some((line) => line.includes('AUTH ')))
  })
  it('never sends a password without TLS', async () => {
    const sink = await sinkWith({ auth: credentials })
    assert.equal(state(await open(sink, { credentials })), 'tls auth-needs-verified')
    assert.ok(!sink.commands.some((line) => line.includes('AUTH ')))
  })
  it('says what the host said to a wrong password', async () => {
    const sink = await withTls({ auth: { ...credentials, password: 'other' } })
    assert.equal(state(await open(sink, { credentials, tls: 'Verify' }, {}, trusted())), 'said AUTH 535')
  })

  it('falls back to HELO on the same connection', async () => {
    const sink = await sinkWith({ replies: { ehlo: '502 5.5.1 what' } })
    assert.equal(state(await open(sink)), 'open plain')
    assert.deepEqual(sink.commands.slice(0, 2), ['1 EHLO mx1.relay.example', '1 HELO mx1.relay.example'])
  })
  it('takes a greeting of 554 for the host\'s', async () => assert.equal(state(await open(await sinkWith({ replies: { greeting: '554 5.3.2 no' } }))), 'said GREETING 554'))

  /** Short is only the time that is to run out. */
  const within = (expected: string): SettingsInput => ({ timeouts: { greeting: expected === 'silent GREETING timeout' ? 300 : 30_000, ehlo: expected === 'silent EHLO timeout' ? 300 : 30_000 }, replyLimits: { bytes: 20_000, lines: 50 } })
  const rude: readonly [string, SinkOptions, string][] = [
    ['silence before the greeting', { hang: 'greeting' }, 'silent GREETING timeout'],
    ['silence after EHLO', { hang: 'ehlo' }, 'silent EHLO timeout'],
    ['a drop before the greeting', { drop: 'greeting' }, 'silent GREETING lost'],
    ['a drop at EHLO', { drop: 'ehlo' }, 'silent EHLO lost'],
    ['an endless multi-line reply', { flood: 'ehlo' }, 'silent EHLO endless'],
    ['a line of 10 MB', { longLine: { phase: 'greeting', bytes: 10_000_000 } }, 'silent GREETING endless'],
    ['a reply byte by byte, slower than the time-out', { dripMs: 60 }, 'silent GREETING timeout'],
    ['a web server', { replies: { greeting: 'HTTP/1.1 200 OK' } }, 'silent GREETING garbled'],
  ]
  for (const [what, options, expected] of rude) it(`${what}: ${expected}`, async () => assert.equal(state(await open(await sinkWith(options), {}, {}, within(expected))), expected))

  it('nobody listening: refused', async () => assert.equal(state(await open({ port: await freePort() })), 'silent CONNECT refused'))
  it('is called off by its signal while it connects', async () => {
    assert.equal(state(await open(await sinkWith({}), {}, { signal: AbortSignal.abort() })), 'silent CONNECT aborted')
  })
})
