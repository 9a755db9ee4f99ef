import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Condition } from '../condition.ts'
import { contestsOf } from './contested.ts'

const claim = (n: number): Condition => ({
  object: { kind: 'MailDomain', namespace: 'mail', name: `d${n}` }, type: 'Accepted', status: 'False', reason: 'DomainConflict', message: 'held', by: { kind: 'MailDomain', namespace: 'mail', name: 'holder' },
})

it('names 10 claims in an order that does not depend on who came first, and counts the 11th', () => {
  const messageOf = (...ns: number[]): string => contestsOf(ns.map(claim))[0]!.message
  assert.equal(messageOf(2, 1), 'MailDomain mail/d1 is refused: held; MailDomain mail/d2 is refused: held')
  const ten = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  assert.deepEqual([messageOf(...ten).match(/is refused/g)!.length, /more/.test(messageOf(...ten)), messageOf(...ten, 10).endsWith('; and 1 more')], [10, false, true])
})
