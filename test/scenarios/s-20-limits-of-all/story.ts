// Three processes, one limit: a client that goes from one to the next gets what one process alone would give it.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { startTestNats } from '../../tools/nats.ts'
import { copyManifests, startFleet, type RelayFleet } from '../../tools/relay-process.ts'
import { startSink } from '../../tools/sink.ts'
import { openSmtp, refusalIn, sendMail, type SmtpClient } from '../../tools/smtp-client.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

export const story: Story = {
  title: 'Limits of a MailSender and a RelayPolicy hold within 10 % across three relay processes',
  needs: [],
  limitSeconds: 600,
  run: async (ctx) => {
    const sink = await startSink({ keepData: false })
    ctx.cleanup(() => sink.close())
    const nats = await startTestNats(1)
    ctx.cleanup(() => nats.stop())
    const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port })
    const fleet = await startFleet({ folder: ctx.folder, manifests, nats, count: 3 })
    ctx.cleanup(() => fleet.stop())
    await until('each relay to see all three', async () => (await Promise.all(fleet.relays.map((relay) => relay.ask<{ peers: unknown[] }>('status')))).every(({ peers }) => peers.length === 3))

    ctx.step('a MailSender with 90 mails an hour tries 150, each relay in turn')
    const senders = await Promise.all(fleet.ports('submission').map((port) => identified(fleet, port)))
    const own = await sendInTurn(senders, 150, 'orders@browncow.example')
    ctx.note('taken of 150, limit 90', own.taken)
    assert.ok(own.taken >= 81 && own.taken <= 99, `${own.taken} were taken`)
    for (const told of own.told) assert.match(told, /^450 4\.7\.1 .*MailSender mail\/shop/)

    ctx.step('an address with 120 mails a minute tries 200')
    const strangers = await Promise.all(fleet.ports('mx').map((port) => greeted(port)))
    const from = Date.now()
    const foreign = await sendInTurn(strangers, 200, 'joe@elsewhere.example')
    const seconds = (Date.now() - from) / 1000
    ctx.note('taken of 200, limit 120', `${foreign.taken} in ${seconds.toFixed(1)} s`)
    const most = 120 * Math.ceil(seconds / 60) // on a machine so slow that a second minute began
    assert.ok(foreign.taken >= 108 && foreign.taken <= most * 1.1, `${foreign.taken} were taken`)
    for (const told of foreign.told) assert.match(told, /^450 4\.7\.1 .*RelayPolicy mail\/house/)

    ctx.step('what was taken arrives')
    await until('every mail at the next host', () => sink.recipients().length === own.taken + foreign.taken, 60_000)
    for (const client of [...senders, ...strangers]) client.close()
  },
}

const sendInTurn = async (clients: readonly SmtpClient[], count: number, from: string): Promise<{ taken: number; told: Set<string> }> => {
  const told = new Set<string>()
  let taken = 0
  for (let n = 0; n < count; n++) {
    const said = await sendMail(clients[n % clients.length]!, { from, to: [`fred${n}@browncow.example`], data: `From: ${from}\r\nSubject: ${n}\r\n\r\n${n}\r\n` })
    if (said.data?.code === 250) taken += 1
    else told.add(refusalIn(said)?.text ?? 'nothing')
  }
  return { taken, told }
}

const greeted = async (port: number): Promise<SmtpClient> => {
  const client = await openSmtp(port)
  await client.say('EHLO client.example')
  return client
}

const identified = async (fleet: RelayFleet, port: number): Promise<SmtpClient> => {
  const client = await greeted(port)
  await client.startTls()
  await client.say('EHLO shop.example')
  const { username, password } = fleet.credential('mail/shop')
  const answer = await client.say(`AUTH PLAIN ${Buffer.from(`\0${username}\0${password}`).toString('base64')}`)
  assert.equal(answer.code, 235, answer.text)
  return client
}
