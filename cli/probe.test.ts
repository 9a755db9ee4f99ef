import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { writeSnapshot } from '../relay/snapshot/index.ts'
import { makeCertificate } from '../test/tools/certificate.ts'
import { testSnapshot } from '../test/tools/delivery.ts'
import { startTestDns, type TestDns } from '../test/tools/dns-server.ts'
import { Failure } from './failure.ts'
import { probe, type ProbeOptions, type ProbeResult } from './probe.ts'
import { startSink, type RunningSink, type SinkOptions } from './standalone/sink.ts'

describe('posthouse probe', () => {
  let dns: TestDns
  const sinks: RunningSink[] = []
  before(async () => {
    dns = await startTestDns({
      'dest.example': { mx: [[20, 'mx2.dest.example'], [10, 'mx1.dest.example']] }, 'mx1.dest.example': { a: ['127.0.0.2'] }, 'mx2.dest.example': { a: ['127.0.0.3'] },
      'null.example': { mx: [[0, '.']] }, 'broken.example': { does: 'servfail' },
    })
  })
  after(async () => {
    await dns.close()
    await Promise.all(sinks.map((sink) => sink.close()))
  })
  const run = async (domain: string, port: number, options: Partial<ProbeOptions> = {}): Promise<ProbeResult & { said: string }> => {
    const lines: string[] = []
    const result = await probe(domain, { port: `${port}`, timeout: '5', nameserver: dns.nameserver, helo: 'me.example', ...options }, (line) => void lines.push(line))
    return { ...result, said: lines.join('\n') }
  }
  const sinkAt = async (host: string, options: SinkOptions = {}): Promise<RunningSink> => {
    const sink = await startSink({ ...options, host })
    sinks.push(sink)
    return sink
  }

  it('shows the look-up, then each host in the order of its preference, with the transcript', async () => {
    const { port } = await sinkAt('127.0.0.2')
    const { said, ok, hosts } = await run('dest.example', port)
    assert.match(said, /^MX dest\.example: 10 mx1\.dest\.example, 20 mx2\.dest\.example\n {2}10 mx1\.dest\.example: 127\.0\.0\.2\n/)
    assert.match(said, /127\.0\.0\.2 is a loopback address: the relay does not connect there by MX/)
    assert.match(said, /mx1\.dest\.example \[127\.0\.0\.2\]:\d+\n< 220 sink[^\n]*\n> EHLO me\.example\n< 250-/)
    assert.match(said, /mx2\.dest\.example \[127\.0\.0\.3\]:\d+\n {2}.*connection refused/)
    assert.deepEqual([ok, hosts.map(({ answers }) => answers)], [true, [true, false]])
  })
  it('says which TLS was seen, and that a self-signed certificate is not valid', async () => {
    const { certificate, key } = makeCertificate('mx1.dest.example')
    const { port } = await sinkAt('127.0.0.2', { tls: { key, cert: certificate } })
    const { said, hosts } = await run('dest.example', port)
    assert.match(said, /TLS: TLSv1\.3, TLS_[A-Z0-9_]+; certificate for mx1\.dest\.example, until .*: NOT valid \(/)
    assert.deepEqual([hosts[0]!.tls!.version, hosts[0]!.tls!.verified], ['TLSv1.3', false])
  })
  it('finds an open relay by going to the end of DATA', async () => {
    const sink = await sinkAt('127.0.0.2')
    const { ok, verdict, hosts } = await run('127.0.0.2', sink.port, { relayTest: true })
    assert.deepEqual([ok, hosts[0]!.relays, sink.count()], [false, 'yes', 1])
    assert.match(verdict, /RELAYS FOR STRANGERS/)
    assert.match(sink.mails[0]!.to[0]!, /@posthouse-probe\.invalid>$/)
  })
  const refusals: readonly [SinkOptions, string][] = [
    [{ replies: { rcpt: '550 5.7.1 Relaying denied' } }, 'no'], [{ replies: { dot: '554 5.7.1 no' } }, 'no'], [{ replies: { rcpt: '450 4.7.1 later' } }, 'unknown'], [{ drop: 'rcpt' }, 'unknown'],
  ]
  for (const [options, expected] of refusals) {
    it(`says "${expected}" to the relay test where the host answers ${JSON.stringify(options)}`, async () => {
      const { port } = await sinkAt('127.0.0.2', options)
      const { hosts, ok } = await run('127.0.0.2', port, { relayTest: true })
      assert.deepEqual([hosts[0]!.relays, ok], [expected, expected === 'no'])
    })
  }
  it('says what the relay would do where DNS has no way', async () => {
    assert.match((await run('null.example', 25)).said, /return the mail at once \(5\.1\.10/)
    assert.match((await run('nowhere.example', 25)).said, /no such name[\s\S]*return the mail at once \(5\.1\.2/)
    assert.match((await run('broken.example', 25)).said, /SERVFAIL[\s\S]*try again later \(4\.4\.3/)
  })
  it('inside a pod asks the name servers of its relay, and says by which way mail goes where that is not MX', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'posthouse-probe-'))
    const route = { namespace: 'mail', name: 'out', manifest: 'DeliveryRoute mail/out', match: { recipientDomains: ['nowhere.example'] }, nextHops: [{ kind: 'smarthost' as const, host: 'smart.example', port: 587 }] }
    writeSnapshot(folder, testSnapshot({ routes: [route] }, { resolver: { nameservers: [dns.nameserver] } }))
    const probed = async (domain: string): Promise<string> => {
      const lines: string[] = []
      await probe(domain, { port: '1', timeout: '5', helo: 'me.example', snapshot: folder }, (line) => void lines.push(line))
      return lines.join('\n')
    }
    try {
      assert.match(await probed('dest.example'), /^MX dest\.example: 10 mx1\.dest\.example/)
      const elsewhere = await probed('nowhere.example')
      assert.match(elsewhere, /^mail for nowhere\.example goes by DeliveryRoute mail\/out: smart\.example:587, not by what follows; posthouse talk HOST:PORT shows what a server says\nMX nowhere\.example: no such name/)
      assert.doesNotMatch(elsewhere, /return the mail at once/)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
  it('inside a pod whose snapshot this release cannot read, as during an upgrade, says so and goes on; named with --snapshot it is a failure', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'posthouse-probe-'))
    const lines: string[] = []
    try {
      writeFileSync(join(folder, 'index.json'), JSON.stringify({ version: 2 }))
      const { hosts } = await probe('[127.0.0.2]', { port: '1', timeout: '5', helo: 'me.example' }, (line) => void lines.push(line), folder)
      assert.match(lines[0]!, /^what the relay runs cannot be read, so its name servers and routes are not known here: .*has version 2; this release reads 1$/)
      assert.equal(hosts.length, 1)
      await assert.rejects(probe('[127.0.0.2]', { port: '1', timeout: '5', snapshot: folder }, () => {}), Failure)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
  it('ends by itself at a host that hangs', async () => {
    const { port } = await sinkAt('127.0.0.2', { hang: 'greeting' })
    const { hosts, ok } = await run('127.0.0.2', port, { timeout: '0.3' })
    assert.deepEqual([ok, hosts[0]!.answers], [false, false])
  })
  for (const [domain, options] of [['no domain', {}], ['dest.example', { port: '99999' }], ['dest.example', { timeout: 'soon' }], ['dest.example', { from: 'nobody' }]] as const) {
    it(`refuses ${domain} ${JSON.stringify(options)} with a clear error`, () => assert.rejects(run(domain, 25, options), Failure))
  }
})
