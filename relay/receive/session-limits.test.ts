// What a session may take: lines, commands, recipients, connections, time.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { envelope, greetedBy as greeted, openTo as open, sendMail, simpleMail as simple, startReceiver as start, waitUntil as until, withLimits } from '../../test/tools/session.ts'
import type { Line } from '../../test/tools/talk.ts'

test('a line of 12,288 octets is read, one more is 500 5.5.2, and an endless one costs one reply', async (t) => {
  const receiver = await start(t)
  const line = await greeted(t, receiver)
  assert.match(await line.ask(`NOOP ${'x'.repeat(12_288 - 5)}`), /^250 /)
  assert.match(await line.ask(`NOOP ${'x'.repeat(12_288 - 4)}`), /^500 5\.5\.2 /)
  line.send(Buffer.alloc(5_000_000, 'x'))
  assert.match((await line.reply(30_000))?.[0] ?? '', /^500 5\.5\.2 /)
  line.send(Buffer.from('\r\n'))
  assert.match(await line.ask('NOOP'), /^250 /)
})

test('limits 3 messages per connection, 3 recipients per message, and 100 commands without a message', async (t) => {
  const receiver = await start(t, withLimits({ messagesPerConnection: 3, recipientsPerMessage: 3 }))
  const line = await greeted(t, receiver)
  await envelope(line, undefined, ['1@hosted.example', '2@hosted.example', '3@hosted.example'])
  assert.match(await line.ask('RCPT TO:<4@hosted.example>'), /^452 4\.5\.3 /)
  await line.ask('RSET')
  for (let index = 0; index < 3; index++) assert.match(await sendMail(line, simple), /^250 /)
  assert.match(await line.ask('MAIL FROM:<a@client.example>'), /^421 4\.7\.0 .*3 messages/)
  assert.equal(await line.reply(30_000), undefined)
  const noops = await greeted(t, receiver)
  let last = ''
  for (let index = 0; index < 200 && !last.startsWith('421'); index++) last = await noops.ask(index % 2 ? 'NOOP' : 'RSET')
  assert.match((await noops.reply(30_000))?.[0] ?? last, /^421 4\.7\.0 Too many commands|^250/)
  assert.equal(await noops.reply(30_000), undefined)
})

/** How often each code was the answer to a burst of RCPT. */
const codesOf = async (line: Line, count: number, domain: string): Promise<Record<string, number>> => {
  line.send(Buffer.from(Array.from({ length: count }, (_, index) => `RCPT TO:<u${index}@${domain}>\r\n`).join('')))
  const codes: Record<string, number> = {}
  for (let index = 0; index < count; index++) {
    const code = (await line.reply(30_000))?.[0]?.slice(0, 3) ?? 'closed'
    codes[code] = (codes[code] ?? 0) + 1
  }
  return codes
}

test('150 recipients over the limit, or 150 that are gone, cost the 150 that passed nothing; 100 more end the session', async (t) => {
  const receiver = await start(t, withLimits({ recipientsPerMessage: 150 }))
  const line = await greeted(t, receiver)
  await line.ask('MAIL FROM:<a@client.example>')
  assert.deepEqual(await codesOf(line, 300, 'hosted.example'), { 250: 150, 452: 150 })
  await line.ask('DATA')
  assert.match(await line.ask(`${simple}\r\n.`), /^250 /)
  assert.equal(receiver.queue.kept[0]!.message.deliveries[0]!.recipients.length, 150)
  await line.ask('MAIL FROM:<a@client.example>')
  assert.deepEqual(await codesOf(line, 149, 'hosted.example'), { 250: 149 })
  assert.deepEqual(await codesOf(line, 149 + 99, 'listed.example'), { 550: 149 + 99 })
  assert.match(await line.ask('RCPT TO:<gone@listed.example>'), /^550 /)
  assert.match((await line.reply(30_000))?.[0] ?? '', /^421 4\.7\.0 Too many commands/)
})

test('beside 150 recipients that passed 151 refusals are spared until a message passes, not 150 more with every RSET: users are not guessed by the thousand', async (t) => {
  const receiver = await start(t, withLimits({ recipientsPerMessage: 151 }))
  const line = await greeted(t, receiver)
  const guess = async (count: number): Promise<Record<string, number>> => {
    await line.ask('MAIL FROM:<a@client.example>')
    assert.deepEqual(await codesOf(line, 150, 'hosted.example'), { 250: 150 })
    return codesOf(line, count, 'listed.example')
  }
  assert.deepEqual(await guess(150), { 550: 150 })
  assert.match(await line.ask('RSET'), /^250 /)
  assert.deepEqual(await guess(1 + 97), { 550: 98 }) // 99 commands without a message, with EHLO and RSET
  assert.match(await line.ask('RCPT TO:<gone@listed.example>'), /^550 /)
  assert.match((await line.reply(30_000))?.[0] ?? '', /^421 4\.7\.0 Too many commands/)
})

/** The count has gone down: somebody else is greeted. */
const comesAgain = (t: TestContext, receiver: Awaited<ReturnType<typeof start>>): Promise<unknown> =>
  until(async () => {
    const again = await open(t, receiver)
    const greeting = (await again.reply(30_000))?.[0] ?? ''
    again.destroy()
    return greeting.startsWith('220')
  })

test('a 2nd connection from one source is one too many where 1 is allowed, and the count goes down again', async (t) => {
  const receiver = await start(t, withLimits({ connectionsPerSource: 1 }))
  const first = await greeted(t, receiver)
  const second = await open(t, receiver)
  assert.match((await second.reply(30_000))?.[0] ?? '', /^421 4\.7\.0 Too many connections from 127\.0\.0\.1 \(limit 1 of listener mx\)/)
  await first.ask('QUIT')
  first.destroy()
  await comesAgain(t, receiver)
})

test('a 2nd connection is one too many where the listener has 1 in all, whoever has the other, and not at another listener', async (t) => {
  const receiver = await start(t, withLimits({ connections: 1 }))
  const first = await greeted(t, receiver)
  const second = await open(t, receiver)
  assert.match((await second.reply(30_000))?.[0] ?? '', /^421 4\.7\.0 Too many connections at once \(limit 1 of listener mx\); try again later$/)
  await greeted(t, receiver, 'submission')
  await first.ask('QUIT')
  first.destroy()
  await comesAgain(t, receiver)
})

test('a 3rd connection within a minute is one too many where a RelayPolicy lets 2 come, which is named, at the listener it is for', async (t) => {
  const receiver = await start(t, (input) => {
    input.policies = [{ namespace: 'mail', name: 'house', manifest: 'RelayPolicy mail/house', targets: [{ kind: 'MailRelay', listener: 'mx' }], mayAllowSources: true, limits: [{ by: 'source', connectionsPerMinute: 2 }] }]
  })
  for (let count = 0; count < 2; count++) (await greeted(t, receiver)).destroy()
  const third = await open(t, receiver)
  assert.match((await third.reply(30_000))?.[0] ?? '', /^421 4\.7\.1 Connecting too often \(RelayPolicy mail\/house\); try again later$/)
  assert.equal(await third.reply(30_000), undefined)
  await greeted(t, receiver, 'submission')
})

test('a silent client, and one that sends an octet now and then, get 421 4.4.2 when the time for a command is over', async (t) => {
  const receiver = await start(t, withLimits({ commandSeconds: 0.5 }))
  const silent = await open(t, receiver)
  assert.match((await silent.reply(30_000))?.[0] ?? '', /^220 /)
  assert.match((await silent.reply(30_000))?.[0] ?? '', /^421 4\.4\.2 Waited 0\.5 s for a command/)
  assert.equal(await silent.reply(30_000), undefined)
  const slow = await open(t, receiver)
  assert.match((await slow.reply(30_000))?.[0] ?? '', /^220 /)
  const trickle = setInterval(() => slow.send(Buffer.from('N')), 100)
  t.after(() => clearInterval(trickle))
  assert.match((await slow.reply(30_000))?.[0] ?? '', /^421 4\.4\.2 /)
})

test('DATA has a time between its pieces and a time as a whole', async (t) => {
  const receiver = await start(t, withLimits({ dataSeconds: 0.5, messageSeconds: 2 }))
  const silent = await greeted(t, receiver)
  await envelope(silent)
  await silent.ask('DATA')
  assert.match((await silent.reply(30_000))?.[0] ?? '', /^421 4\.4\.2 .*the message/)
  const slow = await greeted(t, receiver)
  await envelope(slow)
  await slow.ask('DATA')
  const trickle = setInterval(() => slow.send(Buffer.from('x')), 100)
  t.after(() => clearInterval(trickle))
  assert.match((await slow.reply(30_000))?.[0] ?? '', /^421 4\.4\.2 /)
  await until(() => receiver.queue.bodies.abandoned === 2)
})

test('a client that never reads its replies is stopped: 1,000,000 pipelined NOOPs are not answered into memory', async (t) => {
  const receiver = await start(t)
  const line = await greeted(t, receiver)
  line.send(Buffer.from('NOOP\r\n'.repeat(1_000_000)))
  let last: string[] | undefined = []
  let replies = 0
  while (last !== undefined) {
    last = await line.reply(30_000)
    replies += 1
  }
  assert.ok(replies <= 110, String(replies))
})

test('a client that never reads 30 MB of replies is let go after the time for a command', async (t) => {
  const receiver = await start(t, withLimits({ errors: 1_000_000, commandSeconds: 1 }))
  const socket = connect(receiver.port('mx'), '127.0.0.1').on('error', () => {})
  t.after(() => socket.destroy())
  await new Promise<void>((resolve) => socket.once('data', () => resolve()))
  socket.pause()
  socket.write('EHLO client.example\r\n'.repeat(200_000))
  await until(async () => (await receiver.metrics.openConnections.get()).values.every(({ value }) => value === 0))
})

test('a header section over its limit, or a NUL, does not shorten the time between 2 pieces of DATA, as a bare line end does: 3 clients that fall silent, and the one that waits for an end that never comes is told first', async (t) => {
  const receiver = await start(t, withLimits({ headerBytes: 100, dataSeconds: 15 }))
  const told: string[] = []
  const silentAfter = async (text: string): Promise<void> => {
    const line = await greeted(t, receiver)
    await envelope(line)
    await line.ask('DATA')
    line.send(Buffer.from(text))
    told.push((await line.reply(30_000))?.[0] ?? 'closed')
  }
  const all = [`X: ${'x'.repeat(200)}\r\n`, 'Subject: a\0b\r\n', 'Subject: x\n'].map(silentAfter)
  await Promise.race(all)
  assert.equal(told.length, 1)
  assert.match(told[0]!, /^554 5\.6\.0 The message holds a line feed/)
})
