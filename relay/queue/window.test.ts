// One site that hangs must not fill the window for the others: real server, a deliverer that admits 20 at a time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { aMessage, delivered, openTestQueue } from './fixtures.ts'
import type { Deliverer, Delivery } from './types.ts'

const nobodyAnswers = new Promise<never>(() => {})

/** At most 20 attempts at once to the site that hangs; the others end at once. */
const hanging = (site: string, seen: (delivery: Delivery) => void): Deliverer & { active(): number } => {
  let active = 0
  return {
    active: () => active,
    site: (domain) => domain,
    admit: ({ domain }) => (domain === site && active >= 20 ? { kind: 'wait' } : { kind: 'now' }),
    attempt: async (delivery, _, signal) => {
      if (delivery.domain !== site) return seen(delivery), delivered
      active++
      signal.addEventListener('abort', () => active--)
      return nobodyAnswers
    },
  }
}

test('3,000 messages for a host that hangs do not hold up 50 for another behind them', async (t) => {
  const nats = await startTestNats()
  const queue = await openTestQueue(nats, { name: 'window' })
  t.after(async () => {
    await queue.close()
    await nats.stop()
  })
  await until('durable', () => queue.durable().ok)
  const seen: string[] = []
  const rude = hanging('hangs.example', ({ message }) => void seen.push(message))
  await queue.start(rude)
  await until('lanes', () => queue.counts().lanesOwned === 64)
  const offer = async (domain: string, count: number) => {
    const answers = await Promise.all(Array.from({ length: count }, () => queue.accept(aMessage({ domains: [domain] }))))
    assert.ok(answers.every(({ kind }) => kind === 'stored'))
  }
  await offer('hangs.example', 3_000)
  await until('20 hang', () => rude.active() === 20)
  const began = performance.now()
  await offer('answers.example', 50)
  await until('all 50 delivered', () => seen.length === 50, 60_000)
  const seconds = (performance.now() - began) / 1000
  t.diagnostic(`the 50 were delivered after ${seconds.toFixed(1)} s`)
})
