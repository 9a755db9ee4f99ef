// Some hundred conversations by chance with a receiving host, each reply of which may be of any kind, doubled, missing or the last.
// What must come of each recipient is worked out here from the host's words alone (RFC 5321, and the table in docs), apart from the code;
// then a second message follows, which nothing that happened in the first may touch.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { attemptOf, bodyOf, testDeliverer, testDelivery, testMessage, testSnapshot } from '../../test/tools/delivery.ts'
import { startTalkingHost, type Say, type TalkingHost, type Verb } from '../../test/tools/talking-host.ts'
import { until } from '../../test/tools/until.ts'
import type { Settlement } from '../queue/index.ts'
import type { RunningDeliverer } from './index.ts'
import type { Timeouts } from './settings.ts'

/** What the host does at one point: a code with words, in some spelling, and whether it closes behind it. `none`: closes without a word; `mute`: says nothing more and stays. */
type Turn = { readonly code: number; readonly enhanced: string; readonly spelling: 'plain' | 'many' | 'bare LF' | 'no text' | 'octets'; readonly closes: boolean; readonly none: boolean; readonly twice: boolean; readonly mute?: boolean }
type Plan = { readonly pipelining: boolean; readonly greeting?: Turn | undefined; readonly ehlo?: Turn | undefined; readonly helo?: Turn | undefined; readonly mail?: Turn | undefined; readonly rcpts: readonly (Turn | undefined)[]; readonly data?: Turn | undefined; readonly dot?: Turn | undefined; readonly rset?: Turn | undefined }

const users = ['a', 'b', 'c']
const turn = (codes: readonly number[]): fc.Arbitrary<Turn> =>
  fc.record({
    code: fc.constantFrom(...codes),
    enhanced: fc.constantFrom('', '', '4.7.1 ', '4.3.0 ', '5.1.1 ', '2.0.0 ', '4.2.2 ', '5.5.3 '),
    spelling: fc.constantFrom('plain', 'plain', 'many', 'bare LF', 'no text', 'octets'),
    closes: fc.boolean(), none: fc.constantFrom(false, false, false, true), twice: fc.constantFrom(false, false, false, true),
  })
const bad = [421, 450, 451, 452, 500, 503, 550, 552, 554]
const rarely = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined, freq: 3 }).chain((some) => fc.constantFrom(undefined, undefined, some))
const plans: fc.Arbitrary<Plan> = fc.record({
  pipelining: fc.boolean(),
  greeting: rarely(turn([220, 220, 250, ...bad])), ehlo: rarely(turn([250, ...bad])), helo: rarely(turn([250, ...bad])),
  mail: rarely(turn([250, 354, ...bad])),
  rcpts: fc.tuple(...users.map(() => fc.option(turn([250, 251, 252, 354, 551, ...bad]), { nil: undefined, freq: 1 }))),
  data: rarely(turn([354, 250, 334, ...bad])), dot: fc.option(turn([250, 250, 251, 354, ...bad]), { nil: undefined, freq: 1 }),
  rset: rarely(turn([250, 250, ...bad])),
})

const spelt = ({ code, enhanced, spelling, none, twice, closes, mute = false }: Turn, middle = ''): Say => {
  const end = spelling === 'bare LF' ? '\n' : '\r\n'
  const one = spelling === 'no text' ? `${middle}${code}${end}` : `${middle}${spelling === 'many' ? `${code}-${enhanced}one${end}`.repeat(3) : ''}${code} ${enhanced}words${end}`
  return { text: none || mute ? '' : one.repeat(twice ? 2 : 1), split: spelling === 'octets', closes: !mute && (closes || none) }
}

/** Each command goes by the plan once. */
const turnOf = (plan: Plan, verb: Verb, line: string, count: number): Turn | undefined => {
  if (count > 0) return undefined
  if (verb === 'RCPT') return plan.rcpts[users.findIndex((user) => line.includes(`<${user}@`))]
  return { GREETING: plan.greeting, EHLO: plan.ehlo, HELO: plan.helo, MAIL: plan.mail, DATA: plan.data, DOT: plan.dot, RSET: plan.rset, QUIT: undefined }[verb]
}

type Verdict = 'taken' | 'failed' | 'later' | 'elsewhere'
const isTaking = (one: Turn | undefined): boolean => one === undefined || (one.code < 300 && !one.none)
const statusOf = ({ enhanced, code, spelling }: Turn): string => (spelling !== 'no text' && enhanced[0] === String(code)[0] ? enhanced.trim() : '')
const slowsDown = (one: Turn): boolean => statusOf(one).startsWith('4.7.')

/** What must come of each; undefined where more than one end is right: after a doubled reply, and where the host goes as the message comes. */
const verdictsOf = (plan: Plan): readonly Verdict[] | undefined => {
  const all = (verdict: Verdict): Verdict[] => users.map(() => verdict)
  const asked = [plan.greeting, plan.ehlo, plan.mail, ...plan.rcpts, plan.data, plan.dot, plan.ehlo !== undefined && plan.ehlo.code >= 500 ? plan.helo : undefined]
  if (asked.some((one) => one?.twice) || (plan.data?.closes === true && plan.data.code < 400)) return undefined
  for (const one of [plan.greeting, plan.ehlo, plan.mail]) {
    if (one?.none) return all('elsewhere')
    if (one && one !== plan.mail && (one === plan.greeting ? one.code !== 220 : one.code >= 300)) {
      if (slowsDown(one)) return all('later')
      if (one !== plan.ehlo || one.code < 500) return all('elsewhere')
      if (one.closes || plan.helo?.none) return all('elsewhere')
      if (plan.helo && plan.helo.code >= 300) return all(slowsDown(plan.helo) ? 'later' : 'elsewhere')
      if (plan.helo?.closes) return all('elsewhere')
    } else if (one === plan.mail && one !== undefined && one.code >= 300) {
      if (!one.closes && dataIsAccepted(plan)) return all('elsewhere')
      return all(slowsDown(one) ? 'later' : one.code >= 500 ? 'failed' : 'elsewhere')
    } else if (one?.closes) return all('elsewhere')
  }
  return afterMail(plan)
}

const isPipelined = ({ pipelining, ehlo }: Plan): boolean => pipelining && !(ehlo !== undefined && ehlo.code >= 500)
/** A success to the DATA of a pipeline: no reply before it was that of its command, not even a refusal of MAIL. */
const dataIsAccepted = (plan: Plan): boolean => isPipelined(plan) && plan.data !== undefined && !plan.data.none && plan.data.code < 300 && !plan.rcpts.some((one) => one?.none || one?.closes)

const afterMail = (plan: Plan): readonly Verdict[] => {
  const cut = plan.rcpts.findIndex((one) => one !== undefined && (one.none || one.closes))
  const heard = (index: number): boolean => cut < 0 || index < cut || (index === cut && !plan.rcpts[index]!.none)
  const hangUp = plan.rcpts.findIndex((one, index) => one?.code === 421 && heard(index))
  const last = !isPipelined(plan) && hangUp >= 0 ? hangUp : Infinity // who asks in turn asks no more
  const someTaken = plan.rcpts.some((one, index) => heard(index) && index <= last && isTaking(one))
  return plan.rcpts.map((one, index): Verdict => {
    const answered = heard(index) && index <= last
    if (answered && one && !isTaking(one)) return afterRcpt(one, someTaken)
    if (cut >= 0 || last < Infinity) {
      const bye = hangUp >= 0 && cut >= 0 || last < Infinity ? plan.rcpts[hangUp] : undefined
      return bye && slowsDown(bye) ? 'later' : 'elsewhere'
    }
    return afterData(plan)
  })
}

const afterRcpt = (one: Turn, someTaken: boolean): Verdict => {
  if (slowsDown(one)) return 'later'
  if (someTaken && (one.code === 452 || one.code === 552 || statusOf(one) === '5.5.3')) return 'taken' // asked once more, and taken then, here or elsewhere
  if (one.code === 421) return 'elsewhere'
  return one.code >= 500 ? 'failed' : 'later'
}

const afterData = ({ data, dot }: Plan): Verdict => {
  if (data?.none) return 'elsewhere'
  if (data && data.code >= 400) return slowsDown(data) ? 'later' : data.code >= 500 ? 'failed' : 'elsewhere'
  if (data && data.code < 300) return 'elsewhere' // the first digit counts (RFC 5321 4.2.1): 334 is a go-ahead

  if (dot?.none) return 'later'
  if (dot === undefined || dot.code < 300) return 'taken'
  if (slowsDown(dot)) return 'later'
  if (dot.code >= 500) return 'failed'
  return statusOf(dot).startsWith('4.3.') ? 'elsewhere' : 'later'
}

type World = { readonly first: TalkingHost; readonly second: TalkingHost; readonly deliverer: RunningDeliverer }

describe('conversations by chance', () => {
  let plan: Plan
  let world: World
  let isOver = false // the first message is: from then on the host is an honest one

  const start = async (timeouts: Partial<Timeouts>): Promise<World> => {
    const ehlo = (): Say => ({ text: plan.pipelining ? '250-host.example\r\n250 PIPELINING\r\n' : '250 host.example\r\n' })
    const first = await startTalkingHost((verb, line, count) => {
      const one = isOver ? undefined : turnOf(plan, verb, line, count)
      if (verb === 'EHLO' && (one === undefined || (one.code < 300 && !one.none && !one.mute))) return one ? { ...spelt(one, plan.pipelining ? '250-host.example\r\n250-PIPELINING\r\n' : '') } : ehlo()
      return one && spelt(one)
    })
    const second = await startTalkingHost(() => undefined)
    const hosts = [first, second].map(({ port }, index) => ({ host: '127.0.0.1', port, preference: 10 * index }))
    const deliverer = testDeliverer(testSnapshot({ domains: [{ namespace: 'mail', name: 'home', manifest: 'MailDomain mail/home', domain: 'home.example', listeners: [], inbound: { recipients: { mode: 'Any' }, hosts } }] }), { timeouts })
    return { first, second, deliverer }
  }
  const send = (...to: string[]): Promise<Settlement> => attemptOf(world.deliverer, testDelivery({ to: to.map((user) => `${user}@home.example`), bytes: testMessage.length }), bodyOf(testMessage))
  const timesTaken = (user: string): number => [...world.first.took, ...world.second.took].filter((one) => one === `${user}@home.example`).length

  const endOf = (user: string, { later, notices, trace }: Settlement): string => {
    const ends = [later?.recipients.some(({ mailbox }) => mailbox.local === user) === true && 'later', notices.some(({ kind, recipient }) => kind === 'failed' && recipient.mailbox.local === user) && 'failed', trace.some(({ kind, recipients }) => kind === 'delivered' && recipients?.includes(`${user}@home.example`)) && 'taken'].filter((end) => end !== false)
    assert.equal(ends.length, 1, `${user} has the ends ${ends.join()}`)
    return ends[0]!
  }

  /** Whatever it says or does not: nobody is taken twice, is lost, or fails by what was said to another. */
  const isSafe = (settled: Settlement): string[] => {
    const ends = users.map((user) => endOf(user, settled))
    for (const [index, user] of users.entries()) {
      const times = timesTaken(user)
      assert.ok(times <= 1, `${user} was taken ${times} times`)
      if (ends[index] === 'taken') assert.equal(times, 1, `${user} is lost`)
      if (ends[index] !== 'taken') assert.ok(times === 0 || [plan.dot?.none, plan.dot?.closes, plan.dot?.twice, plan.dot?.mute].includes(true), `${user} was taken and is ${ends[index]}`)
      if (ends[index] === 'failed') assert.ok([plan.mail, plan.rcpts[index], plan.data, plan.dot].some((one) => one !== undefined && one.code >= 500), `${user} failed by another's refusal`)
    }
    return ends
  }
  const within = async (given: Plan, timeouts: Partial<Timeouts>, look: (settled: Settlement) => Promise<void> | void): Promise<void> => {
    plan = given
    isOver = false
    world = await start(timeouts)
    try {
      await look(await send(...users))
      await world.deliverer.close()
      await until('the end of each connection', () => world.first.open() + world.second.open() === 0, 30_000, 2)
    } finally {
      await world.deliverer.close()
      await Promise.all([world.first.close(), world.second.close()])
    }
  }

  const ends = (given: Plan): Promise<void> => within(given, { rset: 30_000 }, async (settled) => {
    const found = isSafe(settled)
    const verdicts = verdictsOf(plan)
    if (verdicts) assert.deepEqual(found, verdicts.map((verdict) => (verdict === 'elsewhere' ? 'taken' : verdict)))
    isOver = true
    const next = await send('u2')
    assert.deepEqual([endOf('u2', next), timesTaken('u2')], ['taken', 1])
  })
  it('400 of them end for each of 3 recipients as the words of the host would have it, and the next message is taken once', () => fc.assert(fc.asyncProperty(plans, ends), { numRuns: 400 }))

  const points = ['greeting', 'ehlo', 'helo', 'mail', 'data', 'dot', 'rset'] as const
  const falling = (given: Plan, at: (typeof points)[number] | number): Plan => {
    const mute: Turn = { code: 250, enhanced: '', spelling: 'plain', closes: false, none: false, twice: false, mute: true }
    return typeof at === 'number' ? { ...given, rcpts: given.rcpts.toSpliced(at, 1, mute) } : { ...given, [at]: mute }
  }
  /** Whose dot is answered is waited for: where this process stalls, the answer would be missed, and the message be taken and wait. */
  const soon = (at: (typeof points)[number] | number) => ({ greeting: 100, ehlo: 100, mail: 100, rcpt: 100, data: 100, rset: 100, dot: at === 'dot' ? 100 : 60_000 })
  it('60 in which the host falls silent at a point end with no recipient lost, twice or for another, and with 0 connections open', () =>
    fc.assert(fc.asyncProperty(plans, fc.constantFrom(...points, 0, 1, 2), (given, at) => within(falling(given, at), soon(at), (settled) => void isSafe(settled))), { numRuns: 60 }))
})
