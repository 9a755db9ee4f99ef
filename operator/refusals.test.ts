import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KubeError } from './kube/index.ts'
import { createRefusals, NameTaken } from './refusals.ts'

const answer = (status: number) => new KubeError({ status, reason: 'R', message: `said ${status}` })
const failing = (error: Error) => async (): Promise<string> => { throw error }

describe('an attempt', () => {
  for (const status of [400, 403, 404, 413, 422]) {
    it(`that is answered ${status} is refused: it is told of that object, and nothing is thrown`, async () => {
      const refusals = createRefusals()
      assert.equal(await refusals.attempt('MailSender', 'shop/app', failing(answer(status))), undefined)
      assert.deepEqual([...refusals.found], [['MailSender shop/app', { reason: 'NotApplied', message: `the API server refuses it: said ${status}` }]])
    })
  }
  for (const error of [answer(401), answer(409), answer(412), answer(429), answer(500), answer(0), new TypeError('a bug')]) {
    it(`that ends with "${error.message}" is thrown on, with 0 refusals: it is over when we look again, or a fault of ours`, async () => {
      const refusals = createRefusals()
      await assert.rejects(refusals.attempt('MailRelay', 'mail/main', failing(error)), error)
      assert.equal(refusals.found.size, 0)
    })
  }
  it('tells of 2 refusals of 1 object the first, and gives back what was not refused', async () => {
    const refusals = createRefusals()
    for (const text of ['Service a', 'Service b']) await refusals.attempt('MailRelay', 'mail/main', failing(new NameTaken(text)))
    assert.equal(await refusals.attempt('MailRelay', 'mail/main', async () => 'done'), 'done')
    assert.deepEqual(refusals.found.get('MailRelay mail/main'), { reason: 'NameTaken', message: 'Service a' })
  })
})
