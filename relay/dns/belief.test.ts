import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Belief, judge } from './belief.ts'

it('of 9 name servers that deny a name 4 are believed, 3 are asked for the root first, and 2 are not believed', () => {
  const now = 1_000_000
  const ago = (seconds: number): number => now - seconds * 1000
  const judged = [
    {}, // never heard of
    { recordsAt: ago(4) },
    { rootAt: ago(4) },
    { recordsAt: ago(6) },
    { rootAt: ago(6) },
    { noRootAt: ago(1) },
    { noRootAt: ago(1), rootAt: ago(60), recordsAt: ago(60) }, // it knew the world, and has lost it
    { noRootAt: ago(1), recordsAt: ago(500) }, // a network of its own
    { noRootAt: ago(1), recordsAt: ago(4) },
  ].map((known) => judge(known, now))
  assert.deepEqual(judged, ['ask for the root', 'believed', 'believed', 'ask for the root', 'ask for the root', 'not believed', 'not believed', 'believed', 'believed'])
})

it('3 who doubt 1 server at the same time ask it for the root once, and once more after 5 s', async () => {
  let now = 0
  let asked = 0
  const belief = new Belief(() => now)
  const knowsRoot = () => (asked++, Promise.resolve(false))
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => belief.believes('a', knowsRoot))), [false, false, false])
  assert.equal(asked, 1)
  now = 5_000
  assert.equal(await belief.believes('a', knowsRoot), false)
  assert.equal(asked, 2)
})
