import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSize, size } from './size.ts'

const table: readonly (readonly [string, number | undefined])[] = [
  ['1', 1],
  ['64Mi', 67_108_864],
  ['10Gi', 10_737_418_240],
  ['1G', 1_000_000_000],
  ['500k', 500_000],
  ['2Ti', 2_199_023_255_552],
  ['', undefined],
  ['0', undefined],
  ['-1Gi', undefined],
  ['1.5Gi', undefined],
  ['10GB', undefined],
  ['10 Gi', undefined],
  ['10gi', undefined],
  ['Gi', undefined],
  ['999999999999Ti', undefined],
]

for (const [text, bytes] of table) test(`${JSON.stringify(text)} is ${bytes === undefined ? 'no size' : `${bytes} bytes`}`, () => assert.equal(parseSize(text), bytes))

test('a size below the least of its field is refused, one above it is not', () => {
  assert.equal(size('Room.', '64Mi').safeParse('63Mi').success, false)
  assert.equal(size('Room.', '64Mi').safeParse('64Mi').success, true)
})
