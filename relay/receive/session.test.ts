import assert from 'node:assert/strict'
import { test } from 'node:test'
import { envelope, greetedBy as greeted, openTo as open, sendMail, simpleMail as simple, startReceiver as start, waitUntil as until, withLimits } from '../../test/tools/session.ts'
import { testSnapshot } from '../../test/tools/receive.ts'

test('puts one Received in front, with id, and with the recipient only where it is 1', async (t) => {
  const receiver = await start(t)
  const line = await greeted(t, receiver)
  assert.equal(await sendMail(line, simple), '250 2.0.0 queued as m1')
  assert.match(receiver.queue.kept[0]!.text, /^Received: from client\.example \(\[127\.0\.0\.1\]\)\r\n\tby mx\.test with ESMTP\r\n\tid m1\r\n\tfor <fred@hosted\.example>; \w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\nSubject: x\r\n\r\nhello\r\n$/)
  await sendMail(line, simple, undefined, ['fred@hosted.example', 'ann@hosted.example'])
  assert.doesNotMatch(receiver.queue.kept[1]!.text, /fred@|ann@/)
})

test('HELP names STARTTLS and AUTH where EHLO offers them, on 3 listeners and after the login', async (t) => {
  const receiver = await start(t)
  for (const listener of ['mx', 'submission', 'submissions'] as const) {
    const line = await open(t, receiver, listener)
    await line.reply(30_000)
    line.send(Buffer.from('EHLO client.example\r\n'))
    const offered = (await line.reply(30_000))!.map((one) => one.slice(4).split(' ')[0]!).filter((word) => ['STARTTLS', 'AUTH'].includes(word))
    const help = await line.ask('HELP')
    assert.deepEqual(help.match(/STARTTLS|AUTH/g) ?? [], offered, listener)
  }
  const loggedIn = await greeted(t, receiver, 'submissions')
  assert.equal(await loggedIn.ask('HELP'), '214 2.0.0 Commands: HELO EHLO MAIL RCPT DATA RSET NOOP VRFY QUIT HELP; see RFC 5321')
})

test('says ESMTPSA for an authenticated sender over TLS, and adds Date, Message-ID and From where they are missing', async (t) => {
  const receiver = await start(t)
  const line = await greeted(t, receiver, 'submissions')
  await sendMail(line, 'Subject: x\r\n\r\nhello', 'orders@shop.example', ['x@far.example'])
  const { text, message } = receiver.queue.kept[0]!
  assert.match(text, /with ESMTPSA \(TLSv1\.3 TLS_\w+\)/)
  assert.match(text, /\r\nDate: .*\r\nMessage-ID: <m1@mx\.test>\r\nFrom: orders@shop\.example\r\nSubject: x\r\n/)
  assert.deepEqual([message.envelope.sender, message.envelope.because, message.envelope.class], ['shop/shop', 'identified-sender (MailSender shop/shop)', 'transactional'])
  await sendMail(line, 'Date: now\r\nmessage-id: <a@b>\r\nFROM: orders@shop.example\r\n\r\nhello', 'orders@shop.example', ['x@far.example'])
  assert.equal(receiver.queue.kept[1]!.text.match(/^(Date|Message-ID|From):/gim)?.length, 3)
})

test('2 mails that begin with no field have one From in their header: behind the first line of a file of mails the header goes on, behind a text it does not', async (t) => {
  const receiver = await start(t)
  const line = await greeted(t, receiver, 'submissions')
  const mail = 'From: orders@shop.example\r\nSubject: x\r\n\r\nhello'
  await sendMail(line, `From orders@shop.example Mon Nov 30 02:23:29 2026\r\n${mail}`, 'orders@shop.example', ['x@far.example'])
  await sendMail(line, `hello world\r\n${mail}`, 'orders@shop.example', ['x@far.example'])
  const [inFile, text] = receiver.queue.kept.map((kept) => kept.text)
  assert.ok(inFile!.endsWith(`\r\nX-Mailbox-Line: From orders@shop.example Mon Nov 30 02:23:29 2026\r\n${mail}\r\n`), inFile)
  assert.ok(text!.endsWith(`\r\nFrom: orders@shop.example\r\n\r\nhello world\r\n${mail}\r\n`), text)
  assert.deepEqual([inFile, text].map((one) => one!.slice(0, one!.indexOf('\r\n\r\n')).match(/^(?:Date|Message-ID|From):/gm)!.length), [3, 3])
})

test('notes of a stranger\'s mail that nobody vouches for it, and not of 1 that an Allow rule or a login lets in', async (t) => {
  const receiver = await start(t, (input) => {
    input.policies = [{ namespace: 'mail', name: 'house', manifest: 'RelayPolicy mail/house', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, rules: [{ name: 'ours', match: { sources: ['127.0.0.0/8'], rcptTo: ['*@far.example'] }, action: 'Allow' }, { name: 'legal', match: { rcptTo: ['legal@hosted.example'] }, action: 'Hold' }] }]
  })
  const line = await greeted(t, receiver)
  await sendMail(line, simple, undefined, ['a@hosted.example'])
  await sendMail(line, simple, undefined, ['legal@hosted.example', 'fred@listed.example'])
  await sendMail(line, simple, undefined, ['a@hosted.example', 'b@far.example'])
  await sendMail(await greeted(t, receiver, 'submissions'), simple, 'orders@shop.example', ['a@hosted.example'])
  assert.deepEqual(receiver.queue.kept.map(({ message: { envelope: { stranger } } }) => stranger), [true, true, undefined, undefined])
})

test('postmaster without a domain is that of a domain of the relay\'s own namespace, though a tenant\'s comes before it, or has the relay\'s own name: 2 of 2; of a tenant only where all 2 are tenants\'', async (t) => {
  const tenants = ['aaa.example', 'mx.test'].map((domain) => ({ namespace: 'shop', name: domain, manifest: `MailDomain shop/${domain}`, domain, listeners: ['mx'], inbound: { recipients: { mode: 'Any' as const } } }))
  for (const [own, taker] of [[true, 'hosted.example'], [false, 'mx.test']] as const) {
    const receiver = await start(t, (input) => void (input.domains = [...tenants, ...(own ? input.domains! : [])]))
    await sendMail(await greeted(t, receiver), simple, undefined, ['postmaster'])
    assert.deepEqual(receiver.queue.kept.map(({ message }) => message.deliveries.map(({ domain }) => domain)), [[taker]])
  }
})

test('groups 5 recipients in 2 domains into 2 deliveries, names a recipient given twice once, and traces it', async (t) => {
  const receiver = await start(t)
  const line = await greeted(t, receiver)
  await sendMail(line, simple, undefined, ['a@hosted.example', 'fred@listed.example', 'b@hosted.example', 'a@hosted.example', 'ann@listed.example'])
  const { message } = receiver.queue.kept[0]!
  assert.deepEqual(message.deliveries.map(({ domain, recipients }) => [domain, recipients.map(({ mailbox }) => mailbox.local)]), [['hosted.example', ['a', 'b']], ['listed.example', ['fred', 'ann']]])
  assert.deepEqual(receiver.queue.emitted.map(({ kind, message: id }) => [kind, id]), [['accepted', 'm1']])
})

test('what is traced of a mail that came in is of the servers\' time, as what follows is: with a clock of ours 2 s ahead it would stand behind its delivery', async (t) => {
  const receiver = await start(t)
  receiver.queue.now = () => 1_000
  await sendMail(await greeted(t, receiver), simple, undefined, ['a@hosted.example'])
  assert.deepEqual(receiver.queue.emitted.map(({ kind, at }) => [kind, at]), [['accepted', 1_000]])
})

test('1 mail to 1,000 recipients in 300 domains is 300 deliveries, and the next recipient is one too many', async (t) => {
  const receiver = await start(t)
  const line = await greeted(t, receiver, 'submissions')
  await line.ask('MAIL FROM:<a@shop.example>')
  line.send(Buffer.from(Array.from({ length: 1001 }, (_, index) => `RCPT TO:<u${index}@d${index % 300}.example>\r\n`).join('')))
  const codes: string[] = []
  for (let index = 0; index < 1001; index++) codes.push((await line.reply(30_000))?.[0]?.slice(0, 3) ?? 'closed')
  assert.deepEqual([codes.filter((code) => code === '250').length, codes.at(-1)], [1000, '452'])
  await line.ask('DATA')
  assert.match(await line.ask(`From: a@shop.example\r\n\r\nx\r\n.`), /^250 /)
  const { deliveries } = receiver.queue.kept[0]!.message
  assert.deepEqual([deliveries.length, deliveries.flatMap(({ recipients }) => recipients).length], [300, 1000])
})

test('what a policy holds goes to held with the reason, the rest on its way', async (t) => {
  const receiver = await start(t, (input) => {
    input.policies = [{ namespace: 'mail', name: 'house', manifest: 'RelayPolicy mail/house', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, rules: [{ name: 'legal', match: { rcptTo: ['legal@hosted.example'] }, action: 'Hold' }] }]
  })
  await sendMail(await greeted(t, receiver), simple, undefined, ['a@hosted.example', 'legal@hosted.example'])
  assert.deepEqual(receiver.queue.kept[0]!.message.deliveries.map(({ hold }) => hold), [undefined, 'held by policy (RelayPolicy mail/house, rule legal)'])
})

const answers = [
  [{ kind: 'refused', why: 'full' }, /^452 4\.3\.1 /], [{ kind: 'refused', why: 'memory' }, /^452 4\.3\.2 Too much mail/], [{ kind: 'refused', why: 'too-many-domains' }, /^452 4\.5\.3 /], [{ kind: 'refused', why: 'too-many-recipients' }, /^452 4\.5\.3 .*long recipients/],
  [{ kind: 'refused', why: 'not-durable' }, /^451 4\.3\.0 /], [{ kind: 'unknown', why: 'no leader' }, /^451 4\.3\.0 Not stored \(no leader\)/],
] as const
for (const [answer, expected] of answers) {
  test(`the queue's answer ${JSON.stringify(answer)} becomes ${expected.source}, never 250, and the body is ${answer.kind === 'refused' ? 'given up' : 'left alone: it may be stored'}`, async (t) => {
    const receiver = await start(t)
    receiver.queue.answer = answer
    assert.match(await sendMail(await greeted(t, receiver), simple), expected)
    assert.equal(receiver.queue.bodies.abandoned, answer.kind === 'refused' ? 1 : 0)
  })
}

test('a queue that throws, refuses a body, or does not keep its promise costs 451 or 452, never a 250', async (t) => {
  const receiver = await start(t)
  const line = await greeted(t, receiver)
  receiver.queue.writeError = Object.assign(new Error('at 80 %'), { code: 'QUEUE_FULL' })
  assert.match(await sendMail(line, simple), /^452 4\.3\.1 /)
  receiver.queue.writeError = Object.assign(new Error('no room in memory'), { code: 'MEMORY_SHORT' })
  assert.match(await sendMail(line, simple), /^452 4\.3\.2 Too much mail comes in at once/)
  receiver.queue.writeError = new Error('no leader')
  assert.match(await sendMail(line, simple), /^451 4\.3\.0 Not stored \(no leader\)/)
  receiver.queue.writeError = undefined
  receiver.queue.endError = new Error('a chunk of the body could not be stored in time')
  assert.match(await sendMail(line, simple), /^451 4\.3\.0 Not stored \(a chunk of the body could not be stored in time\)/)
  assert.equal(receiver.queue.bodies.abandoned, 4)
  receiver.queue.endError = undefined
  receiver.queue.gate = Promise.reject(new Error('a bug'))
  receiver.queue.gate.catch(() => {})
  assert.match(await sendMail(line, simple), /^451 4\.3\.0 /)
  receiver.queue.durability = { ok: false, reason: 'NotDurable', text: 'sync_interval is not always' }
  assert.match(await line.ask('MAIL FROM:<a@client.example>'), /^451 4\.3\.0 Not stored \(sync_interval is not always\)/)
  assert.equal(receiver.queue.kept.length, 0)
})

test('a message over the size limit is read to its end, refused with 552 5.3.4, and its body given up', async (t) => {
  const receiver = await start(t, withLimits({ messageBytes: 1000 }))
  const line = await greeted(t, receiver)
  assert.match(await line.ask('MAIL FROM:<a@client.example> SIZE=1001'), /^552 5\.3\.4 .*1000 octets \(MailRelay mail\/main\)/)
  assert.match(await sendMail(line, `Subject: x\r\n\r\n${'x'.repeat(100_000)}`), /^552 5\.3\.4 /)
  assert.deepEqual(receiver.queue.bodies, { begun: 1, ended: 0, abandoned: 1 })
  assert.match(await sendMail(line, simple), /^250 /)
})

test('the smaller limit of a MailSender holds for size and recipients, and is named', async (t) => {
  const receiver = await start(t, (input) => {
    input.senders![0]!.limits = { maxMessageBytes: 500, recipientsPerMessage: 2 }
  })
  const line = await greeted(t, receiver, 'submissions')
  assert.match(await line.ask('MAIL FROM:<a@shop.example> SIZE=501'), /^552 5\.3\.4 .*MailSender shop\/shop/)
  await envelope(line, 'a@shop.example', ['1@far.example', '2@far.example'])
  assert.match(await line.ask('RCPT TO:<3@far.example>'), /^452 4\.5\.3 .*2 recipients.*MailSender shop\/shop/)
})

test('more than 100 Received headers are a loop, 1,001 headers and 1 MB of header too many', async (t) => {
  const receiver = await start(t)
  const line = await greeted(t, receiver)
  assert.match(await sendMail(line, `${'Received: from x\r\n\tby y\r\n'.repeat(100)}\r\nx`), /^250 /)
  assert.match(await sendMail(line, `${'Received: from x\r\n\tby y\r\n'.repeat(101)}\r\nx`), /^554 5\.4\.6 /)
  assert.match(await sendMail(line, `${'X: y\r\n'.repeat(1001)}\r\nx`), /^554 5\.6\.0 .*1000 fields/)
  assert.match(await sendMail(line, `X: ${'y'.repeat(1024 * 1024)}\r\n\r\nx`), /^554 5\.6\.0 .*longer than/)
  assert.match(await sendMail(line, `From: a@b.example${'\r\n '.repeat(70_000)}\r\nSubject: x\r\n\r\nx`), /^554 5\.6\.0 .*From is too long/)
  assert.match(await sendMail(line, `Subject: x\r\n\r\n${'Received: x\r\n'.repeat(200)}`), /^250 /, 'in the text they mean nothing')
})

test('a 5 MB message arrives whole, with 8-bit octets noticed though BODY was not given', async (t) => {
  const receiver = await start(t)
  const body = `${'0123456789'.repeat(7)}\r\n`.repeat(70_000)
  assert.match(await sendMail(await greeted(t, receiver), `Subject: ä\r\n\r\n${body}.end`.replace('\r\n.end', '\r\nend')), /^250 /)
  const { text, message } = receiver.queue.kept[0]!
  assert.equal(text.slice(text.indexOf('\r\n\r\n') + 4), `${body}end\r\n`)
  assert.equal(message.envelope.body, '8BITMIME')
})

test('a client that leaves in the middle of DATA leaves nothing behind', async (t) => {
  const receiver = await start(t)
  const line = await greeted(t, receiver)
  await envelope(line)
  await line.ask('DATA')
  line.send(Buffer.from('Subject: half\r\n\r\nof it\r\n'))
  line.destroy()
  await until(() => receiver.queue.bodies.abandoned === 1)
  assert.equal(receiver.queue.kept.length, 0)
})

test('a client that leaves while the queue stores its message takes nothing back, and leaves no clock running', async (t) => {
  const receiver = await start(t)
  const gate: { open: () => void } = { open: () => {} }
  receiver.queue.gate = new Promise<void>((resolve) => (gate.open = resolve))
  const line = await greeted(t, receiver)
  await envelope(line)
  await receiver.receiving.reload(testSnapshot(withLimits({ commandSeconds: 0.3 }))) // from the next command on, which is the last
  await line.ask('DATA')
  line.send(Buffer.from(`${simple}\r\n.\r\n`))
  await until(() => receiver.queue.bodies.ended === 1)
  line.destroy()
  await new Promise((resolve) => setTimeout(resolve, 100))
  gate.open() // until then it may be one that only stopped sending
  await until(() => receiver.queue.kept.length === 1)
  await until(async () => (await receiver.metrics.openConnections.get()).values.every(({ value }) => value === 0))
  assert.equal(receiver.queue.bodies.abandoned, 0)
  await new Promise((resolve) => setTimeout(resolve, 600))
  assert.deepEqual((await receiver.metrics.messagesRefused.get()).values.filter(({ value }) => value > 0), [])
})

test('bareNewlines Normalise mends CR and LF alone, and what looks like an end of DATA becomes text', async (t) => {
  const receiver = await start(t, (input) => {
    input.listeners[0]!.bareNewlines = 'Normalise'
  })
  const line = await greeted(t, receiver)
  await envelope(line)
  await line.ask('DATA')
  line.send(Buffer.from('Subject: x\r\n\r\none\n.\r\nMAIL FROM:<evil@client.example>\rtwo\r\n.\r\n'))
  assert.match((await line.reply(30_000))?.[0] ?? '', /^250 /)
  assert.ok(receiver.queue.kept[0]!.text.endsWith('\r\n\r\none\r\n.\r\nMAIL FROM:<evil@client.example> two\r\n'))
  assert.match(await line.ask('NOOP'), /^250 /)
})

test('a client that goes on sending after a bare LF is read to its end and then told, not cut off after 5 s of sending', async (t) => {
  const receiver = await start(t)
  const line = await greeted(t, receiver)
  await envelope(line)
  await line.ask('DATA')
  line.send(Buffer.from('Subject: x\n\n'))
  for (let index = 0; index < 14; index++) {
    line.send(Buffer.from('more\r\n'))
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  assert.match(await line.ask('.'), /^554 5\.6\.0 /)
  assert.match(await line.ask('NOOP'), /^250 /)
})

test('while the queue holds 1 piece of a body back, no 2nd piece is read to it: memory per session is bounded', async (t) => {
  const receiver = await start(t)
  const state = { waiting: 0, most: 0, pieces: 0, bytes: 0 }
  const gate: { open: () => void } = { open: () => {} }
  const opened = new Promise<void>((resolve) => (gate.open = resolve))
  const newBody = receiver.queue.newBody
  receiver.queue.newBody = (id) => ({
    ...newBody(id),
    write: async (piece) => {
      state.waiting += 1
      state.pieces += 1
      state.bytes += piece.length
      state.most = Math.max(state.most, state.waiting)
      await opened
      state.waiting -= 1
    },
  })
  const line = await greeted(t, receiver)
  await envelope(line)
  await line.ask('DATA')
  line.send(Buffer.concat([Buffer.from('Subject: x\r\n\r\n'), Buffer.alloc(20_000_000, 'x'), Buffer.from('\r\n.\r\n')]))
  await until(() => state.pieces > 0)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.deepEqual([state.pieces, state.most], [1, 1])
  gate.open()
  assert.match((await line.reply(30_000))?.[0] ?? '', /^250 /)
  assert.deepEqual([state.most, state.bytes], [1, 20_000_016])
})

test('a recipient named 3 times is 1 for limits too: of 2 recipients per message and 2 per hour both pass, and none is refused that was taken before', async (t) => {
  const receiver = await start(t, (input) => {
    withLimits({ recipientsPerMessage: 2 })(input)
    input.policies = [{ namespace: 'mail', name: 'house', manifest: 'RelayPolicy mail/house', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, rules: [], limits: [{ by: 'source', recipientsPerHour: 2 }] }]
  })
  const line = await greeted(t, receiver)
  await envelope(line, undefined, ['a@hosted.example', 'a@hosted.example', 'b@hosted.example', 'a@hosted.example'])
  assert.match(await line.ask('RCPT TO:<c@hosted.example>'), /^452 4\.5\.3 /)
  assert.match(await line.ask('DATA'), /^354 /)
  assert.match(await line.ask(`${simple}\r\n.`), /^250 /)
  assert.deepEqual(receiver.queue.kept[0]!.message.deliveries.map(({ recipients }) => recipients.map(({ mailbox }) => mailbox.local)), [['a', 'b']])
})
