import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pokes } from './pokes.ts'

const second = 1_000

/** The seconds at which a pod is asked that was told of the revision and goes on with the old one. */
const askedAt = (pokes: Pokes, forSeconds: number, runs: (at: number) => string | undefined): number[] => {
  const seconds: number[] = []
  let annotated: string | undefined = 'old'
  for (let at = 0; at < forSeconds; at++) {
    if (!pokes.isDue({ name: 'mail/main-1', annotated, runs: runs(at) }, 'new', at * second)) continue
    seconds.push(at)
    annotated = 'new'
  }
  return seconds
}

test('a pod is told of a revision once, and 0 times more when it runs it within 5 s', () => {
  assert.deepEqual(askedAt(new Pokes(), 3600, (at) => (at < 4 ? 'old' : 'new')), [0])
})

test('a pod whose kubelet looked too early is asked again after 5, 15, 35 and 75 s, and then ever less often, at least every 10 min', () => {
  assert.deepEqual(askedAt(new Pokes(), 3600, () => 'old'), [0, 5, 15, 35, 75, 155, 315, 635, 1235, 1835, 2435, 3035])
})

test('a pod that does not answer is asked once: it has other troubles, and 1 that starts reads the newest anyhow', () => {
  assert.deepEqual(askedAt(new Pokes(), 3600, () => undefined), [0])
})

test('an operator that has just begun gives a pod told by another 5 s before it asks again', () => {
  const pokes = new Pokes()
  const pod = { name: 'mail/main-1', annotated: 'new', runs: 'old' }
  assert.deepEqual([0, 4, 5, 6].map((at) => pokes.isDue(pod, 'new', at * second)), [false, false, true, false])
})

test('pods that are gone are forgotten: 1 of 2 is kept', () => {
  const pokes = new Pokes()
  for (const name of ['mail/a', 'mail/b']) pokes.isDue({ name, annotated: 'new', runs: 'old' }, 'new', 0)
  pokes.keep(new Set(['mail/a']))
  assert.equal(pokes.isDue({ name: 'mail/b', annotated: 'new', runs: 'old' }, 'new', 60 * second), false)
  assert.equal(pokes.isDue({ name: 'mail/a', annotated: 'new', runs: 'old' }, 'new', 60 * second), true)
})
