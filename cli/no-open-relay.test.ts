// From manifests to verdict, whatever is declared: nobody relays who was not named. The oracle reads the manifests, never the snapshot.
import assert from 'node:assert/strict'
import { isIPv4 } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { documentsOf, gather } from '../operator/gather/internal.ts'
import { nothingMade, plan } from '../operator/index.ts'
import { decideRecipient } from '../relay/decide/index.ts'
import { matchesDomain, parseSnapshot, type Mailbox } from '../relay/snapshot/index.ts'

const domainNames = ['a.example', 'b.example', 'sub.a.example', 'far.example'] as const
const namespace = fc.constantFrom('mail', 'shop')
const patterns = fc.constantFrom('*', '*@a.example', '*.a.example', 'x@a.example', '*@far.example')
const whom = fc.constantFrom({ from: 'Same' }, { from: 'All' })
const sources = ['0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1', '203.0.113.0/24', '203.0.113.7/32', '10.0.0.0/8', '::/0', '2001:db8::/48', '64:ff9b::/96'] as const
const addresses = ['203.0.113.7', '198.51.100.1', '10.9.9.9', '2001:db8::5', '2a00::1', '64:ff9b::c633:6401', '::ffff:198.51.100.1'] as const

const relay = fc.record({ senders: whom, domains: whom, names: fc.subarray(['*', 'a.example', '*.example']), foreign: fc.subarray(['far.example', '*.a.example', '*']) }).map(({ senders, domains, names, foreign }) => ({
  kind: 'MailRelay',
  metadata: { name: 'main', namespace: 'mail' },
  spec: {
    hostname: 'mx.example',
    listeners: ['SMTP', 'Submission'].map((protocol, index) => ({ name: protocol.toLowerCase(), protocol, port: 25 + index, allowedSenders: { namespaces: senders, foreignDomains: foreign }, allowedDomains: { namespaces: domains, names } })),
  },
}))

const domain = fc.record({ namespace, domain: fc.constantFrom('a.example', 'b.example', 'sub.a.example'), hosted: fc.boolean(), lends: whom }).map(({ namespace, domain, hosted, lends }) => ({
  kind: 'MailDomain',
  metadata: { namespace },
  spec: { domain, relayRefs: [{ name: 'main', namespace: 'mail' }], allowedSenders: { namespaces: lends }, ...(hosted && { inbound: { deliverTo: { mx: {} } } }) },
}))

const sender = fc.record({ namespace, from: fc.option(fc.array(patterns, { minLength: 1, maxLength: 2 })) }).map(({ namespace, from }) => ({
  kind: 'MailSender',
  metadata: { namespace },
  spec: { relayRef: { name: 'main', namespace: 'mail' }, ...(from && { from }) },
}))

const rule = fc.record({ action: fc.constantFrom('Allow', 'Allow', 'Allow', 'Deny', 'Hold'), sources: fc.option(fc.subarray([...sources], { minLength: 1 })), mailFrom: fc.option(fc.array(patterns, { minLength: 1, maxLength: 1 })) })
const policy = fc.record({ namespace, target: fc.constantFrom('MailRelay main', 'MailDomain d0', 'MailSender s0'), rules: fc.array(rule, { minLength: 1, maxLength: 3 }) }).map(({ namespace, target, rules }) => ({
  kind: 'RelayPolicy',
  metadata: { namespace },
  spec: {
    targetRefs: [{ kind: target.split(' ')[0], name: target.split(' ')[1] }],
    rules: rules.map(({ action, sources, mailFrom }, index) => ({ name: `r${index}`, action, match: { ...(sources && { sources }), ...(mailFrom && { mailFrom }) } })),
  },
}))

type Rule = { readonly action: string; readonly match: { readonly sources?: readonly string[] } }
type Loose = { readonly kind: string; readonly metadata: { readonly namespace: string; readonly name?: string }; readonly spec: Record<string, unknown> }

const world = fc.record({ relay, domains: fc.array(domain, { maxLength: 4 }), senders: fc.array(sender, { maxLength: 2 }), policies: fc.array(policy, { maxLength: 3 }) }).map(({ relay, domains, senders, policies }): Loose[] => [
  relay,
  ...[...domains.map((one, index) => [one, `d${index}`] as const), ...senders.map((one, index) => [one, `s${index}`] as const), ...policies.map((one, index) => [one, `p${index}`] as const)].map(([one, name]) => ({ ...one, metadata: { ...one.metadata, name } })),
])

const mailbox = fc.record({ local: fc.constantFrom('x', 'y', 'a@b', 'z%far.example'), domain: fc.constantFrom(...domainNames) })

const snapshotOf = (manifests: readonly Loose[]) => {
  const { documents } = documentsOf('given.yaml', manifests.map((one) => JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', ...one })).join('\n---\n'))
  const { declared, problems } = gather(documents)
  assert.deepEqual(problems, [])
  const { snapshots } = plan({ declared, made: nothingMade, clusterDomain: 'cluster.local' })
  return parseSnapshot(snapshots[0]!.snapshot)
}

/** Which addresses each bounded range of the pool holds, written down by hand. */
const holds: Readonly<Record<string, readonly string[]>> = { '203.0.113.0/24': ['203.0.113.7'], '203.0.113.7/32': ['203.0.113.7'], '10.0.0.0/8': ['10.9.9.9'], '2001:db8::/48': ['2001:db8::5'] }

const isHosted = (manifests: readonly Loose[], { domain }: Mailbox): boolean => manifests.some(({ kind, spec }) => kind === 'MailDomain' && spec.inbound !== undefined && spec.domain === domain)
const isAllowed = (manifests: readonly Loose[], address: string): boolean =>
  manifests.some(({ kind, metadata, spec }) => kind === 'RelayPolicy' && metadata.namespace === 'mail' && (spec.rules as Rule[]).some(({ action, match }) => action === 'Allow' && match.sources?.some((source) => holds[source]?.includes(address))))

test('whatever is declared, a stranger passes only to a hosted domain or by a bounded Allow of the relay’s namespace that holds its address', () => {
  let passed = 0
  fc.assert(
    fc.property(world, fc.constantFrom(...addresses), mailbox, mailbox, (manifests, address, mailFrom, rcptTo) => {
      const snapshot = snapshotOf(manifests)
      for (const listener of snapshot.listeners) {
        const { kind } = decideRecipient({ snapshot, listener, client: { address, helo: 'h.example', tls: true }, mailFrom, rcptTo })
        if (kind === 'deny') continue
        passed += 1
        assert.ok(isHosted(manifests, rcptTo) || isAllowed(manifests, address), `${address} passed to ${rcptTo.domain} at ${listener.name}${isIPv4(address) ? '' : ' over IPv6'}`)
      }
    }),
    { numRuns: 1500 },
  )
  assert.ok(passed > 20, `only ${passed} passed: the property says nothing`)
})

test('whatever is declared, an identified MailSender relays only from a declared domain that lends to it, or from a foreign one: by its name, or by a wildcard where no other namespace holds it', () => {
  let passed = 0
  fc.assert(
    fc.property(world, mailbox, mailbox, (manifests, mailFrom, rcptTo) => {
      const snapshot = snapshotOf(manifests)
      const foreign = (manifests[0]!.spec.listeners as { allowedSenders: { foreignDomains: string[] } }[])[0]!.allowedSenders.foreignDomains
      for (const listener of snapshot.listeners) {
        for (const { namespace, name } of snapshot.senders) {
          const verdict = decideRecipient({ snapshot, listener, client: { address: '198.51.100.1', helo: 'h.example', tls: true, sender: `${namespace}/${name}` }, mailFrom, rcptTo })
          if (verdict.kind === 'deny' || isHosted(manifests, rcptTo)) continue
          passed += 1
          const lends = manifests.some(({ kind, metadata, spec }) => kind === 'MailDomain' && spec.domain === mailFrom.domain && (metadata.namespace === namespace || (spec.allowedSenders as { namespaces: { from: string } }).namespaces.from === 'All'))
          const ofAnother = snapshot.domains.some((one) => one.domain === mailFrom.domain && one.namespace !== namespace)
          assert.ok(lends || foreign.some((pattern) => pattern === mailFrom.domain || (!ofAnother && matchesDomain(pattern, mailFrom.domain))), `${namespace}/${name} sent from ${mailFrom.domain}`)
        }
      }
    }),
    { numRuns: 1500 },
  )
  assert.ok(passed > 20, `only ${passed} passed: the property says nothing`)
})
