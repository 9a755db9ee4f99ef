// What MailDomains and MailSenders say while a MailRelay that they use is being deleted.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { declare, main, ours, sender } from '../../../test/tools/planned.ts'
import { nothingMade, plan } from '../index.ts'
import { statusesOf } from './index.ts'

/** Of the MailDomain, at 2 MailRelays, and the MailSender, at the first: what Ready says. */
const readyWith = (...leaving: readonly string[]): readonly string[] => {
  const given = declare([main, ['MailRelay', 'second', { hostname: 's.example' }], ours, sender])
  const declared = { ...given, relays: given.relays.map((relay) => (leaving.includes(relay.metadata.name) ? { ...relay, metadata: { ...relay.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } } : relay)) }
  const { snapshots, conditions } = plan({ declared, made: { ...nothingMade, credentials: { 'mail/app': { username: 'mail.app', salt: '00', hash: 'ff' } } }, clusterDomain: 'cluster.local' })
  const views = snapshots.map(({ view }) => ({ view, revision: 'r', observed: { pods: [], queueNodes: [], addresses: [] } }))
  const statuses = statusesOf({ manifests: [...declared.domains, ...declared.senders], conditions, views, mistaken: [], controllerName: 'c', bindings: new Map(), records: new Map() })
  return statuses.map(({ status }) => status.conditions.find(({ type }) => type === 'Ready')!).map(({ status, reason, message }) => `${status} ${reason}: ${message}`)
}

it('while 1 of 2 MailRelays is being deleted who sends through it is not ready, and a domain at both is; with both, neither is', () => {
  const ready = 'True Ready: in force'
  const isLeaving = 'False RelayLeaving: MailRelay mail/main: being deleted, and takes no new mail'
  assert.deepEqual(readyWith(), [ready, ready])
  assert.deepEqual(readyWith('main'), [ready, isLeaving])
  assert.deepEqual(readyWith('main', 'second'), ['False RelayLeaving: MailRelay mail/main, MailRelay mail/second: being deleted, and takes no new mail', isLeaving])
})
