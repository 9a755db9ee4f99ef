// Mail of our senders leaves signed, with both algorithms; a verifier of another maker finds each signature good, and a changed mail bad.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { recordsIn, verifyDkim } from '../../tools/dkim.ts'
import { copyManifests, startStandalone } from '../../tools/relay-process.ts'
import { startSink } from '../../tools/sink.ts'
import { openSmtp, sendMail } from '../../tools/smtp-client.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const header = 'From: Orders <orders@browncow.example>\r\nTo: customer@elsewhere.example\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n folded line\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@browncow.example>\r\n'
const mails = [`${header}\r\nhello\r\n`, `${header}\r\n.\r\n..dots\r\ntrailing space \t\r\n\r\n\r\n`, `${header}\r\n`, `${header}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n`]

export const story: Story = {
  title: 'DKIM: each signature is verified by dkimpy, rsa-sha256 and ed25519-sha256',
  needs: ['dkimpy'],
  run: async (ctx) => {
    const sink = await startSink()
    ctx.cleanup(() => sink.close())
    const relay = await startStandalone({ folder: ctx.folder, manifests: copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port }) })
    ctx.cleanup(() => relay.stop())

    ctx.step(`${mails.length} mails from an identified sender`)
    const client = await openSmtp(relay.ports.submission!)
    await client.say('EHLO shop.example')
    await client.startTls()
    await client.say('EHLO shop.example')
    const { username, password } = relay.credential('mail/shop')
    await client.say(`AUTH PLAIN ${Buffer.from(`\0${username}\0${password}`).toString('base64')}`)
    for (const data of mails) {
      const said = await sendMail(client, { from: 'orders@browncow.example', to: ['customer@elsewhere.example'], data, parameters: 'BODY=8BITMIME' })
      assert.equal(said.data?.code, 250, JSON.stringify(said))
    }
    await until('all of them', () => sink.arrivals.length === mails.length)

    ctx.step('every signature is good, by the records that were written for publishing')
    const records = recordsIn(join(relay.data, 'made', 'dkim'))
    for (const { data } of sink.arrivals) {
      const results = await verifyDkim(data, records)
      assert.deepEqual(results.map(({ a, d, good }) => `${a} ${d} ${good}`).sort(), ['ed25519-sha256 browncow.example true', 'rsa-sha256 browncow.example true'], JSON.stringify(results))
    }

    ctx.step('and bad when one letter is changed')
    const hello = sink.arrivals.map(({ data }) => data.toString('latin1')).find((text) => text.includes('\r\nhello\r\n'))!
    const changed = await verifyDkim(Buffer.from(hello.replace('hello', 'hallo'), 'latin1'), records)
    assert.deepEqual(changed.map(({ good }) => good), [false, false])
  },
}
