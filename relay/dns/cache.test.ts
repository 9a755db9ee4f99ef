import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Answer } from './answer.ts'
import { AnswerCache, defaultCacheLimits, secondsToKeep } from './cache.ts'

const mx = (n: number, length: number): Answer<unknown> => ({ kind: 'records', ttl: 3600, records: Array.from({ length: n }, (_, index) => ({ preference: index, exchange: 'x'.repeat(length) })) })

test('5,000 answers of 1,000 MX records each are not kept together: the oldest go, and what is asked last stays', () => {
  const cache = new AnswerCache({ bytes: 10_000_000 }, () => 0)
  for (let n = 0; n < 5_000; n++) cache.put(`MX d${n}.example`, mx(1_000, 200))
  assert.ok(cache.bytes <= 10_000_000, String(cache.bytes))
  assert.deepEqual([cache.get('MX d0.example'), cache.get('MX d4999.example')?.kind], [undefined, 'records'])
})

test('an answer that replaces another counts once, and 0 bytes are left when the cache is cleared', () => {
  const cache = new AnswerCache({}, () => 0)
  cache.put('A a.example', { kind: 'records', ttl: 60, records: ['192.0.2.1'] })
  const once = cache.bytes
  cache.put('A a.example', { kind: 'records', ttl: 60, records: ['192.0.2.2'] })
  assert.deepEqual([cache.bytes, once > 0], [once, true])
  cache.clear()
  assert.equal(cache.bytes, 0)
})

const records = (ttl: number): Answer<unknown> => ({ kind: 'records', records: ['192.0.2.1'], ttl })

test('an answer is kept for its TTL, between 5 s and an hour, a "no" for at most 5 minutes, a failure for 10 s', () => {
  const seconds = (answer: Answer<unknown>) => secondsToKeep(answer, defaultCacheLimits)
  assert.deepEqual([0, 60, 100_000].map((ttl) => seconds(records(ttl))), [5, 60, 3600])
  assert.deepEqual(([['nodata', 0], ['nodata', 60], ['nxdomain', 100_000]] as const).map(([kind, ttl]) => seconds({ kind, ttl })), [5, 60, 300])
  assert.equal(seconds({ kind: 'failed', why: 'SERVFAIL' }), 10)
})

test('an answer is there to the last millisecond of its 60 s, and then not', () => {
  const state = { now: 1_000 }
  const cache = new AnswerCache({}, () => state.now)
  cache.put('A x', records(60))
  const thereAt = (now: number): boolean => ((state.now = now), cache.get('A x') !== undefined)
  assert.deepEqual([thereAt(60_999), thereAt(61_000)], [true, false])
})

test('of 3 answers where 2 have room the one that was written first goes, unless it was written anew; all go when it is cleared', () => {
  const cache = new AnswerCache({ entries: 2 }, () => 0)
  const kept = () => ['a', 'b', 'c'].filter((key) => cache.get(key) !== undefined).join('')
  for (const key of ['a', 'b', 'a']) cache.put(key, records(60))
  assert.equal(kept(), 'ab')
  cache.put('c', records(60))
  assert.equal(kept(), 'ac')
  cache.clear()
  assert.equal(kept(), '')
})
