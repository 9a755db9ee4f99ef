import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { askPolicies } from '../../../relay/decide/policies.ts'
import { parseSnapshot, type Mailbox, type Snapshot } from '../../../relay/snapshot/index.ts'
import { documentsOf, gather } from '../../gather/internal.ts'
import { nothingMade, plan } from '../index.ts'
import { overriddenAt } from './overridden.ts'

type Policy = { readonly name: string; readonly mode?: 'Warn'; readonly targets?: readonly object[]; readonly rules?: readonly object[]; readonly limits?: readonly object[] }
const onMain = { kind: 'MailRelay', name: 'main' }

/** Policies in order of age on MailRelay main. */
const planOf = (policies: readonly Policy[], service: object = {}) => {
  const head = { apiVersion: 'posthouse.dev/v1alpha1', metadata: { namespace: 'mail' } }
  const relay = { ...head, kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail' }, spec: { hostname: 'mx.example', service } }
  const domains = ['d', 'e'].map((name) => ({ ...head, kind: 'MailDomain', metadata: { name, namespace: 'mail' }, spec: { domain: `${name}.example`, inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: 'store.example' }] } } } }))
  const manifests = policies.map(({ name, targets = [onMain], mode, rules = [], limits = [] }, n) => ({ ...head, kind: 'RelayPolicy', metadata: { name, namespace: 'mail', creationTimestamp: `2026-01-0${n + 1}T00:00:00Z` }, spec: { targetRefs: targets, rules, limits, ...(mode && { mode }) } }))
  const { declared, problems } = gather(documentsOf('x.yaml', [relay, ...domains, ...manifests].map((one) => JSON.stringify(one)).join('\n---\n')).documents)
  assert.deepEqual(problems, [])
  const [made] = plan({ declared, made: nothingMade, clusterDomain: 'cluster.local' }).snapshots
  return { view: made!.view, snapshot: made!.snapshot, policy: (name: string) => declared.policies.find(({ metadata }) => metadata.name === name)! }
}

const rule = (name: string, action: string, match: object = {}): object => ({ name, action, match })
const deny = rule('no', 'Deny')
const allow = (source: string) => rule('in', 'Allow', { sources: [source] })

const hold = rule('h', 'Hold')
const byOld = 'rule h is overridden by rule no of RelayPolicy mail/old'
const onDomain = (name: string): object => ({ kind: 'MailDomain', name })
const at = (sectionName: string): object => ({ ...onMain, sectionName })

type Row = readonly [title: string, policies: readonly Policy[], parts: readonly string[], whole: boolean, service?: object]
const rows: readonly Row[] = [
  ['a Deny alone', [{ name: 'p', rules: [deny] }], [], false],
  ['a rule after one that fits everything', [{ name: 'p', rules: [rule('all', 'Hold'), rule('late', 'Deny', { rcptTo: ['*@a.example'] })] }], ['rule late is overridden by rule all before it'], false],
  ['a rule after one of the same domain with fewer addresses', [{ name: 'p', rules: [rule('one', 'Deny', { rcptTo: ['a@a.example'] }), rule('all', 'Deny', { rcptTo: ['*@a.example'] })] }], [], false],
  ['a Hold that an older policy denies', [{ name: 'old', rules: [deny] }, { name: 'p', rules: [rule('h', 'Hold', { tls: true })] }], ['rule h is overridden by rule no of RelayPolicy mail/old'], true],
  ['a Hold that a younger policy denies', [{ name: 'p', rules: [rule('h', 'Hold', { mailFrom: ['*.a.example'] })] }, { name: 'young', rules: [rule('no', 'Deny', { mailFrom: ['*'] })] }], ['rule h is overridden by rule no of RelayPolicy mail/young'], true],
  ['a Hold that another denies in part', [{ name: 'old', rules: [rule('no', 'Deny', { tls: false })] }, { name: 'p', rules: [rule('h', 'Hold')] }], [], false],
  ['a Hold that another only would deny', [{ name: 'old', mode: 'Warn', rules: [deny] }, { name: 'p', rules: [rule('h', 'Hold')] }], [], false],
  ['a Hold that another denies for 1 domain only', [{ name: 'old', targets: [{ kind: 'MailDomain', name: 'd' }], rules: [deny] }, { name: 'p', rules: [rule('h', 'Hold')] }], [], false],
  ['a Deny of which another holds everything', [{ name: 'old', rules: [rule('h', 'Hold')] }, { name: 'p', rules: [deny] }], [], false],
  ['a Hold for 1 domain that another denies for the relay', [{ name: 'old', rules: [deny] }, { name: 'p', targets: [onDomain('d')], rules: [hold] }], [byOld], true],
  ['a Hold for 1 listener that another denies for the relay', [{ name: 'old', rules: [deny] }, { name: 'p', targets: [at('mx')], rules: [hold] }], [byOld], true],
  ['a Hold for 1 domain that another denies for the same', [{ name: 'old', targets: [onDomain('d')], rules: [deny] }, { name: 'p', targets: [onDomain('d')], rules: [hold] }], [byOld], true],
  ['a Hold for 1 domain that another denies for a 2nd', [{ name: 'old', targets: [onDomain('e')], rules: [deny] }, { name: 'p', targets: [onDomain('d')], rules: [hold] }], [], false],
  ['a Hold for 1 listener that another denies for the same', [{ name: 'old', targets: [at('mx')], rules: [deny] }, { name: 'p', targets: [at('mx')], rules: [hold] }], [byOld], true],
  ['a Hold for 1 listener that another denies for a 2nd', [{ name: 'old', targets: [at('submission')], rules: [deny] }, { name: 'p', targets: [at('mx')], rules: [hold] }], [], false],
  ['a Hold for the relay that another denies for 1 listener', [{ name: 'old', targets: [at('mx')], rules: [deny] }, { name: 'p', rules: [hold] }], [], false],
  ['a Hold for 1 domain that another denies for 1 listener', [{ name: 'old', targets: [at('mx')], rules: [deny] }, { name: 'p', targets: [onDomain('d')], rules: [hold] }], [], false],
  ['a Hold for the relay that another denies for it and for 1 domain', [{ name: 'old', targets: [onDomain('d'), onMain], rules: [deny] }, { name: 'p', rules: [hold] }], [byOld], true],
  ['an Allow that another denies by a wider range', [{ name: 'old', rules: [rule('no', 'Deny', { sources: ['10.0.0.0/8'] })] }, { name: 'p', rules: [allow('10.1.0.0/16')] }], ['rule in is overridden by rule no of RelayPolicy mail/old'], true],
  ['an Allow behind a load balancer that hides addresses', [{ name: 'p', rules: [allow('10.1.0.0/16')] }], ['rule in is overridden by the Service of MailRelay mail/main, which hides the addresses of clients'], true, { type: 'LoadBalancer' }],
  ['limits that another has lower', [{ name: 'old', limits: [{ by: 'source', messagesPerMinute: 5 }] }, { name: 'p', limits: [{ by: 'source', messagesPerMinute: 10 }] }], ['the limits by source are overridden by those of RelayPolicy mail/old, which are lower'], true],
  ['limits that an older one has alike', [{ name: 'old', limits: [{ by: 'source', messagesPerMinute: 10 }] }, { name: 'p', limits: [{ by: 'source', messagesPerMinute: 10 }] }], ['the limits by source are overridden by those of RelayPolicy mail/old, which are lower'], true],
  ['limits that a younger one has alike', [{ name: 'p', limits: [{ by: 'source', messagesPerMinute: 10 }] }, { name: 'young', limits: [{ by: 'source', messagesPerMinute: 10 }] }], [], false],
  ['limits of which another has 1 of 2 lower', [{ name: 'old', limits: [{ by: 'source', messagesPerMinute: 5 }] }, { name: 'p', limits: [{ by: 'source', messagesPerMinute: 10, recipientsPerHour: 1 }] }], [], false],
]

describe('what is overridden of a RelayPolicy', () => {
  for (const [title, policies, parts, whole, service] of rows) {
    it(`${title}: ${parts.length} part${parts.length === 1 ? '' : 's'}${whole ? ', the whole' : ''}`, () => {
      const { view, policy } = planOf(policies, service)
      assert.deepEqual(overriddenAt(policy('p'), policy('p').spec.targetRefs[0]!, view), { parts, whole })
    })
  }

  it('never changes what becomes of mail when it is taken out, in 400 sets of policies with 20 mails each', () => {
    fc.assert(fc.property(fc.array(fc.array(someRule, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 }), fc.array(someMail, { minLength: 20, maxLength: 20 }), (rulesOf, mails) => {
      const policies = rulesOf.map((rules, p) => ({ name: `p${p}`, rules: rules.map((one, r) => ({ name: `r${r}`, ...one })) }))
      const { view, snapshot, policy } = planOf(policies)
      for (const { name, rules } of policies) {
        const gone = overriddenAt(policy(name), policy(name).spec.targetRefs[0]!, view).parts.map((part) => /^rule (\S+) /.exec(part)![1]!)
        const without = { ...snapshot, policies: snapshot.policies!.map((one) => (one.name === name ? { ...one, rules: one.rules!.filter((entry) => !gone.includes(entry.name)) } : one)) }
        assert.ok(gone.length <= rules.length)
        const [before, after] = [parseSnapshot(snapshot), parseSnapshot(without)]
        for (const mail of mails) assert.equal(fate(after, mail), fate(before, mail))
      }
    }), { numRuns: 400 })
  })
})

const addresses = ['a@a.example', 'b@a.example', 'a@b.a.example', 'a@c.example'] as const
const patterns = fc.uniqueArray(fc.constantFrom('*', '*@a.example', '*.a.example', 'a@a.example', 'b@a.example', 'a@c.example'), { minLength: 1, maxLength: 2 })
const ranges = fc.uniqueArray(fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '10.1.2.3/32', '192.0.2.0/24'), { minLength: 1, maxLength: 2 })
const someRule = fc.record({ action: fc.constantFrom('Deny', 'Hold', 'Allow'), match: fc.record({ tls: fc.boolean(), mailFrom: patterns, rcptTo: patterns, sources: ranges }, { requiredKeys: [] }) })
const someMail = fc.record({ from: fc.constantFrom(...addresses), to: fc.constantFrom(...addresses), tls: fc.boolean(), address: fc.constantFrom('10.1.2.3', '10.1.9.9', '10.9.9.9', '192.0.2.1', '203.0.113.1') })

const mailboxOf = (text: string): Mailbox => ({ local: text.split('@')[0]!, domain: text.split('@')[1]! })
const fate = (snapshot: Snapshot, mail: { from: string; to: string; tls: boolean; address: string }): string => {
  const client = { address: mail.address, tls: mail.tls, helo: 'h.example' } as Parameters<typeof askPolicies>[0]['client']
  const says = askPolicies({ snapshot, listener: snapshot.listeners[0]!, client, mailFrom: mailboxOf(mail.from), rcptTo: mailboxOf(mail.to) })
  return says.denied ? 'denied' : `${says.held ? 'held' : ''} ${says.admitted ? 'admitted' : ''}`
}
