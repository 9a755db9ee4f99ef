import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { judgeLeaving, type Leaving } from './leaving.ts'
import type { ObservedPod } from './fleet.ts'

const pod = (name: string, change: Partial<ObservedPod> = {}): ObservedPod => ({ name, ready: true, revision: 'r', closing: true, remains: { ready: 0, deferred: 0, held: 0, empty: true }, ...change })
const leaving = (change: Partial<Leaving> = {}): Leaving => ({ namespace: 'mail', name: 'main', discard: false, namespaceEnds: false, inForce: true, paused: false, replicas: 2, pods: [pod('a'), pod('b')], ...change })
const silent = { name: 'a', ready: false, why: 'connect ECONNREFUSED' }

const cases: readonly (readonly [what: string, seen: Partial<Leaving>, go: string, reason: string, words: RegExp])[] = [
  ['2 pods say that the queue is empty', {}, 'if-it-stays-so', 'QueueClosing', /next look/],
  ['1 of 2 pods still takes mail', { pods: [pod('a'), pod('b', { closing: false })] }, 'no', 'QueueClosing', /waiting until b says so/],
  ['1 of 2 pods does not answer', { pods: [pod('a'), { ...silent, name: 'b' }] }, 'no', 'QueueClosing', /until b says/],
  ['the count is 0 and the leader was not asked', { pods: [pod('a', { remains: { ready: 0, deferred: 0, held: 0, empty: false } })] }, 'no', 'QueueClosing', /until a says/],
  ['1 delivery waits', { pods: [pod('a', { remains: { ready: 0, deferred: 1, held: 0, empty: false } })] }, 'no', 'QueueNotEmpty', /^1 delivery waits .* kubectl annotate mailrelay\/main -n mail posthouse\.dev\/discard-queue=true$/],
  ['1 delivery waits and deliveries are paused', { paused: true, pods: [pod('a', { remains: { ready: 1, deferred: 0, held: 0, empty: false } })] }, 'no', 'QueueNotEmpty', /; it is paused: nothing is delivered until kubectl patch mailrelay\/main -n mail --type=merge -p '\{"spec":\{"paused":false\}\}'; to let it go/],
  ['2 deliveries are on hold', { pods: [pod('a', { remains: { ready: 0, deferred: 0, held: 2, empty: false } })] }, 'no', 'QueueNotEmpty', /^2 deliveries wait .*posthouse queue release/],
  ['0 of 2 pods answer', { pods: [silent] }, 'no', 'QueueUnknown', /^no relay pod says what its queue holds \(a: connect ECONNREFUSED\); it goes when one says/],
  ['1 delivery is on hold', { pods: [pod('a', { remains: { ready: 0, deferred: 0, held: 1, empty: false } })] }, 'no', 'QueueNotEmpty', /^1 delivery waits .*posthouse queue release/],
  ['0 of 2 wanted pods are there', { pods: [] }, 'no', 'QueueUnknown', /^no relay pod is there to be asked what its queue holds; it goes when/],
  ['0 pods are wanted and 1 on its way out does not answer', { replicas: 0, pods: [silent] }, 'no', 'QueueUnknown', /\(a: connect ECONNREFUSED\); it goes when/],
  ['0 pods are wanted', { replicas: 0, pods: [] }, 'no', 'QueueUnknown', /--replicas=1/],
  ['it is not in force, and 0 pods answer', { inForce: false, pods: [] }, 'no', 'QueueUnknown', /see Accepted/],
  ['its namespace goes too, 0 pods left', { namespaceEnds: true, pods: [] }, 'no', 'QueueUnknown', /namespace mail, which is being deleted/],
  ['3 deliveries wait and are given up', { discard: true, pods: [pod('a', { remains: { ready: 3, deferred: 0, held: 0, empty: false } })] }, 'now', 'QueueDiscarded', /given up/],
]

describe('a MailRelay that is deleted', () => {
  for (const [what, seen, go, reason, words] of cases) {
    it(`when ${what}: go is ${go}, the reason ${reason}`, () => {
      const verdict = judgeLeaving(leaving(seen))
      assert.deepEqual([verdict.go, verdict.statement.reason], [go, reason])
      assert.match(verdict.statement.message, words)
    })
  }
})
