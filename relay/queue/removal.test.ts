// When notes go: not before what they name, and not never.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeNote } from './record-wire.ts'
import { aMessage, delivered, deliverer, simulated } from './fixtures.ts'
import { composeGroup, place } from './group.ts'
import { laneOf } from './lanes.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { SimulatedStream } from './simulated-stream.ts'
import { createSubjects } from './subjects.ts'

const subjects = createSubjects('simulated')
const kindsOf = (stream: SimulatedStream): string[] => stream.all().map(({ subject }) => subject.split('.')[1]!).filter((kind) => kind !== 'own' && kind !== 'epoch').sort()

test('while 1 record that an earlier owner finished is not removed, the note that says so stays', async (t) => {
  const clock = new SimulatedClock()
  const stream = new SimulatedStream(clock)
  const [ready] = composeGroup(subjects, 'g', [place(aMessage(), (domain) => domain, 1_000)], true)
  const note = { subject: subjects.note(subjects.lane(ready!.subject), 'dead', 0), payload: encodeNote({ finished: [ready!.subject.slice('simulated.'.length)] }) }
  void stream.view().batch([ready!, note])
  await clock.pass(10)
  const tried: string[] = []
  const answers = { isLost: true }
  const { stop } = await simulated({
    after: { clock, stream },
    deliverer: () => deliverer(({ id }) => (tried.push(id), delivered)),
    view: (view) => ({ ...view, remove: (seq) => (answers.isLost ? Promise.resolve(false) : view.remove(seq)) }),
  })
  t.after(stop)
  await clock.pass(20_000)
  assert.deepEqual(kindsOf(stream), ['done', 'ready'])
  answers.isLost = false
  await clock.pass(20_000)
  assert.deepEqual([kindsOf(stream), tried], [[], []])
})

test('of a lane that its owner let go with a note that was still needed, and got back, the notes go as of any other', async (t) => {
  const tried: string[] = []
  const fate = { hangs: true }
  const { clock, stream, owner, accept, stop } = await simulated({
    deliverer: (clock) => deliverer(async ({ domain }, _, signal) => {
      tried.push(domain)
      if (domain === 'slow.example' && fate.hangs) await new Promise<void>((resolve) => void clock.after(7_000, resolve))
      return signal.aborted ? { ...delivered, held: { recipients: [], why: 'never stored' } } : delivered
    }),
  })
  t.after(stop)
  accept(aMessage({ domains: ['one.example', 'slow.example'] }))
  await clock.pass(500)
  fate.hangs = false
  void owner.own.passOn(owner.own.tenureOf(laneOf('one.example'))!, 1_000)
  await clock.pass(30_000)
  for (let count = 0; count < 20; count++) {
    accept(aMessage({ domains: ['one.example'] }))
    await clock.pass(1_000)
  }
  await clock.pass(200_000)
  assert.deepEqual([tried.length, kindsOf(stream)], [22, []])
})

test('1 purge that removes more than was finished is counted as a fault, and what is finished in its 2 lanes after it goes by name and no more by a prefix', async (t) => {
  const purged: string[] = []
  const { clock, stream, metrics, accept, stop } = await simulated({
    deliverer: () => deliverer(() => delivered),
    view: (view) => ({
      ...view,
      purge: async (filter, below) => {
        if (filter.startsWith('simulated.ready.')) purged.push(filter)
        const removed = await view.purge(filter, below)
        return removed !== undefined && filter.endsWith('.>') && filter.includes('.ready.') ? removed + 1 : removed
      },
    }),
  })
  t.after(stop)
  const faults = async (): Promise<number> => (await metrics.purgeFaults.get()).values[0]!.value
  for (const [prefixes, count] of [[1, 1], [1, 1], [1, 1]] as const) {
    accept(aMessage({ domains: ['one.example', 'two.example'] }))
    await clock.pass(10_000)
    assert.deepEqual([purged.filter((filter) => filter.endsWith('.>')).length, await faults()], [prefixes, count])
  }
  assert.deepEqual(kindsOf(stream), [])
})
