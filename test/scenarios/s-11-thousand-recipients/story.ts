// One mail to 1,000 recipients in 300 domains, with every kind of end: each copy delivered once, the sender told in few notices, never one per recipient.
import assert from 'node:assert/strict'
import { failedIn } from '../../tools/ledger.ts'
import { startMxWorld } from '../../tools/mx-world.ts'
import { queueLength } from '../../tools/relay-process.ts'
import { until } from '../../tools/until.ts'
import type { Zone } from '../../tools/dns-server.ts'
import type { Story } from '../story.ts'

const domains = 300
const all = Array.from({ length: 1000 }, (_, n) => ({ to: `r${n}@d${n % domains}.example`, domain: n % domains, n }))

/** By domain: 0 no such domain, 1 unknown users among the known, 2 first "later" and then taken, 3 "later" until given up, else taken. */
const kindOf = (domain: number): number => domain % 10
const fails = ({ domain, n }: { domain: number; n: number }): boolean => kindOf(domain) === 0 || kindOf(domain) === 3 || (kindOf(domain) === 1 && n % 2 === 1)

export const story: Story = {
  title: 'One mail to 1,000 recipients in 300 domains, mixed outcomes: few notices, all recipients named once',
  needs: [],
  limitSeconds: 600,
  run: async (ctx) => {
    const zones: Record<string, Zone> = { 'client.example': { mx: [[10, 'mx.client.example']] } }
    for (let d = 0; d < domains; d++) if (kindOf(d) !== 0) zones[`d${d}.example`] = { mx: [[10, `mx${kindOf(d)}.example`]] }
    const world = await startMxWorld(ctx, zones)
    const sender = await world.host('mx.client.example', '127.0.0.2')
    const seen = new Set<string>()
    const users = await world.host('mx1.example', '127.0.1.1', { command: (verb, argument) => (verb === 'RCPT' && Number(/r(\d+)@/.exec(argument)?.[1]) % 2 === 1 ? '550 5.1.1 no such user' : undefined) })
    const later = await world.host('mx2.example', '127.0.1.2', { command: (verb, argument) => (verb === 'RCPT' && !seen.has(argument) ? (seen.add(argument), '451 4.3.0 later') : undefined) })
    const never = await world.host('mx3.example', '127.0.1.3', { command: (verb) => (verb === 'RCPT' ? '452 4.2.2 mailbox full' : undefined) })
    const rest = await Promise.all([4, 5, 6, 7, 8, 9].map((kind) => world.host(`mx${kind}.example`, `127.0.1.${kind}`)))

    ctx.step('one mail, 1,000 recipients')
    const reply = await world.send(all.map(({ to }) => to))
    assert.equal(reply.code, 250, reply.text)

    ctx.step('every copy ends')
    const delivered = (): string[] => [users, later, never, ...rest].flatMap((sink) => sink.recipients())
    const named = (): string[] => sender.arrivals.flatMap(({ data }) => failedIn(data.toString()))
    const expected = { failed: all.filter(fails).map(({ to }) => to), taken: all.filter((one) => !fails(one)).map(({ to }) => to) }
    await until(`${expected.taken.length} delivered and ${expected.failed.length} named in notices`, () => delivered().length >= expected.taken.length && named().length >= expected.failed.length, 120_000, 250)
    await until('an empty queue', async () => (await queueLength(world.relay)) === 0, 60_000, 250)
    assert.deepEqual(delivered().sort(), expected.taken.sort())
    assert.deepEqual(named().sort(), expected.failed.sort())

    ctx.step('the notices are few')
    ctx.note('notices', `${sender.arrivals.length} for ${expected.failed.length} recipients`)
    assert.ok(sender.arrivals.length <= expected.failed.length / 4, `${sender.arrivals.length} notices`)
    assert.deepEqual([users, later, never, ...rest, sender].flatMap(({ faults }) => faults), [])
  },
}
