import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KubeError } from './kube/index.ts'
import { createRefusals, NameTaken } from './refusals.ts'

const answer = (status: number) => new KubeError({ status, reason: 'R', message: `said ${status}` })
const failing = (error: Error) => async (): Promise<string> => { throw error }

const faults: string[] = []
const refusing = () => createRefusals({ waits: (title) => title === 'MailRelay mail/waits', note: (title, error) => faults.push(`${title}: ${(error as Error).message}`) })

describe('an attempt', () => {
  for (const status of [400, 403, 404, 413, 422, 500, 504]) {
    it(`that is answered ${status} is refused: it is told of that object, and nothing is thrown`, async () => {
      const refusals = refusing()
      assert.equal(await refusals.attempt('MailSender', 'shop/app', failing(answer(status))), undefined)
      assert.deepEqual([...refusals.found], [['MailSender shop/app', { reason: 'NotApplied', message: `the API server refuses it: said ${status}` }]])
    })
  }
  for (const error of [answer(401), answer(409), answer(412), answer(429), answer(503), answer(0)]) {
    it(`that ends with "${error.message}" is thrown on, with 0 refusals: it is over when we look again`, async () => {
      const refusals = refusing()
      await assert.rejects(refusals.attempt('MailRelay', 'mail/main', failing(error)), error)
      assert.equal(refusals.found.size, 0)
    })
  }
  it('tells of 2 refusals of 1 object the first, and gives back what was not refused', async () => {
    const refusals = refusing()
    for (const text of ['Service a', 'Service b']) await refusals.attempt('MailRelay', 'mail/main', failing(new NameTaken(text)))
    assert.equal(await refusals.attempt('MailRelay', 'mail/main', async () => 'done'), 'done')
    assert.deepEqual(refusals.found.get('MailRelay mail/main'), { reason: 'NameTaken', message: 'Service a' })
  })
  it('that throws anything else is a fault of ours over that object: it is noted, and nothing is thrown; of who waits nothing is tried', async () => {
    const refusals = refusing()
    assert.equal(await refusals.attempt('MailRelay', 'mail/main', failing(new TypeError('a bug'))), undefined)
    assert.equal(await refusals.guard('MailRelay', 'mail/waits', () => assert.fail('tried')), undefined)
    assert.deepEqual([faults, refusals.found.size], [['MailRelay mail/main: a bug'], 0])
    await assert.rejects(refusals.guard('MailRelay', 'mail/main', failing(answer(422))), { status: 422 })
  })
})
