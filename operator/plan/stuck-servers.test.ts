import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeServers, type ServerPod, type StuckSince } from './stuck-servers.ts'

const servers = [0, 1, 2].map((n) => ({ name: `main-queue-${n}`, uid: `u${n}` }))
type Said = Parameters<typeof judgeServers>[1]
type Word = 'up' | 'stuck' | 'away'
/** Of each relay pod, one word for each server. */
const said = (...relayPods: readonly (readonly Word[])[]): Said => relayPods.map((words) => ({ servers: words.map((word, n) => ({ name: `main-queue-${n}`, up: word === 'up', stuck: word === 'stuck' })) }))

/** Looks every 30 s; returns which pod was to start anew, and after how many seconds. */
const looks = (count: number, wordsAt: (second: number) => Said, podsAt: (second: number) => readonly ServerPod[] = () => servers): string[] => {
  let stuck: StuckSince = new Map()
  return Array.from({ length: count }, (_, n) => n * 30).flatMap((second) => {
    const judged = judgeServers(podsAt(second), wordsAt(second), stuck, second * 1000)
    stuck = judged.stuck
    return judged.restart === undefined ? [] : [`${judged.restart.uid} after ${second} s`]
  })
}

test('a server that 1 of 2 relay pods calls stuck, and the other does not reach, starts anew after 3 minutes', () => {
  assert.deepEqual(looks(7, () => said(['up', 'stuck', 'up'], ['away', 'away', 'away'])), ['u1 after 180 s'])
  assert.deepEqual(looks(6, () => said(['up', 'stuck', 'up'])), [])
})

test('0 servers start anew that are away, that another relay pod has an answer from, or of which nobody says anything', () => {
  assert.deepEqual(looks(100, () => said(['up', 'away', 'up'])), [])
  assert.deepEqual(looks(100, () => said(['up', 'stuck', 'up'], ['up', 'up', 'up'])), [])
  assert.deepEqual(looks(100, () => [{}]), [])
  assert.deepEqual(looks(100, () => []), [])
})

test('1 answer in between begins the 3 minutes anew; 1 look without a word does not, and a minute without a word does', () => {
  const but = (at: (second: number) => boolean, words: Said) => looks(10, (second) => (at(second) ? words : said(['up', 'stuck', 'up'])))
  assert.deepEqual(but((second) => second === 60, said(['up', 'up', 'up'])), ['u1 after 270 s'])
  assert.deepEqual(but((second) => second === 60, []), ['u1 after 180 s'])
  assert.deepEqual(but((second) => second === 60 || second === 90, []), [])
})

test('a look that is without a word when the 3 minutes are over lets 0 servers start anew, the next one that says it does', () => {
  assert.deepEqual(looks(8, (second) => (second === 180 ? [] : said(['up', 'stuck', 'up']))), ['u1 after 210 s'])
})

test('of 3 servers that are all stuck 1 at a time starts anew, 3 minutes apart', () => {
  const anew = (second: number) => servers.map((server, n) => ({ ...server, uid: second > 180 + 210 * n ? `v${n}` : server.uid }))
  const words = (second: number): readonly Word[] => [0, 1, 2].map((n) => (second > 180 + 210 * n ? 'up' : 'stuck'))
  assert.deepEqual(looks(30, (second) => said(words(second)), anew), ['u0 after 180 s', 'u1 after 390 s', 'u2 after 600 s'])
})

test('a pod that was made anew meanwhile has 3 minutes of its own', () => {
  assert.deepEqual(looks(12, () => said(['stuck']), (second) => [{ name: 'main-queue-0', uid: second < 120 ? 'old' : 'new' }]), ['new after 300 s'])
})
