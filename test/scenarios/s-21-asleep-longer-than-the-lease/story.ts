// A relay, and then the queue's server, stand still for longer than a lease lasts, and wake: what woke must not undo what others did meanwhile.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { joinLedger } from '../../tools/ledger.ts'
import { sendAll } from '../../tools/load-client.ts'
import { chance, mailsTo } from '../../tools/mails.ts'
import { startTestNats } from '../../tools/nats.ts'
import { addDomains, copyManifests, queuedRecipients, startFleet } from '../../tools/relay-process.ts'
import { startSink } from '../../tools/sink.ts'
import { sleep, until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const count = 1000
const sleepSeconds = 15 // a lease lasts 10

export const story: Story = {
  title: `1,000 mails while each of two relays, then the queue's server, stands still for ${sleepSeconds} s: nothing is lost when they wake`,
  needs: [],
  mostlyWaits: true,
  limitSeconds: 400,
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

    ctx.step('everything accepted arrives')
    const arrived = () => new Set(sink.recipients())
    await until('every mail at the next host', () => [...sent.accepted].every((one) => arrived().has(one)), 120_000, 250)
    await until('an empty queue', async () => (await queuedRecipients(fleet.relays[0]!)).length === 0, 60_000, 250)
    const ledger = joinLedger({ accepted: sent.accepted, arrived: sink.recipients() })
    ctx.note('duplicates', `${ledger.duplicates} (in flight when a relay fell asleep: ${inFlight}; sent again by clients that were told 451 or heard nothing: ${sent.unsure})`)
    ctx.note('what clients were told meanwhile', [...sent.trouble].map(([text, times]) => `${times} × ${text}`).join(' | '))
    assert.deepEqual(ledger.lost, [])
    assert.ok(ledger.duplicates <= sent.unsure + inFlight + fleet.relays.length * 50, `${ledger.duplicates} duplicates are more than what was in flight and one round of settling`)
    assert.deepEqual(sink.faults, [])
  },
}

const standStill = async (one: { pause(): void; resume(): void }): Promise<void> => {
  one.pause()
  await sleep(sleepSeconds * 1000)
  one.resume()
}
