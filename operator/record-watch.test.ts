// The watch over DNS records against a real name server that can misbehave.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startTestDns, type TestDns } from '../test/tools/dns-server.ts'
import { until } from '../test/tools/until.ts'
import { dkimRecord, requiredRecords, type RecordsWanted } from './plan/index.ts'
import { RecordWatch, type RecordWatchOptions } from './record-watch.ts'

const publicPart = 'A'.repeat(392) // as long as that of an RSA key of 2048 bits
const wantedFor = (domain: string, nameserver: string): RecordsWanted => ({
  records: requiredRecords({ spec: { domain, inbound: {} } as never }, { hostnames: ['mx1.example'], dkim: [{ selector: 'ph-rsa-202611', algorithm: 'rsa', publicPart }] }),
  nameservers: [nameserver],
  comingKeys: [],
})

describe('the watch over DNS records', () => {
  let dns: TestDns
  const watches: RecordWatch[] = []
  /** `news`: how many questions had been asked by each. */
  const start = (times: NonNullable<RecordWatchOptions['times']> = {}): { readonly watch: RecordWatch; readonly news: readonly number[] } => {
    const news: number[] = []
    const watch = new RecordWatch({ changed: () => void news.push(dns.questions.length), times: { firstMs: 20, lastMs: 20, failures: 3, patienceMs: 10_000, ...times } })
    watches.push(watch)
    return { watch, news }
  }
  const states = (watch: RecordWatch, key = 'mail/d'): string[] => watch.judge(key).map(({ state }) => String(state))
  const want = (watch: RecordWatch, ...domains: string[]): void => watch.want(new Map(domains.map((domain) => [`mail/${domain.split('.')[0]!}`, wantedFor(domain, dns.nameserver)])))

  before(async () => {
    dns = await startTestDns({
      'd.example': { mx: [[10, 'mx1.example']], txt: ['v=spf1 include:spf.example -all'], ttl: 0 },
      'spf.example': { txt: ['v=spf1 ip4:192.0.2.0/24 -all'], ttl: 0 },
      'mx1.example': { a: ['192.0.2.1'], ttl: 0 },
      'ph-rsa-202611._domainkey.d.example': { cname: 'keys.example' },
      'keys.example': { txt: [['v=DKIM1; k=rsa; p=', publicPart.slice(0, 200), publicPart.slice(200)]], ttl: 0 },
      '_dmarc.d.example': { txt: ['v=DMARC1; p=reject'], ttl: 0 },
    })
  })
  afterEach(async () => {
    for (const watch of watches.splice(0)) await watch.stop()
  })
  after(() => dns.close())

  it('sees 4 records: an MX, an SPF record with an include, a DKIM record in 3 strings behind a CNAME, a stricter DMARC; and has news once', async () => {
    const { watch, news } = start()
    want(watch, 'd.example')
    assert.deepEqual(states(watch), ['undefined', 'undefined', 'undefined', 'undefined'])
    await until('all of them', () => states(watch).every((state) => state === 'Published'))
    assert.ok(watch.sees('mail/d', dkimRecord('d.example', 'ph-rsa-202611', publicPart, 'rsa')))
    assert.ok(!watch.sees('mail/d', dkimRecord('d.example', 'ph-rsa-202611', 'B', 'rsa')))
    const asked = dns.questions.length
    await until('several more looks', () => dns.questions.length > asked + 20)
    assert.equal(news.length, 1)
  })

  it('sees what is published later, and what is taken away', async () => {
    const { watch } = start()
    dns.set('late.example', { mx: [[10, 'mx1.example']], ttl: 0 })
    want(watch, 'late.example')
    await until('3 missing', () => states(watch, 'mail/late').join() === 'Published,Missing,Missing,Missing')
    dns.set('late.example', { txt: ['v=spf1 a:mx1.example -all'], ttl: 0 })
    await until('SPF, and the MX gone', () => states(watch, 'mail/late').slice(0, 2).join() === 'Missing,Published', 60_000)
  })

  it('holds what it knew through 2 failures, and says Unknown after the 3rd', async () => {
    const { watch, news } = start({ firstMs: 2000, lastMs: 2000 }) // longer than a failure is kept
    dns.set('shaky.example', { mx: [[10, 'mx1.example']], ttl: 0 })
    want(watch, 'shaky.example')
    await until('the MX', () => states(watch, 'mail/shaky')[0] === 'Published')
    dns.set('shaky.example', { does: 'servfail' })
    const before = dns.questions.length
    await until('Unknown', () => states(watch, 'mail/shaky')[0] === 'Unknown', 60_000)
    const asked = dns.questions.slice(before, news[1]).filter((question) => question.startsWith('MX shaky'))
    assert.deepEqual([news.length, asked.length], [2, 3 * 2]) // each look asks twice
    assert.match(watch.judge('mail/shaky')[0]!.why!, /SERVFAIL/)
  })

  it('asks the 2nd name server at once where the 1st, which is not wanted any more, would have said nothing for 10 minutes', async () => {
    const silent = await startTestDns({})
    try {
      for (const name of ['d.example', '_dmarc.d.example', 'ph-rsa-202611._domainkey.d.example']) silent.set(name, { does: 'hang' })
      const { watch } = start({ patienceMs: 600_000 })
      watch.want(new Map([['mail/d', wantedFor('d.example', silent.nameserver)]]))
      await until('a question', () => silent.questions.length > 0)
      want(watch, 'd.example')
      await until('all of them', () => states(watch).every((state) => state === 'Published'))
    } finally {
      await silent.close()
    }
  })

  it('with 40 domains whose server says nothing, still sees another within seconds of a turn, and stops at once', async () => {
    const silent = Array.from({ length: 40 }, (_, n) => `silent${n}.example`)
    for (const name of silent) for (const full of [name, `_dmarc.${name}`, `ph-rsa-202611._domainkey.${name}`]) dns.set(full, { does: 'hang' })
    const { watch } = start({ patienceMs: 300 })
    want(watch, ...silent, 'd.example')
    await until('the domain that is well', () => states(watch).every((state) => state === 'Published'), 60_000)
    await until('a silent one', () => states(watch, 'mail/silent0')[0] === 'Unknown', 60_000)
    const { watch: patient } = start({ patienceMs: 600_000 })
    const asked = dns.questions.length
    want(patient, ...silent)
    await until('questions', () => dns.questions.length > asked)
    await patient.stop() // else this takes 10 minutes
  })

  it('forgets a domain that is not wanted any more: 0 further questions', async () => {
    const { watch } = start()
    dns.set('gone.example', { mx: [[10, 'mx1.example']], ttl: 0 })
    want(watch, 'gone.example')
    await until('a look', () => states(watch, 'mail/gone')[0] === 'Published')
    watch.want(new Map())
    await until('0 questions in 300 ms', async () => {
      const asked = dns.questions.length // the look that has begun goes on to its end
      await sleep(300)
      return dns.questions.length === asked
    })
    assert.deepEqual(watch.judge('mail/gone'), [])
  })
})
