// Postfix brings mail to us; Postfix and Exim take it from us; swaks tries us. What others make of our SMTP, and we of theirs.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { runChild } from '../../tools/child.ts'
import { startExim } from '../../tools/exim.ts'
import { startPostfix } from '../../tools/postfix.ts'
import { copyManifests, queueLength, startStandalone } from '../../tools/relay-process.ts'
import { startSink } from '../../tools/sink.ts'
import { openSmtp, sendMail } from '../../tools/smtp-client.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const count = 200

export const story: Story = {
  title: 'Postfix before us and behind us, Exim behind us, swaks in front',
  needs: ['root', 'postfix', 'exim', 'swaks'],
  run: async (ctx) => {
    const last = await startSink()
    ctx.cleanup(() => last.close())
    const behind = await startPostfix({ folder: join(ctx.folder, 'behind'), relayTo: last.port })
    ctx.cleanup(() => behind.stop())
    const exim = await startExim({ folder: join(ctx.folder, 'exim') })
    ctx.cleanup(() => exim.stop())
    const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2701: behind.port, 2702: exim.port, 2703: last.port })
    const relay = await startStandalone({ folder: ctx.folder, manifests })
    ctx.cleanup(() => relay.stop())
    const before = await startPostfix({ folder: join(ctx.folder, 'before'), relayTo: relay.ports.mx!, settings: { myhostname: 'before.example' } })
    ctx.cleanup(() => before.stop())

    ctx.step(`${count} mails: Postfix, we, Postfix, the end`)
    await runChild('/usr/sbin/smtp-source', ['-s', '10', '-m', String(count), '-l', '5000', '-f', 'sender@client.example', '-t', 'fred@postfix.example', `127.0.0.1:${before.port}`])
    await until(`${count} mails at the end`, () => last.arrivals.filter(({ recipients }) => recipients.includes('fred@postfix.example')).length >= count, 100_000, 200)
    await until('the first Postfix to have none left', async () => (await before.queued()) === 0)
    const received = last.arrivals[0]!.data.toString().match(/^Received:/gm)?.length ?? 0
    assert.ok(received >= 3, `${received} Received fields`)

    ctx.step('to Exim: 8-bit, dots, a long line; and its refusal comes to the client already at RCPT')
    const client = await openSmtp(relay.ports.mx!)
    await client.say('EHLO client.example')
    const body = `.\r\n..\r\nGrüße\r\n${'x'.repeat(900)}\r\n`
    const said = await sendMail(client, { from: 'sender@client.example', to: ['fred@exim.example'], parameters: 'BODY=8BITMIME', data: `From: sender@client.example\r\nSubject: to exim\r\n\r\n${body}` })
    assert.equal(said.data?.code, 250, JSON.stringify(said))
    await until('the mail in Exim\'s file, whole', () => exim.mails().length === 1 && exim.log().includes(' Completed'))
    const stored = Buffer.from(exim.mails()[0]!, 'latin1').toString()
    assert.ok(stored.includes(body.replaceAll('\r\n', '\n')), stored)
    await client.say('MAIL FROM:<sender@client.example>')
    const refused = await client.say('RCPT TO:<nobody@exim.example>')
    assert.match(refused.text, /^550 5\.1\.1 /)

    ctx.step('swaks: accepted, and a stranger refused')
    const swaks = (...more: string[]) => runChild('swaks', ['--server', `127.0.0.1:${relay.ports.mx}`, '--from', 'sender@client.example', ...more], { mayFail: true })
    const accepted = await swaks('--to', 'fred@exim.example', '--pipeline')
    assert.equal(accepted.code, 0, accepted.output)
    const encrypted = await swaks('--to', 'fred@exim.example', '--tls')
    assert.equal(encrypted.code, 0, encrypted.output)
    const stranger = await swaks('--to', 'fred@elsewhere.example')
    assert.notEqual(stranger.code, 0)
    assert.match(stranger.output, /550 5\.7\.1 Relaying denied/)
    await until('both in Exim\'s files', () => exim.mails().length === 3)
    await until('an empty queue', async () => (await queueLength(relay)) === 0)
  },
}
