// What people ask, against a queue in memory that keeps to the limits it is given, as the real one does.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { GivenOrder, Queue, QueueEntry, QueueFilter, Taken } from './queue/index.ts'
import { adminCalls } from './steering.ts'

const entry = (n: number, state: QueueEntry['state'] = 'deferred'): QueueEntry => ({ id: `m1.${n}`, message: 'm1', state, domain: 'slow.example', mailFrom: 'a@b.example', recipients: [`r${n}@slow.example`], bytes: 1, arrivedAt: 0, attempt: 2, lane: 1 })

const callsOn = (entries: readonly QueueEntry[], holder?: string) => {
  const rounds: string[][] = []
  const list = async ({ state, message, domain, sender, limit = 100 }: QueueFilter) =>
    entries.filter((one) => (state ?? one.state) === one.state && (message ?? one.message) === one.message && (domain ?? one.domain) === one.domain && (sender ?? one.mailFrom) === one.mailFrom).slice(0, limit)
  const names: (string | undefined)[] = []
  const order = async ({ by }: GivenOrder, ids: readonly string[]) => (names.push(by), rounds.push([...ids]), ids.map((id) => ({ id, done: true })))
  const queue = { list, order, show: async () => undefined, whyWaiting: async () => [], trace: async () => [], durable: () => ({ ok: true, reason: '', text: '' }) }
  return { rounds, names, calls: adminCalls(queue as unknown as Queue, async () => ({}), () => holder) }
}

describe('a delivery that has ended', () => {
  for (const call of [{ name: 'show', args: { id: 'm2.0' } }, { name: 'order', args: { order: 'hold', ids: ['m2'] } }] as const)
    it(`is not said to be missing from the trace by ${call.name}, which does not look there: 1 line says where to look`, async () => {
      const { calls } = callsOn([entry(0)])
      await assert.rejects(async () => calls[call.name]!(call.args), /^Error: m2(\.0)? is not in the queue: posthouse trace m2 tells what became of it, /)
    })
})

describe('orders', () => {
  it('by filter reach all 1,203 deliveries, in 3 rounds of at most 500', async () => {
    const { calls, rounds } = callsOn(Array.from({ length: 1_203 }, (_, n) => entry(n)))
    const results = (await calls.order!({ order: 'hold', filter: { domain: 'slow.example' } })) as unknown[]
    assert.equal(results.length, 1_203)
    assert.deepEqual(rounds.map(({ length }) => length), [500, 500, 203])
  })

  it("by a message's id reach all 300 of its deliveries", async () => {
    const { calls } = callsOn(Array.from({ length: 300 }, (_, n) => entry(n)))
    assert.equal(((await calls.order!({ order: 'delete', ids: ['m1'] })) as unknown[]).length, 300)
  })

  it('of release by filter mean the 1 that is on hold, not the 2 others', async () => {
    const { calls, rounds } = callsOn([entry(0), entry(1, 'held'), entry(2, 'ready')])
    await calls.order!({ order: 'release', filter: { domain: 'slow.example' } })
    assert.deepEqual(rounds, [['m1.1']])
  })

  it('of retry by filter mean the 1 that is deferred: what is on hold waits for its release', async () => {
    const { calls, rounds } = callsOn([entry(0), entry(1, 'held'), entry(2, 'ready')])
    await calls.order!({ order: 'retry', filter: { domain: 'slow.example' } })
    assert.deepEqual(rounds, [['m1.0']])
  })
})

describe('who gave an order', () => {
  it('is told the queue in at most 100 characters, without what acts on a terminal, and not at all where 3 others stand for nobody', async () => {
    const { calls, names } = callsOn([entry(0)])
    for (const by of ['ann', ' a\u001b[31mn\r\nn\u202e ', 'x'.repeat(300), '\u0007', 7, undefined]) await calls.order!({ order: 'hold', ids: ['m1'], by })
    assert.deepEqual(names, ['ann', 'a [31mn n', 'x'.repeat(100), undefined, undefined, undefined])
  })
})

describe('what an order would take', () => {
  it('is counted for all 1,203, the first 100 are shown, and 0 orders are given', async () => {
    const { calls, rounds } = callsOn(Array.from({ length: 1_203 }, (_, n) => entry(n)))
    const { takes, entries, leaves } = (await calls.takes!({ order: 'delete', filter: { domain: 'slow.example' } })) as Taken
    assert.deepEqual([takes, entries.length, leaves.length, rounds.length], [1_203, 100, 0, 0])
  })

  it('leaves 2 of a message that are not on hold, and says why', async () => {
    const { calls } = callsOn([entry(0), entry(1, 'held'), entry(2, 'ready')])
    const { takes, leaves } = (await calls.takes!({ order: 'release', ids: ['m1'] })) as Taken
    assert.deepEqual([takes, leaves], [1, [{ id: 'm1.0', why: 'it is not on hold' }, { id: 'm1.2', why: 'it is not on hold' }]])
  })

  it('leaves what the order itself would leave: 1 that a route would hold again, 1 that was set aside, and 1 of a newer release', async () => {
    const entries = [entry(0, 'held'), { ...entry(0, 'held'), id: 'unreadable7.0', message: 'unreadable7', recipients: [] }, { ...entry(0, 'held'), id: 'm2.0', message: 'm2', recipients: [] }]
    const takes = async (order: string): Promise<[string[], string[]]> => {
      const { entries: taken, leaves } = (await callsOn(entries, 'DeliveryRoute mail/wait').calls.takes!({ order, filter: { domain: 'slow.example' } })) as Taken
      return [taken.map(({ id }) => id), leaves.map(({ id, why }) => `${id}: ${why.slice(0, 32)}`)]
    }
    const leftAlone = 'm2.0: this release cannot read it and '
    assert.deepEqual(await takes('release'), [[], ['m1.0: DeliveryRoute mail/wait holds ma', 'unreadable7.0: it could not be understood: it c', leftAlone]])
    assert.deepEqual(await takes('delete'), [['m1.0', 'unreadable7.0'], [leftAlone]])
  })

  it('is 0 of a whole queue', async () => {
    const { calls } = callsOn([entry(0)])
    await assert.rejects(calls.takes!({ order: 'delete', filter: {} }), { code: 'TOO_WIDE' })
  })
})

describe('questions', () => {
  it('the newest of 0 messages is no message, in words', async () => {
    const calls = adminCalls({ latest: async () => undefined } as unknown as Queue, async () => ({}))
    await assert.rejects(async () => calls.latest!({}), { code: 'NOT_FOUND', message: 'no message was accepted yet, or not within the 7 days that the trace remembers' })
  })

  it("a sender's summary counts all 250 of its deliveries", async () => {
    const { calls } = callsOn(Array.from({ length: 250 }, (_, n) => entry(n)))
    assert.deepEqual(await calls.summary!({ sender: 'a@b.example' }), [{ domain: 'slow.example', ready: 0, deferred: 250, held: 0 }])
  })

  it('why shows 1,000 of the 1,203 deliveries of a domain and says that there are more, and of 1,000 that there are not', async () => {
    for (const [count, more] of [[1_203, true], [1_000, false]] as const) {
      const { calls } = callsOn(Array.from({ length: count }, (_, n) => entry(n)))
      const answer = (await calls.why!({ about: 'slow.example' })) as { entries: unknown[]; more: boolean }
      assert.deepEqual([answer.entries.length, answer.more], [1_000, more])
    }
  })

  it('why takes 3 ways to write a domain that waits under its A-labels, as queue --domain does', async () => {
    const { calls } = callsOn([{ ...entry(0), domain: 'xn--bcher-kva.example' }])
    for (const about of ['bücher.example', 'BÜCHER.example.', 'xn--bcher-kva.example.']) assert.equal(((await calls.why!({ about })) as { domain: string }).domain, 'xn--bcher-kva.example')
  })

  it('why, and a list by its domain, take 3 ways to write an address literal', async () => {
    const { calls } = callsOn([{ ...entry(0), domain: '[IPv6:2001:db8::1]' }])
    for (const about of ['[IPv6:2001:db8::1]', '[ipv6:2001:db8::1]', '[IPv6:2001:DB8:0::1]']) {
      assert.equal(((await calls.why!({ about })) as { domain: string }).domain, '[IPv6:2001:db8::1]')
      assert.equal(((await calls.list!({ domain: about })) as QueueEntry[]).length, 1, about)
    }
  })

  it('why takes a domain in any case, and says of one without mail that 0 wait', async () => {
    const { calls } = callsOn([entry(0)])
    assert.equal(((await calls.why!({ about: 'SLOW.Example' })) as { domain: string }).domain, 'slow.example')
    await assert.rejects(calls.why!({ about: 'none.example' }), { code: 'NOT_FOUND', message: /^nothing waits for none\.example/ })
  })
})
