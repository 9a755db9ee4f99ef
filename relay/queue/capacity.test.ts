import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capacityOf } from './capacity.ts'

const mebibyte = 2 ** 20

test('a volume of 10 GiB has room for 5,096 MiB of mail, one of 256 for 104, and one of 64 for 8', () => {
  assert.deepEqual([10_240, 256, 64].map((size) => capacityOf(size * mebibyte) / mebibyte), [5_096, 104, 8])
})
