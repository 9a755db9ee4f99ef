import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { judgeRecord, type JudgedRecord } from './compare.ts'
import { keptOf, lookInto, type Fact, type Facts } from './facts.ts'
import { requiredRecords, type RequiredRecord } from './required.ts'

type Zone = Readonly<Record<string, readonly string[] | 'failed'>> // "TXT d.example" → texts
const factsOf = (zone: Zone): Facts => new Map(Object.entries(zone).map(([title, values]): [string, Fact] => [title, values === 'failed' ? { kind: 'failed', why: 'SERVFAIL' } : { kind: 'records', values }]))

const required = (purpose: RequiredRecord['purpose'], hostnames = ['mx1.example'], domain = 'd.example'): RequiredRecord =>
  requiredRecords({ spec: { domain, inbound: {}, outbound: { dkim: {} } } as never }, { hostnames, dkim: [{ selector: 'ph-rsa-202611', algorithm: 'rsa', publicPart: 'AbC+/=' }] }).find((record) => record.purpose === purpose)!

/** Everything is asked that there is to ask; what the zone does not hold does not exist. */
const judge = (record: RequiredRecord, zone: Zone): JudgedRecord & { readonly asked: number } => {
  const facts = new Map(factsOf(zone))
  let asked = 0
  for (;;) {
    const { look, missing } = lookInto(facts)
    const judged = judgeRecord(record, look)
    if (missing().length === 0) return { ...judged, asked }
    assert.equal(judged.state, undefined, 'no verdict while a question is open')
    for (const { type, name } of missing()) facts.set(`${type} ${name}`, { kind: 'none' })
    asked += missing().length
    assert.ok(asked < 60, 'it comes to an end')
  }
}

type Row = readonly [title: string, zone: Zone, state: string, why?: RegExp]
const rows = (purpose: RequiredRecord['purpose'], table: readonly Row[], hostnames?: string[]): void => {
  for (const [title, zone, state, why] of table) {
    it(`${title}: ${state}`, () => {
      const judged = judge(required(purpose, hostnames), zone)
      assert.equal(judged.state, state, judged.why)
      if (why) assert.match(judged.why ?? '', why)
      assert.equal(judged.observed !== undefined, state === 'Published' || state === 'Different')
    })
  }
}

describe('an MX record', () => {
  rows('MX', [
    ['the same', { 'MX d.example': ['10 mx1.example'] }, 'Published'],
    ['at another preference, beside 2 other hosts', { 'MX d.example': ['5 a.example', '50 MX1.example', '90 b.example'] }, 'Published'],
    ['under another name with the same address', { 'MX d.example': ['10 in.d.example'], 'A in.d.example': ['192.0.2.1'], 'A mx1.example': ['192.0.2.1', '192.0.2.2'] }, 'Published'],
    ['of another host', { 'MX d.example': ['10 other.example'], 'A other.example': ['192.0.2.9'], 'A mx1.example': ['192.0.2.1'] }, 'Different', /none of its MX hosts is mx1\.example/],
    ['of another host, whose address nobody could tell', { 'MX d.example': ['10 other.example'], 'A other.example': 'failed', 'A mx1.example': ['192.0.2.1'] }, 'Unknown', /SERVFAIL/],
    ['the null MX', { 'MX d.example': ['0 .'] }, 'Different'],
    ['none', {}, 'Missing'],
    ['a server that fails', { 'MX d.example': 'failed' }, 'Unknown', /SERVFAIL/],
  ])
})

const ours = { 'A mx1.example': ['192.0.2.1'], 'AAAA mx1.example': ['2001:db8::1'] }
describe('an SPF record', () => {
  rows('SPF', [
    ['ours', { 'TXT d.example': ['v=spf1 a:mx1.example ~all'] }, 'Published'],
    ['ours among 2 other texts, in capitals', { 'TXT d.example': ['site=1', 'V=SPF1 A:MX1.example -ALL', 'v=spf10'] }, 'Published'],
    ['by both of 2 addresses', { ...ours, 'TXT d.example': ['v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all'] }, 'Published'],
    ['by 1 of 2 addresses', { ...ours, 'TXT d.example': ['v=spf1 ip4:192.0.2.1 -all'] }, 'Different', /2001:db8::1\) send: put a:mx1\.example/],
    ['by mx', { ...ours, 'TXT d.example': ['v=spf1 mx -all'], 'MX d.example': ['10 mx1.example'] }, 'Published'],
    ['by the neighbourhood of another host', { 'A mx1.example': ['192.0.2.1'], 'TXT d.example': ['v=spf1 a:near.example/24 -all'], 'A near.example': ['192.0.2.77'] }, 'Published'],
    ['by 2 levels of include', { ...ours, 'TXT d.example': ['v=spf1 include:a.example -all'], 'TXT a.example': ['v=spf1 include:b.example ?all'], 'TXT b.example': ['v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all'] }, 'Published'],
    ['by redirect', { 'TXT d.example': ['v=spf1 redirect=a.example'], 'TXT a.example': ['v=spf1 a:mx1.example -all'] }, 'Published'],
    ['+all', { 'TXT d.example': ['v=spf1 +all'] }, 'Published'],
    ['that says no before it says yes', { 'TXT d.example': ['v=spf1 -a:mx1.example +all'] }, 'Different'],
    ['an include of a record that says no', { 'TXT d.example': ['v=spf1 include:a.example -all'], 'TXT a.example': ['v=spf1 ip4:198.51.100.1 -all'] }, 'Different'],
    ['a host with a slash in its name, which is not the domain', { ...ours, 'TXT d.example': ['v=spf1 a:b/c.example/24 -all'], 'A d.example': ['192.0.2.1'], 'AAAA d.example': ['2001:db8::1'], 'A b/c.example': ['198.51.100.1'] }, 'Different'],
    ['by mx, of which there are 11', { ...ours, 'TXT d.example': ['v=spf1 mx -all'], 'MX d.example': ['10 mx1.example', ...Array.from({ length: 10 }, (_, n) => `20 h${n}.example`)] }, 'Different', /cannot be evaluated/],
    ['ours, and behind it a word that is none', { 'TXT d.example': ['v=spf1 a:mx1.example ip4:192.0.2 -all'] }, 'Different', /cannot be evaluated/],
    ['a colon where redirect has =', { 'TXT d.example': ['v=spf1 a:mx1.example redirect:a.example'], 'TXT a.example': ['v=spf1 -all'] }, 'Different', /cannot be evaluated/],
    ['an include of a record with a wrong word', { 'TXT d.example': ['v=spf1 include:a.example a:mx1.example -all'], 'TXT a.example': ['v=spf1 ip4:192.0.2.1/33 -all'] }, 'Different', /cannot be evaluated/],
    ['an include of nothing', { 'TXT d.example': ['v=spf1 include:gone.example a:mx1.example -all'] }, 'Different', /cannot be evaluated/],
    ['an include that cannot be looked up', { 'TXT d.example': ['v=spf1 include:a.example -all'], 'TXT a.example': 'failed' }, 'Unknown'],
    ['with 11 look-ups before ours', { 'TXT d.example': [`v=spf1 ${Array.from({ length: 11 }, (_, n) => `a:h${n}.example`).join(' ')} a:mx1.example -all`] }, 'Different', /more than 10 look-ups/],
    ['an include of 4,096 characters', { 'TXT d.example': ['v=spf1 include:a.example a:mx1.example -all'], 'TXT a.example': [`v=spf1 ${'ip4:192.0.2.1 '.repeat(293)}`.slice(0, 4095).concat(' ')] }, 'Different', /4,096 characters/],
    ['an include of fewer', { ...ours, 'TXT d.example': ['v=spf1 include:a.example a:mx1.example -all'], 'TXT a.example': [`v=spf1 ${'ip4:198.51.100.1 '.repeat(239)}`] }, 'Published'],
    ['2 records', { 'TXT d.example': ['v=spf1 a:mx1.example -all', 'v=spf1 mx -all'] }, 'Different', /2 SPF records/],
    ['macros that may say yes', { 'TXT d.example': ['v=spf1 exists:%{i}.ok.example -all'] }, 'Unknown', /depends on the message/],
    ['macros that may say yes, and ours', { 'TXT d.example': ['v=spf1 exists:%{i}.ok.example a:mx1.example -all'] }, 'Published'],
    ['a mechanism that does not exist', { 'TXT d.example': ['v=spf1 host:mx1.example -all'] }, 'Different', /a wrong word/],
    ['an include of itself', { 'TXT d.example': ['v=spf1 include:d.example -all'] }, 'Different', /more than 10/],
    ['only texts that are none', { 'TXT d.example': ['site=1'] }, 'Missing'],
    ['addresses of our host that nobody could tell, by address', { 'A mx1.example': 'failed', 'TXT d.example': ['v=spf1 ip4:192.0.2.1 -all'] }, 'Unknown', /SERVFAIL/],
    ['addresses of our host that nobody could tell, by name', { 'A mx1.example': 'failed', 'TXT d.example': ['v=spf1 a:mx1.example -all'] }, 'Published'],
  ])
  it('for 2 relays lets both send or is Different', () => {
    assert.equal(judge(required('SPF', ['mx1.example', 'mx2.example']), { 'TXT d.example': ['v=spf1 a:mx1.example -all'] }).state, 'Different')
    assert.equal(judge(required('SPF', ['mx1.example', 'mx2.example']), { 'TXT d.example': ['v=spf1 a:mx2.example a:mx1.example -all'] }).state, 'Published')
  })
  it('of any words whatsoever is judged within 60 questions, and never thrown at', () => {
    const term = fc.oneof(fc.constantFrom('a', 'mx', 'a:%{d}', 'include:d.example', 'redirect=d.example', 'ip4:x', 'ip6:::/0', 'a//', '?', ':', 'exists:x', 'all', '-mx/99', 'a:mx1.example/0'), fc.string({ maxLength: 12 }))
    fc.assert(fc.property(fc.array(term, { maxLength: 12 }), (terms) => void judge(required('SPF'), { ...ours, 'TXT d.example': [`v=spf1 ${terms.join(' ')}`] })))
  })
})

describe('a DKIM record', () => {
  const at = 'TXT ph-rsa-202611._domainkey.d.example'
  rows('DKIM', [
    ['the same', { [at]: ['v=DKIM1; k=rsa; p=AbC+/='] }, 'Published'],
    ['without v and k, with other tags and white space in the key', { [at]: [' t=s ; h=sha1:sha256; s=email; p=Ab C+ /= ;'] }, 'Published'],
    ['of another key', { [at]: ['v=DKIM1; k=rsa; p=abc+/='] }, 'Different', /another key/],
    ['of another algorithm', { [at]: ['v=DKIM1; k=ed25519; p=AbC+/='] }, 'Different', /another key/],
    ['revoked', { [at]: ['v=DKIM1; p='] }, 'Different', /revoked/],
    ['for SHA-1 only', { [at]: ['p=AbC+/=; h=sha1'] }, 'Different', /SHA-256/],
    ['not for mail', { [at]: ['p=AbC+/=; s=tlsrpt'] }, 'Different', /not for mail/],
    ['none', {}, 'Missing'],
  ])
})

describe('a DMARC record', () => {
  rows('DMARC', [
    ['p=none', { 'TXT _dmarc.d.example': ['v=DMARC1; p=none'] }, 'Published'],
    ['a stricter one with reports', { 'TXT _dmarc.d.example': ['v=DMARC1; p=reject; rua=mailto:d@d.example; adkim=s'] }, 'Published'],
    ['one without a policy', { 'TXT _dmarc.d.example': ['v=DMARC1; rua=mailto:d@d.example'] }, 'Different', /p must be/],
    ['2 of them', { 'TXT _dmarc.d.example': ['v=DMARC1; p=none', 'v=DMARC1; p=reject'] }, 'Different', /2 DMARC records/],
    ['none', { 'TXT d.example': ['v=DMARC1; p=none'] }, 'Missing'],
    ['one of the top-level domain', { 'TXT _dmarc.example': ['v=DMARC1; p=none'] }, 'Missing'],
  ])
  it('of the domain above holds for a.d.example', () => assert.equal(judge(required('DMARC', [], 'a.d.example'), { 'TXT _dmarc.d.example': ['v=DMARC1; p=quarantine'] }).state, 'Published'))
})

describe('what was seen', () => {
  it('is the same text for the same 2 records in another order, so that nothing is written', () => {
    const [one, other] = [['v=spf1 a:mx1.example -all', 'x'], ['x', 'v=spf1 a:mx1.example -all']].map((texts) => judge(required('SPF'), { 'TXT d.example': texts }).observed)
    assert.equal(one, other)
  })
  it('of 10,000 characters is cut to the 4,096 that a status may hold', () => {
    assert.equal(judge(required('DKIM'), { 'TXT ph-rsa-202611._domainkey.d.example': [`p=${'x'.repeat(10_000)}`] }).observed?.length, 4096)
  })
})

it('of a zone with 1,000 texts of 64 KB no more than 16,384 characters are kept, of each 4,096; of 60 short ones all', () => {
  const kept = keptOf(Array.from({ length: 1_000 }, (_, n) => `${n}`.repeat(65_536)))
  assert.deepEqual([kept.length, Math.max(...kept.map(({ length }) => length))], [4, 4_096])
  const short = Array.from({ length: 60 }, (_, n) => `verification=${n}`).toSorted()
  assert.deepEqual(keptOf(short.toReversed()), short)
})

it('beside 1,000 proofs of ownership in one name the SPF record is kept, and so is Published: without it a second would be asked for, and two are none', () => {
  const proofs = Array.from({ length: 1_000 }, (_, n) => `site-verification=${n}${'x'.repeat(60)}`)
  const seen = judge(required('SPF'), { ...ours, 'TXT d.example': keptOf([...proofs, 'v=spf1 a:mx1.example -all']) })
  assert.equal(seen.state, 'Published')
})
