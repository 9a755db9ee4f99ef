import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestNats, type TestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { aMessage, delivered, deliverer, openTestQueue } from './fixtures.ts'
import type { Notice } from './types.ts'

let nats: TestNats
before(async () => {
  nats = await startTestNats()
})
after(() => nats.stop())

test('1 notice is on 2 timelines: that of the message names the notice, that of the notice names the message', async () => {
  const about = aMessage({ domains: ['gone.example'] })
  let notice = ''
  const queue = await openTestQueue(nats, {
    name: 'notified',
    composeNotice: ({ id }) => {
      notice = id
      return { ...aMessage({ id }), envelope: { ...aMessage().envelope, mailFrom: null } }
    },
  })
  try {
    await until('durable', () => queue.durable().ok)
    const failed = (recipient: Notice['recipient']): Notice => ({ kind: 'failed', recipient, status: '5.1.1', plain: 'There is no such user.', lastAttemptAt: 0 })
    await queue.start(deliverer(({ domain, recipients }) => (domain === 'gone.example' ? { notices: recipients.map(failed), trace: [] } : delivered)))
    assert.equal((await queue.accept(about)).kind, 'stored')
    const linesOf = async (message: string) => (await queue.trace(message)).map(({ kind, text }) => `${kind}: ${text}`)
    await until('both are told', async () => notice !== '' && (await linesOf(about.id)).length > 0 && (await linesOf(notice)).length > 0)
    assert.deepEqual(await linesOf(about.id), [`notified: a notice (failed) was written as ${notice}`])
    assert.deepEqual(await linesOf(notice), [`accepted: a notice (failed) about ${about.id}`])
  } finally {
    await queue.close()
  }
})
