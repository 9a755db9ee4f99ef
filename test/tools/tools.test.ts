// The tools themselves: a sink that misses nothing, a client that reads whole replies, a ledger that finds what is lost.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { ArrivingMail } from './arriving-mail.ts'
import { failedIn, joinLedger } from './ledger.ts'
import { sendAll } from './load-client.ts'
import { startSink } from './sink.ts'
import { openSmtp, sendMail } from './smtp-client.ts'

test('a mail sent to the sink arrives byte for byte, leading dots included', async () => {
  const sink = await startSink()
  const client = await openSmtp(sink.port)
  await client.say('EHLO me.example')
  const said = await sendMail(client, { from: 'a@x.example', to: ['b@y.example', 'c@y.example'], data: 'Subject: x\r\n\r\n.\r\n..two\r\nend\r\n' })
  assert.equal(said.data?.code, 250)
  assert.equal(sink.arrivals[0]?.data.toString(), 'Subject: x\r\n\r\n.\r\n..two\r\nend\r\n')
  assert.deepEqual(sink.recipients(), ['b@y.example', 'c@y.example'])
  assert.deepEqual(sink.faults, [])
  client.close()
  await sink.close()
})

test('the sink tells of bare line feeds and does not end a mail at LF.LF', async () => {
  const sink = await startSink()
  const client = await openSmtp(sink.port)
  await client.say('EHLO me.example')
  for (const line of ['MAIL FROM:<a@x.example>', 'RCPT TO:<b@y.example>', 'DATA']) await client.say(line)
  client.write('one\n.\nMAIL FROM:<evil@x.example>\r\n.\r\n')
  assert.equal((await client.reply()).code, 250)
  assert.equal(sink.arrivals.length, 1)
  assert.deepEqual(sink.faults, ['bare CR or LF in a mail'])
  client.close()
  await sink.close()
})

test('a mail cut in 2 at any of its bytes is the same mail, with the same hash of its body', () => {
  const sent = 'Subject: x\r\n..\r\n\r\n..\r\n\r\n...two\r\nend\r\n.\r\nQUIT\r\n'
  const body = createHash('sha256').update('.\r\n\r\n..two\r\nend\r\n').digest('hex')
  for (let at = 0; at < sent.length - 'QUIT\r\n'.length; at++) {
    const mail = new ArrivingMail({ keep: true, hash: true })
    const rest = [mail.take(Buffer.from(sent.slice(0, at))), mail.take(Buffer.from(sent.slice(at)))]
    assert.deepEqual([rest.map(String), mail.data.toString(), mail.bodyHash(), [...mail.faults]], [['undefined', 'QUIT\r\n'], 'Subject: x\r\n.\r\n\r\n.\r\n\r\n..two\r\nend\r\n', body, []])
  }
})

test('4 ends that others take for the end of a mail are none, and each is a fault', () => {
  for (const end of ['\n.\n', '\n.\r\n', '\r.\r\n', '\r\n.\n']) {
    const mail = new ArrivingMail({ keep: false, hash: false })
    assert.equal(mail.take(Buffer.from(`x${end}y`)), undefined)
    assert.equal(String(mail.take(Buffer.from('z\r\n.\r\n'))), '')
    assert.deepEqual([...mail.faults], ['bare CR or LF in a mail'], JSON.stringify(end))
  }
})

test('20 clients over 2 addresses bring 200 mails in, though 1 address drops every third connection', async () => {
  let greetings = 0
  const good = await startSink()
  const bad = await startSink({ greeting: () => (++greetings % 3 === 0 ? 'drop' : undefined) })
  const mails = Array.from({ length: 200 }, (_, n) => ({ from: 'a@x.example', to: [`r${n}@y.example`], data: 'Subject: x\r\n\r\nbody\r\n' }))
  const log = await sendAll({ ports: [good.port, bad.port], clients: 20, mails })
  assert.equal(log.accepted.size, 200)
  assert.equal(good.recipients().length + bad.recipients().length, 200)
  await Promise.all([good.close(), bad.close()])
})

test('of 5 promised, the ledger finds 1 lost, 1 duplicated, 1 contradiction, 1 never promised', () => {
  const ledger = joinLedger({ accepted: ['a', 'b', 'c', 'd', 'e'], arrived: ['a', 'a', 'b', 'x'], bounced: ['c', 'b'], queued: ['d'] })
  assert.deepEqual(ledger, { accepted: 5, delivered: 2, bounced: 2, queued: 1, lost: ['e'], duplicates: 1, contradictions: ['b'], unpromised: 1 })
})

test('a notice about 2 recipients, 1 failed and 1 delayed, names the 1 that failed', () => {
  const notice = 'Reporting-MTA: dns; r.example\r\n\r\nFinal-Recipient: rfc822; a@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\nFinal-Recipient: rfc822; b@x.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n'
  assert.deepEqual(failedIn(notice), ['a@x.example'])
})
