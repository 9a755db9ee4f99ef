// SMTP smuggling (CVE-2023-51764 and its kin), in and out: every look-alike of the end of data, whole and cut into segments.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { copyManifests, queueLength, startStandalone } from '../../tools/relay-process.ts'
import { startSink } from '../../tools/sink.ts'
import { openSmtp, sendMail } from '../../tools/smtp-client.ts'
import { sleep, until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const lookAlikes = ['\n.\n', '\r.\r', '\r.\n', '\n.\r', '\n.\r\n', '\r\n.\n', '\r.\r\n', '\r\n.\r', '\r\n\0.\r\n', '\r\n.\0\r\n', '\0\r\n.\n', '\n\n.\r\n', '\r\r\n.\r\r\n', '\n..\r\n', '\r\n.\r\r\n']
const smuggled = 'MAIL FROM:<ceo@browncow.example>\r\nRCPT TO:<fred@browncow.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n'

export const story: Story = {
  title: `Smuggling: ${lookAlikes.length} look-alikes of the end of data, in and out, whole and in pieces`,
  needs: [],
  run: async (ctx) => {
    const sink = await startSink()
    ctx.cleanup(() => sink.close())
    const relay = await startStandalone({ folder: ctx.folder, manifests: copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port }), listeners: ['mx', 'mends'] })
    ctx.cleanup(() => relay.stop())
    let tried = 0
    for (const pieces of ['in one segment', 'byte by byte'] as const) {
      ctx.step(`in, ${pieces}`)
      for (const look of lookAlikes) {
        const replies = await offer(relay.ports.mx!, `Subject: first\r\n\r\nbody${look}${smuggled}`, pieces === 'byte by byte')
        const what = `${JSON.stringify(look)} ${pieces}: ${replies.join(' | ')}`
        assert.match(replies[0]!, /^554 5\.6\.0 /, what)
        assert.ok(!replies.some((reply) => reply.startsWith('354')), `a smuggled DATA was answered: ${what}`)
        tried++
      }
    }
    ctx.note('look-alikes refused', tried)
    assert.equal(await queueLength(relay), 0)
    assert.deepEqual(sink.recipients(), [])

    ctx.step('out, where a listener mends line ends: each look-alike leaves as one mail, with what was smuggled as its text')
    const mendable = lookAlikes.filter((look) => !look.includes('\0'))
    for (const look of mendable) {
      const replies = await offer(relay.ports.mends!, `Subject: mended\r\n\r\nbody${look}${smuggled}`, false)
      // the mail ends with the smuggled one's dot; the empty line and the dot behind it are no commands
      assert.deepEqual(replies.map((reply) => reply.slice(0, 3)), ['250', '500', '500', '221'], `${JSON.stringify(look)}: ${replies.join(' | ')}`)
    }
    await until('all of them', async () => sink.arrivals.length >= mendable.length && (await queueLength(relay)) === 0)
    const mended = sink.arrivals.slice()
    ctx.note('look-alikes mended', mended.length)
    assert.equal(mended.length, mendable.length)
    for (const { from, data } of mended) assert.ok(from === 'joe@client.example' && data.toString('latin1').includes('MAIL FROM:<ceo@browncow.example>\r\n'), data.toString('latin1'))

    ctx.step('out: what is taken leaves as exactly one mail, whatever its lines look like')
    const bodies = ['.\r\n', '..\r\n...\r\n', 'x\r\n.\r\n.\r\n', '.x\r\n.QUIT\r\n', `. \r\n${smuggled}`, `\r\n.\r\n${smuggled}`]
    const client = await openSmtp(relay.ports.mx!)
    await client.say('EHLO client.example')
    for (const body of bodies) {
      const data = `Subject: out\r\n\r\n${body}`
      const said = await sendMail(client, { from: 'joe@client.example', to: ['fred@browncow.example'], data })
      assert.equal(said.data?.code, 250)
    }
    await until('all of them', async () => sink.arrivals.length >= mended.length + bodies.length && (await queueLength(relay)) === 0)
    assert.equal(sink.arrivals.length, mended.length + bodies.length)
    const arrived = sink.arrivals.slice(mended.length).map(({ data }) => data.toString('latin1'))
    for (const body of bodies) assert.ok(arrived.some((text) => text.endsWith(`Subject: out\r\n\r\n${body}`)), JSON.stringify(body))
    assert.deepEqual(sink.faults, [])
  },
}

/** Everything that is said after DATA, until the relay has been quiet for a while. */
const offer = async (port: number, bytes: string, slowly: boolean): Promise<string[]> => {
  const client = await openSmtp(port)
  await client.say('EHLO client.example')
  for (const line of ['MAIL FROM:<joe@client.example>', 'RCPT TO:<fred@browncow.example>', 'DATA']) await client.say(line)
  if (slowly)
    for (const byte of Buffer.from(bytes, 'latin1')) {
      client.write(Buffer.from([byte]))
      if (byte < 32 || byte === 46) await sleep(1)
    }
  else client.write(Buffer.from(bytes, 'latin1'))
  client.write('\r\n.\r\nQUIT\r\n')
  const replies: string[] = []
  const read = async (): Promise<void> => {
    for (;;) replies.push((await client.reply()).text)
  }
  await Promise.race([read().catch(() => {}), client.closed, sleep(30_000)])
  client.close()
  return replies
}
