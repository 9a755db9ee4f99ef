// The queue's volume fills up: new mail is asked to wait before anything breaks, what is stored stays, and room comes back by itself.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { copyManifests, queueLength, startStandalone } from '../../tools/relay-process.ts'
import { startSink } from '../../tools/sink.ts'
import { openSmtp, refusalIn, sendMail, type Reply, type SmtpClient } from '../../tools/smtp-client.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const megabyte = `${'x'.repeat(70)}\r\n`.repeat(14_564)

export const story: Story = {
  title: 'The queue full: 452 before anything is lost; freed: accepted again, everything delivered',
  needs: [],
  limitSeconds: 600,
  run: async (ctx) => {
    let open = false
    const sink = await startSink({ keepData: false, command: (verb) => (verb === 'MAIL' && !open ? '451 4.3.0 not yet' : undefined) })
    ctx.cleanup(() => sink.close())
    const relay = await startStandalone({ folder: ctx.folder, manifests: copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port }) })
    ctx.cleanup(() => relay.stop())

    ctx.step('mails of 1 MB until the relay says it is full')
    const client = await greet(relay.ports.mx!)
    const accepted: string[] = []
    let full: Reply | undefined
    for (let n = 0; n < 200 && !full; n++) {
      const to = `r${n}@browncow.example`
      const reply = await send(client, to)
      if (reply.code === 250) accepted.push(to)
      else full = reply
    }
    ctx.note('accepted before it was full', `${accepted.length} MB of 104`)
    assert.match(full?.text ?? 'never full', /^452 4\.3\.1 /)
    assert.ok(accepted.length > 60 && accepted.length < 104, `${accepted.length} accepted`)

    ctx.step('full it stays up: it answers, it lists, a small mail is refused too')
    // the last of 1 MB may have been refused in its middle: then there is room for a few that are small
    const small = { client: await greet(relay.ports.mx!), refused: '' }
    for (let n = 0; n < 100 && small.refused === ''; n++) {
      const to = `r${1000 + n}@browncow.example`
      const { code, text } = await send(small.client, to, `${'x'.repeat(70)}\r\n`.repeat(300))
      if (code === 250) accepted.push(to)
      else small.refused = text
    }
    assert.match(small.refused, /^452 4\.3\.1 /)
    assert.match((await send(small.client, 'small@browncow.example', 'small\r\n')).text, /^452 4\.3\.1 /)
    await until('the queue to show all of it', async () => (await queueLength(relay)) >= accepted.length) // what moves while it is counted may be missed
    await until('the log to say so', () => relay.log().some(({ code }) => code === 'QUEUE_FULL'))
    const told = async (): Promise<string> => ((await (await fetch(`http://127.0.0.1:${relay.httpPort}/status`)).json()) as { durable: { reason: string } }).durable.reason
    assert.equal(await told(), 'QueueFull')

    ctx.step('the next host opens: everything goes, and there is room again')
    open = true
    await until('everything accepted to be delivered', () => accepted.every((to) => sink.recipients().includes(to)), 120_000, 250)
    await until('mail to be accepted again', async () => {
      const again = await greet(relay.ports.mx!)
      const { code } = await send(again, 'again@browncow.example', 'small\r\n')
      again.close()
      return code === 250
    }, 60_000, 500)
    await until('an empty queue', async () => (await queueLength(relay)) === 0, 60_000)
    await until('it to say so', async () => (await told()) === 'Durable')
    assert.equal(new Set(sink.recipients().filter((to) => /^r\d/.test(to))).size, accepted.length)

    ctx.step('six mails of 40 MB at the same moment: each began while there was room, together they are more than the volume takes')
    const clients = await Promise.all(Array.from({ length: 6 }, () => greet(relay.ports.mx!)))
    const replies = await Promise.all(clients.map((client, n) => send(client, `large${n}@browncow.example`, megabyte.repeat(40))))
    const kept = replies.flatMap(({ code }, n) => (code === 250 ? [`large${n}@browncow.example`] : []))
    ctx.note('of six mails of 40 MB', `${kept.length} accepted`)
    assert.ok(kept.length <= 2, `${kept.length} accepted`)
    for (const { code, text } of replies) if (code !== 250) assert.match(text, /^452 4\.3\.1 /)
    await until('what was accepted of them to be delivered', () => kept.every((to) => sink.recipients().includes(to)), 120_000, 250)
    await until('what was refused of them to leave nothing behind', async () => (await bytesOf(relay)) < 1_000_000, 60_000, 250)
  },
}

const bytesOf = async ({ httpPort }: { httpPort: number }): Promise<number> => Number(/^posthouse_queue_bytes(?:\{[^}]*\})? (\S+)/m.exec(await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text())?.[1])

const greet = async (port: number): Promise<SmtpClient> => {
  const client = await openSmtp(port)
  await client.say('EHLO client.example')
  return client
}

/** The first reply that says no, or the one to the dot. */
const send = async (client: SmtpClient, to: string, body = megabyte): Promise<Reply> => {
  const said = await sendMail(client, { from: 'joe@client.example', to: [to], data: `Subject: big\r\n\r\n${body}` })
  return refusalIn(said) ?? said.data!
}
