// Named hosts after look-up: what a manifest names is judged again by where DNS leads, each time.
import assert from 'node:assert/strict'
import dns from 'node:dns/promises'
import { syncBuiltinESMExports } from 'node:module'
import { describe, it, type TestContext } from 'node:test'
import { testSnapshot } from '../../test/tools/delivery.ts'
import type { Answer, Resolver } from '../dns/index.ts'
import { findTargets, hopsOf } from './hops.ts'
import { wayOf } from './route.ts'
import { settingsFrom } from './settings.ts'

type Zone = Readonly<Record<string, { readonly addresses: readonly string[]; readonly alias?: string }>>

const resolverOf = (zone: Zone): Resolver => {
  const none: Answer<never> = { kind: 'nodata', ttl: 60 }
  const addresses = async (name: string, family: 4 | 6): Promise<Answer<string>> => {
    const { addresses: all = [], alias } = zone[name] ?? {}
    const records = all.filter((address) => address.includes(':') === (family === 6))
    return records.length === 0 ? none : { kind: 'records', records, ttl: 60, ...(alias !== undefined && { alias }) }
  }
  return { addresses, mx: async () => none, texts: async () => none, close: () => {} }
}

/** Addresses tried for a deliverTo of a MailDomain in a namespace. */
const triedBy = async (namespace: string, host: string, zone: Zone[string], machine: Zone[string] = { addresses: [] }, port = 25): Promise<string[]> => {
  const snapshot = testSnapshot(
    { listeners: [{ name: 'mx', manifest: 'MailRelay mail/main', protocol: 'SMTP', port: 25, bindPort: 2525 }], domains: [{ namespace, name: 'ours', manifest: `MailDomain ${namespace}/ours`, domain: 'ours.example', listeners: [], dkim: [], inbound: { recipients: { mode: 'Any', list: [], subaddressing: false }, privateHostsAllowed: namespace === 'mail', hosts: [{ host, port, preference: 0, tls: { mode: 'None' } }] } }] },
    { ownNames: ['main.mail.svc', 'main.mail.svc.cluster.local'], ownAddresses: ['8.8.4.4', '2001:4860::1'] },
  )
  const [hop] = hopsOf(wayOf(snapshot, { domain: 'ours.example', mailFrom: null }), () => 0)
  const found = await findTargets(hop!, 'ours.example', { snapshot, resolver: resolverOf({ [host]: zone }), machine: resolverOf({ [host]: machine }), settings: settingsFrom({}), random: () => 0 })
  return found.kind === 'targets' ? found.targets.map(({ address }) => address) : []
}

describe('a host of deliverTo', () => {
  const own = 'store.shop.svc.cluster.local'
  for (const { what, namespace, host, zone, tried } of [
    { what: 'its own Service', namespace: 'shop', host: own, zone: { addresses: ['10.96.0.9'] }, tried: ['10.96.0.9'] },
    { what: 'its own Service that leads to the metadata of the machine', namespace: 'shop', host: own, zone: { addresses: ['169.254.169.254', '100.100.100.200'] }, tried: [] },
    { what: 'its own Service that is a CNAME for one of another namespace', namespace: 'shop', host: own, zone: { addresses: ['10.96.0.9'], alias: 'vault.bank.svc.cluster.local' }, tried: [] },
    { what: 'its own Service that is a CNAME for a public host', namespace: 'shop', host: own, zone: { addresses: ['8.8.8.8'], alias: 'mx.provider.example' }, tried: ['8.8.8.8'] },
    { what: 'a name that leads to a private address', namespace: 'shop', host: 'inside.example', zone: { addresses: ['10.0.0.5', '8.8.8.8'] }, tried: ['8.8.8.8'] },
    { what: 'in the relay\'s namespace, a private address', namespace: 'mail', host: 'inside.example', zone: { addresses: ['10.0.0.5'] }, tried: ['10.0.0.5'] },
    { what: 'in the relay\'s namespace, the metadata of the machine', namespace: 'mail', host: 'imds.example', zone: { addresses: ['169.254.169.254', 'fd00:ec2::254'] }, tried: [] },
  ]) it(`${what}: ${tried.length} of ${zone.addresses.length} addresses are tried`, async () => assert.deepEqual(await triedBy(namespace, host, zone), tried))

  it('outside the relay\'s namespace, ours by 1 of our addresses, by our name in any case, or as a CNAME for it: mail would come round a hundred times, and is not tried; at a port that is no listener\'s, and in our namespace, it is', async () => {
    const ours = { addresses: ['2001:4860:0::1', '8.8.4.4'] }
    assert.deepEqual([await triedBy('shop', 'mx.shop.example', ours), await triedBy('shop', 'mx1.relay.example', { addresses: ['8.8.8.8'] })], [[], []])
    assert.deepEqual([await triedBy('shop', 'MX1.relay.example', { addresses: ['8.8.8.8'] }), await triedBy('shop', 'mx.shop.example', { addresses: ['8.8.8.8'], alias: 'mx1.relay.example' })], [[], []])
    assert.deepEqual([(await triedBy('shop', 'mx.shop.example', ours, { addresses: [] }, 2526)).length, (await triedBy('mail', 'mx.shop.example', ours)).length], [2, 2])
  })

  const nothing = { addresses: [] }
  it('that our own name servers do not know is asked of the machine\'s, where 1 CNAME out of the namespace is seen', async () => {
    assert.deepEqual(await triedBy('shop', own, nothing, { addresses: ['10.96.0.9'] }), ['10.96.0.9'])
    assert.deepEqual(await triedBy('shop', own, nothing, { addresses: ['10.96.0.9'], alias: 'vault.bank.svc.cluster.local' }), [])
  })
  it('is never looked up as the machine does it, which hides a CNAME, but in the relay\'s own namespace', async (t) => {
    machineFinds(t, '10.96.0.9')
    assert.deepEqual(await triedBy('shop', own, nothing), [])
    assert.deepEqual(await triedBy('mail', own, nothing), ['10.96.0.9'])
  })
})

it('the CA of a next hop that the snapshot lacks is an empty one: 0 certificates count there, not those of the public CAs', async () => {
  const nextHops = [{ kind: 'smarthost' as const, host: '192.0.2.1', port: 25, preference: 0, weight: 1, implicitTls: false, tls: { mode: 'Verify' as const, authority: 'ca:mail/gone' } }]
  const snapshot = testSnapshot({ routes: [{ namespace: 'mail', name: 'r', manifest: 'DeliveryRoute mail/r', match: { recipientDomains: ['*'] }, nextHops }] })
  const [hop] = hopsOf(wayOf(snapshot, { domain: 'far.example', mailFrom: null }), () => 0)
  const found = await findTargets(hop!, 'far.example', { snapshot, resolver: resolverOf({}), machine: resolverOf({}), settings: settingsFrom({}), random: () => 0 })
  assert.deepEqual(found.kind === 'targets' && found.targets.map(({ authority }) => authority), [{ name: 'ca:mail/gone', certificate: '' }])
})

const machineFinds = (t: TestContext, address: string): void => {
  t.mock.method(dns, 'lookup', async () => [{ address, family: 4 }])
  syncBuiltinESMExports()
  t.after(() => (t.mock.restoreAll(), syncBuiltinESMExports()))
}
