// 1,000 mails while relay processes are killed 20 times at seeded moments: others deliver what the dead had taken. Nothing is lost.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { sendAll } from '../../tools/load-client.ts'
import { chance, mailsTo } from '../../tools/mails.ts'
import { startTestNats } from '../../tools/nats.ts'
import { addDomains, copyManifests, startFleet, type RelayFleet } from '../../tools/relay-process.ts'
import { roundOfSettling, settleAccounts } from '../../tools/settle-accounts.ts'
import { startSink } from '../../tools/sink.ts'
import { sleep, until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const count = 1000
const kills = 20

export const story: Story = {
  title: '1,000 mails, 20 kills -9 of relay processes: the others deliver, nothing is lost',
  needs: [],
  limitSeconds: 900,
  run: async (ctx) => {
    const random = chance()
    ctx.note('seed', random.seed)
    const sink = await startSink({ keepData: false, delay: () => 20 + Math.floor(random.next() * 80) })
    ctx.cleanup(() => sink.close())
    const nats = await startTestNats(1)
    ctx.cleanup(() => nats.stop())
    const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port })
    const domains = addDomains(manifests, 30, sink.port)
    const fleet = await startFleet({ folder: ctx.folder, manifests, nats, count: 3 })
    ctx.cleanup(() => fleet.stop())

    ctx.step(`${count} mails from 20 clients, ${kills} kills meanwhile`)
    let accepted = 0
    const sending = sendAll({ ports: fleet.ports(), clients: 20, mails: mailsTo(count, domains), onAccepted: (sum) => (accepted = sum), pauseMs: 150 })
    const inFlight = await killing(fleet, random, () => accepted)
    const sent = await sending
    assert.equal(sent.accepted.size, count)

    ctx.step('two of the three die for good: what they had is delivered by the third')
    await Promise.all([0, 1].map((index) => fleet.relays[index]!.kill()))
    await settleAccounts(ctx, { sent, sink, relay: fleet.relays[2]!, arriveMs: 120_000, twice: { atMost: sent.unsure + inFlight + (kills + 2) * roundOfSettling, because: `in flight on the killed: ${inFlight}` } })
  },
}

/** Kills a relay at seeded moments, spread over the load; restarts it a little later. Returns what the killed had in flight. */
const killing = async (fleet: RelayFleet, random: ReturnType<typeof chance>, accepted: () => number): Promise<number> => {
  let inFlight = 0
  for (let kill = 0; kill < kills; kill++) {
    await until(`${kill} of ${kills} parts of the load`, () => accepted() >= (count * kill) / kills - 20, 120_000, 10)
    await sleep(random.below(300))
    const index = random.below(fleet.relays.length)
    const victim = fleet.relays[index]!
    const status = await victim.ask<{ counts: { inFlight: number } }>('status').catch(() => ({ counts: { inFlight: 0 } }))
    inFlight += status.counts.inFlight
    await victim.kill()
    await sleep(random.below(500))
    await fleet.restart(index)
  }
  return inFlight
}
