import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Answer } from './answer.ts'
import { AnswerCache } from './cache.ts'

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
