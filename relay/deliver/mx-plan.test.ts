import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Answer, MxRecord } from '../dns/index.ts'
import { forbiddenByDeliverTo, forbiddenByMx, forbiddenToAll } from './addresses.ts'
import { hostsToAsk, interleave, mostHosts, mxPlan, type HostSeen, type MxPlan, type PlanRules } from './mx-plan.ts'

const found = <T>(...records: T[]): Answer<T> => ({ kind: 'records', records, ttl: 60 })
const nodata: Answer<never> = { kind: 'nodata', ttl: 60 }
const nxdomain: Answer<never> = { kind: 'nxdomain', ttl: 60 }
const failed: Answer<never> = { kind: 'failed', why: 'SERVFAIL' }
const rules: PlanRules = { blocked: ['198.18.7.0/24', '8.8.4.0/24'], allowLoopback: false, ourselves: { names: ['mx1.relay.example'], addresses: ['93.184.216.34'] } }
const host = (name: string, preference: number, v4: Answer<string> = found('8.8.8.8'), v6: Answer<string> = nodata): HostSeen => ({ name, preference, v4, v6 })
const mx = (...hosts: HostSeen[]): Answer<MxRecord> => found(...hosts.map(({ name, preference }) => ({ preference, exchange: name })))
const plan = (hosts: HostSeen[], change: Partial<PlanRules> = {}, answer = mx(...hosts), random = () => 0.5): MxPlan =>
  mxPlan({ domain: 'dest.example', mx: answer, hosts }, { ...rules, ...change }, random)
const statusOf = (result: { kind: string }): string => {
  const { kind, outcome, reason } = result as { kind: string; outcome?: { status: string }; reason?: { status: string; class: string } }
  return kind === 'unroutable' ? `permanent ${outcome!.status}` : kind === 'later' ? `temporary ${reason!.status} ${reason!.class}` : kind
}

describe('the DNS truth table', () => {
  const rows: readonly [string, string, string][] = [
    ['NXDOMAIN for the domain', statusOf(hostsToAsk('dest.example', nxdomain)), 'permanent 5.1.2'],
    ['a lone null MX', statusOf(hostsToAsk('dest.example', found({ preference: 0, exchange: '.' }))), 'permanent 5.1.10'],
    ['a failed MX look-up', statusOf(hostsToAsk('dest.example', failed)), 'temporary 4.4.3 DNS'],
    ['NODATA for MX, but an address', statusOf(plan([host('dest.example', 0)], {}, nodata)), 'hosts'],
    ['NODATA for MX, and no address either', statusOf(plan([host('dest.example', 0, nodata, nodata)], {}, nodata)), 'permanent 5.1.2'],
    ['NODATA for MX, and the address look-up fails', statusOf(plan([host('dest.example', 0, failed, nodata)], {}, nodata)), 'temporary 4.4.3 DNS'],
    ['MX, every host NXDOMAIN', statusOf(plan([host('a.example', 1, nxdomain, nxdomain), host('b.example', 2, nodata, nodata)])), 'temporary 4.4.4 DNS'],
    ['MX, one host fails and one has no address', statusOf(plan([host('a.example', 1, failed, failed), host('b.example', 2, nodata, nodata)])), 'temporary 4.4.3 DNS'],
    ['MX, one host fails and one resolves', statusOf(plan([host('a.example', 1, failed, failed), host('b.example', 2)])), 'hosts'],
    ['MX only to private addresses', statusOf(plan([host('a.example', 1, found('10.0.0.1', '127.0.0.1'))])), 'temporary 4.4.4 DNS'],
    ['NXDOMAIN, in the plan', statusOf(plan([], {}, nxdomain)), 'permanent 5.1.2'],
    ['a failed MX look-up, in the plan', statusOf(plan([], {}, failed)), 'temporary 4.4.3 DNS'],
    ['MX, and nothing known of its hosts', statusOf(plan([], {}, mx(host('a.example', 1)))), 'temporary 4.4.4 DNS'],
    ['MX only to names that are none', statusOf(hostsToAsk('dest.example', found({ preference: 1, exchange: 'no name' }))), 'temporary 4.4.4 DNS'],
  ]
  for (const [what, is, shouldBe] of rows) it(`${what} is ${shouldBe}`, () => assert.equal(is, shouldBe))

  it('never asks the domain itself when it has MX records', () => {
    const wanted = hostsToAsk('dest.example', found({ preference: 1, exchange: 'a.example' }))
    assert.deepEqual(wanted.kind === 'ask' && wanted.hosts.map(({ name }) => name), ['a.example'])
  })
  it('passes over a null MX among others and says so', () => {
    const wanted = hostsToAsk('dest.example', found({ preference: 0, exchange: '.' }, { preference: 1, exchange: 'a.example' }))
    assert.equal(wanted.kind === 'ask' && wanted.hosts.length, 1)
    assert.match(wanted.notes.join(), /without a name/)
  })
  it(`takes the best ${mostHosts} of 200 hosts and says so`, () => {
    const wanted = hostsToAsk('dest.example', found(...Array.from({ length: 200 }, (_, index) => ({ preference: 200 - index, exchange: `mx${index}.example` }))))
    assert.equal(wanted.kind === 'ask' && wanted.hosts.length, mostHosts)
    assert.equal(wanted.kind === 'ask' && wanted.hosts[0]!.preference, 1)
    assert.match(wanted.notes.join(), /200 MX hosts/)
  })
  it(`takes ${mostHosts} hosts without a word`, () => {
    const wanted = hostsToAsk('dest.example', found(...Array.from({ length: mostHosts }, (_, index) => ({ preference: index, exchange: `mx${index}.example` }))))
    assert.deepEqual([wanted.kind === 'ask' && wanted.hosts.length, wanted.notes], [20, []])
  })
  it('tells 4.4.4 of addresses that are not tried from 4.4.4 of none at all', () => {
    const textOf = (...hosts: HostSeen[]) => { const result = plan(hosts); return result.kind === 'later' && [result.reason.text, result.notes] }
    assert.deepEqual(textOf(host('a.example', 1, found('10.0.0.1'))), ['the mail servers of dest.example have only addresses that we do not connect to', ['a.example [10.0.0.1] is a private address: not tried']])
    assert.deepEqual(textOf(host('a.example', 1, nodata)), ['none of the mail servers of dest.example has an address', []])
  })
  it('uses an MX that is a public address, and leaves an empty label out', () => {
    const wanted = hostsToAsk('dest.example', found({ preference: 1, exchange: '8.8.8.8' }, { preference: 2, exchange: 'a..b' }))
    assert.deepEqual(wanted.kind === 'ask' && wanted.hosts.map(({ name }) => name), ['8.8.8.8'])
  })
  it('says of an MX that is an address and of an empty label what they are', () => {
    const { notes } = hostsToAsk('dest.example', found({ preference: 1, exchange: '8.8.8.8' }, { preference: 2, exchange: 'a..b' }))
    assert.deepEqual(notes, ['the MX 8.8.8.8 is an address and no name: used all the same', 'the MX "a..b" is no host name'])
  })
  it('says 1 time and not 2 that an MX host with addresses of both families is a CNAME', () => {
    const aliased = (address: string): Answer<string> => ({ kind: 'records', records: [address], ttl: 60, alias: 'b.example' })
    const result = plan([host('a.example', 1, aliased('8.8.8.8'), aliased('2606:4700::1'))])
    assert.deepEqual(result.notes, ['a.example is a CNAME for b.example'])
  })
  it('turns no failed answer into anything permanent, whatever else DNS says (property)', () => {
    const answer = fc.constantFrom<Answer<string>>(found('8.8.8.8'), nodata, nxdomain, failed, found('10.1.1.1'))
    fc.assert(fc.property(fc.array(fc.record({ v4: answer, v6: answer, preference: fc.nat(3) }), { minLength: 1, maxLength: 5 }), (seen) => {
      const hosts = seen.map(({ v4, v6, preference }, index) => host(`h${index}.example`, preference, v4, v6))
      const result = plan(hosts)
      assert.notEqual(result.kind, 'unroutable')
      const usable = hosts.some(({ v4, v6 }) => [v4, v6].some((one) => one.kind === 'records' && one.records.includes('8.8.8.8')))
      assert.equal(result.kind === 'hosts', usable)
    }))
  })
})

describe('ourselves in the list', () => {
  it('an MX that is a CNAME for our name is ourselves, also where nobody told us our address, and so is a domain without MX that is one', () => {
    const alias: Answer<string> = { kind: 'records', records: ['203.0.114.7'], ttl: 60, alias: 'mx1.relay.example' }
    assert.equal(statusOf(plan([host('in.dest.example', 10, alias)])), 'permanent 5.4.6')
    assert.equal(statusOf(plan([host('dest.example', 0, alias)], {}, nodata)), 'permanent 5.4.6')
    const backup = plan([host('primary.dest.example', 5), host('in.dest.example', 10, nodata, alias), host('last.dest.example', 20)])
    assert.deepEqual(backup.kind === 'hosts' && backup.hosts.map(({ name }) => name), ['primary.dest.example'])
  })
  it('asks only hosts better than us, by name', () => {
    const result = plan([host('a.example', 10), host('mx1.relay.example', 20), host('c.example', 30), host('d.example', 20)])
    assert.deepEqual(result.kind === 'hosts' && result.hosts.map(({ name }) => name), ['a.example'])
  })
  it('asks only hosts better than the best of 2 names of ours, and says so', () => {
    const result = plan([host('mx1.relay.example', 30), host('b.example', 25), host('mx1.relay.example', 20), host('a.example', 10)])
    assert.deepEqual(result.kind === 'hosts' && result.hosts.map(({ name }) => name), ['a.example'])
    assert.deepEqual(plan([host('mx1.relay.example', 20), host('a.example', 10)]).notes, ['we are mx1.relay.example in that list: only better hosts are asked'])
  })
  it('is 5.4.6 and not 4.4.4 where a host of 2 addresses has 1 of our 2', () => {
    const ourselves = { names: [], addresses: ['93.184.216.34', '93.184.216.35'] }
    assert.equal(statusOf(plan([host('other.example', 10, found('8.8.8.8', '93.184.216.35'))], { ourselves })), 'permanent 5.4.6')
  })
  it('is 4.4.4 where those better than us have no address: a worse one is not asked instead', () => {
    assert.equal(statusOf(plan([host('a.example', 10, nodata), host('mx1.relay.example', 20), host('b.example', 30)])), 'temporary 4.4.4 DNS')
  })
  it('knows us by address as well', () => {
    assert.equal(statusOf(plan([host('other.example', 10, found('93.184.216.34')), host('b.example', 20)])), 'permanent 5.4.6')
  })
  it('is 5.4.6 where none is better', () => assert.equal(statusOf(plan([host('mx1.relay.example', 10), host('b.example', 20)])), 'permanent 5.4.6'))
  it('is 5.4.6 for a domain without MX whose address is ours', () => assert.equal(statusOf(plan([host('dest.example', 0, found('93.184.216.34'))], {}, nodata)), 'permanent 5.4.6'))
})

describe('the order', () => {
  it('is by preference, then by chance, and each host keeps all its addresses', () => {
    const chances = [0.9, 0.1, 0.5]
    const result = plan([host('a.example', 10, found('8.8.8.1', '8.8.8.2')), host('b.example', 10), host('c.example', 5)], {}, undefined, () => chances.shift()!)
    assert.deepEqual(result.kind === 'hosts' && result.hosts.map(({ name, addresses }) => [name, addresses.length]), [['c.example', 1], ['b.example', 1], ['a.example', 2]])
  })
  it('never puts a worse preference before a better one (property)', () => {
    fc.assert(fc.property(fc.array(fc.nat(5), { minLength: 1, maxLength: 15 }), fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), (preferences, chances) => {
      const result = plan(preferences.map((preference, index) => host(`h${index}.example`, preference)), {}, undefined, () => chances.next().value!)
      const order = result.kind === 'hosts' ? result.hosts.map(({ preference }) => preference) : []
      assert.deepEqual(order, preferences.toSorted((a, b) => a - b))
    }))
  })
  it('takes IPv6 and IPv4 in turn', () => assert.deepEqual(interleave(['6a', '6b', '6c'], ['4a']), ['6a', '4a', '6b', '6c']))
})

describe('addresses an MX must not lead to', () => {
  const refused = ['127.0.0.1', '10.0.0.1', '192.168.1.1', '172.16.0.1', '169.254.169.254', '100.64.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255', '::1', '::', 'fe80::1', 'fd00::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '64:ff9b::10.0.0.1', '::7f00:1', '::a00:1', 'ff02::1', '8.8.4.9']
  for (const address of refused) it(`${address} is refused`, () => assert.notEqual(forbiddenByMx(address, rules), undefined))
  for (const address of ['8.8.8.8', '2606:4700::1', '64:ff9b::8.8.8.8']) it(`${address} passes`, () => assert.equal(forbiddenByMx(address, rules), undefined))
  it('loopback passes where a test allows it, private does not', () => {
    assert.equal(forbiddenByMx('127.0.0.9', { ...rules, allowLoopback: true }), undefined)
    assert.notEqual(forbiddenByMx('10.0.0.1', { ...rules, allowLoopback: true }), undefined)
  })
  it('text that is no address is refused, and a range that is none blocks nothing', () => {
    assert.deepEqual([forbiddenByMx('mx.example', rules), forbiddenToAll('mx.example')], ['no address', 'no address'])
    assert.equal(forbiddenByMx('8.8.8.8', { ...rules, blocked: ['8.8.8.8/33', 'all'] }), undefined)
  })
  it('deliverTo of another namespace reaches its own Services, no one else\'s, and never metadata', () => {
    const shop = { namespace: 'shop', services: ['svc', 'svc.cluster.local'] }
    const why = (address: string, host: string, alias?: string) => forbiddenByDeliverTo(address, { host, alias }, shop, rules)
    assert.equal(why('10.96.0.7', 'store.shop.svc'), undefined)
    assert.equal(why('10.96.0.7', 'store.shop.svc.cluster.local'), undefined)
    assert.equal(why('10.96.0.7', 'other.shop.svc.cluster.local', 'store.shop.svc.cluster.local'), undefined)
    assert.equal(why('10.96.0.7', 'Store.SHOP.svc.Cluster.local.'), undefined)
    assert.equal(why('8.8.8.8', 'mail.example'), undefined)
    const [ip, own] = ['10.96.0.7', 'store.shop.svc.cluster.local']
    for (const [address, host, alias] of [[ip, 'store.bank.svc'], [ip, 'store.shop.svc.evil.example'], [ip, own, 'vault.bank.svc.cluster.local'], ['169.254.169.254', own], ['100.100.100.200', own], ['127.0.0.1', own]] as const)
      assert.notEqual(why(address, host, alias), undefined, `${host} ${alias ?? ''} [${address}]`)
  })
  it('named by nobody are 169.254.169.254, fe80::1, fd00:ec2::254, fd20:ce::254, 100.100.100.200, 168.63.129.16, 0.0.0.0 and 224.0.0.1; nor by an MX record 168.63.129.16, which is public', () => {
    assert.deepEqual(['168.63.129.16', '::ffff:168.63.129.16', '64:ff9b::a83f:8110'].map((address) => forbiddenByMx(address, rules)), Array(3).fill('the address of a metadata service'))
    for (const address of ['169.254.169.254', '::ffff:169.254.169.254', 'fe80::1', 'fd00:ec2::254', 'fd20:ce::254', '100.100.100.200', '168.63.129.16', '0.0.0.0', '224.0.0.1']) assert.notEqual(forbiddenToAll(address), undefined, address)
    for (const address of ['10.0.0.1', '127.0.0.1', '8.8.8.8', 'fd00::1', '100.64.0.1']) assert.equal(forbiddenToAll(address), undefined, address)
  })
})
