import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Entry } from './entry.ts'
import { Jams, tooMany } from './jams.ts'

describe('jams', () => {
  it('gives 1,000 deliveries of a site with 60 a minute slots 1 s apart, the first when the 50 that wait in memory are gone', () => {
    const jams = new Jams()
    jams.begin('a', 0, 1_000)
    const slots = Array.from({ length: 1_000 }, () => jams.slot('a', 's', 0))
    assert.equal(slots[0], 50_000)
    assert.ok(slots.every((slot, index) => slot === 50_000 + index * 1_000))
  })
  it('lets what no rate limits come back 20 ms apart, after 10 s', () => {
    const jams = new Jams()
    jams.begin('a', 7_000)
    assert.deepEqual([jams.slot('a', 's', 7_000), jams.slot('a', 's', 7_000)], [17_000, 17_020])
  })
  it('forgets a site 30 s after the last of its mail was put off, and keeps its line when it jams again', () => {
    const jams = new Jams()
    jams.begin('a', 0, 1_000)
    for (let count = 0; count < 100; count++) jams.slot('a', 's', 0)
    assert.equal(jams.has('a', 29_000), true)
    jams.begin('a', 29_000, 1_000)
    assert.equal(jams.slot('a', 's', 29_000), 150_000)
    assert.equal(jams.slot('a', 'other', 29_000), 79_000, 'another sender has a line of its own')
    assert.equal(jams.has('a', 59_001), false)
    assert.equal(jams.has('b', 0), false)
  })
  it('keeps 50 of each of 2 sites, and 1 of each of 100 sites with 2 each: the oldest', () => {
    const waiting = (sites: number, each: number) => Array.from({ length: sites * each }, (_, index) => ({ site: `s${index % sites}`, entry: { seq: index } as Entry }))
    const kept = (all: ReturnType<typeof waiting>) => all.filter(({ entry }) => !tooMany(all).has(entry)).map(({ entry: { seq } }) => seq)
    assert.deepEqual(kept(waiting(2, 100)), Array.from({ length: 100 }, (_, seq) => seq))
    assert.deepEqual(kept(waiting(100, 2)), Array.from({ length: 100 }, (_, seq) => seq))
    assert.deepEqual(kept([]), [])
  })
})
