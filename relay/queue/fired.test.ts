// A server that is killed between the two steps in which a schedule fires, its record stored and itself removed, fires it once more when it is back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aMessage, deferred, delivered, deliverer, simulated } from './fixtures.ts'
import { sleep } from './clock.ts'
import { laneOf } from './lanes.ts'
import type { StoredRecord } from './stream.ts'

const left = (records: readonly StoredRecord[]): string[] => records.map(({ subject }) => subject).filter((subject) => !/\.(own|epoch)\./.test(subject))

for (const [times, when, endsAfterMs, againAfterMs] of [[2, 'while it is being tried', 1_000, 100], [2, 'when it has been delivered', 0, 500], [3, 'while it is being tried', 1_000, 100], [3, 'when it has been delivered', 0, 500]] as const)
  test(`1 delivery whose schedule fires ${times} times, again ${when}, is tried once, and nothing of it is left`, async (t) => {
    const tried: number[] = []
    const { clock, stream, accept, stop } = await simulated({
      deliverer: (clock) => deliverer(async (delivery) => {
        tried.push(delivery.attempt)
        if (delivery.attempt === 1) return deferred(delivery, clock.now() + 5_000)
        await sleep(clock, endsAfterMs)
        return delivered
      }),
    })
    t.after(stop)
    let fired = 0
    stream.onStored = ({ subject, payload }) => {
      if (!subject.includes('.ready.') || !subject.endsWith('.1') || fired++ > 0) return
      clock.after(againAfterMs, () => {
        for (let n = 1; n < times; n++) void stream.view().publish({ subject, payload })
      })
    }
    accept(aMessage())
    await clock.pass(30_000)
    assert.deepEqual([fired, tried, left(stream.all())], [times, [1, 2], []])
  })

test('1 delivery whose schedule fired 2 times, and whose owner died while it was being tried, is tried once by the next owner, and nothing of it is left', async (t) => {
  const tried: number[] = []
  const first = await simulated({
    deliverer: (clock) => deliverer((delivery) => {
      tried.push(delivery.attempt)
      return delivery.attempt === 1 ? deferred(delivery, clock.now() + 5_000) : new Promise(() => {})
    }),
  })
  const { clock, stream } = first
  let fired = 0
  stream.onStored = ({ subject, payload }) => {
    if (subject.includes('.ready.') && subject.endsWith('.1') && fired++ === 0) void stream.view().publish({ subject, payload })
  }
  first.accept(aMessage())
  while (tried.length < 2) await clock.pass(100)
  first.stop()
  const again: number[] = []
  const second = await simulated({ after: { clock, stream }, pod: 'pod-2', deliverer: () => deliverer(({ attempt }) => (again.push(attempt), delivered)) })
  t.after(second.stop)
  await clock.pass(60_000)
  assert.deepEqual([tried, again, left(stream.all())], [[1, 2], [2], []])
})

test('1 delivery that turned out to belong to another site, and waits for it when its schedule fires again after 40 s, is tried once', async (t) => {
  const [slow, busy] = ['slow.example', Array.from({ length: 10_000 }, (_, n) => `${n}.example`).find((domain) => laneOf(domain) === laneOf('slow.example'))!]
  const tried: number[] = []
  const state = { isKnown: false, waitsUntil: Infinity }
  const { clock, stream, accept, stop } = await simulated({
    deliverer: (clock) => {
      const { attempt, ...others } = deliverer((delivery) => {
        if (delivery.domain === slow) tried.push(delivery.attempt)
        return delivery.attempt === 1 ? deferred(delivery, clock.now() + 1_000) : delivered
      })
      return {
        ...others,
        admit: ({ domain }) => ({ kind: domain === slow && state.isKnown && clock.now() < state.waitsUntil ? 'wait' : 'now' }),
        attempt: async (delivery, ...more) => {
          if (delivery.domain !== slow || delivery.attempt === 1 || state.isKnown) return attempt(delivery, ...more)
          Object.assign(state, { isKnown: true, waitsUntil: clock.now() + 60_000 })
          return 'other-site'
        },
      }
    },
  })
  t.after(stop)
  const records: StoredRecord[] = []
  stream.onStored = (record) => void records.push(record)
  accept(aMessage({ domains: [slow] }))
  while (!state.isKnown) await clock.pass(100)
  const { subject, payload } = records.find(({ subject }) => subject.includes('.ready.') && subject.endsWith('.1'))!
  for (let seconds = 0; seconds < 40; seconds++) {
    accept(aMessage({ domains: [busy] }))
    await clock.pass(1_000)
  }
  void stream.view().publish({ subject, payload })
  await clock.pass(60_000)
  assert.deepEqual([tried, left(stream.all())], [[1, 2], []])
})
