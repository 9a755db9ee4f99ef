import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Probe } from './probe.ts'
import { Prober, type Target } from './prober.ts'

const target = (change: Partial<Target> = {}): Target => ({ relay: 'mail/main', revision: 'r1', marks: { mx: 'm1', submission: 's1' }, doors: { mx: 'd1' }, how: { ways: [], own: 'x.example', taken: () => Promise.resolve(new Set()) }, ...change })
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

test('a stranger tries again after 5 m though the clock was set back by an hour', async () => {
  const { state, turn } = make(refused)
  state.now += 3_600_000
  await turn()
  state.now -= 3_600_000
  assert.ok((await turn()) <= 300_000)
  state.now += 300_000
  await turn()
  assert.equal(state.runs, 2)
})

test('a new revision is tried at once, and a revision that 0 pods run is not', async () => {
  const { state, turn, prober } = make(refused)
  await turn()
  await turn(target({ revision: 'r2' }))
  await turn(target({ revision: 'r3', how: undefined }))
  assert.deepEqual([state.runs, prober.attempts('mail/main')], [2, { from: ['10.0.0.7'], every: '5m', doors: { mx: 'd1' } }])
})

test('1 door that is another, as when a Service changes, is tried at once, though the snapshot is the same', async () => {
  const { state, turn, prober } = make(refused)
  await turn()
  const moved = target({ doors: { mx: 'd2' } })
  await turn(moved)
  await turn(moved)
  assert.deepEqual([state.runs, prober.attempts('mail/main')?.doors], [2, { mx: 'd2' }])
})

test('1 door of 2 that is another is tried at once', async () => {
  const { state, turn } = make(refused)
  await turn(target({ doors: { mx: 'd1', submission: 'd2' } }))
  await turn(target({ doors: { mx: 'd1', submission: 'd3' } }))
  assert.equal(state.runs, 2)
})

test('while 1 attempt runs 0 others begin; the end waits for it, and hears nothing of what it found', async () => {
  const state = { runs: 0, news: 0, finish: undefined as ((found: Probe) => void) | undefined }
  const run = (): Promise<Probe> => ((state.runs += 1), new Promise((resolve) => (state.finish = resolve)))
  const prober = new Prober({ every: '5m', now: () => 0, news: () => (state.news += 1), relayed: () => {}, run })
  const [first, second] = [prober.look([target()]), prober.look([target({ revision: 'r2' })])]
  assert.deepEqual([first, second, state.runs], [300_000, 300_000, 1])
  let ended = false
  const end = prober.stop().then(() => (ended = true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(ended, false)
  state.finish!(relayed)
  await end
  assert.deepEqual([state.news, prober.strangers('mail/main')], [0, {}])
})

test('an attempt that throws 3 times is a failure with its words, of 0 doors, and the next begins 5 s later', async () => {
  const state = { now: 0 }
  const prober = new Prober({ every: '5m', now: () => state.now, news: () => {}, relayed: () => {}, run: () => Promise.reject(new Error('no way')) })
  for (let n = 0; n < 3; n++) {
    prober.look([target()])
    await new Promise((resolve) => setImmediate(resolve))
    state.now += 5_000
  }
  assert.deepEqual(prober.attempts('mail/main'), { from: [], every: '5m', doors: {}, failed: 'no way' })
})

test('what is asked every 10 m is told as too late 20 m after it was due', async () => {
  const state = { now: 1_000_000 }
  const prober = new Prober({ every: '10m', now: () => state.now, news: () => {}, relayed: () => {}, run: () => Promise.resolve(refused) })
  prober.look([target()])
  await new Promise((resolve) => setImmediate(resolve))
  state.now += 600_000
  prober.look([target({ how: undefined })])
  const failedAfter = (ms: number) => ((state.now += ms), prober.attempts('mail/main')?.failed !== undefined)
  assert.deepEqual([failedAfter(1_199_999), failedAfter(1)], [false, true])
})

test('pods of which some run another snapshot wait 60 s again for a 2nd change, and not for a look at the same', async () => {
  const { state, turn } = make(refused)
  await turn()
  const mixed = (revision: string) => target({ revision, partly: true })
  await turn(mixed('r2'))
  state.now += 60_000
  await turn(mixed('r2'))
  assert.deepEqual([await turn(mixed('r3')), state.runs], [60_000, 2])
  state.now += 60_000
  await turn(mixed('r3'))
  state.now += 300_000
  await turn(mixed('r3'))
  assert.equal(state.runs, 4)
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
  assert.deepEqual(prober.attempts('mail/main'), { from: ['10.0.0.7'], every: '5m', doors: { mx: 'd1' } })
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
  assert.equal(state.shouts, 1)
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

test('what was found is of the doors that were tried, also after 1 new listener', async () => {
  const { turn, prober } = make(refused)
  await turn()
  await turn(target({ revision: 'r2', doors: { mx: 'd1', wide: 'w1' }, how: undefined }))
  assert.deepEqual(prober.attempts('mail/main')?.doors, { mx: 'd1' })
})

test('pods of which some run another snapshot are tried 60 s after the change, and anew at once when all run this one', async () => {
  const { state, turn, prober } = make(refused)
  await turn()
  const mixed = target({ revision: 'r2', partly: true })
  assert.deepEqual([await turn(mixed), state.runs], [60_000, 1])
  state.now += 59_999
  assert.deepEqual([await turn(mixed), state.runs], [1, 1])
  state.now += 1
  await turn(mixed)
  assert.deepEqual([state.runs, prober.attempts('mail/main')?.partly], [2, true])
  assert.deepEqual([await turn(mixed), state.runs], [300_000, 2])
  await turn(target({ revision: 'r2' }))
  assert.deepEqual([state.runs, prober.attempts('mail/main')?.partly], [3, undefined])
})

test('a change that could not be tried for 120 s is told, with since when; one that came back to what was tried is none', async () => {
  const { state, turn, prober } = make(refused)
  await turn()
  const later = async (revision: string, ms: number) => (await turn(target({ revision, how: undefined })), (state.now += ms), prober.attempts('mail/main')?.late)
  assert.deepEqual([await later('r2', 60_000), await later('r1', 60_000), await later('r2', 119_999), await later('r2', 1)], [undefined, undefined, undefined, '1970-01-01T00:18:40Z'])
  await turn(target({ revision: 'r2' }))
  assert.equal(prober.attempts('mail/main')?.late, undefined)
})

test('what was tried once and could not be tried again is told 10 m after it was due, with since when, and not before; the next try ends it', async () => {
  const { state, turn, prober } = make(refused)
  await turn()
  const later = async (ms: number) => ((state.now += ms), await turn(target({ how: undefined })), prober.attempts('mail/main'))
  const tried = { from: ['10.0.0.7'], every: '5m', doors: { mx: 'd1' } }
  assert.deepEqual([await later(300_000), await later(599_999)], [tried, tried])
  assert.deepEqual(await later(1), { ...tried, failed: 'no attempt could be made since 1970-01-01T00:21:40Z: pods that are ready and run this snapshot are waited for' })
  await turn()
  assert.deepEqual(prober.attempts('mail/main'), tried)
})

test('a relay that 0 pods run from the start is told after 120 s, and as a failure after 10 m', async () => {
  const { state, turn, prober } = make(refused)
  const later = async (ms: number) => (await turn(target({ how: undefined })), (state.now += ms), prober.attempts('mail/main'))
  const none = { from: [], every: '5m', doors: {} }
  const since = '1970-01-01T00:16:40Z'
  assert.deepEqual([await later(119_999), await later(1), (await later(480_000))?.failed?.includes(since)], [undefined, { ...none, late: since }, true])
})

test('a refusal at only some of the pods opens 0 listeners that were closed', async () => {
  const { state, turn, prober } = make(relayed)
  await turn()
  state.found = refused
  const changed = target({ revision: 'r2', marks: { mx: 'm2' }, partly: true })
  await turn(changed)
  state.now += 60_000
  await turn(changed)
  assert.deepEqual([state.runs, prober.strangers('mail/main').mx], [2, { mark: 'm1', relayed: true, closedFor: 'm1' }])
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
