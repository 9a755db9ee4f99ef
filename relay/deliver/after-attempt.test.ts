import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { mailbox, testDelivery, type DeliveryChange } from '../../test/tools/delivery.ts'
import type { Recipient } from '../queue/index.ts'
import { afterAttempt } from './after-attempt.ts'
import { reasonOf } from './failover.ts'
import type { Outcome, RemoteReply } from './outcome.ts'

const said = (line: string): RemoteReply => ({ host: 'mx.dest.example', address: '192.0.2.1', command: 'RCPT', code: Number(line.slice(0, 3)), lines: [line] })
const delivered: Extract<Outcome, { kind: 'delivered' }> = { kind: 'delivered', said: said('250 ok'), dsnPassedOn: false }
const deferred: Outcome = { kind: 'deferred', why: { class: 'Connect', status: '4.4.1', text: 'no answer', host: 'mx.dest.example' } }
const greylisted: Outcome = { kind: 'deferred', why: { class: 'Greylist', status: '4.7.1', text: 'greylisted' }, said: said('450 greylisted') }
const refused: Outcome = { kind: 'refused', status: '5.1.1', text: 'no', said: said('550 5.1.1 no') }
const unroutable: Outcome = { kind: 'unroutable', why: 'null-mx', status: '5.1.10', text: 'takes no mail' }
const held: Outcome = { kind: 'held', text: 'DeliveryRoute mail/r holds' }
const hour = 3_600_000
const settle = (outcomes: readonly Outcome[], now: number, change: DeliveryChange = {}, notify?: Recipient['notify'], notes: readonly string[] = []) => {
  const recipients = outcomes.map((_, index) => ({ mailbox: mailbox(`u${index}@dest.example`), ...(notify && { notify }) }))
  const delivery = testDelivery({ to: recipients, arrivedAt: 0, ...change })
  return afterAttempt({ delivery, ended: outcomes.map((outcome, index) => ({ recipient: recipients[index]!, outcome })), notes, now, random: 0.5, pod: 'p' })
}

describe('the settlement', () => {
  it('ends a delivery whose recipients were all taken, with one line of trace for all', () => {
    const settlement = settle([delivered, delivered, delivered], 1000)
    assert.deepEqual([settlement.later, settlement.held, settlement.notices, settlement.trace.length, settlement.trace[0]!.recipients!.length], [undefined, undefined, [], 1, 3])
  })
  it('makes those wait who were deferred, and only them', () => {
    const settlement = settle([delivered, deferred, refused], 1000)
    assert.deepEqual(settlement.later!.recipients.map((one) => one.mailbox.local), ['u1'])
    assert.deepEqual([settlement.later!.at, settlement.later!.countsAsAttempt, settlement.later!.last], [61_000, true, { at: 1000, why: 'no answer', class: 'Connect', host: 'mx.dest.example' }])
    assert.deepEqual(settlement.notices.map(({ kind, recipient }) => [kind, recipient.mailbox.local]), [['failed', 'u2']])
  })
  it('says in the trace which RetrySchedule set the next attempt, and which of its 2 overrides, or that it is the built-in one', () => {
    const schedule = { ...testDelivery().schedule, overrides: [{ when: 'TLS' as const, attempts: [10] }, { when: 'Greylist' as const, attempts: [30] }] }
    const endOf = (outcome: Outcome, change: DeliveryChange) => settle([outcome], 1000, change).trace[0]!.text.replace(/^.*; /, '')
    assert.equal(endOf(deferred, { schedule }), 'next attempt at 1970-01-01T00:01:01.000Z (RetrySchedule patient)')
    assert.equal(endOf(greylisted, { schedule }), 'next attempt at 1970-01-01T00:00:31.000Z (RetrySchedule patient, override Greylist)')
    assert.equal(endOf(deferred, { schedule: { ...schedule, manifest: 'the built-in RetrySchedule' } }), 'next attempt at 1970-01-01T00:01:01.000Z (the built-in RetrySchedule)')
  })
  it('writes 1 line of trace for what was noted and 1 for each end, with the words of who spoke; only what waits has a next attempt', () => {
    const { trace } = settle([delivered, deferred, refused, held], 1000, {}, undefined, ['we are mx1', 'mx2: gone'])
    assert.deepEqual(trace.map(({ kind, text, host, said: words }) => [kind, text.replace(/; next attempt at .*/, '; later'), host, words]), [
      ['attempt', 'attempt 1: we are mx1; mx2: gone', undefined, undefined],
      ['delivered', 'attempt 1: taken by mx.dest.example [192.0.2.1]', 'mx.dest.example', '250 ok'],
      ['deferred', 'attempt 1: no answer; later', undefined, undefined],
      ['bounced', 'attempt 1: no', 'mx.dest.example', '550 5.1.1 no'],
      ['held', 'attempt 1: DeliveryRoute mail/r holds', undefined, undefined],
    ])
    assert.deepEqual(settle([deferred], 120 * hour).trace.map(({ kind, text }) => [kind, text]), [['bounced', 'attempt 1: given up: no answer']])
  })
  it('names in a notice the host that did not answer, and no host where none was asked', () => {
    const unresolved: Outcome = { kind: 'deferred', why: { class: 'DNS', status: '4.4.3', text: 'SERVFAIL' } }
    assert.deepEqual(settle([deferred, unresolved], 5 * hour).notices.map((notice) => [notice.diagnostic, 'remote' in notice, notice.remote]), [['X-Posthouse; no answer', true, 'mx.dest.example'], ['X-Posthouse; SERVFAIL', false, undefined]])
  })
  it('says that a host cannot be reached where nobody answered at all, and else that it did not answer to the end: 4.4.1 and 4.4.2', () => {
    const lost: Outcome = { kind: 'deferred', why: { class: 'Connect', status: '4.4.2', text: 'connection lost after the final dot', host: 'mx.dest.example' } }
    assert.deepEqual(settle([deferred, lost], 5 * hour).notices.map(({ plain }) => plain), ['The mail server over there cannot be reached.', 'The mail server over there did not answer to the end.'])
  })
  it('says of a host that turns everybody away with its greeting, 554 or 421, that it takes no mail: it was reached, and answered', () => {
    const greeted = (code: number): Outcome => {
      const words: RemoteReply = { ...said(`${code} no mail here`), command: 'GREETING' }
      return { kind: 'deferred', why: reasonOf({ kind: 'said', said: words }), said: words }
    }
    assert.deepEqual(settle([greeted(554), greeted(421)], 5 * hour).notices.map(({ plain }) => plain), Array(2).fill('The other side is not taking mail at the moment.'))
  })
  it('lets the reason that brings them back first speak for 2 recipients that wait together', () => {
    const schedule = { ...testDelivery().schedule, overrides: [{ when: 'Greylist' as const, attempts: [30] }] }
    const { later, trace } = settle([deferred, greylisted], 1000, { schedule })
    assert.deepEqual([later!.at, later!.last.class], [31_000, 'Greylist'])
    assert.deepEqual(trace.map(({ text }) => text.replace(/^.*Z /, '')), ['(RetrySchedule patient, override Greylist)', '(RetrySchedule patient, override Greylist)'])
  })
  it('tells nobody of young mail that waits', () => assert.deepEqual(settle([deferred], hour).notices, []))
  it('tells of the delay once, at the end of the first attempt past 4 hours', () => {
    const first = settle([deferred], 4 * hour)
    assert.deepEqual([first.notices.map(({ kind, status, willRetryUntil }) => [kind, status, willRetryUntil]), first.later!.delayNoticed], [[['delayed', '4.4.1', 120 * hour]], true])
    assert.deepEqual(settle([deferred], 5 * hour, { delayNoticed: true }).notices, [])
  })
  it('gives up at 5 days, with the last reason and 4.4.7', () => {
    const settlement = settle([deferred, greylisted], 120 * hour)
    assert.deepEqual([settlement.later, settlement.notices.map(({ kind, status, diagnostic }) => [kind, status, diagnostic])], [undefined, [['failed', '4.4.7', 'X-Posthouse; no answer'], ['failed', '4.4.7', 'smtp; 450 greylisted']]])
  })
  it('does not give up one millisecond earlier', () => {
    const settlement = settle([deferred], 120 * hour - 1)
    assert.deepEqual([settlement.later!.at, settlement.notices.filter(({ kind }) => kind === 'failed')], [120 * hour, []])
  })
  it('tells of "relayed" only where SUCCESS was asked for and nobody else will', () => {
    assert.deepEqual(settle([delivered], 0, {}, ['SUCCESS']).notices.map(({ kind }) => kind), ['relayed'])
    assert.deepEqual(settle([delivered], 0, {}, ['FAILURE']).notices, [])
    assert.deepEqual(settle([{ ...delivered, dsnPassedOn: true }], 0, {}, ['SUCCESS']).notices, [])
  })
  it('puts on hold what a route holds', () => assert.equal(settle([held], 0).held!.why, 'DeliveryRoute mail/r holds'))
  it('gives every recipient exactly one place (property)', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom(delivered, deferred, greylisted, refused, unroutable, held), { minLength: 1, maxLength: 20 }), fc.integer({ min: 0, max: 200 * hour }), (outcomes, now) => {
      const settlement = settle(outcomes, now)
      const waiting = settlement.later?.recipients.length ?? 0
      const onHold = settlement.held?.recipients.length ?? 0
      const failed = settlement.notices.filter(({ kind }) => kind === 'failed').length
      const done = outcomes.filter(({ kind }) => kind === 'delivered').length
      assert.equal(waiting + onHold + failed + done, outcomes.length)
      // a deferral of young mail never becomes a bounce
      if (now < 120 * hour) assert.equal(waiting, outcomes.filter(({ kind }) => kind === 'deferred').length)
      if (settlement.later) assert.ok(settlement.later.at > now)
    }))
  })
})
