import assert from 'node:assert/strict'
import { test } from 'node:test'
import { domainSchema } from '../snapshot/index.ts'
import { createCalloutCache, type Callout } from './callout-cache.ts'

const domain = domainSchema.parse({ namespace: 'mail', name: 'h', manifest: 'MailDomain mail/h', domain: 'h.example', listeners: ['mx'], inbound: { recipients: { mode: 'Callout' } } })
const fred = { local: 'fred', domain: 'h.example' }

const cacheOf = (callout: Callout) => {
  const clock = { now: 1e12, asked: 0 }
  const cache = createCalloutCache((...given) => ((clock.asked += 1), callout(...given)), () => clock.now)
  return { clock, ask: (mailbox = fred) => cache.ask(domain, mailbox) }
}

test('an answer is remembered for 10 minutes and asked again after', async () => {
  const { clock, ask } = cacheOf(() => Promise.resolve('no'))
  for (let index = 0; index < 5; index++) assert.equal(await ask(), 'no')
  assert.equal(clock.asked, 1)
  clock.now += 10 * 60_000
  await ask()
  assert.equal(clock.asked, 2)
})

test('20 questions at once about one user are 1 question to the server behind', async () => {
  const { clock, ask } = cacheOf(() => new Promise((resolve) => setTimeout(resolve, 20, 'yes')))
  assert.deepEqual(new Set(await Promise.all(Array.from({ length: 20 }, () => ask()))), new Set(['yes']))
  assert.equal(clock.asked, 1)
})

test('unknown is not remembered, and a callout that throws is unknown', async () => {
  const answers = ['unknown', 'throw', 'yes'] as const
  const { clock, ask } = cacheOf(() => {
    const answer = answers[clock.asked - 1]!
    return answer === 'throw' ? Promise.reject(new Error('socket')) : Promise.resolve(answer)
  })
  assert.deepEqual([await ask(), await ask(), await ask(), await ask()], ['unknown', 'unknown', 'yes', 'yes'])
})

test('while the server behind is away, a user known within the day is taken, a refused or older one is not', async () => {
  const state: { answer: 'yes' | 'no' | 'unknown' } = { answer: 'yes' }
  const { clock, ask } = cacheOf(() => Promise.resolve(state.answer))
  await ask()
  state.answer = 'no'
  await ask({ local: 'gone', domain: 'h.example' })
  state.answer = 'unknown'
  clock.now += 3_600_000
  assert.equal(await ask(), 'yes')
  assert.equal(await ask({ local: 'gone', domain: 'h.example' }), 'unknown')
  clock.now += 24 * 3_600_000
  assert.equal(await ask(), 'unknown')
})

test('another server behind is asked at once about a user whom the 1st one did not know, and while it is away the users that the 1st one knew are taken', async () => {
  const state: { answer: 'yes' | 'no' | 'unknown' } = { answer: 'no' }
  const cache = createCalloutCache(() => Promise.resolve(state.answer), () => 1e12)
  const behind = (host: string) => domainSchema.parse({ ...domain, inbound: { recipients: { mode: 'Callout' }, hosts: [{ host }] } })
  assert.equal(await cache.ask(behind('old.example'), fred), 'no')
  state.answer = 'yes'
  assert.deepEqual([await cache.ask(behind('old.example'), fred), await cache.ask(behind('new.example'), fred)], ['no', 'yes'])
  state.answer = 'unknown'
  assert.equal(await cache.ask(behind('third.example'), fred), 'yes')
})

test('50,000 users of a tenant\'s 2 domains, known anew, make no other namespace\'s user forgotten; of their own the oldest is', async () => {
  const asked: string[] = []
  const cache = createCalloutCache(({ manifest }, { local }) => (asked.push(`${manifest} ${local}`), Promise.resolve('yes')), () => 1e12)
  const theirs = ['a', 'b'].map((name) => ({ ...domain, namespace: 'shop', manifest: `MailDomain shop/${name}` }))
  await cache.ask(domain, fred)
  for (let n = 0; n < 25_000; n++) for (const one of theirs) await cache.ask(one, { local: `user${n}`, domain: 'h.example' })
  asked.length = 0
  await cache.ask(domain, fred)
  await cache.ask(theirs[1]!, { local: 'user24999', domain: 'h.example' })
  await cache.ask(theirs[0]!, { local: 'user0', domain: 'h.example' })
  assert.deepEqual(asked, ['MailDomain shop/a user0'])
})

test('a user known within the day is taken while the server behind is away, though 100,000 addresses that do not exist were tried since', async () => {
  const state: { answer: 'yes' | 'no' | 'unknown' } = { answer: 'yes' }
  const { clock, ask } = cacheOf(() => Promise.resolve(state.answer))
  await ask()
  state.answer = 'no'
  for (let n = 0; n < 100_000; n++) await ask({ local: `guess-${n}`, domain: 'h.example' })
  state.answer = 'unknown'
  clock.now += 3_600_000
  assert.equal(await ask(), 'yes')
})

test('a user who is refused was not known, and one who is there again is: 2 answers that change each other', async () => {
  const state: { answer: 'yes' | 'no' | 'unknown' } = { answer: 'yes' }
  const { clock, ask } = cacheOf(() => Promise.resolve(state.answer))
  const answers: string[] = []
  for (const answer of ['yes', 'no', 'unknown', 'yes', 'unknown'] as const) {
    state.answer = answer
    answers.push(await ask())
    clock.now += 11 * 60_000
  }
  assert.deepEqual(answers, ['yes', 'no', 'unknown', 'yes', 'yes'])
})
