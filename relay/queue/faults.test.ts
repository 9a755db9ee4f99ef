// One story of mail through two processes, told once for each call to the stream: this call fails, or loses its answer, or is
// done late, or its process stalls or dies there. Afterwards everything has exactly one end and nothing is left behind.
// `FAULTS_EVERY=1` tries every call in every way (hours), `FAULTS_EVERY=17` each 17th of that; `FAULTS_CALL=17 FAULTS_HOW=dies-before`, as a failure prints them, one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World, type Fate, type Process, type Size } from './model.ts'
import { noFaults, type Fault } from './simulated-stream.ts'
import type { Delivery, Order } from './types.ts'

const none: Fault = { kind: 'none' }
const leaseMs = 10_000
const stallMs = 16_000 // longer than a lease and the grace after it

/** What becomes of the call, of those after it for a while, or of its process. */
const hows = {
  'fails-at-once': () => ({ kind: 'refused' }),
  'fails-silently': () => ({ kind: 'question-lost' }),
  'loses-its-answer': () => ({ kind: 'answer-lost' }),
  'is-done-late': () => ({ kind: 'late', ms: leaseMs + 4_000 }),
  stalls: ({ gate }, world) => (pause(gate, world), none),
  'stalls-and-is-done-late': ({ gate }, world) => (pause(gate, world), { kind: 'late', ms: leaseMs + 4_000 }),
  'nothing-is-heard-for-a-while': () => ({ kind: 'question-lost' }),
  'no-answer-comes-for-a-while': () => ({ kind: 'answer-lost' }),
  'dies-before': ({ gate }) => (gate.kill(), { kind: 'question-lost' }),
  'dies-after': ({ gate }) => (gate.kill(), { kind: 'answer-lost' }),
} satisfies Record<string, (process: Process, world: World) => Fault>
type How = keyof typeof hows
const lasting: readonly How[] = ['nothing-is-heard-for-a-while', 'no-answer-comes-for-a-while']

const pause = (gate: Process['gate'], { clock }: World): void => {
  gate.pause()
  clock.after(stallMs, () => gate.resume())
}

/** By the first word of the domain, and the attempt; of what has no such plan: delivered. */
const plans: Readonly<Record<string, readonly Fate[]>> = {
  deferred: ['deferred', 'deferred'],
  delayed: ['delayed'],
  bounced: ['bounced'],
  expired: ['deferred', 'bounced'],
  held: ['held'],
  split: ['split'],
  slow: ['hangs', 'hangs', 'hangs'],
  waits: ['waits'],
}
const fateOf = ({ domain, attempt }: Delivery): Fate => plans[domain.split('-')[0]!]?.[attempt - 1] ?? 'delivered'

type Step = (world: World) => void
const offer = (name: string, domains: readonly string[], size: Size = 'small', hold?: string): Step => (world) => void world.process(0).offer(name, domains.map((domain) => `${domain}.example`), size, hold)
const order = (order: Order, id: string): Step => (world) => void world.process(0).order({ order, until: world.clock.now() + 5_000 }, id)

/** What happens when, in ms. Process 0 alone; 1 comes, and lanes are handed over; 0 leaves. */
const story: readonly (readonly [number, Step])[] = [
  [3_500, offer('one', ['plain-1'])],
  [3_500, offer('two', ['plain-2', 'deferred-1', 'bounced-1'])],
  [3_600, offer('shared', ['plain-3', 'deferred-2', 'split-1'], 'shared')],
  [4_000, offer('chunked', ['plain-4', 'deferred-3', 'bounced-2'], 'chunked')],
  [4_500, offer('broken', ['plain-5'], 'broken-off')],
  [5_000, offer('told', ['delayed-1', 'expired-1', 'expired-2'])],
  [5_500, offer('onhold', ['plain-6', 'plain-7'], 'shared', 'a policy')],
  [6_000, offer('onhold2', ['held-1', 'held-2'])],
  [6_000, offer('waits', ['waits-1', 'waits-2', 'waits-3', 'waits-4', 'waits-5'])],
  [6_500, offer('waits2', ['waits-6', 'waits-7'], 'chunked')],
  [9_000, order('release', 'onhold.0')],
  [9_000, order('delete', 'onhold.1')],
  [9_200, order('bounce', 'onhold2.0')],
  [9_400, order('hold', 'waits.0')],
  [9_500, order('retry', 'waits.1')],
  [9_600, order('postpone', 'waits.2')],
  [9_700, order('bounce', 'waits.3')],
  [9_800, order('delete', 'waits.4')],
  [10_000, order('delete', 'waits2.0')],
  [10_100, order('retry', 'waits2.1')],
  [11_000, offer('slow', ['slow-1', 'slow-2'])],
  [12_000, (world) => void world.process(1)],
  [30_000, offer('again', ['plain-8', 'deferred-4', 'bounced-3'], 'shared')],
  [38_000, offer('handed', ['slow-3', 'slow-4', 'plain-9', 'plain-10'])],
  [50_000, offer('last', ['slow-5', 'deferred-5', 'expired-3', 'plain-11'], 'chunked')],
  [51_000, (world) => leave(world)],
  [75_000, () => {}],
]
const leave = (world: World): void => {
  const { owner, gate } = world.process(0)
  void owner.drain(5_000).then(() => gate.kill())
}

/** How much too late schedules fire, in turn: one after its owner has not waited for it any longer, one never. */
const late = [5, 5, 1_000, 5, 95_000, 5, 1e9]

type Told = { readonly calls: readonly string[]; readonly wrong: readonly string[] }

const tell = async (call: number, how: How): Promise<Told> => {
  const calls: string[] = []
  let since = Infinity
  let schedules = 0
  const world: World = new World({
    fateOf,
    chance: { ...noFaults, lateMs: () => late[schedules++ % late.length]! },
    limits: { upkeepEveryMs: 30_000, halfBodyMs: 120_000 },
    faultOf: (what, of) => {
      const now = world.clock.now()
      if (lasting.includes(how) && now >= since && now - since < stallMs) return hows[how](of, world)
      if (world.calm || calls.push(`${of.incarnation} ${what}`) !== call) return none
      since = now
      return hows[how](of, world)
    },
  })
  world.process(0)
  let passed = 0
  for (const [ms, step] of story) {
    await world.clock.pass(ms - passed)
    passed = ms
    if (world.process(0).gate.dead()) world.replace(0)
    step(world)
  }
  return { wrong: await healed(world, how), calls }
}

/** Two live processes, a person who releases what is on hold, and time. */
const healed = async (world: World, how: How): Promise<string[]> => {
  for (let turn = 0; turn < 2; turn++) {
    for (const index of [0, 1]) if (world.process(index).gate.dead()) world.replace(index) // also who dies only now
    await world.clock.pass(20_000)
    world.calm = turn > 0
  }
  const visible = world.missing()
  for (let turn = 0; turn < 5 && world.left('held').length + world.left('later').length > 0; turn++) {
    for (const { subject } of [...world.left('held'), ...world.left('later')]) await orderSoon(world, subject)
    await world.clock.pass(20_000)
  }
  await world.clock.pass(220_000)
  const lanes = [0, 1].reduce((sum, index) => sum + world.process(index).owner.own.lanes().length, 0)
  world.end()
  const left = world.stream.all().map(({ subject }) => subject).filter((subject) => !/^m\.(own|epoch)\./.test(subject))
  const mayDouble = how.startsWith('dies') || how.startsWith('stalls') || lasting.includes(how)
  const isDouble = ([id, times]: [string, number]) => times > 1 && !mayDouble && id !== 'shared.2' // which is split
  return [
    ...world.faults,
    ...world.bugs,
    ...visible.map((id) => `${id} was not to be seen`),
    ...world.missing().map((id) => `${id} is lost`),
    ...left.map((subject) => `${subject} is left behind`),
    ...[...world.delivered, ...world.told].filter(isDouble).map(([id, times]) => `${id} came ${times} times`),
    ...[...world.obeyed].filter(([id, order]) => (order === 'delete' || order === 'bounce') && world.delivered.has(id)).map(([id, order]) => `${id} came after its ${order}`),
    ...(lanes === 64 ? [] : [`${lanes} lanes have an owner`]),
  ]
}
const orderSoon = async (world: World, subject: string): Promise<void> => {
  const token = subject.split('.')[4]!
  const id = `${token.slice(0, token.lastIndexOf('-'))}.${token.slice(token.lastIndexOf('-') + 1)}`
  void world.process(1).order({ order: subject.includes('.held.') ? 'release' : 'retry' }, id)
  await world.clock.pass(1)
}

/** One of each kind of call that writes, in one way each; and one of the batches that settle in each way. */
const few = (calls: readonly string[]): [number, How][] => {
  const byKind = Map.groupBy(calls.keys(), (index) => /(?<= )\w+ m\.\w+/.exec(calls[index]!)?.[0] ?? '')
  const middle = (kind: string) => byKind.get(kind)![byKind.get(kind)!.length >> 1]! + 1
  const kinds = [...byKind.keys()].filter((kind) => /^(publish|batch) /.test(kind))
  return [...kinds.map((kind, n): [number, How] => [middle(kind), ways[n % ways.length]!]), ...ways.map((how): [number, How] => [middle('batch m.done'), how])]
}
const every = (calls: readonly string[], nth: number): [number, How][] => calls.flatMap((_, index) => ways.map((how): [number, How] => [index + 1, how])).filter((_, index) => index % nth === 0)
const ways = Object.keys(hows) as How[]
const { FAULTS_CALL, FAULTS_HOW, FAULTS_EVERY } = process.env

test('one write of each kind fails, and 1 batch that settles in 10 ways: nothing is lost, doubled, ownerless or left behind', async () => {
  const whole = await tell(0, 'stalls')
  assert.deepEqual(whole.wrong, [])
  const chosen = FAULTS_CALL === undefined ? (FAULTS_EVERY === undefined ? few(whole.calls) : every(whole.calls, Number(FAULTS_EVERY))) : [[Number(FAULTS_CALL), FAULTS_HOW as How] as const]
  const found: string[] = []
  for (const [call, how] of chosen) {
    const { calls, wrong } = await tell(call, how)
    if (wrong.length > 0) found.push(`FAULTS_CALL=${call} FAULTS_HOW=${how}, ${calls[call - 1]}: ${wrong.join('; ')}`)
  }
  assert.deepEqual(found, [])
})
