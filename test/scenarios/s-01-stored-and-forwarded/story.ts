// The first promise: a 250 means it is kept, and then it is with the next host, unchanged but for one Received line.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { freePort } from '../../../cli/standalone/nats-process.ts'
import { copyManifests, idIn, queueLength, startStandalone, traceOf } from '../../tools/relay-process.ts'
import { startSink } from '../../tools/sink.ts'
import { openSmtp, sendMail } from '../../tools/smtp-client.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const mail = ['From: Joe <joe@elsewhere.example>', 'To: fred@browncow.example', 'Subject: =?utf-8?q?caf=C3=A9?=', '', '.', '..two dots', 'last line', ''].join('\r\n')

export const story: Story = {
  title: 'Mail is stored and forwarded; it survives a stop and a start',
  needs: [],
  run: async (ctx) => {
    ctx.step('a relay and a next host')
    const port = await freePort() // one that it gets again
    const sink = await startSink({ port })
    ctx.cleanup(() => sink.close())
    const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: port })
    let relay = await startStandalone({ folder: ctx.folder, manifests })
    ctx.cleanup(() => relay.stop())

    ctx.step('a mail to a hosted domain: 250, and it arrives')
    const id = await send(relay.ports.mx!, 'fred@browncow.example')
    await until('the mail at the next host', () => sink.arrivals.length === 1)
    const arrived = sink.arrivals[0]!
    assert.equal(arrived.from, 'joe@elsewhere.example')
    assert.deepEqual(arrived.recipients, ['fred@browncow.example'])
    const text = arrived.data.toString()
    assert.ok(text.endsWith(mail), `the body changed on its way:\n${text}`)
    const added = text.slice(0, -mail.length)
    assert.match(added, /^Received: from client\.example \(.*127\.0\.0\.1.*\)\r\n\s+by relay\.example with ESMTP\s+id /i)
    assert.equal(added.match(/^[A-Za-z-]+:/gm)?.length, 1, `more than one header was added:\n${added}`)

    ctx.step('its timeline: accepted, delivered')
    const kinds = await until('the trace of the delivery', async () => {
      const events = await traceOf(relay, id)
      return events.some(({ kind }) => kind === 'delivered') && events.map(({ kind }) => kind)
    })
    assert.equal(kinds[0], 'accepted')

    ctx.step('the next host goes away; what is accepted meanwhile waits')
    await sink.close()
    await send(relay.ports.mx!, 'waits@browncow.example')
    await until('the mail in the queue', async () => (await queueLength(relay)) === 1)
    assert.equal(await relay.stop(), 0, 'the standalone ends with 0')

    ctx.step('a second start goes on with what was queued')
    const back = await startSink({ port })
    ctx.cleanup(() => back.close())
    relay = await startStandalone({ folder: ctx.folder, manifests })
    await until('the mail that waited', () => back.recipients().includes('waits@browncow.example'), 60_000)
    await until('an empty queue', async () => (await queueLength(relay)) === 0)
    assert.deepEqual([...sink.faults, ...back.faults], [])
  },
}

const send = async (port: number, to: string): Promise<string> => {
  const client = await openSmtp(port)
  await client.say('EHLO client.example')
  const { data } = await sendMail(client, { from: 'joe@elsewhere.example', to: [to], data: mail })
  assert.match(data?.text ?? 'no reply', /^250 2\.0\.0 /)
  await client.say('QUIT')
  return idIn(data!.text)
}
