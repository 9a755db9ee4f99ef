import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGroups, type Finished } from './groups.ts'

const finished = (lane: number, n: number, sizes: { group: number; batch: number }, seq = 100 + n): Finished => ({ lane, subject: `r.ready.${lane}.bulk.g1.${n}`, seq, sizes, done: () => {} })

test('a whole accept batch of 3 in 2 lanes goes in one purge, bounded by its last sequence', () => {
  const groups = createGroups()
  assert.deepEqual(groups.finish(finished(1, 0, { group: 2, batch: 3 }), 0), [])
  assert.deepEqual(groups.finish(finished(2, 0, { group: 1, batch: 3 }, 150), 0), [])
  const [purge, ...more] = groups.finish(finished(1, 1, { group: 2, batch: 3 }), 0)
  assert.deepEqual(more, [])
  assert.equal(purge!.filter, 'r.ready.*.*.g1.>')
  assert.equal(purge!.below, 151)
  assert.equal(purge!.expected, 3)
})

test('the same index twice does not complete a group', () => {
  const groups = createGroups()
  groups.finish(finished(1, 0, { group: 2, batch: 2 }), 0)
  assert.deepEqual(groups.finish(finished(1, 0, { group: 2, batch: 2 }), 0), [])
  assert.equal(groups.finish(finished(1, 1, { group: 2, batch: 2 }), 0).length, 1)
})

test('a lane whose part is complete goes by its own prefix after 2 s, the slow part one by one after a minute', () => {
  const groups = createGroups()
  groups.finish(finished(1, 0, { group: 1, batch: 4 }), 0)
  groups.finish(finished(2, 0, { group: 3, batch: 4 }), 0)
  assert.deepEqual(groups.dissolve(1_000), [])
  assert.deepEqual(groups.dissolve(2_000).map(({ filter }) => filter), ['r.ready.1.bulk.g1.>'])
  assert.deepEqual(groups.dissolve(59_000), [])
  assert.deepEqual(groups.dissolve(60_000).map(({ filter }) => filter), ['r.ready.2.bulk.g1.0'])
  assert.deepEqual(groups.finish(finished(2, 1, { group: 3, batch: 4 }), 61_000).map(({ filter }) => filter), ['r.ready.2.bulk.g1.1'])
  assert.deepEqual(groups.finish(finished(2, 2, { group: 3, batch: 4 }), 62_000).map(({ filter }) => filter), ['r.ready.2.bulk.g1.2'])
  assert.equal(groups.open(), 0)
})

test('of 2 slow deliveries that end together after a minute, in 2 lanes, both are removed, whichever ends last', () => {
  const groups = createGroups()
  groups.finish(finished(1, 0, { group: 2, batch: 3 }), 0)
  assert.equal(groups.dissolve(60_000).length, 1)
  assert.deepEqual(groups.finish(finished(2, 0, { group: 1, batch: 3 }), 90_000), [])
  assert.deepEqual(groups.finish(finished(1, 1, { group: 2, batch: 3 }), 90_000).map(({ filter }) => filter).sort(), ['r.ready.1.bulk.g1.1', 'r.ready.2.bulk.g1.>'])
  assert.equal(groups.open(), 0)
})

test('a lane that went takes its part along: the rest never goes as a whole batch', () => {
  const groups = createGroups()
  groups.finish(finished(1, 0, { group: 1, batch: 2 }), 0)
  groups.finish(finished(2, 0, { group: 2, batch: 3 }), 0)
  groups.forgetLane(1)
  const purges = groups.finish(finished(2, 1, { group: 2, batch: 3 }), 0)
  assert.ok(purges.every(({ filter }) => !filter.includes('*.*')))
})

test('after a fault in a lane nothing of it is purged by a prefix', () => {
  const groups = createGroups()
  groups.finish(finished(1, 0, { group: 2, batch: 2 }), 0)
  groups.distrust(1)
  assert.deepEqual(groups.finish(finished(1, 1, { group: 2, batch: 2 }), 0).map(({ filter }) => filter), ['r.ready.1.bulk.g1.1'])
})

test('what an earlier owner has finished of a group is not waited for: the rest goes one by one after a minute, and is forgotten after another', () => {
  const groups = createGroups()
  groups.finish(finished(1, 1, { group: 2, batch: 2 }), 0)
  assert.deepEqual(groups.dissolve(60_000).map(({ filter }) => filter), ['r.ready.1.bulk.g1.1'])
  assert.deepEqual(groups.dissolve(120_000), [])
  assert.equal(groups.open(), 0)
})

test('a delivery that ends after its group was forgotten goes all the same, a minute later', () => {
  const groups = createGroups()
  groups.finish(finished(1, 1, { group: 2, batch: 2 }), 0)
  groups.dissolve(60_000)
  groups.dissolve(120_000)
  assert.deepEqual(groups.finish(finished(1, 0, { group: 2, batch: 2 }), 130_000), [])
  assert.deepEqual(groups.dissolve(190_000).map(({ filter }) => filter), ['r.ready.1.bulk.g1.0'])
})

test('of a lane that is let go, 1 record that is finished and waits for the 2 others of its batch goes by itself, and none of another lane', () => {
  const groups = createGroups()
  groups.finish(finished(1, 0, { group: 2, batch: 3 }), 0)
  groups.finish(finished(2, 0, { group: 1, batch: 3 }, 150), 0)
  assert.deepEqual(groups.forgetLane(1).map(({ filter, below, expected }) => ({ filter, below, expected })), [{ filter: 'r.ready.1.bulk.g1.0', below: 101, expected: 1 }])
})
