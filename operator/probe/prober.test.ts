import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Probe } from './probe.ts'
import { Prober, type Target } from './prober.ts'

const target = (change: Partial<Target> = {}): Target => ({ relay: 'mail/main', revision: 'r1', marks: { mx: 'm1', submission: 's1' }, how: { ways: [], own: 'x.example', taken: () => Promise.resolve(new Set()) }, ...change })
const refused: Probe = { from: ['10.0.0.7'], relayed: [] }
const relayed: Probe = { from: ['10.0.0.7'], relayed: [{ listener: 'mx', way: 'through the Service', form: 'a foreign recipient', from: '10.0.0.7' }] }
const failed: Probe = { from: [], relayed: [], failed: 'listener mx: nobody is there' }

/** A prober whose clock and findings are ours. */
const make = (found: Probe) => {
  const state = { now: 1_000_000, found, runs: 0, news: 0, shouts: 0 }
  const prober = new Prober({
    every: '5m',
    now: () => state.now,
    news: () => (state.news += 1),
    relayed: () => (state.shouts += 1),
    run: () => ((state.runs += 1), Promise.resolve(state.found)),
  })
  const turn = async (one: Target = target()): Promise<number> => {
    const wait = prober.look([one])
    await new Promise((resolve) => setImmediate(resolve))
    return wait
  }
  return { state, prober, turn }
}

test('a stranger tries at once, not again before 5 m, and again at 5 m', async () => {
  const { state, turn } = make(refused)
  await turn()
  state.now += 299_999
  assert.equal(await turn(), 1)
  assert.equal(state.runs, 1)
  state.now += 1
  await turn()
  assert.deepEqual([state.runs, state.news], [2, 2])
})

test('a new revision is tried at once, and a revision that 0 pods run is not', async () => {
  const { state, turn, prober } = make(refused)
  await turn()
  await turn(target({ revision: 'r2' }))
  await turn(target({ revision: 'r3', how: undefined }))
  assert.deepEqual([state.runs, prober.attempts('mail/main')], [2, { from: ['10.0.0.7'], every: '5m' }])
})

test('1 or 2 failures after a success change nothing that is said; the 3rd does; the next success ends it', async () => {
  const { state, turn, prober } = make(refused)
  await turn()
  state.found = failed
  const said: unknown[] = []
  for (let n = 0; n < 3; n++) {
    state.now += 300_000
    await turn()
    said.push(prober.attempts('mail/main')?.failed)
  }
  assert.deepEqual(said, [undefined, undefined, failed.failed])
  state.found = refused
  state.now += 5_000
  await turn()
  assert.deepEqual(prober.attempts('mail/main'), { from: ['10.0.0.7'], every: '5m' })
})

test('after a failure it is tried again in 5 s, and failures from the start leave it unknown until the 3rd', async () => {
  const { state, turn, prober } = make(failed)
  await turn()
  assert.equal(await turn(), 5_000)
  assert.deepEqual([state.runs, prober.attempts('mail/main')], [1, undefined])
})

test('a stranger who got through is shouted 1 time, closes for these manifests, and a refusal of the same leaves it closed', async () => {
  const { state, turn, prober } = make(relayed)
  await turn()
  await turn(target({ revision: 'r2' }))
  assert.deepEqual([state.shouts, prober.strangers('mail/main')], [1, { mx: { mark: 'm1', relayed: true, closedFor: 'm1' }, submission: { mark: 's1', relayed: false } }])
  state.found = refused
  await turn(target({ revision: 'r3' }))
  assert.deepEqual(prober.strangers('mail/main').mx, { mark: 'm1', relayed: false, closedFor: 'm1' })
  await turn(target({ revision: 'r4', marks: { mx: 'm2' } }))
  assert.deepEqual(prober.strangers('mail/main').mx, { mark: 'm2', relayed: false })
})

test('an attempt that failed at 1 listener has still found the hole at the other, and proved nothing else', async () => {
  const { turn, prober } = make({ ...relayed, failed: 'listener submission: nobody is there' })
  await turn()
  assert.deepEqual(prober.strangers('mail/main'), { mx: { mark: 'm1', relayed: true, closedFor: 'm1' } })
})

test('a relay that is gone is forgotten, and 0 attempts begin after the end', async () => {
  const { state, turn, prober } = make(relayed)
  await turn()
  prober.look([])
  assert.deepEqual(prober.strangers('mail/main'), {})
  await prober.stop()
  await turn()
  assert.equal(state.runs, 1)
})
