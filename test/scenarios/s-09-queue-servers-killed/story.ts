// The servers under the queue are killed: one of three at a time, then all at once. What was answered with 250 is on disk.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { sendAll } from '../../tools/load-client.ts'
import { chance, mailsTo } from '../../tools/mails.ts'
import { startTestNats, type TestNats } from '../../tools/nats.ts'
import { addDomains, copyManifests, startFleet, type Relay } from '../../tools/relay-process.ts'
import { settleAccounts } from '../../tools/settle-accounts.ts'
import { startSink } from '../../tools/sink.ts'
import { openSmtp, sendMail } from '../../tools/smtp-client.ts'
import { sleep, until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const count = 1000
const late = { from: 'late@client.example', to: ['late@d0.example'], data: 'Subject: late\r\n\r\nlate\r\n' }

export const story: Story = {
  title: '1,000 mails while NATS servers are killed, one of three at a time and then all at once: nothing is lost',
  needs: [],
  mostlyWaits: true,
  limitSeconds: 600,
  run: async (ctx) => {
    const random = chance()
    ctx.note('seed', random.seed)
    const sink = await startSink({ keepData: false, delay: () => random.below(50) })
    ctx.cleanup(() => sink.close())
    const nats = await startTestNats(3)
    ctx.cleanup(() => nats.stop())
    const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port })
    const domains = addDomains(manifests, 30, sink.port)
    const fleet = await startFleet({ folder: ctx.folder, manifests, nats, count: 2 })
    ctx.cleanup(() => fleet.stop())

    ctx.step(`${count} mails from 20 clients; each server in turn is killed and comes back after 3 s`)
    let accepted = 0
    const sending = sendAll({ ports: fleet.ports(), clients: 20, mails: mailsTo(count, domains), onAccepted: (sum) => (accepted = sum), pauseMs: 100, patienceMs: 400_000 })
    const first = random.below(3)
    for (let turn = 0; turn < 3; turn++) {
      await until(`part ${turn} of the load`, () => accepted >= (count * turn) / 5, 180_000)
      await oneDown(nats, (first + turn) % 3)
    }
    ctx.step('all three at once')
    await until('three fifths of the load', () => accepted >= (count * 3) / 5, 180_000)
    await Promise.all([0, 1, 2].map((index) => nats.kill(index)))
    await sleep(1000)
    await Promise.all([0, 1, 2].map((index) => nats.restart(index)))
    const sent = await sending
    assert.equal(sent.accepted.size, count)

    await settleAccounts(ctx, { sent, sink, relay: fleet.relays[0]!, arriveMs: 180_000, emptyMs: 120_000 })

    ctx.step('all three stay away: the client is told 451 and why, and keeps its mail; past a minute the relay is not ready')
    const [relay] = fleet.relays as [Relay, ...Relay[]]
    await until('a relay that has seen its queue again', async () => (await relay.readiness()) === 'ready', 60_000, 250)
    const away = Date.now()
    await Promise.all([0, 1, 2].map((index) => nats.kill(index)))
    const client = await openSmtp(relay.ports.mx!)
    await client.say('EHLO client.example')
    const refused = await sendMail(client, late)
    ctx.note('what the client was told', refused.data?.text ?? refused.mail.text)
    ctx.note('after seconds', ((Date.now() - away) / 1000).toFixed(1))
    assert.match(refused.data?.text ?? refused.mail.text, /^451 4\.3\.0 Not stored \(.+\); keep the message/)
    if (Date.now() - away < 45_000) assert.equal(await relay.ready(), true, 'not ready though the queue has been away for less than a minute')
    await until('a relay that is not ready', async () => !(await relay.ready()), 600_000, 500)
    ctx.note('not ready after seconds', ((Date.now() - away) / 1000).toFixed(0))
    assert.ok(Date.now() - away > 55_000, 'not ready within the minute')

    ctx.step('they come back: ready again, and the same session goes on')
    await Promise.all([0, 1, 2].map((index) => nats.restart(index)))
    await until('a relay that is ready', () => relay.ready(), 300_000, 250)
    const taken = await sendMail(client, late)
    assert.equal(taken.data?.code, 250, JSON.stringify(taken))
    client.close()
    await until('the late mail at the next host', () => sink.recipients().includes('late@d0.example'), 120_000)
  },
}

const oneDown = async (nats: TestNats, index: number): Promise<void> => {
  await nats.kill(index)
  await sleep(3000)
  await nats.restart(index)
}
