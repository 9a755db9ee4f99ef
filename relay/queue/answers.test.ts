import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAnswer } from './answers.ts'
import type { RawAnswer } from './stream.ts'

const ours = { ownAbsent: true, fence: false }
const fence = { ownAbsent: false, fence: true }
const both = { ownAbsent: true, fence: true }
const error = (code: number, text = ''): RawAnswer => ({ kind: 'error', code, text })

test('an ack is stored, and its sequence is known', () => assert.deepEqual(readAnswer({ kind: 'ack', seq: 7, duplicate: false }, ours), { kind: 'stored', lastSeq: 7 }))
test('an ack as a duplicate is stored, and its sequence says nothing of ours', () => assert.deepEqual(readAnswer({ kind: 'ack', seq: 7, duplicate: true }, ours), { kind: 'stored' }))
test('10201, a duplicate in a batch, is stored', () => assert.deepEqual(readAnswer(error(10201), both), { kind: 'stored' }))
test('10071 with a last sequence above 0 on our own only-if-absent record is stored', () => assert.deepEqual(readAnswer(error(10071, 'wrong last sequence: 12'), ours), { kind: 'stored' }))
test('10071 with last sequence 0 on our own record proves nothing', () => assert.equal(readAnswer(error(10071, 'wrong last sequence: 0'), ours).kind, 'unknown'))
test('10071 without a number proves nothing', () => assert.equal(readAnswer(error(10071, 'wrong last sequence'), ours).kind, 'unknown'))
test('10071 on a fence: another pod has the lane', () => assert.deepEqual(readAnswer(error(10071, 'wrong last sequence: 12'), fence), { kind: 'fenced' }))
test('10071 where both were expected asks for a look at our note', () => assert.deepEqual(readAnswer(error(10071, 'wrong last sequence: 12'), both), { kind: 'stored-or-fenced' }))
for (const code of [10164, 10158, 10176, 10023, 503, 429, 10039, 99999])
  test(`${code} proves nothing: ask again`, () => {
    for (const expected of [ours, fence, both]) assert.equal(readAnswer(error(code, 'some words: 12'), expected).kind, 'unknown')
  })
test('silence proves nothing: ask again', () => assert.equal(readAnswer({ kind: 'silence', text: 'no responders' }, both).kind, 'unknown'))
