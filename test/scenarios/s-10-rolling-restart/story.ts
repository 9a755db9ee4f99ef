// Three processes on ports of their own, clients that try them in turn like the addresses of one MX; each is restarted in turn under load.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { joinLedger } from '../../tools/ledger.ts'
import { sendAll } from '../../tools/load-client.ts'
import { mailsTo } from '../../tools/mails.ts'
import { startTestNats } from '../../tools/nats.ts'
import { addDomains, copyManifests, queuedRecipients, startFleet } from '../../tools/relay-process.ts'
import { startSink } from '../../tools/sink.ts'
import { sleep, until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const count = 1500

export const story: Story = {
  title: 'Rolling restart of three relays under load: no error but 421 and refused connections while one is down',
  needs: [],
  limitSeconds: 600,
  run: async (ctx) => {
    const sink = await startSink({ keepData: false })
    ctx.cleanup(() => sink.close())
    const nats = await startTestNats(1)
    ctx.cleanup(() => nats.stop())
    const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port })
    const domains = addDomains(manifests, 30, sink.port)
    const fleet = await startFleet({ folder: ctx.folder, manifests, nats, count: 3 })
    ctx.cleanup(() => fleet.stop())

    let accepted = 0
    const sending = sendAll({ ports: fleet.ports(), clients: 20, mails: mailsTo(count, domains), onAccepted: (sum) => (accepted = sum), pauseMs: 100 })
    for (const index of [0, 1, 2]) {
      ctx.step(`relay ${index} leaves and comes back`)
      await until(`part ${index} of the load`, () => accepted > (count * (index + 0.5)) / 4, 120_000)
      assert.equal(await fleet.relays[index]!.stop(), 0, 'a relay that drains ends with 0')
      await sleep(500)
      await fleet.restart(index)
    }
    const sent = await sending
    ctx.step('everything arrives, once')
    await until('every mail at the next host', () => sink.recipients().length >= count, 120_000, 250)
    await until('an empty queue', async () => (await queuedRecipients(fleet.relays[0]!)).length === 0, 60_000, 250) // a copy that waits there would come late
    const ledger = joinLedger({ accepted: sent.accepted, arrived: sink.recipients() })
    ctx.note('what clients saw', [...sent.trouble].map(([text, times]) => `${times} × ${text}`).join(' | '))
    assert.deepEqual(ledger.lost, [])
    assert.equal(ledger.duplicates, 0, 'a restart that nobody forced duplicates nothing')
    for (const text of sent.trouble.keys()) assert.match(text, /^421 4\.3\.2 |ECONNREFUSED|greeting 421/, 'what a client may see while one is down')
  },
}
