import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Condition } from '../condition.ts'
import type { ObjectRef } from '../input.ts'
import type { Statement, Status } from './statement.ts'
import { newsOf } from './news.ts'

const relay: ObjectRef = { kind: 'MailRelay', namespace: 'mail', name: 'main' }
const thief: ObjectRef = { kind: 'MailDomain', namespace: 'mail', name: 'thief' }
const holder: ObjectRef = { kind: 'MailDomain', namespace: 'mail', name: 'holder' }
const said = (type: string, status: Statement['status'], reason: string, message = 'm'): Statement => ({ type, status, reason, message })
const of = (object: ObjectRef, ...conditions: Statement[]): Status => ({ object, status: { conditions } })
const brief = (status: Status, before?: unknown, told: readonly Condition[] = []): string[] => newsOf(status, before, told).map(({ about, reason }) => `${about.name} ${reason}`)

test('of 6 conditions the 3 that a person should know are told', () => {
  const conditions = [said('Accepted', 'True', 'Accepted'), said('Programmed', 'False', 'Pending'), said('DurableAccept', 'True', 'SingleNode'), said('DurableAccept', 'True', 'Durable'), said('OpenRelayProbe', 'False', 'StrangerRelayed'), said('Accepted', 'False', 'PortConflict')]
  assert.deepEqual(brief(of(relay, ...conditions)), ['main SingleNode', 'main StrangerRelayed', 'main PortConflict'])
})

test('of 6 reasons for which DurableAccept is False the 3 that do not pass by themselves are told', () => {
  const reasons = ['Unreachable', 'SyncUnknown', 'StreamRefused', 'SyncNotAlways', 'StreamMismatch', 'QueueFull']
  assert.deepEqual(reasons.flatMap((reason) => brief(of(relay, said('DurableAccept', 'False', reason)))), ['main SyncNotAlways', 'main StreamMismatch', 'main QueueFull'])
})

test('what was said before is told 0 times again, and other words of the same are told', () => {
  const before = { conditions: [said('DurableAccept', 'True', 'SingleNode')] }
  assert.deepEqual(brief(of(relay, said('DurableAccept', 'True', 'SingleNode')), before), [])
  assert.deepEqual(brief(of(relay, said('DurableAccept', 'True', 'SingleNode', 'on another node')), before), ['main SingleNode'])
})

test('a refusal is told to 2: the refused, and the holder, who is told whom', () => {
  const refusal: Condition = { object: thief, relay: 'mail/main', type: 'Accepted', status: 'False', reason: 'DomainConflict', message: 'MailDomain mail/holder holds d.example', by: holder }
  const status = of(thief, said('Accepted', 'False', 'DomainConflict'))
  assert.deepEqual(brief(status, undefined, [refusal]), ['thief DomainConflict', 'holder DomainConflict'])
  assert.equal(newsOf(status, undefined, [refusal])[1]!.text, 'refused MailDomain mail/thief: MailDomain mail/holder holds d.example')
  assert.deepEqual(brief(status, { conditions: status.status.conditions }, [refusal]), [])
  const more = of(thief, ...status.status.conditions, said('Programmed', 'False', 'NotApplied'))
  assert.deepEqual(brief(more, { conditions: status.status.conditions }, [refusal]), ['thief NotApplied'], 'other news of the refused is none for the holder')
})

test('1 listener that cannot be opened is told once, by the MailRelay that says it too', () => {
  const refused = said('Accepted', 'False', 'CertificateNotFound')
  assert.deepEqual(brief({ object: relay, status: { conditions: [refused], listeners: [{ name: 'mx', conditions: [refused] }] } }), ['main CertificateNotFound'])
})

test('1 of 2 listeners at which a node’s address was seen is told by its name', () => {
  const status: Status = { object: relay, status: { conditions: [], listeners: [{ name: 'mx', conditions: [said('SourceAddressPreserved', 'False', 'NodeAddressSeen')] }, { name: 'submission', conditions: [said('SourceAddressPreserved', 'True', 'AddressPreserved')] }] } }
  assert.deepEqual(newsOf(status, undefined, []).map(({ text }) => text), ['MailRelay mail/main: listener mx: m'])
})
