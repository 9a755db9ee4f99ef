// Tests of types: what the compiler promises about outcomes (style rule 9).
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { DeferReason, Outcome, RemoteReply } from './outcome.ts'

it('has a closed set of six outcomes', () => {
  const all: Record<Outcome['kind'], true> = { delivered: true, deferred: true, refused: true, unroutable: true, expired: true, held: true }
  assert.equal(Object.keys(all).length, 6)
})

const timeout: DeferReason = { class: 'Connect', status: '4.4.1', text: 'no answer' }
const said: RemoteReply = { host: 'h', address: 'a', command: 'RCPT', code: 550, lines: [] }
// @ts-expect-error: a refusal needs the remote's own reply; a time-out has none
const refusedByTimeout: Outcome = { kind: 'refused', status: '5.4.1', text: 'time-out' }
// @ts-expect-error: a refusal cannot be made of a deferral's reason
const refusedByReason: Outcome = { kind: 'refused', why: timeout }
// @ts-expect-error: nor can "unroutable" be for want of an answer
const unroutableByTimeout: Outcome = { kind: 'unroutable', why: 'timeout', status: '5.4.1', text: 'time-out' }
const refused: Outcome = { kind: 'refused', status: '5.1.1', text: 'no', said }
void [refusedByTimeout, refusedByReason, unroutableByTimeout, refused]
