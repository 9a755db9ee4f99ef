// The resolver against a real name server on loopback that can misbehave in every way of the truth table.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startTestDns, type Misbehaviour, type TestDns } from '../../test/tools/dns-server.ts'
import { until } from '../../test/tools/until.ts'
import type { Answer, Resolver } from './answer.ts'
import { createResolver } from './resolver.ts'

describe('the resolver', () => {
  let server: TestDns
  const resolvers: Resolver[] = []
  const resolver = (options: Partial<Parameters<typeof createResolver>[0]> = {}): Resolver => {
    const made = createResolver({ nameservers: () => [server.nameserver], timeoutMs: 10_000, rounds: 1, ...options })
    resolvers.push(made)
    return made
  }
  before(async () => {
    server = await startTestDns({
      'dest.example': { mx: [[10, 'MX1.dest.example'], [20, 'mx2.dest.example']], ttl: 60 },
      'mx1.dest.example': { a: ['192.0.2.1', '192.0.2.2'], aaaa: ['2001:db8::1'] },
      'empty.example': {},
      'null.example': { mx: [[0, '.']] },
      'alias.example': { cname: 'dest.example' },
      'loop-a.example': { cname: 'loop-b.example' },
      'loop-b.example': { cname: 'loop-a.example' },
      'many.example': { mx: Array.from({ length: 200 }, (_, index) => [index, `mx${index}.many.example`] as const), does: 'truncate' },
      ...Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`chain${index}.example`, { cname: `chain${index + 1}.example` }])),
      'chain12.example': { mx: [[1, 'mx.example']] },
    })
  })
  after(async () => {
    for (const made of resolvers) made.close()
    await server.close()
  })

  it('gives MX records with names in lower case and their TTL', async () => {
    assert.deepEqual(await resolver().mx('dest.example'), { kind: 'records', records: [{ preference: 10, exchange: 'mx1.dest.example' }, { preference: 20, exchange: 'mx2.dest.example' }], ttl: 60 })
  })
  it('gives addresses of both families', async () => {
    const { addresses } = resolver()
    assert.deepEqual(await Promise.all([addresses('mx1.dest.example', 4), addresses('mx1.dest.example', 6)]).then((found) => found.map((one) => one.kind === 'records' && one.records)), [['192.0.2.1', '192.0.2.2'], ['2001:db8::1']])
  })
  it('asks the name servers that a new snapshot names, of which the 1st ones had said no such name, and at once', async (t) => {
    const inside = await startTestDns({ 'far.example': { mx: [[10, 'mx1.far.example']] } })
    t.after(() => inside.close())
    let named = server.nameserver
    const { mx } = resolver({ nameservers: () => [named] })
    assert.equal((await mx('far.example')).kind, 'nxdomain')
    named = inside.nameserver
    assert.equal((await mx('far.example')).kind, 'records')
    assert.equal((await mx('dest.example')).kind, 'nxdomain')
  })
  it('tells NODATA from NXDOMAIN', async () => {
    assert.equal((await resolver().mx('empty.example')).kind, 'nodata')
    assert.equal((await resolver().mx('nowhere.example')).kind, 'nxdomain')
  })
  it('takes a server that denies every name, 1 MX that exists and the root of DNS among them, for one that failed, asks the next, and believes it where it knows 1 name', async (t) => {
    const [liar, honest] = [await startTestDns({ '.': {} }), await startTestDns({ '.': {}, 'inside.example': { a: ['192.0.2.9'] }, 'dest.example': { mx: [[10, 'mx1.dest.example']] } })]
    t.after(() => Promise.all([liar.close(), honest.close()]))
    const alone = resolver({ nameservers: () => [liar.nameserver] })
    assert.deepEqual(await alone.mx('dest.example'), { kind: 'failed', why: '127.0.0.1: denies dest.example, but knows not even the root of DNS: it is not believed' })
    const both = resolver({ nameservers: () => [liar.nameserver, honest.nameserver] })
    assert.equal((await both.mx('dest.example')).kind, 'records')
    assert.equal((await both.mx('nowhere.example')).kind, 'nxdomain', 'by one that gave a record, in a network without the root')
    liar.set('.', { ns: ['a.root-servers.net'] })
    assert.equal((await resolver({ nameservers: () => [liar.nameserver] }).mx('dest.example')).kind, 'nxdomain', 'it knows the root')
  })
  it('knows without asking that 3 names under .invalid do not exist, and asks about invalid.example (RFC 6761 6.4)', async () => {
    const { mx } = resolver()
    const kinds = await Promise.all(['far.invalid', 'INVALID', 'a.b.invalid.', 'invalid.example'].map(async (name) => (await mx(name)).kind))
    assert.deepEqual([kinds, server.questions.filter((asked) => /invalid/i.test(asked))], [['nxdomain', 'nxdomain', 'nxdomain', 'nxdomain'], ['MX invalid.example udp']])
  })
  it('keeps the null MX as a record with the root as its name', async () => {
    assert.deepEqual(await resolver().mx('null.example'), { kind: 'records', records: [{ preference: 0, exchange: '.' }], ttl: 300 })
  })
  it('joins the 2 strings of a TXT record, follows the CNAME to it, and keeps its upper case', async () => {
    server.set('key._domainkey.example', { txt: [['v=DKIM1; k=rsa; p=AbC', 'dEf'], 'v=other'] })
    server.set('alias._domainkey.example', { cname: 'key._domainkey.example' })
    const { texts } = resolver()
    for (const name of ['key._domainkey.example', 'alias._domainkey.example']) assert.deepEqual(await texts(name).then((answer) => answer.kind === 'records' && answer.records), ['v=DKIM1; k=rsa; p=AbCdEf', 'v=other'])
  })
  it('follows a CNAME to the MX behind it', async () => {
    const answer = await resolver().mx('alias.example')
    assert.equal(answer.kind === 'records' && answer.records.length, 2)
  })
  it('tells the name that 2 CNAMEs end at, and nothing of a name that is none', async () => {
    server.set('two.example', { cname: 'one.example' })
    server.set('one.example', { cname: 'mx1.dest.example' })
    const { addresses } = resolver()
    const aliasOf = async (name: string) => (await addresses(name, 4) as { alias?: string }).alias
    assert.deepEqual([await aliasOf('two.example'), await aliasOf('mx1.dest.example')], ['mx1.dest.example', undefined])
  })
  it('calls a CNAME loop a failure and not an absence', async () => {
    assert.match(failure(await resolver().mx('loop-a.example')), /loop/)
  })
  it('gives up on a chain of 12 CNAMEs as a failure', async () => {
    assert.match(failure(await resolver().mx('chain0.example')), /CNAME/)
  })
  it('asks over TCP what UDP truncated, and takes 200 MX records', async () => {
    const answer = await resolver().mx('many.example')
    assert.equal(answer.kind === 'records' && answer.records.length, 200)
  })

  const failing: readonly [Misbehaviour, RegExp, timeoutMs?: number][] = [
    ['servfail', /SERVFAIL/], ['refused', /REFUSED/], ['hang', /no answer in time/, 200], ['garbage', /no answer in time/, 200], ['lame', /lame/],
    ['truncate-without-tcp', /truncated/], ['wrong-id', /other questions/, 3000], ['wrong-question', /other questions/, 3000],
  ]
  for (const [does, words, timeoutMs] of failing) {
    it(`calls ${JSON.stringify(does)} a failure, never an absence`, async () => {
      server.set('bad.example', { mx: [[1, 'mx.bad.example']], does })
      assert.match(failure(await resolver({ ...(timeoutMs !== undefined && { timeoutMs }) }).mx('bad.example')), words)
    })
  }
  it('takes no answer with a wrong id, and then the right one', async () => {
    server.set('attacked.example', { mx: [[5, 'right.example']], does: 'wrong-id-then-right' })
    const answer = await resolver().mx('attacked.example')
    assert.deepEqual(answer.kind === 'records' && answer.records, [{ preference: 5, exchange: 'right.example' }])
  })
  it('asks again without EDNS where a server knows none', async () => {
    server.set('old.example', { mx: [[5, 'right.example']], does: 'formerr-on-edns' })
    assert.equal((await resolver().mx('old.example')).kind, 'records')
  })
  it('asks without EDNS over TCP too, where the 512 octets that such a server has without it are too few', async () => {
    server.set('old.example', { mx: [[5, 'right.example']], does: 'truncate-and-formerr-on-edns' })
    assert.deepEqual(await resolver().mx('old.example').then((answer) => answer.kind === 'records' ? answer.records : answer), [{ preference: 5, exchange: 'right.example' }])
  })
  it('waits for a slow answer within its time-out', async () => {
    server.set('slow.example', { mx: [[5, 'right.example']], does: { delayMs: 100 } })
    assert.equal((await resolver().mx('slow.example')).kind, 'records')
  })
  it('asks the second server when the first does not answer', async () => {
    const silent = await startTestDns({ 'dest.example': { does: 'hang' } })
    const answer = await resolver({ nameservers: () => [silent.nameserver, server.nameserver], timeoutMs: 1000, rounds: 5 }).mx('dest.example')
    await silent.close()
    assert.equal(answer.kind, 'records')
  })
  it('asks a server that did not answer last for 30 seconds: it costs its time-out once and not for each of 3 names', async () => {
    const silent = await startTestDns({ 'dest.example': { does: 'hang' } })
    let now = 0
    const { mx } = resolver({ nameservers: () => [silent.nameserver, server.nameserver], timeoutMs: 1000, rounds: 5, now: () => now })
    assert.equal((await mx('dest.example')).kind, 'records')
    for (const name of ['null.example', 'alias.example']) assert.equal((await mx(name)).kind, 'records')
    assert.equal(silent.questions.length, 1)
    now = 31_000
    await mx('nowhere.example')
    assert.equal(silent.questions.length, 2)
    await silent.close()
  })
  it('asks the second server when the first fails', async () => {
    const broken = await startTestDns({ 'dest.example': { does: 'servfail' } })
    const answer = await resolver({ nameservers: () => [broken.nameserver, server.nameserver] }).mx('dest.example')
    await broken.close()
    assert.equal(answer.kind, 'records')
  })
  it('says so when there is no way to the 1 name server, and goes on living', async () => {
    const lost = createResolver({ nameservers: () => ['255.255.255.255'], timeoutMs: 10_000, rounds: 1 })
    assert.match(failure(await lost.mx('dest.example')), /^255\.255\.255\.255: E/)
    lost.close()
  })
  it('keeps 64 of 1,000 addresses of a host', async () => {
    server.set('many.example', { a: Array.from({ length: 1_000 }, (_, n) => `198.51.${n >> 8}.${n & 255}`) })
    const answer = await resolver().addresses('many.example', 4)
    assert.equal(answer.kind === 'records' && answer.records.length, 64)
  })
  it('says so when there is no name server at all', async () => {
    assert.match(failure(await resolver({ nameservers: () => ['127.0.0.1:1'] }).mx('dest.example')), /127\.0\.0\.1/)
  })
  it('calls a name that DNS cannot hold a failure without asking', async () => {
    assert.match(failure(await resolver().mx(`${'x'.repeat(64)}.example`)), /no name/)
    assert.match(failure(await resolver({ timeoutMs: 200, rounds: 1 }).mx(`${'\ufffd'.repeat(22)}.example`)), /no name/) // 66 octets: what a CNAME to 22 octets of no UTF-8 is read as
  })

  it('lets go of what it waits for when it is closed', async () => {
    server.set('forever.example', { does: 'hang' })
    const closed = resolver({ timeoutMs: 60_000 })
    const waiting = closed.mx('forever.example')
    await until('the question', () => timesAsked('forever.example') > 0, 10_000, 5)
    closed.close()
    assert.match(failure(await waiting), /closed/)
  })

  const timesAsked = (name: string): number => server.questions.filter((question) => question.includes(name)).length
  it('asks once for 50 look-ups at the same time, and keeps the answer for its TTL', async () => {
    let now = 0
    const { mx } = resolver({ now: () => now })
    server.set('once.example', { mx: [[1, 'a.example']], ttl: 60 })
    await Promise.all(Array.from({ length: 50 }, () => mx('once.example')))
    now = 59_000
    await mx('once.example')
    assert.equal(timesAsked('once.example'), 1)
    now = 61_000
    await mx('once.example')
    assert.equal(timesAsked('once.example'), 2)
  })
  it('keeps a TTL of 0 for 5 seconds, and a failure for 10', async () => {
    let now = 0
    const { mx } = resolver({ now: () => now })
    server.set('brief.example', { mx: [[1, 'a.example']], ttl: 0 })
    server.set('failing.example', { does: 'servfail' })
    for (const at of [0, 4900, 5100]) {
      now = at
      await mx('brief.example')
    }
    assert.equal(timesAsked('brief.example'), 2)
    for (const at of [20_000, 29_900, 30_100]) {
      now = at
      await mx('failing.example')
    }
    assert.equal(timesAsked('failing.example'), 2)
  })
  it('gives the records it had while a refresh fails, for a day, asks anew every 10 seconds, and believes an absence at once', async () => {
    let now = 0
    const { mx } = resolver({ now: () => now })
    const at = async (ms: number) => ((now = ms), (await mx('stale.example')).kind)
    server.set('stale.example', { mx: [[1, 'a.example']], ttl: 60 })
    assert.equal(await at(0), 'records')
    server.set('stale.example', { does: 'servfail' })
    assert.deepEqual([await at(61_000), await at(70_900), timesAsked('stale.example')], ['records', 'records', 2])
    assert.deepEqual([await at(71_100), timesAsked('stale.example'), await at(60_000 + 86_399_000), await at(60_000 + 86_410_000)], ['records', 3, 'records', 'failed'])
    server.set('stale.example', { mx: [[1, 'a.example']], ttl: 60 })
    assert.equal(await at(90_000_000), 'records')
    server.set('stale.example', {})
    assert.equal(await at(90_061_000), 'nodata')
  })
})

const failure = (answer: Answer<unknown>): string => {
  assert.equal(answer.kind, 'failed')
  return answer.kind === 'failed' ? answer.why : ''
}
