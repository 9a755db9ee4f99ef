import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'node:test'
import { judgeServers, nothingStuck, restarted, type QueueServers, type ServerPod } from './stuck-servers.ts'

type Said = Parameters<typeof judgeServers>[1]
type Word = 'up' | 'stuck' | 'away'
const durable = { ok: true, reason: 'Durable', text: '' }
const away = { ok: false, reason: 'Unreachable', text: '' }
const podsOf = (count: number): ServerPod[] => Array.from({ length: count }, (_, n) => ({ name: `main-queue-${n}`, uid: `u${n}`, starts: 0, ready: false }))
const servers = podsOf(3)
const only = (stuck: number): ServerPod[] => servers.map((pod, n) => ({ ...pod, ready: n !== stuck }))
/** Of each relay pod, one word for each server. */
const saying = (is: Said[number]['durable'], ...relayPods: readonly (readonly Word[])[]): Said => relayPods.map((words) => ({ ready: is?.ok === true, ...(is && { durable: is }), servers: words.map((word, n) => ({ name: `main-queue-${n}`, up: word === 'up', stuck: word === 'stuck' })) }))
const said = (...relayPods: readonly (readonly Word[])[]): Said => saying(away, ...relayPods)

type World = { readonly words: (second: number) => Said; readonly pods?: (second: number) => readonly ServerPod[]; readonly isUpdating?: (second: number) => boolean; readonly wanted?: number; readonly every?: number; readonly clock?: (second: number) => number }
/** Returns which pod was to start anew, and after how many seconds. */
const looks = (count: number, { words, pods = () => servers, isUpdating = () => false, wanted = 3, every = 30, clock = (second) => second }: World): string[] => {
  let stuck = nothingStuck
  return Array.from({ length: count }, (_, n) => n * every).flatMap((second) => {
    const now = clock(second) * 1000
    const judged = judgeServers({ pods: pods(second), wanted, isUpdating: isUpdating(second) }, words(second), stuck, now)
    stuck = judged.restart === undefined ? judged.stuck : restarted(judged.stuck, judged.restart, now)
    return judged.restart === undefined ? [] : [`${judged.restart.pod.uid} after ${second} s`]
  })
}
const stuckOne = (): Said => said(['up', 'stuck', 'up'])

test('a server that 1 of 2 relay pods calls stuck, and the other does not reach, starts anew after 3 minutes', () => {
  assert.deepEqual(looks(7, { words: () => said(['up', 'stuck', 'up'], ['away', 'away', 'away']) }), ['u1 after 180 s'])
  assert.deepEqual(looks(6, { words: stuckOne }), [])
})

test('0 servers start anew that are away, that another relay pod has an answer from, or of which nobody says anything, as relays of an older release', () => {
  assert.deepEqual(looks(100, { words: () => said(['up', 'away', 'up']) }), [])
  assert.deepEqual(looks(100, { words: () => said(['up', 'stuck', 'up'], ['up', 'up', 'up']) }), [])
  assert.deepEqual(looks(100, { words: () => [{ ready: true, durable }] }), [])
  assert.deepEqual(looks(100, { words: () => [] }), [])
})

test('0 servers start anew whose kubelet finds them whole, whatever 3 relay pods say: what keeps their answers may be the way there', () => {
  assert.deepEqual(looks(100, { words: () => said(['stuck', 'stuck', 'stuck'], ['stuck', 'stuck', 'stuck'], ['stuck', 'stuck', 'stuck']), pods: () => only(-1) }), [])
  assert.deepEqual(looks(12, { words: stuckOne, pods: (second) => only(second === 120 ? -1 : 1) }), ['u1 after 330 s']) // whole in between: 3 minutes more
})

test('a server that is alone, with 1 liveness probe that sees it, is left to its kubelet', () => {
  assert.deepEqual(looks(100, { words: () => said(['stuck']), pods: () => podsOf(1), wanted: 1 }), [])
})

test('1 answer in between begins the 3 minutes anew; 1 look without a word does not, and a minute without a word does', () => {
  const but = (at: (second: number) => boolean, words: Said) => looks(10, { words: (second) => (at(second) ? words : stuckOne()) })
  assert.deepEqual(but((second) => second === 60, said(['up', 'up', 'up'])), ['u1 after 270 s'])
  assert.deepEqual(but((second) => second === 60, []), ['u1 after 180 s'])
  assert.deepEqual(but((second) => second === 60 || second === 90, []), [])
})

test('a look that is without a word when the 3 minutes are over lets 0 servers start anew, the next one that says it does', () => {
  assert.deepEqual(looks(8, { words: (second) => (second === 180 ? [] : stuckOne()) }), ['u1 after 210 s'])
})

test('an operator whose looks are 70 s apart, as beside an API server that refuses slowly, has a server start anew after 210 s', () => {
  assert.deepEqual(looks(5, { words: stuckOne, every: 70 }), ['u1 after 210 s'])
})

test('a clock that is set, or an operator that stood still, adds 1 minute at most to what was seen', () => {
  assert.deepEqual(looks(6, { words: stuckOne, clock: (second) => second + (second >= 60 ? 3_600 : 0) }), ['u1 after 150 s'])
  assert.deepEqual(looks(8, { words: stuckOne, clock: (second) => second - (second >= 60 ? 3_600 : 0) }), ['u1 after 210 s'])
  const silentFor = (from: number, to: number) => (second: number): Said => (second >= from && second < to ? [] : stuckOne())
  assert.deepEqual(looks(26, { words: silentFor(180, 660), clock: (second) => second - (second >= 180 ? 3_600 : 0) }), []) // 8 minutes are no 1 look, whatever the clock says
})

test('of 3 servers that are all stuck 1 at a time starts anew, 3 minutes apart', () => {
  const anew = (second: number) => servers.map((server, n) => ({ ...server, uid: second > 180 + 210 * n ? `v${n}` : server.uid }))
  const words = (second: number): readonly Word[] => [0, 1, 2].map((n) => (second > 180 + 210 * n ? 'up' : 'stuck'))
  assert.deepEqual(looks(30, { words: (second) => said(words(second)), pods: anew }), ['u0 after 180 s', 'u1 after 390 s', 'u2 after 600 s'])
})

test('a pod that was made anew meanwhile, or whose server was, has 3 minutes of its own', () => {
  const other = (change: Partial<ServerPod>) => looks(12, { words: stuckOne, pods: (second) => servers.map((pod, n) => (n === 1 && second >= 120 ? { ...pod, ...change } : pod)) })
  assert.deepEqual(other({ uid: 'new' }), ['new after 300 s'])
  assert.deepEqual(other({ starts: 1 }), ['u1 after 300 s'])
})

test('a server that comes back stuck each time starts anew after 3, 6, 12, 24 and 48 minutes, and every 48 from then on; after 2 hours in order it is 3 again', () => {
  let uid = 0
  let stuck = nothingStuck
  const minutes: number[] = []
  let begun = 0
  const run = (from: number, to: number, words: Said): void => {
    for (let second = from; second < to; second += 30) {
      const judged = judgeServers({ pods: only(1).map((pod, n) => (n === 1 ? { ...pod, uid: `v${uid}` } : pod)), wanted: 3, isUpdating: false }, words, stuck, second * 1000)
      stuck = judged.stuck
      if (judged.restart === undefined) continue
      stuck = restarted(stuck, judged.restart, second * 1000)
      assert.equal(judged.restart.times, uid)
      minutes.push(Math.floor((second - begun) / 60))
      begun = second
      uid += 1
    }
  }
  run(0, 4 * 3_600, stuckOne())
  assert.deepEqual(minutes, [3, 6, 12, 24, 48, 48, 48])
  run(4 * 3_600, 7 * 3_600, said(['up', 'up', 'up']))
  minutes.length = uid = 0
  begun = 7 * 3_600
  run(begun, begun + 200, stuckOne())
  assert.deepEqual(minutes, [3])
})

test('a server that comes back stuck at once does not keep the other 2 from their start', () => {
  let anew = 0
  let stuck = nothingStuck
  const order: string[] = []
  for (let second = 0; second < 1_800; second += 30) {
    const pods = servers.map((pod, n) => (n === 0 ? { ...pod, uid: `u0.${anew}` } : pod))
    const judged = judgeServers({ pods, wanted: 3, isUpdating: false }, said(['stuck', 'stuck', 'stuck']), stuck, second * 1000)
    stuck = judged.restart === undefined ? judged.stuck : restarted(judged.stuck, judged.restart, second * 1000)
    if (judged.restart === undefined) continue
    order.push(judged.restart.pod.name.slice(-1))
    anew += 1
  }
  assert.deepEqual(order.slice(0, 3), ['0', '1', '2'])
})

test('of 2 servers that have hung for long when mail is no longer taken, the one that was begun anew less often is first', () => {
  const before = { since: new Map([0, 1].map((n) => [`u${n} 0`, { forMs: 900_000, last: 0, missed: 0 }])), restarts: new Map([['main-queue-0', { times: 2, at: 0 }], ['main-queue-1', { times: 1, at: 0 }]]) }
  assert.equal(judgeServers({ pods: servers, wanted: 3, isUpdating: false }, said(['stuck', 'stuck', 'away']), before, 1).restart?.pod.name, 'main-queue-1')
})

test('while mail is taken a stuck server waits until the 2 others are ready: 1 that starts, catches up, is away or on its way out may be all that is left', () => {
  const words = (second: number, is = durable) => saying(is, ['up', 'stuck', second < 600 ? 'away' : 'up'])
  const without = (change: (pod: ServerPod) => ServerPod[]) => (second: number): ServerPod[] => (second < 600 ? only(1).flatMap((pod, n) => (n === 2 ? change(pod) : [pod])) : only(1))
  assert.deepEqual(looks(25, { words: () => saying(durable, ['up', 'stuck', 'up']), pods: without((pod) => [{ ...pod, ready: false }]) }), ['u1 after 600 s'])
  assert.deepEqual(looks(25, { words, pods: without(() => []) }), ['u1 after 600 s'])
  assert.deepEqual(looks(25, { words, pods: () => only(1) }), ['u1 after 600 s']) // its node has just died: it is called ready for as long as nobody misses the kubelet
  assert.deepEqual(looks(25, { words: (second) => words(second, { ...durable, ok: false, reason: 'QueueFull' }), pods: without(() => []) }), ['u1 after 600 s'])
  assert.deepEqual(looks(7, { words: (second) => words(second, away), pods: without(() => []) }), ['u1 after 180 s']) // nothing is taken: nothing to lose
  assert.deepEqual(looks(25, { words: (second) => [...words(second, away), { ready: true }], pods: without(() => []) }), ['u1 after 600 s']) // one that is ready and silent may take mail
})

test('while mail is taken a stuck server of 3 waits for the update that starts them anew one by one; where nothing is taken it does not', () => {
  const isUpdating = (second: number): boolean => second < 600
  assert.deepEqual(looks(25, { words: () => saying(durable, ['up', 'stuck', 'up']), pods: () => only(1), isUpdating }), ['u1 after 600 s'])
  assert.deepEqual(looks(7, { words: stuckOne, pods: () => only(1), isUpdating }), ['u1 after 180 s'])
})

const word = fc.constantFrom<Word>('up', 'stuck', 'stuck', 'stuck', 'away')
const relayPod = (count: number) => fc.record({ words: fc.array(word, { minLength: count, maxLength: count }), is: fc.constantFrom(durable, away, { ok: false, reason: 'QueueFull', text: '' }, undefined), ready: fc.boolean() })
const look = (count: number) => fc.record({
  relays: fc.array(relayPod(count), { maxLength: 3 }),
  pods: fc.array(fc.record({ isThere: fc.boolean(), ready: fc.boolean(), life: fc.nat(1) }), { minLength: count, maxLength: count }),
  isUpdating: fc.boolean(),
  later: fc.oneof(fc.integer({ min: 1, max: 90 }), fc.integer({ min: -3_600, max: 3_600 })),
})
/** A long time in which little changes, or else nothing would ever be due. */
const history = fc.constantFrom(3, 5).chain((count) => fc.tuple(fc.constant(count), fc.array(fc.tuple(look(count), fc.integer({ min: 1, max: 12 })), { minLength: 1, maxLength: 12 })))
let judgedInAll = 0

test('of 1,000 random histories with clocks that are set none has a server start anew that an answer came from, that was called stuck in fewer than 4 looks since the last start, or, while mail is taken, beside others that are not all ready', () => {
  fc.assert(fc.property(history, ([count, phases]) => {
    let stuck = nothingStuck
    let now = 1_000_000
    const calls = new Map<string, number>()
    for (const [{ relays, pods, isUpdating, later }, times] of phases)
      for (let n = 0; n < times; n++) {
        now += later * 1000
        const given: QueueServers = { wanted: count, isUpdating, pods: podsOf(count).flatMap((pod, i) => (pods[i]!.isThere ? [{ ...pod, uid: `u${i}.${pods[i]!.life}`, ready: pods[i]!.ready }] : [])) }
        const words: Said = relays.map(({ words: each, is, ready }) => ({ ...saying(is, each)[0]!, ready }))
        const has = (name: string, what: 'up' | 'stuck'): boolean => words.some(({ servers: seen = [] }) => seen.some((one) => one.name === name && one[what]))
        for (const { name, uid, ready } of given.pods) {
          if (ready || has(name, 'up')) calls.delete(uid)
          else if (has(name, 'stuck')) calls.set(uid, (calls.get(uid) ?? 0) + 1)
        }
        const judged = judgeServers(given, words, stuck, now)
        stuck = judged.stuck
        if (judged.restart === undefined) continue
        const { pod } = judged.restart
        judgedInAll += 1
        assert.ok(!pod.ready && has(pod.name, 'stuck') && !has(pod.name, 'up'))
        assert.ok(calls.get(pod.uid)! >= 4, `${calls.get(pod.uid)} looks`)
        const isInUse = words.some(({ durable: is, ready }) => (is === undefined ? ready : is.ok || is.reason === 'QueueFull'))
        if (isInUse) assert.ok(!isUpdating && given.pods.filter(({ name, ready }) => ready && has(name, 'up')).length === count - 1)
        calls.clear()
        stuck = restarted(stuck, judged.restart, now)
      }
  }), { numRuns: 1_000 })
  assert.ok(judgedInAll >= 20, `only ${judgedInAll} started anew`)
})
