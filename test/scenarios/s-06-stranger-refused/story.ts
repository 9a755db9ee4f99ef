// Nobody relays who was not named: every form of recipient, from everybody who is not entitled, to the end of DATA.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copyManifests, queueLength, startStandalone, type Standalone } from '../../tools/relay-process.ts'
import { startSink, type Sink } from '../../tools/sink.ts'
import { openSmtp, sendMail, type SmtpClient } from '../../tools/smtp-client.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'
import { recipients, senders } from './attacks.ts'

export const story: Story = {
  title: 'A stranger is refused, whatever form the recipient takes and whoever the client pretends to be',
  needs: [],
  run: async (ctx) => {
    const sink = await startSink()
    ctx.cleanup(() => sink.close())
    const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port })
    const relay = await startStandalone({ folder: ctx.folder, manifests, listeners: ['mx', 'submission', 'balanced'] })
    ctx.cleanup(() => relay.stop())
    const { mx, submission, balanced } = relay.ports as { mx: number; submission: number; balanced: number }

    ctx.step('the plain case is refused in the words the manual gives')
    await theManualsWords(mx, submission)

    let tried = 0
    for (const [who, from] of senders) {
      ctx.step(`${recipients.length} forms of recipient, from ${who}`)
      const client = await greet(mx)
      for (const [form, to] of recipients) tried += await mustNotPass(client, from, to, `${who}, ${form}`)
      client.close()
    }

    ctx.step('from a MailSender that uses an address not its own, and from one that does not identify itself')
    const shop = await identified(relay, submission)
    assert.match((await shop.say('MAIL FROM:<joe@somespammer.com>')).text, /^550 5\.7\.1 /)
    // the null sender passes MAIL: what follows is for RCPT to refuse
    for (const from of ['<joe@somespammer.com>', '<>']) for (const [form, to] of recipients) tried += await mustNotPass(shop, from, to, `a MailSender as ${from}, ${form}`)
    const unknown = await greet(submission)
    for (const [form, to] of recipients) tried += await mustNotPass(unknown, '<orders@browncow.example>', to, `not identified, ${form}`)

    ctx.step('XCLIENT and PROXY headers from strangers count for nothing')
    tried += await pretendingStrangers(mx, balanced)

    ctx.step('nothing was queued and nothing left')
    assert.equal(await queueLength(relay), 0)
    assert.deepEqual(sink.recipients(), [])

    ctx.step('and those who are entitled do pass')
    await theEntitledPass(relay, sink)

    ctx.step('behind a Service that hides who comes, the address of the office is that of anybody')
    await hideAddresses(manifests, mx)
    const office = await greet(mx, officeAddress)
    for (const [form, to] of recipients) tried += await mustNotPass(office, '<joe@somespammer.com>', to, `behind SNAT, ${form}`)
    office.close()
    assert.equal(await queueLength(relay), 0)
    ctx.note('attempts refused', tried)
  },
}

const theManualsWords = async (mx: number, submission: number): Promise<void> => {
  for (const [port, words] of [[mx, /^550 5\.7\.1 .*[Rr]elaying denied/], [submission, /^5\d\d 5\.7\.[01] .*authenticat/i]] as const) {
    const client = await openSmtp(port)
    await client.say('helo somespammer.com')
    const answers = [await client.say('mail from: joe@somespammer.com'), await client.say('rcpt to: fred@spam-recipient.com')]
    assert.ok(answers.some(({ text }) => words.test(text)), answers.map(({ text }) => text).join('\n'))
    client.close()
  }
}

/** To the end of DATA: a 250 at RCPT alone proves nothing, and a refusal must hold there too. Returns 1, for counting. */
const mustNotPass = async (client: SmtpClient, from: string, to: string, what: string): Promise<number> => {
  const mail = await client.say(`MAIL FROM:${from}`)
  const rcpt = await client.say(`RCPT TO:${to}`)
  assert.ok(rcpt.code >= 500, `${what}: RCPT was answered ${rcpt.text} (MAIL: ${mail.text})`)
  assert.match(rcpt.text, /^5\d\d 5\.\d\.\d+ /, `${what}: no enhanced status code`)
  const data = await client.say('DATA')
  assert.notEqual(data.code, 354, `${what}: DATA was let through`)
  await client.say('RSET')
  return 1
}

const pretendingStrangers = async (mx: number, balanced: number): Promise<number> => {
  const client = await greet(mx)
  const xclient = await client.say('XCLIENT ADDR=10.1.2.3 LOGIN=mail.shop')
  assert.ok(xclient.code >= 500, xclient.text)
  await mustNotPass(client, '<joe@somespammer.com>', '<fred@spam-recipient.com>', 'after XCLIENT')
  client.close()
  const headers = ['PROXY TCP4 10.1.2.3 10.1.2.4 4321 25\r\n', Buffer.concat([Buffer.from('\r\n\r\n\0\r\nQUIT\n'), Buffer.from([0x21, 0x11, 0, 12, 10, 1, 2, 3, 10, 1, 2, 4, 0x10, 0x11, 0, 25])])]
  for (const header of headers)
    for (const port of [mx, balanced]) assert.equal(await relaysAfter(port, header), false, `a stranger's PROXY header was believed: ${JSON.stringify(String(header))}`)
  return 1 + headers.length * 2
}

/** Whether a mail to elsewhere is taken on a connection that begins with these bytes. */
const relaysAfter = async (port: number, header: string | Buffer, from = '127.0.0.1'): Promise<boolean> => {
  const { connect } = await import('node:net')
  const socket = connect({ port, host: '127.0.0.1', localAddress: from })
  let heard = ''
  socket.on('error', () => {}).on('data', (bytes: Buffer) => (heard += bytes.toString()))
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const answers = (count: number): Promise<unknown> => Promise.race([ended, until(`${count} replies after a PROXY header`, () => (heard.match(/^\d{3} .*\r\n/gm)?.length ?? 0) >= count, 40_000)])
  socket.write(header)
  await answers(1)
  let replies = heard.match(/^\d{3} .*\r\n/gm)?.length ?? 0
  for (const line of ['EHLO x.example', 'MAIL FROM:<a@printer.example>', 'RCPT TO:<fred@spam-recipient.com>']) {
    if (socket.destroyed) break
    socket.write(`${line}\r\n`)
    await answers(++replies)
  }
  socket.destroy()
  return / 2\.1\.5 /.test(heard)
}

const theEntitledPass = async (relay: Standalone, sink: Sink): Promise<void> => {
  const { mx, submission, balanced } = relay.ports as { mx: number; submission: number; balanced: number }
  const toHosted = await sendMail(await greet(mx), { from: 'joe@elsewhere.example', to: ['fred@browncow.example'], data: 'Subject: in\r\n\r\nin\r\n' })
  assert.equal(toHosted.data?.code, 250)
  const shop = await identified(relay, submission)
  const fromSender = await sendMail(shop, { from: 'orders@browncow.example', to: ['customer@elsewhere.example'], data: 'From: orders@browncow.example\r\nSubject: out\r\n\r\nout\r\n' })
  assert.equal(fromSender.data?.code, 250, JSON.stringify(fromSender))
  assert.equal(await relaysAfter(balanced, 'PROXY TCP4 10.1.2.3 10.1.2.4 4321 25\r\n', '127.0.0.2'), true, 'the trusted load balancer speaks for the office')
  assert.equal(await relaysAfter(balanced, 'PROXY TCP4 10.9.9.9 10.1.2.4 4321 25\r\n', '127.0.0.2'), false, 'and not for others')
  await until('both mails at the next host', () => sink.recipients().length === 2)
  assert.deepEqual(sink.recipients().sort(), ['customer@elsewhere.example', 'fred@browncow.example'])
}

const officeAddress = '127.0.0.3'

/** As if nodes had stood between: the same manifests, with a Service that puts their address in place of the client's. */
const hideAddresses = async (manifests: string, mx: number): Promise<void> => {
  const file = join(manifests, 'relay.yaml')
  const passes = async (): Promise<boolean> => {
    const client = await greet(mx, officeAddress)
    await client.say('MAIL FROM:<a@printer.example>')
    const { code } = await client.say('RCPT TO:<fred@spam-recipient.com>')
    client.close()
    return code === 250
  }
  assert.equal(await passes(), true, 'the office is trusted while its address is seen')
  writeFileSync(file, readFileSync(file, 'utf8').replace('  queue: {managed', '  service: {type: LoadBalancer, externalTrafficPolicy: Cluster}\n  queue: {managed'))
  await until('the rule for the office to count no longer', async () => !(await passes()))
}

const greet = async (port: number, localAddress?: string): Promise<SmtpClient> => {
  const client = await openSmtp(port, { ...(localAddress !== undefined && { localAddress }) })
  await client.say('EHLO somespammer.com')
  return client
}

const identified = async (relay: Standalone, submission: number): Promise<SmtpClient> => {
  const client = await greet(submission)
  await client.startTls()
  await client.say('EHLO shop.example')
  const { username, password } = relay.credential('mail/shop')
  const answer = await client.say(`AUTH PLAIN ${Buffer.from(`\0${username}\0${password}`).toString('base64')}`)
  assert.equal(answer.code, 235, answer.text)
  return client
}
