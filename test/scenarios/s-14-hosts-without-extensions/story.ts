// 8-bit mail and UTF-8 addresses to hosts that know neither: turned into what they take, or returned; never corrupted.
import assert from 'node:assert/strict'
import { startMxWorld } from '../../tools/mx-world.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const eightBit = 'From: joe@client.example\r\nSubject: plain\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße aus Köln\r\n=20 is not a space here\r\n'

export const story: Story = {
  title: 'SMTPUTF8 and 8BITMIME to hosts without them: converted or returned, never corrupted',
  needs: [],
  run: async (ctx) => {
    const world = await startMxWorld(ctx, {
      'modern.example': { mx: [[10, 'mx.modern.example']] },
      'old.example': { mx: [[10, 'mx.old.example']] },
      'xn--exmple-cua.example': { mx: [[10, 'mx.old.example']] },
      'ancient.example': { mx: [[10, 'mx.ancient.example']] },
      'client.example': { mx: [[10, 'mx.client.example']] },
    })
    const modern = await world.host('mx.modern.example', '127.0.0.2')
    const old = await world.host('mx.old.example', '127.0.0.3', { extensions: ['SIZE 10000000'] })
    const ancient = await world.host('mx.ancient.example', '127.0.0.5', { command: (verb) => (verb === 'EHLO' ? '502 5.5.1 what' : undefined) })
    const sender = await world.host('mx.client.example', '127.0.0.4')

    ctx.step('8-bit to a host with 8BITMIME: as it is, and announced')
    await world.send('fred@modern.example', { data: eightBit, parameters: 'BODY=8BITMIME' })
    await until('the mail', () => modern.arrivals.length === 1)
    assert.match(modern.arrivals[0]!.fromParameters, /BODY=8BITMIME/)
    assert.ok(modern.arrivals[0]!.data.toString().endsWith(eightBit))

    ctx.step('8-bit to a host without: seven bits, and the same text when decoded')
    await world.send('fred@old.example', { data: eightBit, parameters: 'BODY=8BITMIME' })
    await until('the mail', () => old.arrivals.length === 1)
    const converted = old.arrivals[0]!
    assert.ok(!/BODY=/.test(converted.fromParameters))
    assert.ok(converted.data.every((byte) => byte < 128), 'a byte with its high bit set reached a seven-bit host')
    assert.equal(decoded(converted.data.toString()), 'Grüße aus Köln\r\n=20 is not a space here\r\n')

    ctx.step('UTF-8 addresses to a host with SMTPUTF8: as they are')
    await world.send('jürgen@modern.example', { from: 'jörg@client.example', parameters: 'SMTPUTF8 BODY=8BITMIME' })
    await until('the mail', () => modern.arrivals.length === 2)
    assert.deepEqual(modern.arrivals[1]!.recipients, ['jürgen@modern.example'])
    assert.match(modern.arrivals[1]!.fromParameters, /SMTPUTF8/)

    ctx.step('UTF-8 local part to a host without: returned, 5.6.7')
    await world.send('jürgen@old.example', { parameters: 'SMTPUTF8 BODY=8BITMIME' })
    await until('the notice', () => sender.arrivals.length === 1)
    assert.match(sender.arrivals[0]!.data.toString(), /^Status: 5\.6\.7/im)
    assert.equal(old.arrivals.length, 1)

    ctx.step('a domain in UTF-8 only: written in A-labels it passes')
    await world.send('fred@exämple.example', { parameters: 'SMTPUTF8', data: 'From: sender@client.example\r\nSubject: ascii\r\n\r\nascii\r\n' })
    await until('the mail or a notice', () => old.arrivals.length === 2 || sender.arrivals.length === 2)
    assert.deepEqual(old.arrivals[1]?.recipients, ['fred@xn--exmple-cua.example'], sender.arrivals[1]?.data.toString())

    ctx.step('to a host that knows HELO only: ASCII passes though SMTPUTF8 was asked for, a UTF-8 local part is returned, 5.6.7')
    await world.send(['fred@ancient.example', 'jürgen@ancient.example'], { parameters: 'SMTPUTF8 BODY=8BITMIME' })
    await until('the mail and the notice', () => ancient.arrivals.length === 1 && sender.arrivals.length === 2)
    assert.deepEqual([ancient.arrivals[0]!.recipients, ancient.arrivals[0]!.fromParameters], [['fred@ancient.example'], ''])
    assert.match(sender.arrivals[1]!.data.toString(), /^Status: 5\.6\.7/im)
    assert.deepEqual([...modern.faults, ...old.faults, ...ancient.faults, ...sender.faults], [])
  },
}

/** The body of a mail, its transfer encoding undone. */
const decoded = (mail: string): string => {
  const [header = '', ...rest] = mail.split('\r\n\r\n')
  const body = rest.join('\r\n\r\n')
  if (/^Content-Transfer-Encoding: base64/im.test(header)) return Buffer.from(body, 'base64').toString()
  if (!/^Content-Transfer-Encoding: quoted-printable/im.test(header)) return `not converted: ${header}`
  const bytes = body.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}
