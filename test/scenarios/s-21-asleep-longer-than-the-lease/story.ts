// A relay, and then the queue's server, stand still for longer than a lease lasts, and wake: what woke must not undo what others did meanwhile.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { sendAll } from '../../tools/load-client.ts'
import { chance, mailsTo } from '../../tools/mails.ts'
import { startTestNats } from '../../tools/nats.ts'
import { addDomains, copyManifests, startFleet } from '../../tools/relay-process.ts'
import { roundOfSettling, settleAccounts } from '../../tools/settle-accounts.ts'
import { startSink } from '../../tools/sink.ts'
import { sleep, until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const count = 1000
const sleepSeconds = 15 // a lease lasts 10

export const story: Story = {
  title: `1,000 mails while each of two relays, then the queue's server, stands still for ${sleepSeconds} s: nothing is lost when they wake`,
  needs: [],
  mostlyWaits: true,
  limitSeconds: 900,
  run: async (ctx) => {
    const random = chance()
    ctx.note('seed', random.seed)
    const sink = await startSink({ keepData: false, delay: () => random.below(100) })
    ctx.cleanup(() => sink.close())
    const nats = await startTestNats(1)
    ctx.cleanup(() => nats.stop())
    const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port })
    const domains = addDomains(manifests, 30, sink.port)
    const fleet = await startFleet({ folder: ctx.folder, manifests, nats, count: 2 })
    ctx.cleanup(() => fleet.stop())

    let accepted = 0
    const sending = sendAll({ ports: fleet.ports(), clients: 20, mails: mailsTo(count, domains), onAccepted: (sum) => (accepted = sum), pauseMs: 150, patienceMs: 100_000 })
    let inFlight = 0
    for (const [index, relay] of fleet.relays.entries()) {
      await until(`${index + 1} quarters of the load`, () => accepted >= (count * (index + 1)) / 4, 120_000, 10)
      ctx.step(`relay ${index} stands still`)
      inFlight += (await relay.ask<{ counts: { inFlight: number } }>('status')).counts.inFlight
      await standStill({ pause: () => relay.child.signal('SIGSTOP'), resume: () => relay.child.signal('SIGCONT') })
      await until('both relays to be ready', () => relay.ready(), 60_000)
    }
    await until('three quarters of the load', () => accepted >= (count * 3) / 4, 120_000, 10)
    ctx.step("the queue's server stands still")
    await standStill(nats.servers[0]!)
    const sent = await sending
    assert.equal(sent.accepted.size, count)

    await settleAccounts(ctx, { sent, sink, relay: fleet.relays[0]!, arriveMs: 120_000, twice: { atMost: sent.unsure + inFlight + fleet.relays.length * roundOfSettling, because: `in flight when a relay fell asleep: ${inFlight}` } })
  },
}

const standStill = async (one: { pause(): void; resume(): void }): Promise<void> => {
  one.pause()
  await sleep(sleepSeconds * 1000)
  one.resume()
}
